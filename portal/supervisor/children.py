"""Supervision: start the children in one process group, pass on what they print, restart what dies, stop it all."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import TextIO

from portal.supervisor.launch import Launch, Process, spawned

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = (
    4.0  # also what a child that is killed again and again is away at most, besides its own start
)
# The web server starts first and alone: on two cores the others would cost the first page seconds.
LATER_S = 4.0
STEADY_S = 10.0  # a child that ran this long is well again: its next pause is the first one
STOP_SECONDS = 12.0  # then kill; less than the 15 s Docker and systemd users are used to wait
WATCH_S = 1.0
LINE_MAX = 64 * 1024


@dataclass
class Child:
    """One supervised process: the module it runs and its arguments, and where it stands. `later`: once `tick` is true,
    or after LATER_S."""

    name: str
    module: str
    arguments: Sequence[str] = ()
    later: bool = False
    process: Process | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE_S
    again_at: float = 0.0
    restarts: int = 0
    buffer: bytearray = field(default_factory=bytearray)


class Supervisor:
    """Runs children until SIGINT or SIGTERM; `tick` is called about ten times a second until it returns true.

    `watch` is called about every WATCH_S for as long as it runs; children inherit our environment and the file
    descriptors `keep`.
    """

    def __init__(
        self,
        children: Sequence[Child],
        out: TextIO = sys.stdout,
        tick: Callable[[], bool] | None = None,
        watch: Callable[[], None] | None = None,
        keep: Sequence[int] = (),
        launch: Launch = spawned,
    ) -> None:
        self.children = list(children)
        self.launch = launch
        self.out = out
        self.tick = tick
        self.watch = watch
        self.watched_at = 0.0
        self.keep = tuple(keep)
        self.group = 0  # process group of all children: that of the first one that lives
        self.stopping = False
        self.selector = selectors.DefaultSelector()
        self.width = max((len(c.name) for c in children), default=0)

    def run(self) -> None:
        """Start everything, and return when a signal has ended it and no child is left."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        os.set_blocking(read, False)
        before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        handlers = {
            s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)  # only wakes the selector
        self.selector.register(read, selectors.EVENT_READ, None)
        try:
            for child in self.children:
                if child.later:
                    child.again_at = time.monotonic() + LATER_S
                else:
                    self._start(child)
            while not self.stopping:
                self._wait()
                self._reap()
                if self.tick is not None and self.tick():
                    self.tick = None
                    self._start_later()
                self._watch()
        finally:
            self._stop_all()
            signal.set_wakeup_fd(before)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            self.selector.close()
            os.close(read)
            os.close(write)

    def _watch(self) -> None:
        if self.watch is None or time.monotonic() < self.watched_at:
            return
        self.watched_at = time.monotonic() + WATCH_S
        try:
            self.watch()
        except Exception as error:  # a full disk, say: looked at again the next time
            self.say("up", f"{type(error).__name__}: {error}")

    def _start_later(self) -> None:
        for child in self.children:
            if child.later and child.started == 0.0:
                child.again_at = 0.0

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping = True

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        self._look_for_group()
        try:
            process = self.launch(child.name, child.module, child.arguments, group=self.group, keep=self.keep)
        except OSError as error:  # no memory for another process, say
            self._again(child, f"could not be started: {error}")
            return
        assert process.stdout is not None
        child.process = process
        if self.group == 0:
            self.group = process.pid
        os.set_blocking(process.stdout.fileno(), False)
        self.selector.register(process.stdout, selectors.EVENT_READ, child)

    def _look_for_group(self) -> None:
        """When everybody in the group has died the group is gone: the next child founds another."""
        if self.group:
            try:
                os.killpg(self.group, 0)
            except (ProcessLookupError, PermissionError):
                self.group = 0

    def _wait(self) -> None:
        due = [c.again_at - time.monotonic() for c in self.children if c.process is None]
        longest = 0.1 if self.tick is not None else WATCH_S
        for key, _ in self.selector.select(max(0.0, min([longest, *due]))):
            if isinstance(key.data, Child):
                self._read(key.data)
            else:
                os.read(key.fd, 4096)

    def _read(self, child: Child) -> bool:
        """Pass on whole lines, prefixed; false at the end of the pipe."""
        assert child.process is not None
        assert child.process.stdout is not None
        try:
            data = os.read(child.process.stdout.fileno(), LINE_MAX)
        except BlockingIOError:
            return True
        child.buffer += data
        *lines, rest = bytes(child.buffer).split(b"\n")
        if rest and (not data or len(rest) > LINE_MAX):
            lines, rest = [*lines, rest], b""
        child.buffer[:] = rest
        for line in lines:
            self.say(child.name, line.decode(errors="replace"))
        return bool(data)

    def say(self, name: str, text: str) -> None:
        """One line on the terminal, with the name of who says it."""
        try:
            self.out.write(f"{name:<{self.width}} | {text}\n")
            self.out.flush()
        except (OSError, ValueError):
            pass  # the terminal is gone; the children need not go with it

    def _reap(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None:
                if now >= child.again_at:
                    child.restarts += child.started > 0.0
                    self._start(child)
            elif (code := child.process.poll()) is not None:
                self._bury(child)
                self._again(child, f"killed by signal {-code}" if code < 0 else f"ended with code {code}")

    def _again(self, child: Child, how: str) -> None:
        """Start it again after a pause, which grows as long as it does not stay."""
        now = time.monotonic()
        if now - child.started > STEADY_S:
            child.pause = FIRST_PAUSE_S
        child.again_at = now + child.pause
        self.say(child.name, f"{how}; starting it again in {child.pause:g} s")
        child.pause = min(child.pause * 2, LONGEST_PAUSE_S)

    def _bury(self, child: Child) -> None:
        process = child.process
        if process is None or process.stdout is None:
            return
        while child.process is not None and self._read(child) and self._more(process):
            pass
        self.selector.unregister(process.stdout)
        process.stdout.close()
        child.process = None

    @staticmethod
    def _more(process: Process) -> bool:
        with selectors.DefaultSelector() as one:
            assert process.stdout is not None
            one.register(process.stdout, selectors.EVENT_READ)
            return bool(one.select(0))

    def _stop_all(self) -> None:
        """SIGTERM to each, then SIGKILL to the whole group: grandchildren included, nothing stays behind."""
        for child in self.children:
            if child.process is not None and child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        self.tick = lambda: False  # wake often, so that the last exit is seen soon
        while time.monotonic() < deadline and any(
            c.process and c.process.poll() is None for c in self.children
        ):
            self._wait()
        if self.group:
            self._empty_group()
        for child in self.children:
            if child.process is not None:
                child.process.wait()
                self._bury(child)

    def _empty_group(self) -> None:
        """Kill whoever is left in the group and wait until nobody is; init buries orphans, hence the bound."""
        deadline = time.monotonic() + 5
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, signal.SIGKILL)
            while time.monotonic() < deadline:
                for child in self.children:
                    if child.process is not None:
                        child.process.poll()
                os.killpg(self.group, 0)
                time.sleep(0.01)

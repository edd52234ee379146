"""Two ways to start a child process, a Python module run as a program (`python -m`): forked, or spawned.

A forked child is a copy of this process: what was loaded before (preload.py) it need not load, and its memory is shared
until one of the two writes to it. A spawned one is a new interpreter. Forks are for Linux: elsewhere libraries of the
system do not survive them.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import IO, Protocol

from portal.supervisor.process import die_with_parent, preexec, set_name

CAN_FORK = sys.platform == "linux"
# What a supervisor handles and its children must not.
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


class Process(Protocol):
    """What a supervisor asks of a child, as subprocess.Popen has it: `stdout` is a pipe of all that it prints."""

    pid: int
    stdout: IO[bytes] | None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""

    def wait(self) -> int:
        """The exit code, once it has ended."""

    def terminate(self) -> None:
        """SIGTERM."""


class Launch(Protocol):
    """Starts `module` with its arguments. The child is tied to our life and joins the process group (0: founds one)."""

    def __call__(
        self, name: str, module: str, arguments: Sequence[str], *, group: int, keep: Collection[int] = ()
    ) -> Process:
        """`name` is for lists of processes; `keep` are file descriptors that it inherits besides the standard ones."""


def spawned(
    name: str, module: str, arguments: Sequence[str], *, group: int, keep: Collection[int] = ()
) -> Process:
    """A child that is a new interpreter."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pass_fds=tuple(keep),
        process_group=group,
        preexec_fn=preexec(signal.SIGTERM, os.getpid()),
    )


def forked(
    name: str, module: str, arguments: Sequence[str], *, group: int, keep: Collection[int] = ()
) -> Process:
    """A child that is a copy of this process. There may be no other thread in it, and no connection open."""
    return Forked(name, lambda: run_module(module, arguments), group, keep)


def run_module(module: str, arguments: Sequence[str]) -> None:
    """As `python -m` does."""
    sys.argv[1:] = arguments
    warnings.filterwarnings("ignore", category=RuntimeWarning, module="runpy")  # that it is loaded already
    # What it starts in turn (the web server its processes) is forked too; from Python 3.14 on it would not be.
    multiprocessing.set_start_method("fork", force=True)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


class Forked:
    """A forked child that works on `target`; otherwise as subprocess.Popen."""

    def __init__(self, name: str, target: Callable[[], None], group: int, keep: Collection[int]) -> None:
        parent = os.getpid()
        read, write = os.pipe()
        self.stdout: IO[bytes] | None = open(read, "rb", buffering=0)  # noqa: SIM115  closed by who reads it

        def become() -> None:
            os.setpgid(0, group)
            set_name(name)
            die_with_parent(signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)
            for number, source in ((0, os.open(os.devnull, os.O_RDONLY)), (1, write), (2, write)):
                os.dup2(source, number)
            close_others(keep)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115  for life
            sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
            own_signals()
            target()

        self.process = multiprocessing.get_context("fork").Process(target=become, name=name)
        # A signal that comes before the copy has its own handlers is held back, or it would believe to be the supervisor.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(write)
        assert self.process.pid is not None
        self.pid: int = self.process.pid
        with contextlib.suppress(OSError):  # the copy does it too: whoever is first
            os.setpgid(self.pid, group)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self.process.exitcode

    def wait(self) -> int:
        """The exit code, once it has ended."""
        self.process.join()
        assert self.process.exitcode is not None
        return self.process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.terminate()


def apart(work: Callable[[], None]) -> int:
    """Do `work` in a forked copy of this process, and wait: none of its threads and connections stay with us. Its exit
    code."""
    parent = os.getpid()

    def become() -> None:
        die_with_parent(signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
        try:
            work()
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)

    process = multiprocessing.get_context("fork").Process(target=become)
    process.start()
    try:
        process.join()
    finally:
        process.terminate()
        process.join()
    return process.exitcode or 0


def close_others(keep: Collection[int]) -> None:
    """Close what a copy has of its parent's files besides `keep` and the standard streams: a lock or the end of a pipe
    that it holds on to would tell others that the parent lives. (Their Python objects stay, and are never closed again:
    the frames that know them are below ours.)"""
    parent = multiprocessing.parent_process()
    kept = {0, 1, 2, *keep, parent.sentinel if parent else 0}
    for number in os.listdir("/proc/self/fd"):
        if int(number) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(number))


def own_signals() -> None:
    """The handlers of a new interpreter."""
    signal.set_wakeup_fd(-1)
    for number in HANDLED:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

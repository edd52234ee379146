"""The embedded PostgreSQL's keeper: a small process that runs the server as long as somebody uses it.

Users (`interline up`, any `interline` command) hold a shared lock on one file; the kernel lets go of it however they
end, kill -9 included. The keeper waits for the exclusive lock: getting it means nobody is left, and it stops the
server in good order. A server that dies while it is in use is started again, as often as it takes: a full disk is freed
some day. Standard library only, run as a file.

    keeper.py USERS_LOCK KEEPER_LOCK LOG UID GID -- postgres -D data ...      (UID -1: stay who we are)
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO, Any

STOP_SECONDS = 60
# After a killed postmaster its back ends need a moment to notice; until then a new one refuses to start.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 1.0
STEADY_S = 3.0  # a server that ran this long is well again
LOCK_TRIES, LOCK_PAUSE_S = 10, 0.03
LOOK_S = 1.0  # how often a server that is still starting is looked at


def _sibling(name: str) -> Any:
    """Import a module beside this file without importing the package (this process stays small)."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _locked(file: IO[str]) -> bool:
    """Take the lock of a keeper's life. Who only looks whether there is a keeper holds it for a moment: try again."""
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(LOCK_PAUSE_S)
        else:
            return True
    return False


class Keeper:
    """One server process and the two locks."""

    def __init__(
        self, users: Path, lock: Path, log: Path, owner: tuple[int, int] | None, command: list[str]
    ) -> None:
        self.users, self.lock, self.log, self.owner, self.command = users, lock, log, owner, command
        self.server: subprocess.Popen[bytes] | None = None
        self.data = Path(command[command.index("-D") + 1])
        self.was_ready = False
        self.ordered_to_stop = False

    def run(self) -> int:
        """Keep the server until nobody uses it; the exit code is 1 when it never came up."""
        keeper = open(self.lock, "w")  # noqa: SIM115  held for life
        if not _locked(keeper):
            return 0  # another keeper is at work
        bell, ring = os.pipe()
        os.set_blocking(ring, False)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only rings
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._start()
        users = open(self.users, "w")  # noqa: SIM115  held until the server is down
        left = threading.Event()
        threading.Thread(target=self._await_last, args=(users, left, ring), daemon=True).start()
        if not self._keep(bell, left):
            return 1
        with contextlib.suppress(
            OSError
        ):  # on a full disk nobody reads that we are stopping, and we stop all the same
            keeper.write("stopping\n")
            keeper.flush()
        self._stop()
        return 0

    @staticmethod
    def _await_last(users: IO[str], left: threading.Event, ring: int) -> None:
        """Blocks until the kernel says that nobody uses the server any more."""
        fcntl.flock(users, fcntl.LOCK_EX)
        left.set()
        os.write(ring, b"\0")

    def _keep(self, bell: int, left: threading.Event) -> bool:
        """Start the server again whenever it ends, until nobody uses it (true); false when it never came up."""
        pause, again_at = FIRST_PAUSE_S, 0.0
        while not left.is_set() and not self.ordered_to_stop:
            if self.server is not None and self.server.poll() is not None:
                self.server = None
                if not self.was_ready and not (self.data / "postmaster.pid").exists():
                    return False
                if time.monotonic() - self.started > STEADY_S:
                    pause = FIRST_PAUSE_S
                again_at = time.monotonic() + pause
                pause = min(pause * 2, LONGEST_PAUSE_S)
            elif self.server is None and time.monotonic() >= again_at:
                self._start()
            elif self.server is not None:
                self.was_ready = self.was_ready or self._ready()
            waits = again_at - time.monotonic() if self.server is None else None if self.was_ready else LOOK_S
            if select.select([bell], [], [], None if waits is None else max(0.0, waits))[0]:
                os.read(bell, 4096)
        return True

    def _ready(self) -> bool:
        """The eighth line of postmaster.pid, as pg_ctl reads it."""
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _start(self) -> None:
        self.started = time.monotonic()
        uid, gid = self.owner or (None, None)
        with open(self.log, "ab") as log:
            self.server = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=_sibling("process").preexec(signal.SIGINT, os.getpid(), uid, gid),
            )

    def _on_term(self, _signal: int, _frame: FrameType | None) -> None:
        self.ordered_to_stop = True

    def _stop(self) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is written."""
        if self.server is None or self.server.poll() is not None:
            return
        self.server.send_signal(signal.SIGINT)
        try:
            self.server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.server.send_signal(signal.SIGQUIT)
            self.server.wait()


def main(arguments: list[str]) -> int:
    users, lock, log, uid, gid, _dashes, *command = arguments
    owner = None if int(uid) < 0 else (int(uid), int(gid))
    return Keeper(Path(users), Path(lock), Path(log), owner, command).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

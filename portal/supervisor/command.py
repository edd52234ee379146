"""`interline up`: database, migrations, demo data, then web server, worker, beat and sequencer until Ctrl-C."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import http.client
import importlib
import importlib.util
import os
import shutil
import socket
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import click

from portal.cli import errors_told
from portal.settings import HOME, Settings, SettingsError, load
from portal.supervisor import senders
from portal.supervisor.children import Child, Supervisor
from portal.supervisor.launch import CAN_FORK, Launch, apart, forked, spawned
from portal.supervisor.postgres import PostgresError, Server, private_folder, short_name
from portal.supervisor.preload import preload

# Said on every start and of no use to who reads it: Pyramid's own import, and Celery run as root (in a container).
# Message and module.
QUIET = (("pkg_resources is deprecated", ""), ("", "celery.platforms"))
# All headers of a request must have come within this time, and fit into this.
HEAD_MS, HEAD_BYTES = 10_000, 65_536
# Set in every child, which then neither starts a database of its own nor migrates.
SUPERVISED = "INTERLINE_SUPERVISED"
METRICS = "PROMETHEUS_MULTIPROC_DIR"
MEMORY = Path("/dev/shm")  # noqa: S108  the folder made there is checked to be ours
LINGER_S = 10.0  # children of a killed supervisor have stopped by then


@click.command()
def up() -> None:
    """Start everything on this machine and serve until Ctrl-C."""
    started = time.monotonic()
    settings = load()
    family = open(settings.var_dir / "up.lock", "w+")  # noqa: SIM115  held by us and every child, until the last ends
    check_port(settings, lambda: orphans(family))
    fcntl.flock(family, fcntl.LOCK_SH)
    fcntl.lockf(family, fcntl.LOCK_SH)
    # A SIGTERM while the database is being prepared ends like Ctrl-C: what was started is stopped.
    import signal

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    server = Server(settings.var_dir) if settings.embedded_database else None
    launch: Launch = spawned

    def meanwhile() -> None:
        nonlocal launch
        if CAN_FORK and preload():
            launch = forked

    set_environment(settings)
    try:
        if server is not None:
            server.start(meanwhile)
        else:
            meanwhile()
        prepare(settings)
        watch = server.mend if server is not None else None
        serve(settings, started, watch, (family.fileno(),), launch)
    except KeyboardInterrupt:
        pass
    except PostgresError as error:
        raise click.ClickException(str(error)) from error
    finally:
        if server is not None:
            server.release()
        shutil.rmtree(os.environ[METRICS], ignore_errors=True)
    click.echo("Interline has stopped.")


def check_port(settings: Settings, lingering: Callable[[], bool] = lambda: False) -> None:
    """Refuse a busy port before anything is started; raises SettingsError naming PORT.

    `lingering`: whether children of an earlier `up` still live. After its kill -9 they are about to stop: wait for that.
    """
    deadline = time.monotonic() + LINGER_S
    while error := port_error(settings):
        if time.monotonic() > deadline or not lingering():
            error = port_error(settings)
            if error:
                raise error
            return
        time.sleep(0.1)


def port_error(settings: Settings) -> SettingsError | None:
    """Why nobody may listen on the port, or None."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.bind, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                cure = f"Another program listens there. Stop it, or choose another: make up PORT={settings.port + 1}"
            else:
                cure = f"{error.strerror}. Choose another PORT or BIND."
            return SettingsError("PORT", settings.port, cure)
    return None


def orphans(family: IO[str]) -> bool:
    """Whether children of an earlier `up` live and no `up` does. The file carries two locks: flock, which children
    inherit, and lockf, which is the supervisor's alone."""
    if not _free(fcntl.lockf, family):
        return False
    return not _free(fcntl.flock, family)


def _free(lock: Callable[[IO[str], int], None], file: IO[str]) -> bool:
    """Whether nobody else holds this lock; ours is given back at once."""
    try:
        lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    lock(file, fcntl.LOCK_UN)
    return True


def prepare(settings: Settings) -> None:
    """Logins, schema and, where wanted, the demo company."""
    if not at_head(settings):
        click.echo("Bringing the database's logins and tables up to date.")
        _apart(lambda: importlib.import_module("portal.bootstrap").bootstrap(settings))
        remember_head(settings)
    if settings.demo_on and exists("portal.demo.command") and _is_empty(settings):
        click.echo("The database is empty: making the demo company (once, about a minute).")
        _apart(lambda: importlib.import_module("portal.demo.command").fill(settings))


def _apart(work: Callable[[], None]) -> None:
    """What uses connections and threads is done apart from the process that children are forked from."""
    if not CAN_FORK:
        work()
        return

    def told() -> None:
        with errors_told():
            work()

    if code := apart(told):
        sys.exit(code)


def _migrations() -> str:
    """A checksum of the migrations folder."""
    files = sorted(p for p in (HOME / "migrations").rglob("*") if p.is_file() and p.suffix != ".pyc")
    return hashlib.sha256(b"".join(p.name.encode() + p.read_bytes() for p in files)).hexdigest()


def _revision(settings: Settings) -> str | None:
    """The schema version of the database as its worker login sees it; None when it cannot be read."""
    import psycopg

    try:
        with psycopg.connect(settings.url_for("worker"), connect_timeout=5) as connection:
            row = connection.execute("select version_num from alembic_version").fetchone()
    except psycopg.Error:
        return None
    return row[0] if row else None


def at_head(settings: Settings) -> bool:
    """Whether database and migrations folder are both as they were when we last migrated.

    Saves loading the migration tools, which is most of a second start. Wrong only in the harmless direction.
    """
    try:
        return (settings.var_dir / "schema").read_text() == f"{_migrations()} {_revision(settings)}"
    except FileNotFoundError:
        return False


def remember_head(settings: Settings) -> None:
    """Note what `at_head` compares with."""
    (settings.var_dir / "schema").write_text(f"{_migrations()} {_revision(settings)}")


def _is_empty(settings: Settings) -> bool:
    """Whether no company exists yet; asked with the worker's login and no ORM, so that a start stays fast."""
    import psycopg

    with psycopg.connect(settings.url_for("worker")) as connection:
        row = connection.execute("select exists (select from companies)").fetchone()
    return row is not None and not row[0]


def exists(module: str) -> bool:
    """Whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def children(settings: Settings) -> list[Child]:
    """The processes of one machine, in the order they start."""
    celery = ["-q", "-A", "portal.events.celery:celery"]
    # At info Celery tells of every wake; what work was done stands in the log of events.
    level = "debug" if settings.log_level == "debug" else "warning"
    web = [
        *("--interface", "wsgi", "--factory", "portal.supervisor.web:application"),
        *("--host", settings.bind, "--port", str(settings.port), "--http", "1", "--no-ws"),
        *("--workers", str(settings.web_processes), "--blocking-threads", str(senders.THREADS)),
        *("--http1-header-read-timeout", str(HEAD_MS), "--http1-buffer-size", str(HEAD_BYTES)),
        *("--respawn-failed-workers", "--workers-kill-timeout", "5"),
        *("--backlog", "1024", "--log-level", "warning"),
        *("--log-config", str(Path(__file__).with_name("granian.json"))),
    ]
    worker = [
        *(*celery, "worker", "-P", "threads", "-c", str(settings.worker_threads), "-l", level),
        *("--without-mingle", "--without-gossip", "-n", "worker@%h"),
    ]
    beat = [*celery, "beat", "-S", "portal.events.beat:Scheduler", "-l", level, "--pidfile="]
    wanted = [
        (Child("web", "granian", web), "portal.app"),
        (Child("worker", "celery", worker, later=True), "portal.events.celery"),
        (Child("beat", "celery", beat, later=True), "portal.events.beat"),
        (Child("sequencer", "portal.cli", ["sequencer"], later=True), "portal.events.sequencer"),
    ]
    return [child for child, module in wanted if exists(module)]


def metrics_folder(settings: Settings) -> Path:
    """Where the processes of this machine add up their figures, emptied: counts begin anew with each start.

    In memory where there is such a place: the files are mapped, and a process that writes to a mapped file on a full
    disk is killed (SIGBUS).
    """
    wanted = [settings.var_dir / "metrics"]
    if MEMORY.is_dir():
        wanted.insert(0, MEMORY / f"interline-{os.geteuid()}-{short_name(settings.var_dir)}")
    for folder in wanted:
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError, PostgresError):
            return private_folder(folder)
    return wanted[-1]


def set_environment(settings: Settings) -> None:
    """What children find in their environment, and what is loaded for them reads there; to be called before that."""
    os.environ |= {
        "VAR_DIR": str(settings.var_dir),
        METRICS: str(metrics_folder(settings)),
        "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS")
        or ",".join(f"ignore:{message}:UserWarning:{module}" for message, module in QUIET),
        # The library of numpy starts a thread for each core otherwise: children could not be forked any more.
        "OPENBLAS_NUM_THREADS": "1",
    }
    for message, module in QUIET:
        warnings.filterwarnings("ignore", message, UserWarning, module)


def serve(
    settings: Settings,
    started: float,
    watch: Callable[[], None] | None = None,
    keep: Sequence[int] = (),
    launch: Launch = spawned,
) -> None:
    """Run the children; greet once the first page is served. `watch` looks after the database meanwhile; `keep` are
    file descriptors that children inherit."""

    def greet() -> bool:
        if not answers(settings):
            return False
        click.echo(f"\n  Interline is at {settings.site_url}   ({time.monotonic() - started:.1f} s)")
        for line in (*sign_ins(settings), *off_parts()):
            click.echo(f"  {line}")
        click.echo("  Ctrl-C stops everything.\n")
        return True

    family = children(settings)
    if not family:
        raise click.ClickException("Nothing to start: this copy of Interline has no portal/app.py.")
    os.environ[SUPERVISED] = "1"
    metrics_folder(settings)  # without what preparing the database has counted
    Supervisor(family, tick=greet, watch=watch, keep=keep, launch=launch).run()


def answers(settings: Settings) -> bool:
    """Whether the web server answers /healthz (any status will do)."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.bind, settings.bind)  # noqa: S104  compared, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=1)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def sign_ins(settings: Settings) -> list[str]:
    """One line per persona, in demo mode only."""
    if not settings.demo_on or not exists("portal.demo"):
        return []
    personas = getattr(importlib.import_module("portal.demo"), "personas", None)
    if personas is None:
        return []
    people: list[tuple[str, str, str]] = list(personas(settings))
    title = max((len(p[0]) for p in people), default=0)
    mail = max((len(p[1]) for p in people), default=0)
    return [f"{name:<{title}}  {address:<{mail}}  {password}" for name, address, password in people]


def off_parts() -> list[str]:
    """What this machine cannot do, each with its cure."""
    try:
        for library in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0"):
            ctypes.CDLL(library)
    except OSError:
        packages = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
        return [
            f"PDF documents are off. To add them: sudo apt-get install -y --no-install-recommends {packages}"
        ]
    return []

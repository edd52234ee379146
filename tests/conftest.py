"""What every test may ask for: a server of our own (or TEST_DATABASE_URL), a migrated template, a fast copy per test.

`database` is a fresh copy with a small world in it (tests/world.py); `as_worker`, `as_person` open sessions on it.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Engine

from portal import db
from portal.bootstrap import app_url, bootstrap, logins_of, worker_url
from portal.db import make_engine
from portal.security.logins import psycopg_url, restrict
from portal.settings import Settings, make
from portal.supervisor.postgres import Server, socket_dir

# No test is timed: a busy machine is not a defect. And a commit is good or bad whenever it is tested; what chance finds
# is looked for apart: make test T="tests/rules --hypothesis-profile=search".
hypothesis.settings.register_profile("interline", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("search", deadline=None, derandomize=False)
hypothesis.settings.load_profile("interline")

SECRET = "for tests only, never anywhere else: 0123456789"
DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
_numbers = itertools.count(1)


def shared_file(name: str) -> Path:
    """A real file from the folder beside the checkout; the test is skipped, saying so, where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"real input {name} is not beside this checkout")
    return path


@dataclass
class Database:
    """A database of one test: its settings and one engine per login."""

    settings: Settings
    app: Engine = field(init=False)
    worker: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.app = make_engine(app_url(self.settings), pool_size=8)
        self.worker = make_engine(worker_url(self.settings), pool_size=8)

    def admin(self) -> Engine:
        """As the superuser, for what no login of ours may do."""
        return create_engine(psycopg_url(self.settings.admin_url), isolation_level="AUTOCOMMIT")

    def dispose(self) -> None:
        """Close every connection."""
        self.app.dispose()
        self.worker.dispose()


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A superuser's address of a PostgreSQL that forgets on power loss, shared by all test processes."""
    given = os.environ.get("TEST_DATABASE_URL")
    if given:
        yield given
        return
    var = Path(tempfile.gettempdir()) / f"interline-test-{os.getuid()}"
    options = {
        "fsync": "off",
        "full_page_writes": "off",
        "synchronous_commit": "off",
        "max_connections": "200",
    }
    with Server(var, options):
        yield f"postgresql://postgres@/postgres?host={socket_dir(var)}"


@pytest.fixture(scope="session")
def template(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database that no test touches; made once for all processes."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", str(os.getpid()))[:12]
    name = f"il_template_{run}"
    root = tmp_path_factory.getbasetemp()
    shared = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    with FileLock(str(shared / "template.lock")):
        done = shared / "template.done"
        if not done.exists():
            bootstrap(settings_for(server_url, name))
            done.touch()
    return name


def settings_for(server_url: str, name: str) -> Settings:
    """Settings of the database `name` on the test server."""
    url = psycopg_url(server_url).set(drivername="postgresql", database=name)
    return make(
        database_url=url.render_as_string(hide_password=False),
        interline_secret=SECRET,
        login_prefix="iltest",
        var_dir=Path(tempfile.gettempdir()) / f"interline-test-var-{os.getpid()}",
        mail_mode="folder",
        public_url="http://localhost:6543",
    )


@contextmanager
def fresh_database(server_url: str, template: str) -> Iterator[Database]:
    """A fresh copy of the template, dropped afterwards."""
    name = f"il_{os.getpid()}_{next(_numbers)}"
    admin = create_engine(_admin(server_url), isolation_level="AUTOCOMMIT")
    settings = settings_for(server_url, name)
    logins = logins_of(settings)
    with admin.connect() as connection:
        connection.exec_driver_sql(
            f'create database "{name}" template "{template}" strategy wal_log owner "{logins.owner}"'
        )
    inside = create_engine(_admin(server_url).set(database=name), isolation_level="AUTOCOMMIT")
    with inside.connect() as connection:
        restrict(connection, name, logins)
    inside.dispose()
    made = Database(settings)
    yield made
    made.dispose()
    with admin.connect() as connection:
        connection.execute(text(f'drop database "{name}" with (force)'))
    admin.dispose()


@pytest.fixture(autouse=True)
def ids_of_today() -> Iterator[None]:
    """Ids never go back within a process: a test that ran in the future must not leave its successors ids in a row,
    which meet those that a small world counts up."""
    yield
    today = (time.time_ns() // 1_000_000 - db.ID_EPOCH_MS + 1) << db.ID_RANDOM_BITS
    db._last_id = min(db._last_id, today)


@pytest.fixture
def database(server_url: str, template: str) -> Iterator[Database]:
    """A fresh copy of the template for this test."""
    with fresh_database(server_url, template) as made:
        yield made


def _admin(server_url: str) -> URL:
    return psycopg_url(server_url)


@pytest.fixture
def world(database: Database) -> "World":
    """The small world of tests/world.py in a fresh database."""
    return build_world(database)


from tests.world import World, build_world  # noqa: E402

Make = Callable[..., int]

"""The database: engines for the logins, declarative Base, ids, and the signed context that opens every transaction.

Three logins (see portal.security.logins): *owner* migrates, *app* serves requests, *worker* runs `system` work.
A session never talks to the database without a context: `after_begin` enters it before the first statement, so no
call site can forget. With no context the app login sees nothing (row-level security, migrations/rls.py).
"""

import secrets
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from select import POLLIN, poll
from typing import Any

from pydantic_core import to_json
from sqlalchemy import (
    BigInteger,
    DateTime,
    Executable,
    Insert,
    MetaData,
    TextClause,
    create_engine,
    event,
    insert,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, Connection, CursorResult, Engine, ExceptionContext, make_url
from sqlalchemy.exc import InvalidatePoolError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.session import SessionTransaction
from sqlalchemy.pool import ConnectionPoolEntry
from zope.sqlalchemy import ZopeTransactionEvents

from portal.security.context import Context, Credential, enter

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
# 2020-01-01 in ms: 43 bits of milliseconds last until 2298 and leave 20 bits of chance in a positive 63-bit id.
ID_EPOCH_MS = 1_577_836_800_000
ID_RANDOM_BITS = 20
ID_STEP_BITS = 6
_last_id = 0
_id_lock = threading.Lock()

# A silently dropped link hung psycopg for 40 s; a forgotten transaction must not stall readers of the log.
CONNECT_ARGS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}
# Stated on the connection because these beat what a login could set for itself with ALTER ROLE.
SESSION = {
    "search_path": "public",
    "lock_timeout": "10s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "timezone": "UTC",
    "jit": "off",
}
OPTIONS = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
SPARE = 4  # connections beyond one per thread: counting calls, answering health checks
# Behind a pooler that gives each transaction another connection nothing stays on one: neither such options nor a
# prepared statement. They are set for each transaction instead (DATABASE_POOLER, portal/bootstrap.py).
POOLER = "pooler"
SET_LOCAL = "select " + ", ".join(f"set_config('{name}', '{value}', true)" for name, value in SESSION.items())


class Base(DeclarativeBase):
    """Parent of every table; bigint keys and aware timestamps throughout."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {int: BigInteger, datetime: DateTime(timezone=True)}  # noqa: RUF012


class InRealm:
    """Mixin: key made beforehand (`new_id`) and the realm that every record belongs to."""

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    realm_id: Mapped[int] = mapped_column(BigInteger)


def new_id() -> int:
    """A positive 63-bit id, sorted by the millisecond it was made and guessable by nobody (no serials, no volumes).

    Never the same twice in one process, however many a millisecond: twenty bits of chance alone met again in bulk work.
    """
    global _last_id
    made = ((time.time_ns() // 1_000_000 - ID_EPOCH_MS) << ID_RANDOM_BITS) | secrets.randbits(ID_RANDOM_BITS)
    with _id_lock:
        if made <= _last_id:
            made = _last_id + 1 + secrets.randbits(ID_STEP_BITS)
        _last_id = made
    return made


def sort_key(text: str) -> str:
    """A collation key for names: accents and case folded, so that "Éclair" sorts between "East" and "Fox"."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c)).strip()


def make_engine(url: str | URL, pool_size: int = 4, **more: Any) -> Engine:
    """An engine with the timeouts of CONNECT_ARGS; `url` in libpq or SQLAlchemy form, `more` for create_engine.

    With `pooler=transaction` in the url's query it goes through one (pgbouncer).
    """
    parsed = make_url(str(url) if isinstance(url, str) else url).set(drivername="postgresql+psycopg")
    pooled = parsed.query.get(POOLER) == "transaction"
    connect_args = CONNECT_ARGS | ({"prepare_threshold": None} if pooled else {"options": OPTIONS})
    # An error repeats its statement; what people typed, bound beside it, goes to no log.
    # A spare connection is kept, not closed after use: it would be a warm one as often as not, and a new one has to plan
    # every statement anew. The one used last is used next, so that spare ones stay out of the way.
    usual = {"pool_size": pool_size + SPARE, "max_overflow": 0, "pool_use_lifo": True}
    usual |= {"pool_recycle": 1800, "hide_parameters": True}
    engine = create_engine(
        parsed.difference_update_query([POOLER]), connect_args=connect_args, **(usual | more)
    )
    if pooled:
        event.listen(engine, "begin", _set_local)
    event.listen(engine, "checkout", _listen_first)
    event.listen(engine, "handle_error", _distrust)
    event.listen(engine, "checkin", _discard)
    return engine


def _set_local(connection: Connection) -> None:
    if not connection.connection.autocommit:  # where it would last no longer than itself
        connection.exec_driver_sql(SET_LOCAL)


def _listen_first(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
    """Replace a connection that the server has closed. An idle one has nothing to say: what can be read on it is the
    end, or a notice of it. Costs a look at the socket where a ping costs each request a round trip."""
    if not connection.closed:
        watched = poll()  # not select(), which knows no descriptor beyond 1023
        watched.register(connection.fileno(), POLLIN)
        if not watched.poll(0):
            return
    raise InvalidatePoolError("the server has closed the connection")


# Broken constraints and rows locked or changed by others are everyday; after anything else nobody knows what was tried
# on this connection (a setting, a lock, a cursor that outlives the transaction), so nobody else gets it.
EVERYDAY_ERRORS = ("23", "40")
DISTRUSTED = "interline.distrusted"


def plans_outlived(error: BaseException | None) -> bool:
    """Whether a kept plan was made for a table that a migration has changed since: nothing was done, plan anew."""
    return getattr(error, "sqlstate", None) == "0A000" and "cached plan" in str(error)


def _distrust(failure: ExceptionContext) -> None:
    state = getattr(failure.original_exception, "sqlstate", None) or ""
    if plans_outlived(failure.original_exception):
        failure.is_disconnect = (
            True  # the other connections of the pool keep such plans too: all are made anew
        )
    if failure.connection is not None and not state.startswith(EVERYDAY_ERRORS):
        failure.connection.info[DISTRUSTED] = True


def _discard(_connection: Any, record: ConnectionPoolEntry) -> None:
    if record.info.get(DISTRUSTED):
        record.invalidate()


# "The database system is starting up" and "too many connections"; a refused connection has no SQLSTATE at all.
NOT_YET = (None, "57P03", "53300")


def wait_until_up(engine: Engine, patience_s: float = 30.0) -> None:
    """Return when the database takes connections: a process that starts during a restart need not fail for it."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            engine.connect().close()
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) not in NOT_YET or time.monotonic() > deadline:
                raise
        time.sleep(0.2)


class PortalSession(Session):
    """A session that knows on whose behalf it works: `credential` before, `ctx` once the transaction has begun.
    `joins` is set when a transaction manager commits it."""

    credential: Credential | None = None
    ctx: Context | None = None
    joins: ZopeTransactionEvents | None = None

    @property
    def context(self) -> Context:
        """The context of the open transaction; begins one when none is open."""
        if self.ctx is None or not self.in_transaction():
            self.connection()
        assert self.ctx is not None
        return self.ctx

    def execute(self, statement: Any, params: Any = None, **options: Any) -> Any:
        """As Session.execute. Written SQL has nothing to do with mapped rows and goes straight to the connection: the
        way through the session costs as much again as sending it."""
        if not options and isinstance(statement, TextClause):
            return self.connection().execute(statement, params)
        return super().execute(statement, params, **options)

    def read(self, statement: Executable, params: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Columns, never mapped objects, of a statement that was made once: a third of the time of `execute`."""
        if self.autoflush:
            self.flush()
        return self.connection().execute(statement, params)


@event.listens_for(PortalSession, "after_begin")
def _enter_context(session: Session, begun: SessionTransaction, connection: Connection) -> None:
    assert isinstance(session, PortalSession)
    # Asked of the transaction that began, not of the session: its first statement may stand inside a savepoint.
    if not begun.nested and session.credential is not None:
        session.ctx = enter(connection, session.credential)
    _join(session)


# As zope.sqlalchemy.register does, but once for all sessions: seven listeners on each new one cost more than a statement.
@event.listens_for(PortalSession, "after_attach")
def _join(session: Session, _instance: Any = None) -> None:
    assert isinstance(session, PortalSession)
    if session.joins is not None:
        session.joins.join_transaction(session)


@event.listens_for(PortalSession, "before_commit")
def _only_by_manager(session: Session) -> None:
    assert isinstance(session, PortalSession)
    if session.joins is not None:
        session.joins.before_commit(session)


def session_for(engine: Engine, credential: Credential | None, tm: Any = None) -> PortalSession:
    """A session on `engine` that enters `credential`; joined to the transaction manager `tm` when given."""
    session = PortalSession(engine, expire_on_commit=False)
    session.credential = credential
    if tm is not None:
        # "changed" from the start: it would otherwise roll back what was written by plain SQL, silently.
        session.joins = ZopeTransactionEvents("changed", tm)
    return session


def put(session: PortalSession, model: type[Base], *rows: dict[str, Any]) -> None:
    """Insert complete rows with Core: no unit of work, nothing read back (a third of the ORM's time on hot paths)."""
    keeper: Gathering | None = session.info.get(GATHERING)
    if keeper is None or not keeper.keep(model, rows):
        session.connection().execute(_insert_of(model), list(rows))


@cache
def _insert_of(model: type[Base]) -> Insert:
    # Without RETURNING: not every writer may read what it wrote (mail links), and ids are made beforehand.
    return insert(model.__table__).inline()  # type: ignore[arg-type]


GATHERING = "gathering"


class Gathering:
    """Rows kept back by `put` and written together in one statement, because nothing reads them back meanwhile.

    One of these may stand inside another, which takes over the rows of its models when the inner one is written.
    """

    def __init__(self, session: PortalSession, models: tuple[type[Base], ...]) -> None:
        self.session = session
        self.outer: Gathering | None = session.info.get(GATHERING)
        self.rows: dict[type[Base], list[dict[str, Any]]] = {model: [] for model in models}
        self.written = False
        self._last: Callable[[], bool] | None = None

    def keep(self, model: type[Base], rows: Iterable[dict[str, Any]]) -> bool:
        """Keep rows of a model that is gathered here or further out; False for any other."""
        if model not in self.rows:
            return self.outer is not None and self.outer.keep(model, rows)
        self.rows[model].extend(rows)
        return True

    def last(self, step: Callable[[], bool]) -> None:
        """Take `step` when the rows are written, as the last thing: what others wait for is held as short as can be.
        Where it says False the rows are taken back, and nobody was asked to wait for them (`written`)."""
        self._last = step

    def write(self, *models: type[Base]) -> None:
        """Insert what was gathered for `models` (default all): one statement, whose foreign keys are looked at last."""
        groups: dict[tuple[type[Base], tuple[str, ...]], list[dict[str, Any]]] = {}
        for_outer = []
        for model in models or tuple(self.rows):
            rows, self.rows[model] = self.rows[model], []
            if self.outer is not None and model in self.outer.rows:
                for_outer.append((model, rows))
                continue
            for row in rows:
                groups.setdefault((model, tuple(row)), []).append(row)
        self.written = self._insert(groups)
        if self.written and self.outer is not None:
            for model, rows in for_outer:
                self.outer.keep(model, rows)

    def _insert(self, groups: dict[tuple[type[Base], tuple[str, ...]], list[dict[str, Any]]]) -> bool:
        connection, step = self.session.connection(), self._last
        if step is not None:
            connection.exec_driver_sql("savepoint gathered")
        if groups:
            # As JSON: one value per table instead of one per cell, and no COPY, which row-level security refuses.
            given = tuple(to_json(rows, bytes_mode="hex").decode() for rows in groups.values())
            connection.exec_driver_sql(_insert_together(tuple(groups)), given)
        if step is None or step():
            return True
        connection.exec_driver_sql("rollback to savepoint gathered")
        return False


@cache
def _insert_together(groups: tuple[tuple[type[Base], tuple[str, ...]], ...]) -> str:
    """One statement that inserts rows of several tables, each from a JSON array."""
    parts = []
    for model, names in groups:
        table = model.__table__
        types = {name: table.c[name].type.compile(postgresql.dialect()) for name in names}
        columns = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(f"decode(\"{n}\", 'hex')" if t == "BYTEA" else f'"{n}"' for n, t in types.items())
        cells = ", ".join(
            f'"{name}" {"text" if type_ == "BYTEA" else type_}' for name, type_ in types.items()
        )
        parts.append(
            f"w{len(parts)} as (insert into {table} ({columns}) select {values}"  # noqa: S608 - our own names
            f" from jsonb_to_recordset(%s::jsonb) as x ({cells}))"
        )
    return f"with {', '.join(parts)} select"


@contextmanager
def gathering(session: PortalSession, *models: type[Base]) -> Iterator[Gathering]:
    """Within the block `put` keeps rows of `models`; they are written when it ends well, else dropped."""
    gathered = session.info[GATHERING] = Gathering(session, models)
    try:
        yield gathered
        gathered.write()
    finally:
        session.info[GATHERING] = gathered.outer


@contextmanager
def transaction(engine: Engine, credential: Credential) -> Iterator[PortalSession]:
    """One unit of work outside a request: commits when the block ends, rolls back when it raises."""
    session = session_for(engine, credential)
    try:
        with session.begin():
            session.connection()
            yield session
    finally:
        session.close()

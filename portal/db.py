"""The database: engines for the logins, declarative Base, ids, and the signed context that opens every transaction.

Three logins (see portal.security.logins): *owner* migrates, *app* serves requests, *worker* runs `system` work.
A session never talks to the database without a context: `after_begin` enters it before the first statement, so no
call site can forget. With no context the app login sees nothing (row-level security, migrations/rls.py).
"""

import secrets
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Any

import zope.sqlalchemy
from sqlalchemy import BigInteger, DateTime, Insert, MetaData, create_engine, event, insert
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.session import SessionTransaction

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
    # Stated on the connection because these beat what a login could set for itself with ALTER ROLE.
    "options": "-c search_path=public -c lock_timeout=10s -c statement_timeout=30s "
    "-c idle_in_transaction_session_timeout=60s -c timezone=UTC -c jit=off",
}


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


def make_engine(url: str | URL, pool_size: int = 4) -> Engine:
    """An engine with the timeouts of CONNECT_ARGS; `url` in libpq or SQLAlchemy form."""
    parsed = make_url(str(url) if isinstance(url, str) else url).set(drivername="postgresql+psycopg")
    return create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=4,
        pool_pre_ping=True,
        connect_args=CONNECT_ARGS,
        pool_recycle=1800,
    )


class PortalSession(Session):
    """A session that knows on whose behalf it works: `credential` before, `ctx` once the transaction has begun."""

    credential: Credential | None = None
    ctx: Context | None = None

    @property
    def context(self) -> Context:
        """The context of the open transaction; begins one when none is open."""
        if self.ctx is None or not self.in_transaction():
            self.connection()
        assert self.ctx is not None
        return self.ctx


@event.listens_for(PortalSession, "after_begin")
def _enter_context(session: Session, begun: SessionTransaction, connection: Connection) -> None:
    assert isinstance(session, PortalSession)
    # Asked of the transaction that began, not of the session: its first statement may stand inside a savepoint.
    if not begun.nested and session.credential is not None:
        session.ctx = enter(connection, session.credential)


def session_for(engine: Engine, credential: Credential | None, tm: Any = None) -> PortalSession:
    """A session on `engine` that enters `credential`; joined to the transaction manager `tm` when given."""
    session = PortalSession(engine, expire_on_commit=False)
    session.credential = credential
    if tm is not None:
        # "changed" from the start: it would otherwise roll back what was written by plain SQL, silently.
        zope.sqlalchemy.register(session, initial_state="changed", transaction_manager=tm)
    return session


def put(session: PortalSession, model: type[Base], *rows: dict[str, Any]) -> None:
    """Insert complete rows with Core: no unit of work, nothing read back (a third of the ORM's time on hot paths)."""
    gathering: Gathering | None = session.info.get(GATHERING)
    if gathering is not None and model in gathering.rows:
        gathering.rows[model].extend(rows)
    else:
        session.connection().execute(_insert_of(model), list(rows))


@cache
def _insert_of(model: type[Base]) -> Insert:
    # Without RETURNING: not every writer may read what it wrote (mail links), and ids are made beforehand.
    return insert(model.__table__).inline()  # type: ignore[arg-type]


GATHERING = "gathering"


class Gathering:
    """Rows that a bulk run writes many at a time, because nothing in the run reads them back (the log, raw texts)."""

    def __init__(self, session: PortalSession, models: tuple[type[Base], ...]) -> None:
        self.session = session
        self.rows: dict[type[Base], list[dict[str, Any]]] = {model: [] for model in models}

    def write(self, *models: type[Base]) -> None:
        """Insert what was gathered for `models` (default all), table by table in the order they were first named."""
        for model, rows in self.rows.items():
            if models and model not in models:
                continue
            alike: dict[frozenset[str], list[dict[str, Any]]] = {}
            for row in rows:
                alike.setdefault(frozenset(row), []).append(row)
            for group in alike.values():
                self.session.connection().execute(_insert_of(model), group)
            rows.clear()


@contextmanager
def gathering(session: PortalSession, *models: type[Base]) -> Iterator[Gathering]:
    """Within the block `put` keeps rows of `models`; they are written when it ends well, else dropped."""
    gathered = session.info[GATHERING] = Gathering(session, models)
    try:
        yield gathered
        gathered.write()
    finally:
        del session.info[GATHERING]


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

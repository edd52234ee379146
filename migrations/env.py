"""Alembic's environment: runs as the owner login, each migration in its own transaction, with short lock waits.

A statement that waits for a lock holds up every request that comes after it, so a migration gives up its wait (and all
it had locked) after LOCK_TIMEOUT, lets requests through, and tries again.
"""

import random
import time
from typing import Any

from alembic import context
from sqlalchemy import event, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

import portal.models
from portal.db import Base

target_metadata = Base.metadata
assert portal.models


def _include(name: str | None, type_: str, _parent: object) -> bool:
    return not (type_ == "schema" and name == "app")


# Less than the server's deadlock_timeout (1 s): when requests and a migration wait for each other, it is the migration
# that gives way. It holds what it has while it waits for the next table, so the waits of one migration add up.
LOCK_TIMEOUT = "300ms"
# A lock that was not to be had, and a deadlock with a request that held ours (PostgreSQL Appendix A).
WORTH_ANOTHER_TRY = ("55P03", "40P01")
TRY_FOR_S = 300.0
PAUSE_S = (0.2, 1.5)


def _patience(_connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    """CONCURRENTLY waits for others' transactions but lets everybody by, so it may wait for long."""
    if " concurrently " in statement.lower():
        cursor.execute("set lock_timeout = 0")
    elif cursor.connection.autocommit is False:
        cursor.execute(f"set lock_timeout = '{LOCK_TIMEOUT}'")


def run() -> None:
    """Run with the connection and logins that `portal.bootstrap.migrate` put into the config's attributes."""
    connection = context.config.attributes["connection"]
    connection.execute(text(f"set lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text("set statement_timeout = '10min'"))
    connection.commit()
    event.listen(connection, "before_cursor_execute", _patience)
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        transaction_per_migration=True,
        compare_server_default=False,
        include_name=_include,
        logins=context.config.attributes["logins"],
    )
    until = time.monotonic() + TRY_FOR_S
    while True:
        try:
            with context.begin_transaction():
                context.run_migrations()
            return
        except DBAPIError as error:
            connection.rollback()
            if getattr(error.orig, "sqlstate", "") not in WORTH_ANOTHER_TRY or time.monotonic() > until:
                raise
        time.sleep(random.uniform(*PAUSE_S))


run()

"""Alembic's environment: runs as the owner login, each migration in its own transaction, with short lock waits."""

from alembic import context
from sqlalchemy import text

import portal.models
from portal.db import Base

target_metadata = Base.metadata
assert portal.models


def _include(name: str | None, type_: str, _parent: object) -> bool:
    return not (type_ == "schema" and name == "app")


def run() -> None:
    """Run with the connection and logins that `portal.bootstrap.migrate` put into the config's attributes."""
    connection = context.config.attributes["connection"]
    connection.execute(text("set lock_timeout = '2s'"))
    connection.execute(text("set statement_timeout = '10min'"))
    connection.commit()
    context.configure(
        connection=connection,
        target_metadata=target_metadata,
        transaction_per_migration=True,
        compare_server_default=False,
        include_name=_include,
        logins=context.config.attributes["logins"],
    )
    with context.begin_transaction():
        context.run_migrations()


run()

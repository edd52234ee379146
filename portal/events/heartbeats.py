"""Long-running processes say in real time that they are alive; /readyz and the operator's pages read it."""

from sqlalchemy import text
from sqlalchemy.engine import Engine

from portal.db import transaction
from portal.security.context import Acting

HEARTBEAT_S = 5.0


def heartbeat(engine: Engine, name: str) -> None:
    """Say that `name` is alive."""
    with transaction(engine, Acting()) as session:
        session.execute(
            text("""
                insert into heartbeats (name, at) values (:name, now())
                on conflict (name) do update set at = excluded.at
            """),
            {"name": name},
        )

"""/healthz says that the process lives; /readyz that database, migrations and worker do."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.bootstrap import head, is_newer

WORKER_SILENT_S = 30


def healthz(_request: Request) -> dict[str, Any]:
    """200 while this process can answer."""
    return {"status": "ok"}


def readyz(request: Request) -> dict[str, Any]:
    """200 when requests can be served to the end, else 503 with what is missing."""
    found = {"database": False, "migrations": False, "worker": False}
    try:
        with request.registry.app_engine.connect() as connection:
            found["database"] = True
            revision = connection.execute(text("select version_num from alembic_version")).scalar()
            # A newer version may have migrated already; this one serves until it is replaced.
            found["migrations"] = revision == head() or is_newer(revision)
            found["worker"] = bool(
                connection.execute(
                    text(
                        "select now() - at < make_interval(secs => :s) from heartbeats where name = 'worker'"
                    ),
                    {"s": WORKER_SILENT_S},
                ).scalar()
            )
    except DBAPIError:
        pass
    request.response.status_int = 200 if all(found.values()) else 503
    return {"status": "ready" if all(found.values()) else "not ready", **found}


def includeme(config: Configurator) -> None:
    """Two routes."""
    config.add_route("healthz", "/healthz")
    config.add_view(healthz, route_name="healthz", renderer="json", permission="public")
    config.add_route("readyz", "/readyz")
    config.add_view(readyz, route_name="readyz", renderer="json", permission="public")

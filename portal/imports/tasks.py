"""Work of imports: an uploaded file is imported outside the request."""

from typing import Any, cast

from sqlalchemy.engine import Engine

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.imports import actions, queries, sources
from portal.security.context import Acting


@handler("imports.run", outside=True, max_attempts=3)
def run_upload(session: PortalSession, item: Item) -> Effect | None:
    """Import the stored file of payload `import_id`; a second attempt finds what the first wrote and changes nothing."""
    found = queries.run(session, int(item.payload["import_id"]))
    text = queries.file_of(session, found.id, "import.file")
    source = sources.from_bytes(found.kind, found.mapping, found.file_name, bytes(text.blob or b""))
    engine = cast(Engine, session.get_bind())
    vendor, person, now = found.company_id, found.person_id, cast(Any, session.credential)
    acting = Acting(
        realm_id=item.realm_id,
        kind="vendor",
        company_id=vendor,
        person_id=person,
        now=now.now if isinstance(now, Acting) else None,
    )

    def effect() -> None:
        actions.run_stored(engine, source, acting, found.id)

    return effect

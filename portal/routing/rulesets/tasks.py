"""Publishing at the moment that was set; rehearsals; decisions written over columns for those who search them."""

from typing import cast

from sqlalchemy.engine import Engine

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.routing import blocks
from portal.routing.rulesets import rehearsals
from portal.routing.rulesets.actions import publish_scheduled
from portal.security.context import Acting


@handler("rule_set.publish")
def publish_at(session: PortalSession, item: Item) -> None:
    """Publish the rule set if it still waits for this moment."""
    publish_scheduled(session, int(item.payload["rule_set"]), int(item.payload["revision"]))


@handler("rehearsal.run", outside=True, max_attempts=2)
def run_rehearsal(session: PortalSession, item: Item) -> Effect | None:
    """Run the rehearsal of the payload, unless it was stopped before it began."""
    engine, rehearsal_id = cast(Engine, session.get_bind()), int(item.payload["rehearsal"])
    found = session.scalars(
        rehearsals.of_realm(session).where(rehearsals.Rehearsal.id == rehearsal_id)
    ).first()
    if found is None or found.state in ("done", "stopped"):
        return None
    now = session.credential.now if isinstance(session.credential, Acting) else None
    acting = Acting(realm_id=item.realm_id, kind="vendor", company_id=vendor_id(session), now=now)

    def effect() -> None:
        rehearsals.run(engine, acting, rehearsal_id)

    return effect


@handler("decisions.blocks", outside=True, max_attempts=3)
def write_blocks(session: PortalSession, item: Item) -> Effect | None:
    """Write what has been decided since the last time."""
    engine = cast(Engine, session.get_bind())

    def effect() -> None:
        blocks.write(engine, Acting(realm_id=item.realm_id))

    return effect

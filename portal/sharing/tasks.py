"""Forgetting: raw input and wrong rows go after 30 days."""

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler

BATCH = 5_000
EXPIRE = text("""
    delete from texts where id in (
        select id from texts where expires_at < app.clock(realm_id) order by expires_at limit :n)
""")


@handler("texts.expire")
def expire_texts(session: PortalSession, _item: Item) -> Effect | None:
    """Delete texts whose time has come, by their realm's clock."""
    # Batches keep each statement short; all in one transaction of `system`, which nobody waits for.
    while session.execute(EXPIRE, {"n": BATCH}).rowcount == BATCH:  # type: ignore[attr-defined]
        continue
    return None

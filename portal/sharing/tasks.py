"""Forgetting: raw input and wrong rows go after 30 days, dead credentials after their end."""

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler

BATCH = 5_000


@handler("texts.expire")
def expire_texts(session: PortalSession, _item: Item) -> Effect | None:
    """Delete texts whose time has come, by their realm's clock."""
    session.execute(
        text("""
            delete from texts where id in (
                select id from texts where expires_at < app.clock(realm_id) order by expires_at limit :n)
        """),
        {"n": BATCH},
    )
    return None


@handler("credentials.expire")
def expire_credentials(session: PortalSession, _item: Item) -> Effect | None:
    """Delete credentials, throttles and kept answers that no longer open anything."""
    session.execute(text("delete from credentials where expires_at < now() - interval '1 day'"))
    session.execute(text("delete from throttles where window_start < now() - interval '1 day'"))
    session.execute(
        text("delete from idempotent_answers where created_at < app.clock(realm_id) - interval '30 days'")
    )
    return None

"""Forgetting: raw input and wrong rows go after 30 days, the bytes of files when nothing names them any more."""

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.gateways import storage
from portal.settings import load
from portal.sharing import files

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


@handler("files.sweep")
def sweep_files(session: PortalSession, item: Item) -> Effect | None:
    """Delete the bytes of one file that was removed, or daily all that no row names.

    Within the transaction, though it reaches outside: the lock of each blob must stand until its bytes are gone, and
    deleting twice does no harm.
    """
    place, one = storage(load()), item.payload.get("sha256")
    files.sweep(session, place, [bytes.fromhex(one)] if one else files.kept(place))
    return None

"""Words about a subject: kept as texts, because they may hold personal data; events only refer to them."""

from collections.abc import Iterable

from portal.companies.queries import vendor_id
from portal.db import PortalSession, new_id, put
from portal.sharing.models import Text

MAX_TEXT = 10_000


def say(
    session: PortalSession, subject: tuple[str, int], body: str | None, audience: Iterable[int | None]
) -> dict[str, str]:
    """Keep `body` for the speaker's company and `audience`; {"text": id} for the event's data, {} without words."""
    if not body or not body.strip():
        return {}
    ctx = session.context
    company = ctx.company_id or vendor_id(session)
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": company,
        "kind": "note",
        "subject_type": subject[0],
        "subject_id": subject[1],
        "person_id": ctx.person_id,
        "body": body.strip()[:MAX_TEXT],
        "audience": sorted({company, *(one for one in audience if one is not None)}),
        "created_at": ctx.now,
    }
    put(session, Text, row)
    return {"text": str(row["id"])}

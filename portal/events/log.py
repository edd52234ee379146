"""Appends to the one log. Everything that tells history reads it: timeline, feeds, mail, digests."""

from collections.abc import Iterable
from typing import Any

from portal import logs
from portal.db import PortalSession, put
from portal.events.models import Event


def record(
    session: PortalSession,
    type_: str,
    subject: tuple[str, int],
    audience: Iterable[int | None],
    data: dict[str, Any] | None = None,
    *,
    company_id: int | None = None,
) -> None:
    """Append one event in this transaction, on behalf of the session's context.

    `subject` is (type, id); its row must be locked by the caller, so that events of one subject stand in order.
    `audience` are the companies that may know; None is skipped. `data` holds references, never personal data.
    `company_id` names the acting company when it is not the context's (`system` acting for the vendor).
    """
    append(session, [event_row(session, type_, subject, audience, data, company_id=company_id)])


def append(session: PortalSession, rows: list[dict[str, Any]]) -> None:
    """Insert rows made by `event_row`; nothing is read back, since not every writer may read the log (mail links)."""
    put(session, Event, *rows)


def event_row(
    session: PortalSession,
    type_: str,
    subject: tuple[str, int],
    audience: Iterable[int | None],
    data: dict[str, Any] | None = None,
    *,
    company_id: int | None = None,
) -> dict[str, Any]:
    """The row `record` inserts, for actions that write several at once (one executemany, no RETURNING)."""
    ctx = session.context
    return {
        "realm_id": ctx.realm_id,
        "at": ctx.now,
        "kind": ctx.kind,
        "company_id": company_id or ctx.company_id,
        "person_id": ctx.person_id,
        "client_id": ctx.client_id,
        "subject_type": subject[0],
        "subject_id": subject[1],
        "type": type_,
        "data": data or {},
        "request_id": logs.current(),
        "audience": sorted({company for company in audience if company is not None}),
    }

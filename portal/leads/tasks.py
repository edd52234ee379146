"""Work on leads that `system` does: offering on after a refusal, deadlines, pulling back, and the mails of an offer."""

from typing import Any

from sqlalchemy import text

from portal.db import PortalSession
from portal.events.log import record
from portal.events.work import Effect, Item, enqueue, handler
from portal.leads import actions
from portal.leads.offering import lock_lead, route
from portal.routing import actions as routing

# An offer whose expiry was lost (it cannot be, but nothing rests on that) is swept up after this grace.
SWEEP_BATCH = 500


@handler("lead.route")
def route_lead(session: PortalSession, item: Item) -> Effect | None:
    """Offer a lead to the next best."""
    route(session, int(item.payload["lead"]))
    return None


@handler("offer.settle")
def settle(session: PortalSession, item: Item) -> Effect | None:
    """After a partner's no (declined, handed back): free its place, close its view, offer the lead on."""
    offer = _offer(session, item)
    if offer is None:
        return None
    lead = lock_lead(session, offer["lead_id"])
    assert lead is not None
    if item.payload.get("took_place", True):  # a lead in nurture gave its place back before
        routing.release(session, offer["location_id"])
    actions.close_share(session, offer["company_id"], offer["lead_id"], item.payload["state"])
    if lead["assignment"] == "offered" and lead["offer_id"] == offer["id"]:
        session.execute(
            text("update leads set assignment = 'unrouted', offer_id = null where id = :id"),
            {"id": lead["id"]},
        )
    enqueue(session, "lead.route", {"lead": str(lead["id"])})
    return None


@handler("offer.expire")
def expire(session: PortalSession, item: Item) -> Effect | None:
    """The deadline has passed: an offer still open lapses, and the lead goes on."""
    offer = _offer(session, item)
    if offer is None or offer["state"] != "offered":
        return None
    lead = lock_lead(session, offer["lead_id"])
    assert lead is not None
    now = session.context.now
    lapsed = session.execute(
        text("""
            update offers set state = 'expired', answered_at = :now, reason = 'no_answer'
            where id = :id and state = 'offered' and deadline_at <= :now returning 1
        """),
        {"now": now, "id": offer["id"]},
    ).first()
    if lapsed is None:
        return None
    vendor = lead["company_id"]
    both = [vendor, offer["company_id"]]
    record(
        session, "lead.expired", ("lead", lead["id"]), both, {"offer": str(offer["id"])}, company_id=vendor
    )
    routing.release(session, offer["location_id"])
    actions.close_share(session, offer["company_id"], lead["id"], "expired")
    session.execute(
        text("update leads set assignment = 'unrouted', offer_id = null, updated_at = :now where id = :id"),
        {"now": now, "id": lead["id"]},
    )
    enqueue(session, "offer.mail", {"offer": str(offer["id"]), "what": "expired"}, queue="mail")
    enqueue(session, "lead.route", {"lead": str(lead["id"])})
    return None


@handler("offers.sweep")
def sweep(session: PortalSession, _item: Item) -> Effect | None:
    """Nothing may be forgotten: overdue offers without an expiry, unrouted leads without a routing, get one."""
    overdue = session.execute(
        text("""
            select o.id, o.realm_id from offers o join realms r on r.id = o.realm_id
            where o.state = 'offered' and o.deadline_at < app.clock(o.realm_id) - interval '5 minutes'
              and not exists (select 1 from work_items w where w.kind = 'offer.expire'
                              and w.payload ->> 'offer' = o.id::text)
            limit :n
        """),
        {"n": SWEEP_BATCH},
    ).all()
    for row in overdue:
        enqueue(session, "offer.expire", {"offer": str(row.id)})
    waiting = session.execute(
        text("""
            select l.id from leads l
            where l.assignment in ('unrouted', 'handed_back') and l.suspected_duplicate_of is null
              and l.stage not in ('won', 'lost', 'invalid', 'duplicate')
              and l.updated_at < app.clock(l.realm_id) - interval '15 minutes'
              and not exists (select 1 from work_items w where w.kind = 'lead.route'
                              and w.payload ->> 'lead' = l.id::text)
            limit :n
        """),
        {"n": SWEEP_BATCH},
    ).all()
    for row in waiting:
        enqueue(session, "lead.route", {"lead": str(row.id)})
    return None


@handler("leads.pull_back")
def pull_back_all(session: PortalSession, item: Item) -> Effect | None:
    """A partner was suspended: one item per lead it has, so that each goes on in its own transaction."""
    rows = session.execute(
        text("""
            select l.id from offers o join leads l on l.offer_id = o.id
            where o.company_id = :company and l.assignment in ('offered', 'held')
              and l.stage not in ('won', 'lost', 'invalid', 'duplicate')
        """),
        {"company": int(item.payload["company_id"])},
    )
    for row in rows:
        enqueue(session, "lead.pull_back", {"lead": str(row.id), "company": str(item.payload["company_id"])})
    return None


@handler("lead.pull_back")
def pull_back(session: PortalSession, item: Item) -> Effect | None:
    """Take one lead back from a suspended partner and offer it on."""
    lead = lock_lead(session, int(item.payload["lead"]))
    if lead is None or lead["assignment"] not in ("offered", "held"):
        return None
    company = session.execute(
        text("select company_id from offers where id = :id"), {"id": lead["offer_id"]}
    ).scalar_one()
    if company == int(item.payload["company"]):
        actions.take_back(session, lead, "suspended", return_credit=False)
        enqueue(session, "lead.route", {"lead": str(lead["id"])})
    return None


@handler("load.change")
def change_load(session: PortalSession, item: Item) -> Effect | None:
    """A held lead was closed or reopened: its holder has a place more or less."""
    if item.payload["by"] < 0:
        routing.release(session, int(item.payload["location"]))
    else:
        routing.reserve_by_hand(session, int(item.payload["location"]))
    return None


def _offer(session: PortalSession, item: Item) -> dict[str, Any] | None:
    row = session.execute(
        text("select * from offers where id = :id"), {"id": int(item.payload["offer"])}
    ).first()
    return None if row is None else dict(row._mapping)

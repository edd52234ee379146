"""Routing a lead and making the offer: from the request to one location's queue with a deadline.

Every function here runs as the vendor or as `system`, never as a partner: a partner's transaction cannot write another
partner's offer. A lead is always somewhere: offered, held, with the vendor's queue, or with a work item that routes it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import bindparam, select, text

from portal.db import PortalSession, new_id, put
from portal.errors import Conflict
from portal.events.log import event_row
from portal.events.models import Event, WorkItem
from portal.events.work import item_row, wake_after_commit
from portal.leads.models import Lead, Offer
from portal.routing import actions as routing
from portal.routing.snapshot import NoRuleSet, Plan, plan
from portal.sharing.actions import say
from portal.web.i18n import _, tr
from rules import Calendar, Candidate, Place, Ranked, Request, RuleSet, amount_band, deadline, minor_per_major

# Reasons that speak for the whole company, not for the location that gave them.
COMPANY_WIDE = frozenset({"not_our_field", "customer_conflict", "suspended"})
ROUTABLE = ("unrouted", "handed_back", "pulled_back", "unroutable", "offered")
CLOSED_STAGES = ("won", "lost", "invalid", "duplicate")

# As a Core select: what SQLAlchemy must know of its forty columns is worked out once, not at each execution.
LOCK_LEAD = select(*Lead.__table__.c).where(Lead.id == bindparam("lead")).with_for_update()


def request_of(lead: Mapping[str, Any], now: datetime, excluded: frozenset[int] = frozenset()) -> Request:
    """The engine's request of a lead row: no personal data in it. The seed is the lead's own id."""
    amount, currency = lead["amount"], lead["currency"]
    minor = None if amount is None or currency is None else int(Decimal(amount) * minor_per_major(currency))
    return Request(
        id=lead["id"],
        place=Place(
            lead["country"], lead["subdivision"], lead["postal"], lead["city"], lead["lat"], lead["lon"]
        ),
        product_lines=tuple(lead["product_lines"]),
        certifications=tuple(lead["certifications"]),
        amount_minor=minor,
        currency=currency,
        language=lead["language"],
        industry=lead["industry"],
        source=lead["source"],
        as_of=routing.as_of(now),
        seed=lead["id"],
        excluded=excluded,
    )


def lock_lead(session: PortalSession, lead_id: int) -> Mapping[str, Any] | None:
    """The lead's row, locked; None when this context has no such lead. Leads are locked before their offers."""
    row = session.execute(LOCK_LEAD, {"lead": lead_id}).first()
    return None if row is None else row._mapping


def route(
    session: PortalSession,
    lead_id: int,
    lead: Mapping[str, Any] | None = None,
    before: Sequence[dict[str, Any]] = (),
) -> int | None:
    """Offer the lead to the best location that has not refused it; the offer's id, or None when nobody is left.

    Does nothing when the lead is already with somebody or closed. `lead` is its row when it was just inserted, with
    the events `before` that are still to be written (one insert for all).
    """
    fresh = lead is not None
    if lead is None:
        lead = lock_lead(session, lead_id)
    if lead is None or lead["assignment"] not in ROUTABLE or lead["stage"] in CLOSED_STAGES:
        return None
    if not fresh and _has_open_offer(session, lead_id):
        return None
    ctx, vendor = session.context, lead["company_id"]
    try:
        plan(session)
    except NoRuleSet:
        # Nothing is lost: it waits unrouted, in the queue, and is looked at again every minute.
        _wait(session, lead_id, "no_rule_set")
        if before:
            put(session, Event, *before)
        return None
    excluded = frozenset() if fresh else refusers(session, lead_id)
    chosen = routing.decide(session, request_of(lead, ctx.now, excluded), "lead", vendor)
    if chosen.first is None or chosen.candidate is None:
        _unroutable(session, lead, chosen, bool(excluded), before)
        return None
    why = why_line(chosen)
    return make_offer(
        session, lead, chosen.plan, chosen.candidate, chosen.first, chosen.decision_id, why, before=before
    )


def _wait(session: PortalSession, lead_id: int, reason: str) -> None:
    session.execute(
        text("""
            update leads set assignment = 'unrouted', assignment_reason = :reason, updated_at = :now where id = :id
        """),
        {"reason": reason, "now": session.context.now, "id": lead_id},
    )


def refusers(session: PortalSession, lead_id: int) -> frozenset[int]:
    """Locations that had this lead and do not have it any more; all of a company's when its reason speaks for it."""
    rows = session.execute(
        text("""
            select l.id from offers o join locations l on l.company_id = o.company_id
            where o.lead_id = :lead and (o.state in ('declined', 'expired', 'withdrawn') or o.ended_at is not null)
              and (l.id = o.location_id or o.reason = any(:wide) or o.ended_reason = any(:wide))
        """),
        {"lead": lead_id, "wide": sorted(COMPANY_WIDE)},
    )
    return frozenset(row.id for row in rows)


def _has_open_offer(session: PortalSession, lead_id: int) -> bool:
    found = session.execute(
        text("select 1 from offers where lead_id = :id and state = 'offered'"), {"id": lead_id}
    ).first()
    return found is not None


def why_line(chosen: routing.Chosen) -> dict[str, Any]:
    """The partner's own line of the decision: facts only, nothing of other partners."""
    assert chosen.first is not None and chosen.candidate is not None
    return {
        "eligible": len(chosen.decision.ranked),
        "level": chosen.candidate.level,
        "distance_m": chosen.first.distance_m,
        "score": chosen.first.score,
        "terms": [list(term) for term in chosen.first.terms],
    }


def certified_until(candidate: Candidate, request: Request) -> list[dict[str, Any]]:
    """For each certification asked for, the day until which the candidate holds it (None: no end)."""
    lines = request.product_lines or (None,)
    found = []
    for programme in request.certifications:
        ends = []
        for line in lines:
            held = [
                c
                for c in candidate.certifications
                if c.programme == programme and c.valid_on(request.day) and c.product_line in (None, line)
            ]
            endless = any(c.expires is None for c in held)
            ends.append(None if endless else max((c.expires for c in held if c.expires), default=None))
        days = [end for end in ends if end is not None]
        found.append({"programme": programme, "until": min(days).isoformat() if days else None})
    return found


def make_offer(
    session: PortalSession,
    lead: Mapping[str, Any],
    current: Plan,
    candidate: Candidate,
    ranked: Ranked | None,
    decision_id: int | None,
    why: dict[str, Any],
    by_hand: Mapping[str, Any] | None = None,
    before: Sequence[dict[str, Any]] = (),
) -> int:
    """Write offer, share, events and the work that follows (mail, reminder, expiry); the place is already counted."""
    ctx, vendor, lead_id = session.context, lead["company_id"], lead["id"]
    times = offer_times(current.rules, candidate.calendar, ctx.now)
    distance = ranked.distance_m if ranked else None
    request = request_of(lead, ctx.now)
    brief = offer_view(lead, current.rules, distance)
    brief["why"] = why | {"certified": certified_until(candidate, request)}
    offer_id = new_id()
    offer = {
        "id": offer_id,
        "realm_id": ctx.realm_id,
        "lead_id": lead_id,
        "lead_number": lead["number"],
        "company_id": candidate.company_id,
        "location_id": candidate.id,
        "decision_id": decision_id,
        "state": "offered",
        "brief": brief,
        "distance_m": distance,
        "offered_at": ctx.now,
        "remind_at": times["remind_at"],
        "deadline_at": times["deadline_at"],
        "cap_at": times["cap_at"],
    }
    session.connection().execute(
        text("""
            update leads set assignment = 'offered', assignment_reason = null, offer_id = :offer, updated_at = :now,
                   holder_company_id = null, holder_location_id = null, holder_person_id = null where id = :id
        """),
        {"offer": offer_id, "now": ctx.now, "id": lead_id},
    )
    put(session, Offer, offer)
    _share(session, candidate.company_id, lead_id)
    data = {"offer": str(offer_id), "company": str(candidate.company_id), "location": str(candidate.id)}
    data |= {"until": times["deadline_at"].isoformat()} | (by_hand or {})
    events = list(before)
    if decision_id is not None:
        decided = {"decision": str(decision_id), "eligible": why.get("eligible")}
        events.append(
            event_row(session, "lead.decided", ("lead", lead_id), [vendor], decided, company_id=vendor)
        )
    both = [vendor, candidate.company_id]
    events.append(event_row(session, "lead.offered", ("lead", lead_id), both, data, company_id=vendor))
    put(session, Event, *events)
    reference = {"offer": str(offer_id)}
    items = [
        item_row(session, "offer.mail", {**reference, "what": "offered"}, queue="mail"),
        item_row(session, "offer.expire", reference, run_at=times["deadline_at"]),
    ]
    if times["remind_at"] < times["deadline_at"]:
        reminder = {**reference, "what": "reminder"}
        items.append(item_row(session, "offer.mail", reminder, run_at=times["remind_at"], queue="mail"))
    put(session, WorkItem, *items)
    wake_after_commit(session)
    return offer_id


def offer_times(rules: RuleSet, calendar: Calendar, now: datetime) -> dict[str, datetime]:
    """Deadline in the location's working hours, its wall-clock cap, and the reminder on the way there.

    Where the cap cuts the deadline short, the reminder comes at its share of the wall-clock time instead.
    """
    policy = rules.offer
    cap_at = now + timedelta(minutes=policy.cap_minutes)
    until = deadline(calendar, now, policy.answer_within_minutes, policy.cap_minutes)
    remind = deadline(
        calendar, now, int(policy.answer_within_minutes * policy.reminder_at), policy.cap_minutes
    )
    if until >= cap_at:
        remind = min(remind, now + (until - now) * policy.reminder_at)
    return {"deadline_at": until, "cap_at": cap_at, "remind_at": remind}


def offer_view(lead: Mapping[str, Any], rules: RuleSet, distance_m: int | None) -> dict[str, Any]:
    """What a partner may see before it accepts: place, lines, band, need; never who or the exact amount."""
    minor = None
    if lead["amount"] is not None and lead["currency"]:
        minor = int(Decimal(lead["amount"]) * minor_per_major(lead["currency"]))
    band = amount_band(rules.amount_bands, minor, lead["currency"])
    start = lead["start_on"]
    return {
        "title": lead["title"],
        "need": lead["need"],
        "country": lead["country"],
        "subdivision": lead["subdivision"],
        "postal": town_postal(lead["country"], lead["postal"]),
        "city": lead["city"],
        "product_lines": list(lead["product_lines"]),
        "certifications": list(lead["certifications"]),
        "band": {"low": band.low, "high": band.high, "currency": band.currency} if band else None,
        "language": lead["language"],
        "industry": lead["industry"],
        "start_on": start.isoformat() if start else None,
        "hours": lead["hours"],
        "channel": lead["channel"],
        "files": 0,
        "distance_m": distance_m,
    }


def town_postal(country: str | None, postal: str | None) -> str | None:
    """The postal code as far as it names a town: the United States' ZIP+4 names a building, so it is cut to five."""
    return postal.partition("-")[0] if postal and country == "US" else postal


SHARE = text("""
    insert into shares (company_id, subject_type, subject_id, realm_id, level, state, at)
    values (:company, 'lead', :lead, :realm, 'offer', 'offered', :now)
    on conflict (company_id, subject_type, subject_id) do update
        set level = excluded.level, state = excluded.state, at = excluded.at
""")


def _share(session: PortalSession, company_id: int, lead_id: int) -> None:
    """Open the offer view to the company; it may have had the lead before."""
    ctx = session.context
    session.connection().execute(
        SHARE, {"company": company_id, "lead": lead_id, "realm": ctx.realm_id, "now": ctx.now}
    )


def _unroutable(
    session: PortalSession,
    lead: Mapping[str, Any],
    chosen: routing.Chosen,
    refused: bool,
    before: Sequence[dict[str, Any]],
) -> None:
    """Nobody is left: into the channel manager's queue, with the gate at which the last ones stopped."""
    stopped = next((gate for gate, left in chosen.decision.counts if left == 0), "left")
    reason = "all_refused" if refused else f"nobody_{stopped}"
    session.execute(
        text("""
            update leads set assignment = 'unroutable', assignment_reason = :reason, offer_id = null, updated_at = :now,
                   holder_company_id = null, holder_location_id = null, holder_person_id = null where id = :id
        """),
        {"reason": reason, "now": session.context.now, "id": lead["id"]},
    )
    vendor = lead["company_id"]
    data = {"decision": str(chosen.decision_id), "reason": reason}
    told = event_row(session, "lead.unroutable", ("lead", lead["id"]), [vendor], data, company_id=vendor)
    put(session, Event, *before, told)


def assign(session: PortalSession, lead_id: int, location_id: int, reason: str) -> int:
    """A channel manager offers the lead to a location by hand, whatever the rules say; the offer's id.

    The location must belong to an active partner; Conflict otherwise, and when the lead is with somebody.
    """
    lead = lock_lead(session, lead_id)
    if lead is None or lead["assignment"] in ("held", "offered") or lead["stage"] in CLOSED_STAGES:
        raise Conflict(tr(_("This lead is with a partner or closed. Withdraw it first.")), "not_assignable")
    current = plan(session)
    position = current.snapshot.position(location_id)
    if position is None:
        raise Conflict(
            tr(_("There is no such partner location (any more). Choose another.")), "unknown_location"
        )
    candidate = current.snapshot.candidates[position]
    if not candidate.active or not candidate.agreement_accepted:
        raise Conflict(
            tr(_("${name} is not active or has not accepted the agreement.") % {"name": candidate.name}),
            "not_active",
        )
    request = request_of(lead, session.context.now)
    shown = current.engine.decide(
        request, current.engine.shortlist(request), routing.read_state(session, (location_id,))
    )
    ranked = next((one for one in shown.ranked if one.id == location_id), None)
    routing.reserve_by_hand(session, location_id)
    said = say(session, ("lead", lead_id), reason, [lead["company_id"]])
    why = {"by_hand": True, "level": candidate.level, "distance_m": ranked.distance_m if ranked else None}
    session.execute(text("update leads set suspected_duplicate_of = null where id = :id"), {"id": lead_id})
    return make_offer(session, lead, current, candidate, ranked, None, why, by_hand={"by_hand": True, **said})

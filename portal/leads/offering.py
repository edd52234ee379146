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
from portal.leads import mails
from portal.leads.models import Lead, Offer
from portal.leads.outlook import Outlook
from portal.routing import actions as routing
from portal.routing.models import Decision
from portal.routing.snapshot import NoRuleSet, Plan, plan
from portal.sharing.actions import say
from portal.sharing.files import opening_on_acceptance
from portal.sharing.models import Share
from portal.web.i18n import _, tr
from rules import (
    Calendar,
    Candidate,
    Place,
    Ranked,
    Request,
    RuleSet,
    amount_band,
    deadline,
    explain,
    minor_per_major,
)

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


Changes = dict[str, Any]  # what becomes of a lead: columns of its row


def route(session: PortalSession, lead_id: int) -> int | None:
    """Offer the lead to the best location that has not refused it; the offer's id, or None when nobody is left.

    Does nothing when the lead is already with somebody or closed.
    """
    lead = lock_lead(session, lead_id)
    if lead is None or lead["assignment"] not in ROUTABLE or lead["stage"] in CLOSED_STAGES:
        return None
    if _has_open_offer(session, lead_id):
        return None
    excluded = refusers(session, lead_id)
    try:
        chosen = routing.decide(
            session, request_of(lead, session.context.now, excluded), "lead", lead["company_id"]
        )
    except NoRuleSet:
        update(session, lead_id, WAITS)
        return None
    if chosen.candidate is not None:
        share(session, chosen.candidate.company_id, lead_id)
    told: list[dict[str, Any]] = []
    files = opening_on_acceptance(session, ("lead", lead_id))
    (changes,) = _settle(session, [(lead, chosen)], told, refused=bool(excluded), files=files)
    update(session, lead_id, changes)
    put(session, Event, *told)
    return changes["offer_id"]  # type: ignore[no-any-return]


def route_new(
    session: PortalSession,
    leads: Sequence[dict[str, Any]],
    told: list[dict[str, Any]],
    known: Outlook | None = None,
) -> routing.Proposal | None:
    """Route leads whose rows are still to be inserted: what becomes of each is put into its row, its events into `told`.

    The decision comes first, so that a row is written once; the places are to be taken when it is written.
    `known`: what has been read already for these leads (and maybe more).
    """
    if not leads:
        return None
    requests = [request_of(lead, session.context.now) for lead in leads]
    try:
        read = (known.shortlists, known.state) if known else None
        made = routing.propose(session, requests, "lead", leads[0]["company_id"], read)
    except NoRuleSet:
        for lead in leads:
            lead |= WAITS
        return None
    put(session, Decision, *made.rows)
    staffed = known.staffed if known else None
    changes = _settle(session, list(zip(leads, made.chosen, strict=True)), told, staffed=staffed)
    for lead, one, changed in zip(leads, made.chosen, changes, strict=True):
        lead |= changed
        if one.candidate is not None:
            put(session, Share, _share_row(session, one.candidate.company_id, lead["id"]))
    return made


# Nothing is lost without a rule set: the lead waits unrouted, in the queue, and is looked at again every minute.
WAITS: Changes = {"assignment": "unrouted", "assignment_reason": "no_rule_set"}


def update(session: PortalSession, lead_id: int, changes: Changes) -> None:
    """Write what became of a stored lead."""
    columns = ", ".join(f"{column} = :{column}" for column in (*changes, "updated_at"))
    session.connection().execute(
        text(f"update leads set {columns} where id = :lead"),  # noqa: S608 - our column names
        {**changes, "updated_at": session.context.now, "lead": lead_id},
    )


def _settle(
    session: PortalSession,
    decided: Sequence[tuple[Mapping[str, Any], routing.Chosen]],
    told: list[dict[str, Any]],
    *,
    refused: bool = False,
    files: int = 0,
    staffed: frozenset[int] | None = None,
) -> list[Changes]:
    """Offers for what was decided, or the channel manager's queue; what becomes of each lead. `staffed`: where somebody
    reads mail, if that is known."""
    if staffed is None:
        staffed = mails.staffed(
            session, [one.candidate.id for _, one in decided if one.candidate is not None]
        )
    found = []
    for lead, chosen in decided:
        if chosen.candidate is None:
            found.append(_unroutable(session, lead, chosen, refused, told))
            continue
        decided_as = {"decision": str(chosen.decision_id), "eligible": chosen.decision.eligible}
        vendor, subject = lead["company_id"], ("lead", lead["id"])
        told.append(event_row(session, "lead.decided", subject, [vendor], decided_as, company_id=vendor))
        found.append(
            make_offer(
                *(session, lead, chosen.plan, chosen.candidate, why_line(chosen), told),
                ranked=chosen.first,
                decision_id=chosen.decision_id,
                mailed=chosen.candidate.id in staffed,
                files=files,
            )
        )
    return found


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
    """The partner's own line of the decision: facts only, nothing of other partners, nor how many there were."""
    assert chosen.first is not None and chosen.candidate is not None
    return {
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
    why: dict[str, Any],
    told: list[dict[str, Any]],
    *,
    ranked: Ranked | None,
    decision_id: int | None = None,
    by_hand: Mapping[str, Any] | None = None,
    mailed: bool = True,
    files: int = 0,
) -> Changes:
    """Write the offer and the work that follows (mail, reminder, expiry); what becomes of the lead, its event in `told`.

    The place is already counted; the caller opens the share. `mailed` False: nobody is there to read a mail now.
    """
    ctx, vendor, lead_id = session.context, lead["company_id"], lead["id"]
    times = offer_times(current.rules, candidate.calendar, ctx.now)
    distance = ranked.distance_m if ranked else None
    brief = offer_view(lead, current.rules, distance, files)
    brief["why"] = why | {"certified": certified_until(candidate, request_of(lead, ctx.now))}
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
    put(session, Offer, offer)
    data = {"offer": str(offer_id), "company": str(candidate.company_id), "location": str(candidate.id)}
    data |= {"until": times["deadline_at"].isoformat()} | (by_hand or {})
    both = [vendor, candidate.company_id]
    told.append(event_row(session, "lead.offered", ("lead", lead_id), both, data, company_id=vendor))
    put(session, WorkItem, *_work(session, offer_id, times, mailed))
    return {"assignment": "offered", "assignment_reason": None, "offer_id": offer_id, **NOBODYS}


NOBODYS: Changes = {"holder_company_id": None, "holder_location_id": None, "holder_person_id": None}


def _work(
    session: PortalSession, offer_id: int, times: Mapping[str, datetime], mailed: bool
) -> list[dict[str, Any]]:
    """What follows an offer. Who joins the partner later still gets the reminder."""
    reference = {"offer": str(offer_id)}
    items = [item_row(session, "offer.expire", reference, run_at=times["deadline_at"])]
    if times["remind_at"] < times["deadline_at"]:
        reminder = {**reference, "what": "reminder"}
        items.append(item_row(session, "offer.mail", reminder, run_at=times["remind_at"], queue="mail"))
    if mailed:
        items.append(item_row(session, "offer.mail", {**reference, "what": "offered"}, queue="mail"))
        wake_after_commit(session)
    return items


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


def offer_view(
    lead: Mapping[str, Any], rules: RuleSet, distance_m: int | None, files: int = 0
) -> dict[str, Any]:
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
        "files": files,
        "distance_m": distance_m,
    }


def town_postal(country: str | None, postal: str | None) -> str | None:
    """The postal code as far as it names a town: the United States' ZIP+4 names a building, so it is cut to five."""
    return postal.partition("-")[0] if postal and country == "US" else postal


SHARE = text("""
    insert into shares (company_id, subject_type, subject_id, realm_id, level, state, at)
    values (:company_id, :subject_type, :subject_id, :realm_id, :level, :state, :at)
    on conflict (company_id, subject_type, subject_id) do update
        set level = excluded.level, state = excluded.state, at = excluded.at
""")


def share(session: PortalSession, company_id: int, lead_id: int) -> None:
    """Open the offer view to the company; it may have had the lead before."""
    session.connection().execute(SHARE, _share_row(session, company_id, lead_id))


def _share_row(session: PortalSession, company_id: int, lead_id: int) -> dict[str, Any]:
    ctx = session.context
    return {
        "company_id": company_id,
        "subject_type": "lead",
        "subject_id": lead_id,
        "realm_id": ctx.realm_id,
        "level": "offer",
        "state": "offered",
        "at": ctx.now,
    }


def _unroutable(
    session: PortalSession,
    lead: Mapping[str, Any],
    chosen: routing.Chosen,
    refused: bool,
    told: list[dict[str, Any]],
) -> Changes:
    """Nobody is left: into the channel manager's queue, with the gate at which the last ones stopped."""
    stopped = next((gate for gate, left in chosen.decision.counts if left == 0), "left")
    reason = "all_refused" if refused else f"nobody_{stopped}"
    vendor = lead["company_id"]
    data = {"decision": str(chosen.decision_id), "reason": reason}
    told.append(
        event_row(session, "lead.unroutable", ("lead", lead["id"]), [vendor], data, company_id=vendor)
    )
    return {"assignment": "unroutable", "assignment_reason": reason, "offer_id": None, **NOBODYS}


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
    counters = routing.read_state(session, (location_id,))
    standing = explain(
        current.rules, current.snapshot, request, counters, location_id, current.engine
    ).standing
    ranked = None if standing.hypothetical else standing.ranked
    routing.reserve_by_hand(session, location_id)
    said = say(session, ("lead", lead_id), reason, [lead["company_id"]])
    why = {"by_hand": True, "level": candidate.level, "distance_m": ranked.distance_m if ranked else None}
    share(session, candidate.company_id, lead_id)
    told: list[dict[str, Any]] = []
    by_hand = {"by_hand": True, **said}
    files = opening_on_acceptance(session, ("lead", lead_id))
    changes = make_offer(
        *(session, lead, current, candidate, why, told), ranked=ranked, by_hand=by_hand, files=files
    )
    update(session, lead_id, changes | {"suspected_duplicate_of": None})
    put(session, Event, *told)
    return changes["offer_id"]  # type: ignore[no-any-return]

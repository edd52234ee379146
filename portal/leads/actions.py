"""What people and systems do with leads. Intake is in intake.py, routing and offering in offering.py.

Partners answer under their own context; what follows under other companies' eyes is a work item for `system`.
"""

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import text

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.log import record
from portal.events.work import enqueue
from portal.leads import stages, words
from portal.leads.intake import Received, receive
from portal.leads.models import STAGES
from portal.leads.offering import CLOSED_STAGES, assign, lock_lead, route
from portal.routing import actions as routing
from portal.security.context import Context
from portal.sharing.actions import MAX_TEXT, say
from portal.web.formatting import fmt
from portal.web.i18n import _, inside, tr
from portal.web.status import status_label

__all__ = ["Received", "assign", "receive", "route"]


def accept(session: PortalSession, offer_id: int) -> int:
    """Take the offer, as the partner's person or the holder of its mail link; the lead's id.

    Conflict says why not: already answered and by whom, lapsed, withdrawn. Opens the lead at once; not undoable.
    """
    ctx = session.context
    lead_id: int | None = session.execute(
        text("select app.open_offer(:offer, :person, :now)"),
        {"offer": offer_id, "person": ctx.person_id, "now": ctx.now},
    ).scalar()
    if lead_id is None:
        raise _not_open(session, offer_id)
    both = [vendor_id(session), ctx.company_id]
    record(session, "lead.accepted", ("lead", lead_id), both, {"offer": str(offer_id)})
    enqueue(session, "offer.mail", {"offer": str(offer_id), "what": "accepted"}, queue="mail")
    return lead_id


def decline(session: PortalSession, offer_id: int, reason: str, note: str | None = None) -> int:
    """Refuse the offer for one of DECLINE_REASONS; the lead's id. `system` offers it to the next partner."""
    _because(reason, note, stages.DECLINE_REASONS)
    ctx = session.context
    row = session.execute(
        text("""
            update offers set state = 'declined', answered_at = :now, answered_by = :person, reason = :reason
            where id = :offer and state = 'offered' and deadline_at > :now returning lead_id
        """),
        {"now": ctx.now, "person": ctx.person_id, "reason": reason, "offer": offer_id},
    ).first()
    if row is None:
        raise _not_open(session, offer_id)
    data = {"offer": str(offer_id), "reason": reason} | say(
        session, ("lead", row.lead_id), note, [vendor_id(session)]
    )
    record(session, "lead.declined", ("lead", row.lead_id), [vendor_id(session), ctx.company_id], data)
    enqueue(session, "offer.settle", {"offer": str(offer_id), "state": "declined"})
    lead_id: int = row.lead_id
    return lead_id


def _not_open(session: PortalSession, offer_id: int) -> Exception:
    """Why an offer cannot be answered, in words for the one who tried."""
    row = session.execute(
        text("select state, answered_at, deadline_at from offers where id = :id"), {"id": offer_id}
    ).first()
    if row is None:
        return NotFound()
    said = {
        "accepted": _("This offer has already been accepted by your company."),
        "declined": _("This offer has already been declined by your company."),
        "expired": _("This offer lapsed before it was answered and went to another partner."),
        "withdrawn": _("This offer was withdrawn."),
        "offered": _("This offer lapsed before it was answered and goes to another partner."),
    }
    return Conflict(tr(said[row.state]), f"offer_{row.state}")


def hand_back(session: PortalSession, lead_id: int, reason: str, note: str | None = None) -> None:
    """The holder gives the lead back; what it saw closes, and `system` offers it to the next partner."""
    _because(reason, note, stages.HAND_BACK_REASONS)
    ctx = session.context
    lead = _held(session, lead_id)
    _refuse_closed(lead)
    said = say(session, ("lead", lead_id), note, [vendor_id(session)])
    session.execute(
        text("update offers set ended_at = :now, ended_reason = :reason where id = :offer"),
        {"now": ctx.now, "reason": reason, "offer": lead["offer_id"]},
    )
    session.execute(
        text("""
            update leads set assignment = 'handed_back', assignment_reason = :reason, updated_at = :now,
                   holder_company_id = null, holder_location_id = null, holder_person_id = null,
                   stage = 'new', stage_reason = null, next_step = null, next_step_on = null where id = :id
        """),
        {"reason": reason, "now": ctx.now, "id": lead_id},
    )
    session.execute(
        text("""
            update shares set level = 'past', state = 'handed_back', at = :now
            where company_id = :company and subject_type = 'lead' and subject_id = :lead
        """),
        {"now": ctx.now, "company": lead["holder_company_id"], "lead": lead_id},
    )
    data = {"offer": str(lead["offer_id"]), "reason": reason} | said
    took_place = lead["stage"] in stages.OPEN
    record(session, "lead.handed_back", ("lead", lead_id), [vendor_id(session), ctx.company_id], data)
    enqueue(
        session,
        "offer.settle",
        {"offer": str(lead["offer_id"]), "state": "handed_back", "took_place": took_place},
    )


def withdraw(
    session: PortalSession, lead_id: int, reason: str, note: str | None = None, *, reroute: bool = True
) -> None:
    """The vendor takes the lead back from whoever has it; the turn paid for it is returned, then it is offered on.

    note: for the vendor's own people.
    """
    _because(reason, note, stages.WITHDRAW_REASONS)
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    if lead["assignment"] not in ("offered", "held"):
        raise Conflict(tr(_("Nobody has this lead, so there is nothing to withdraw.")), "not_with_anybody")
    _refuse_closed(lead)
    take_back(session, lead, reason, return_credit=True)
    if (note or "").strip():
        comment(session, lead_id, note or "", to_all=False)
    if reroute:
        enqueue(session, "lead.route", {"lead": str(lead_id)})


def take_back(session: PortalSession, lead: Mapping[str, Any], reason: str, *, return_credit: bool) -> None:
    """End the current offer or holding of a locked lead, as the vendor or `system`."""
    ctx = session.context
    offer = session.execute(
        text("""
            update offers set state = case when state = 'offered' then 'withdrawn' else state end,
                   reason = case when state = 'offered' then :reason else reason end,
                   ended_at = :now, ended_reason = :reason
            where id = :offer returning id, company_id, location_id
        """),
        {"reason": reason, "now": ctx.now, "offer": lead["offer_id"]},
    ).one()
    session.execute(
        text("""
            update leads set assignment = 'pulled_back', assignment_reason = :reason, updated_at = :now,
                   holder_company_id = null, holder_location_id = null, holder_person_id = null,
                   stage = 'new', stage_reason = null, next_step = null, next_step_on = null where id = :id
        """),
        {"reason": reason, "now": ctx.now, "id": lead["id"]},
    )
    close_share(session, offer.company_id, lead["id"], "withdrawn")
    if lead["stage"] in stages.OPEN:
        routing.release(session, offer.location_id, return_credit=return_credit)
    vendor = lead["company_id"]
    data = {"offer": str(offer.id), "reason": reason}
    record(
        session, "lead.withdrawn", ("lead", lead["id"]), [vendor, offer.company_id], data, company_id=vendor
    )


def close_share(session: PortalSession, company_id: int, lead_id: int, state: str) -> None:
    """Leave a company its own line only."""
    session.execute(
        text("""
            update shares set level = 'past', state = :state, at = :now
            where company_id = :company and subject_type = 'lead' and subject_id = :lead
        """),
        {"state": state, "now": session.context.now, "company": company_id, "lead": lead_id},
    )


def move(
    session: PortalSession,
    lead_id: int,
    to: str,
    *,
    reason: str | None = None,
    won_amount: Decimal | None = None,
    won_on: date | None = None,
    note: str | None = None,
) -> None:
    """Move the stage as stages.MOVES allows this context; `won` needs amount and date, lost ones a reason."""
    ctx = session.context
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    who: stages.Who = "vendor" if ctx.is_vendor else "holder"
    if lead["assignment"] != "held" or (who == "holder" and lead["holder_company_id"] != ctx.company_id):
        raise Conflict(tr(_("Only a lead that a partner holds moves on. Offer it first.")), "not_held")
    allowed = stages.moves(lead["stage"], who)
    if to not in allowed:
        options = ", ".join(sorted(word(stage) for stage in allowed)) or "-"
        said = _("A lead that is ${now} cannot become ${to}. Possible: ${options}.")
        mapping = {"now": word(lead["stage"]), "to": word(to) if to in STAGES else to, "options": options}
        raise Conflict(tr(said % mapping), "no_such_move")
    wanted = allowed[to]
    _check_move(session, wanted, reason, note, won_amount, won_on)
    # What this move does not ask for is not kept: it was not looked at.
    reason = reason if wanted.reasons else None
    won_amount = won_amount if "won_amount" in wanted.needs else None
    won_on = won_on if "won_on" in wanted.needs else None
    session.execute(
        text("""
            update leads set stage = :to, stage_reason = :reason, won_amount = :won_amount, won_on = :won_on,
                   updated_at = :now where id = :id
        """),
        {
            "to": to,
            "reason": reason,
            "won_amount": won_amount,
            "won_on": won_on,
            "now": ctx.now,
            "id": lead_id,
        },
    )
    _list_keys(session, lead["holder_company_id"], lead_id, to)
    audience = [vendor_id(session), lead["holder_company_id"]]
    data: dict[str, Any] = {"from": lead["stage"], "to": to, "reason": reason}
    data |= say(session, ("lead", lead_id), note, audience)
    record(session, "lead.moved", ("lead", lead_id), audience, data)
    if (lead["stage"] in stages.OPEN) != (to in stages.OPEN):
        change = {"location": str(lead["holder_location_id"]), "by": 1 if to in stages.OPEN else -1}
        enqueue(session, "load.change", change)


def _check_move(
    session: PortalSession,
    wanted: stages.Move,
    reason: str | None,
    note: str | None,
    won_amount: Decimal | None,
    won_on: date | None,
) -> None:
    if wanted.reasons:
        _because(reason, note, wanted.reasons)
    faults = []
    if "won_amount" in wanted.needs and (won_amount is None or won_amount < 0):
        faults.append(
            Fault("won_amount", won_amount, tr(_("Give the amount it was won for, 0 or more.")), "missing")
        )
    if "won_on" in wanted.needs and won_on is None:
        faults.append(Fault("won_on", won_on, tr(_("Give the day it was won.")), "missing"))
    if won_on is not None and won_on > today(session.context):
        faults.append(
            Fault("won_on", won_on, tr(_("This day is in the future; give the day it was won.")), "range")
        )
    if faults:
        raise Invalid(*faults)


def today(ctx: Context) -> date:
    """The reader's day: shortly after midnight in Vienna it is still yesterday in UTC."""
    return ctx.now.astimezone(ZoneInfo(ctx.time_zone)).date()


def plan_step(session: PortalSession, lead_id: int, step: str, on: date) -> None:
    """What the holder does next and by when."""
    step = step.strip()
    if not step or len(step) > 200:
        raise Invalid(
            Fault("next_step", step, tr(_("Say in 1 to 200 characters what happens next.")), "length")
        )
    ctx = session.context
    if on < today(ctx):
        raise Invalid(
            Fault("next_step_on", on, tr(_("This day is over; choose today or a later day.")), "range")
        )
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    if lead["assignment"] != "held" or lead["stage"] in CLOSED_STAGES:
        raise Conflict(tr(_("Only an open lead that a partner holds has a next step.")), "not_held")
    session.execute(
        text("update leads set next_step = :step, next_step_on = :on, updated_at = :now where id = :id"),
        {"step": step, "on": on, "now": ctx.now, "id": lead_id},
    )
    _list_keys(session, lead["holder_company_id"], lead_id, lead["stage"])
    audience = [vendor_id(session), lead["holder_company_id"]]
    record(session, "lead.step_planned", ("lead", lead_id), audience, {"on": on.isoformat()})


def comment(session: PortalSession, lead_id: int, body: str, *, to_all: bool) -> None:
    """Say something to everybody in the lead, or to one's own company only; Conflict when one is out of it."""
    body = body.strip()
    if not body or len(body) > MAX_TEXT:
        too_long = _("Write 1 to ${n} characters.", mapping={"n": fmt.num(MAX_TEXT)})
        raise Invalid(
            Fault("body", f"{len(body)} characters", tr(too_long), "length"),
        )
    ctx = session.context
    if (
        ctx.kind == "partner"
        and not session.execute(TAKES_PART, {"lead": lead_id, "me": ctx.company_id}).first()
    ):
        raise Conflict(tr(_("Your company is not in this lead (any more).")), "not_in_lead")
    audience = [ctx.company_id or vendor_id(session)]
    if to_all:
        audience = sorted({*audience, *_in_lead(session, lead_id)})
    said = say(session, ("lead", lead_id), body, audience)
    record(session, "lead.commented", ("lead", lead_id), audience, {**said, "to_all": to_all})


TAKES_PART = text("""
    select 1 from offers where lead_id = :lead and company_id = :me and state in ('offered', 'accepted')
      and ended_at is null
""")


def _in_lead(session: PortalSession, lead_id: int) -> set[int]:
    """The vendor and the partner that has the offer or holds the lead (as far as this context sees: itself)."""
    return {vendor_id(session), *partners_in_lead(session, lead_id)}


def partners_in_lead(session: PortalSession, lead_id: int, *levels: str) -> set[int]:
    """The partner that has the offer or holds the lead; of these levels only when some are given."""
    found = session.execute(
        text("""
            select company_id from shares where subject_type = 'lead' and subject_id = :id and level = any(:levels)
        """),
        {"id": lead_id, "levels": list(levels or ("offer", "full"))},
    )
    return {row.company_id for row in found}


def edit(session: PortalSession, lead_id: int, changes: Mapping[str, Any]) -> None:
    """The vendor corrects a lead's own fields; an offer already made keeps the view it was made with."""
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    changed = {column: value for column, value in changes.items() if lead[column] != value}
    if not changed:
        return
    assignments = ", ".join(f"{column} = :{column}" for column in changed)
    session.execute(
        text(f"update leads set {assignments}, updated_at = :now where id = :id"),  # noqa: S608 - columns of a form
        {**changed, "now": session.context.now, "id": lead_id},
    )
    data = {"fields": sorted(changed)}
    record(session, "lead.changed", ("lead", lead_id), [lead["company_id"], lead["holder_company_id"]], data)


def settle_duplicate(session: PortalSession, lead_id: int, *, is_duplicate: bool) -> None:
    """A person decides on a suspected duplicate: it is one (closed, points at the other), or it is routed."""
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    if lead["suspected_duplicate_of"] is None or lead["stage"] == "duplicate":
        raise Conflict(
            tr(_("This lead is not waiting for a decision on duplicates (any more).")), "not_suspected"
        )
    vendor = lead["company_id"]
    data = {"of": str(lead["suspected_duplicate_of"])}
    if is_duplicate:
        session.execute(
            text("update leads set stage = 'duplicate', updated_at = :now where id = :id"),
            {"now": session.context.now, "id": lead_id},
        )
        record(session, "lead.duplicate", ("lead", lead_id), [vendor], data)
        return
    session.execute(text("update leads set suspected_duplicate_of = null where id = :id"), {"id": lead_id})
    record(session, "lead.not_duplicate", ("lead", lead_id), [vendor], data)
    route(session, lead_id)


def reroute(session: PortalSession, lead_id: int) -> int | None:
    """The channel manager routes a lead of the queue once more; the offer's id or None when nobody can take it."""
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    if lead["assignment"] in ("offered", "held") or lead["stage"] in CLOSED_STAGES:
        raise Conflict(tr(_("This lead is with a partner or closed. Withdraw it first.")), "not_routable")
    return route(session, lead_id)


def mark_seen(session: PortalSession, offer_id: int) -> None:
    """The partner opened the offer for the first time."""
    row = session.execute(
        text(
            "update offers set seen_at = :now where id = :id and seen_at is null and state = 'offered' returning lead_id"
        ),
        {"now": session.context.now, "id": offer_id},
    ).first()
    if row is not None:
        both = [vendor_id(session), session.context.company_id]
        record(session, "lead.opened", ("lead", row.lead_id), both, {"offer": str(offer_id)})


def _refuse_closed(lead: Mapping[str, Any]) -> None:
    """What is won, lost or closed stays where it is until the vendor reopens it."""
    if lead["stage"] in CLOSED_STAGES:
        raise Conflict(
            tr(
                _("This lead is closed (${stage}). The vendor reopens it first.")
                % {"stage": word(lead["stage"])}
            ),
            "closed",
        )


def word(stage: str) -> str:
    """A stage in the reader's words."""
    return inside(status_label("stage", stage))


def _held(session: PortalSession, lead_id: int) -> Mapping[str, Any]:
    lead = lock_lead(session, lead_id)
    if lead is None:
        raise NotFound()
    if lead["assignment"] != "held" or lead["holder_company_id"] != session.context.company_id:
        raise Conflict(tr(_("Your company does not hold this lead (any more).")), "not_held")
    return lead


def _list_keys(session: PortalSession, company_id: int, lead_id: int, state: str) -> None:
    session.execute(
        text("""
            update shares set state = :state, at = :now
            where company_id = :company and subject_type = 'lead' and subject_id = :lead
        """),
        {"state": state, "now": session.context.now, "company": company_id, "lead": lead_id},
    )


def _because(reason: str | None, note: str | None, allowed: tuple[str, ...]) -> None:
    """Refuse a reason that is none of `allowed`, and 'other' without words: it would say nothing."""
    if reason not in allowed:
        options = ", ".join(tr(words.REASONS.get(one, one)) for one in allowed)
        said = tr(_("Choose one of: ${options}.") % {"options": options})
        raise Invalid(Fault("reason", reason, said, "choice"))
    if reason == "other" and not (note or "").strip():
        raise Invalid(Fault("note", note, tr(_("Say in a few words which other reason.")), "missing"))

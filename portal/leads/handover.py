"""What a new holder is told of the time before it: facts out of the log, never the words or the names of who had it.

The database hands out whitelisted facts only (function app.before_holder, to the holder alone); here they become
groups of facts for page and sheet. Nothing is copied: what is erased from the log is gone from the summary too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import text

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.leads import words
from portal.leads.queries import Seen, company_names
from portal.web.formatting import fmt
from portal.web.i18n import _, inside, ntr, tr
from portal.web.parts import Fact, FactGroup
from portal.web.status import status_label

BEFORE = text("select at, type, mine, stage, reason, day from app.before_holder(:lead)")


@dataclass(slots=True)
class Leg:
    """One holder's time with the lead."""

    begun: datetime
    mine: bool
    ended: datetime | None = None
    how: str = ""
    reason: str | None = None
    stages: list[tuple[str, datetime]] = field(default_factory=list)
    step: date | None = None
    last: datetime | None = None
    messages: int = 0
    files: int = 0


def before(session: PortalSession, seen: Seen) -> Sequence[FactGroup]:
    """The summary for the company that holds the lead now; empty when nobody was asked before it."""
    if seen.view != "full" or session.context.kind != "partner":
        return ()
    rows = session.execute(BEFORE, {"lead": seen.id}).all()
    legs, refused = (
        _legs(rows),
        sum(row.type in ("lead.declined", "lead.expired") and not row.mine for row in rows),
    )
    if not legs and not refused:
        return ()
    vendor = vendor_id(session)
    name = company_names(session, [vendor]).get(vendor, "")
    received = next((row.at for row in rows if row.type == "lead.received"), None)
    facts = [Fact(_("Request received"), _day(received))] if received else []
    if refused:
        asked = ntr(
            "one other partner, who did not take it", "${n} other partners, who did not take it", refused
        )
        facts.append(Fact(_("Also asked"), asked))
    first = [FactGroup(_("The request"), facts)] if facts else []
    return [*first, *(_group(leg, name) for leg in legs)]


def _legs(rows: Sequence[Any]) -> list[Leg]:
    """The holders before, one after the other."""
    legs: list[Leg] = []
    for row in rows:
        if row.type == "lead.accepted":
            legs.append(Leg(row.at, row.mine))
        elif legs and legs[-1].ended is None:
            _tell(legs[-1], row)
    return legs


def _tell(leg: Leg, row: Any) -> None:
    if row.type in ("lead.handed_back", "lead.withdrawn"):
        leg.ended, leg.how, leg.reason = row.at, row.type, row.reason
        return
    leg.last = row.at
    if row.type == "lead.moved":
        leg.stages.append((row.stage, row.at))
    elif row.type == "lead.step_planned":
        leg.step = row.day
    elif row.type == "lead.commented":
        leg.messages += 1
    elif row.type == "file.added":
        leg.files += 1


def _group(leg: Leg, vendor: str) -> FactGroup:
    mapping = {"start": _day(leg.begun), "end": _day(leg.ended) if leg.ended else "…"}
    reached = ", ".join(f"{inside(status_label('stage', stage))} {_day(at)}" for stage, at in leg.stages)
    facts = [
        Fact(_("Held it"), tr(_("${start} to ${end}", mapping=mapping))),
        Fact(_("Reached"), reached or tr(_("no stage was recorded"))),
        Fact(_("Last sign of work"), _day(leg.last) if leg.last else tr(_("none"))),
    ]
    if leg.step:
        step = {"day": fmt.day_text(leg.step, weekday=True), "vendor": vendor}
        facts.append(Fact(_("Agreed next step"), tr(_("for ${day}; ${vendor} knows what", mapping=step))))
    if leg.messages or leg.files:
        facts.append(Fact(_("Exchanged with ${vendor}", mapping={"vendor": vendor}), _exchanged(leg)))
    if leg.ended:
        facts.append(Fact(_("Ended"), _ending(leg, vendor)))
    return FactGroup(_("Your company, earlier") if leg.mine else _("An earlier partner"), facts)


def _exchanged(leg: Leg) -> str:
    parts = [
        ntr("one message", "${n} messages", leg.messages) if leg.messages else "",
        ntr("one file", "${n} files", leg.files) if leg.files else "",
    ]
    said = ", ".join(part for part in parts if part)
    return said if leg.mine else tr(_("${said}; closed to you", mapping={"said": said}))


def _ending(leg: Leg, vendor: str) -> str:
    said = tr(_("handed back"))
    if leg.how == "lead.withdrawn":
        said = tr(_("taken back by ${vendor}", mapping={"vendor": vendor}))
    why = words.reason(leg.reason)
    return f"{said}: {why}" if why else said


def _day(at: datetime) -> str:
    return str(fmt.day_text(fmt.local(at).date()))

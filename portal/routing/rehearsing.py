"""A rule set tried on the leads that really came in: what it would have moved, and what that means for whom.

Reads only: the requests of the last days as their first decisions stored them, with the counters those read and the time
at which each lead's place was free again. Facts are those of today's directory.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text

from portal.db import PortalSession
from portal.routing.snapshot import plan
from rules import Plan, Request, RuleSet, Snapshot, State
from rules.rehearsal import Effect, Flow, Past, Progress, Shift, rehearse_rules, rehearse_sequence

MOST_LEADS = 100_000
"""Leads of one rehearsal, the newest."""
MOST_DAYS = 400
EFFECTS = ("rules", "full")

# Of each lead its first decision of the period: as it came. Its place is free again when its last offer has ended, or
# the lead is closed (as of its last change: the moment itself stands in the log alone).
LEADS = text("""
    with firsts as (
        select min(id) as id from decisions
        where realm_id = :realm and subject_type = 'lead' and as_of >= :since and as_of <= :now
        group by subject_id order by min(id) desc limit :most
    )
    select d.request, d.state, o.state as last, o.answered_at,
           coalesce(o.ended_at, case when l.stage in ('won', 'lost', 'invalid', 'duplicate')
                                     then l.updated_at end) as ended_at
    from firsts f join decisions d on d.id = f.id left join leads l on l.id = d.subject_id
    left join lateral (
        select state, ended_at, answered_at from offers where lead_id = d.subject_id order by id desc limit 1) o on true
    order by d.as_of, d.id
""")
# Places taken before the period and still taken when it begins.
HELD = text("""
    select * from (
        select o.location_id, case
            when o.state = 'offered' then null
            when o.state = 'accepted' then coalesce(o.ended_at,
                case when l.stage in ('won', 'lost', 'invalid', 'duplicate') then l.updated_at end)
            else coalesce(o.ended_at, o.answered_at, o.deadline_at) end as freed
        from offers o join leads l on l.id = o.lead_id
        where o.realm_id = :realm and o.offered_at < :since) taken
    where freed is null or freed >= :since
""")


@dataclass(frozen=True, slots=True)
class Material:
    """What a rehearsal works on; `against` is the version in force, `start` the counters when the period began."""

    before: RuleSet
    after: RuleSet
    against: int
    snapshot: Snapshot
    past: Sequence[Past]
    start: State
    held: Sequence[tuple[datetime, int]]


def material(session: PortalSession, after: RuleSet, days: int) -> Material:
    """Everything a rehearsal of `after` on the last `days` reads; NoRuleSet when nothing is in force."""
    ctx, current = session.context, plan(session)
    values = {
        "realm": ctx.realm_id,
        "now": ctx.now,
        "since": ctx.now - timedelta(days=days),
        "most": MOST_LEADS,
    }
    past = [
        Past(Request.from_json(row.request), State.from_json(row.state), _freed(row))
        for row in session.execute(LEADS, values)
    ]
    rows = session.execute(HELD, values).all()
    known = {one.id for one in current.snapshot.candidates}
    held = sorted((row.freed, row.location_id) for row in rows if row.freed and row.location_id in known)
    load = Counter(row.location_id for row in rows if row.location_id in known)
    start = State(load, first_credits(current.engine, past))
    return Material(current.rules, after, current.rule_set_version, current.snapshot, past, start, held)


def _freed(row: Any) -> datetime | None:
    if row.last is None or row.last == "offered":
        return None
    return row.ended_at or (row.answered_at if row.last != "accepted" else None)


def first_credits(engine: Plan, past: Iterable[Past]) -> dict[int, int]:
    """The turns of each location as the first decision found them that looked at it."""
    seen: dict[int, int] = {}
    for one in past:
        for location in engine.shortlist(one.request).ids:
            seen.setdefault(location, one.state.credit.get(location, 0))
    return {location: credit for location, credit in seen.items() if credit}


def rehearsed(given: Material) -> Iterator[tuple[str, Progress]]:
    """('rules', how far) for the rules alone, then ('full', how far) with capacity and turns; may be left at any point."""
    for progress in rehearse_rules(given.before, given.after, given.snapshot, given.past):
        yield "rules", progress
    full = rehearse_sequence(
        given.before, given.after, given.snapshot, given.past, given.start, held=given.held
    )
    for progress in full:
        yield "full", progress


# -- as it is stored ---------------------------------------------------------------------------------------------------


def stored(effect: Effect) -> dict[str, Any]:
    """An effect as JSON, without its moves: ids as strings ('' is nobody), amounts in minor units by currency."""
    return {
        "done": effect.done,
        "decided": effect.decided,
        "moved": len(effect.moves),
        "routable": effect.routable,
        "unroutable": effect.unroutable,
        "minor": _moved_minor(effect),
        "companies": {taker_text(taker): _flow(flow) for taker, flow in effect.companies.items()},
        "locations": {taker_text(taker): _flow(flow) for taker, flow in effect.locations.items()},
        "regions": {region: _shift(shift) for region, shift in effect.regions.items()},
        "lines": {line: _shift(shift) for line, shift in effect.lines.items()},
        "bands": [
            {"band": {"low": band.low, "high": band.high, "currency": band.currency} if band else None, **_shift(shift)}
            for band, shift in sorted(effect.bands.items(), key=lambda item: _band_order(item[0]))
        ],
    }  # fmt: skip


def taker_text(taker: int | str | None) -> str:
    """A location or company by its id, a rep of the vendor as 'rep:...', nobody as ''."""
    return "" if taker is None else f"rep:{taker}" if isinstance(taker, str) else str(taker)


def _band_order(band: Any) -> tuple[str, int]:
    return ("", -1) if band is None else (band.currency, band.low or 0)


def _moved_minor(effect: Effect) -> dict[str, int]:
    """What changes hands: every band's, for each request lies in one band."""
    found: Counter[str] = Counter()
    for shift in effect.bands.values():
        found.update(shift.moved_minor)
    return _amounts(found)


def _amounts(amounts: Mapping[str, int]) -> dict[str, int]:
    return {currency: minor for currency, minor in sorted(amounts.items()) if currency and minor}


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "gained": flow.gained,
        "lost": flow.lost,
        "gained_minor": _amounts(flow.gained_minor),
        "lost_minor": _amounts(flow.lost_minor),
    }


def _shift(shift: Shift) -> dict[str, Any]:
    return {
        "moved": shift.moved,
        "routable": shift.routable,
        "unroutable": shift.unroutable,
        "minor": _amounts(shift.moved_minor),
    }

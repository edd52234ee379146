"""Stored decisions made once more from what is stored: the same rules, facts, request and counters must give the same.

Reads only. Every part of a decision that was written down is compared, not the hash alone, so that a difference can be
named: the gate of a location, a score, a count.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, zip_longest
from typing import Any

from sqlalchemy import Row, select

from portal.db import PortalSession
from portal.errors import NotFound
from portal.routing.actions import TOP_KEPT, top_entry
from portal.routing.models import Decision
from portal.routing.snapshot import Plan, plan_at
from rules import ALL_GATES, ELIGIBLE, EXCLUDED, Reference, Request, RequestError, RuleSetError, State

BATCH = 500
"""Decisions read at a time."""
MOST_KEPT = 8
"""Plans of other moments that are kept while one state of the directory is replayed."""
MOST_NAMED = 3
"""Locations that a reason names."""
# A decision stores its second; facts may have changed within it, before or after.
SECOND = timedelta(seconds=1, microseconds=-1)


@dataclass(frozen=True, slots=True)
class Replayed:
    """A decision made again; `why` names what differs, nothing when it is the same."""

    id: int
    lead_id: int
    as_of: datetime
    why: tuple[str, ...]


def how_many(session: PortalSession, last: int) -> int:
    """Decisions that there are to replay, at most `last`."""
    return len(_newest(session, last))


def replayed(session: PortalSession, last: int) -> Iterator[Replayed]:
    """The last decisions, those of one state of the directory after the other."""
    before: Plan | None = None
    newest = sorted(_newest(session, last), key=_state_of)
    for (version, rule_set), found in groupby(newest, key=_state_of):
        rows = list(found)
        parts = batched([row.id for row in rows])
        moments = [row.as_of for row in rows]
        first, last_of = min(moments), max(moments)
        try:
            then = before = plan_at(session, version, last_of, rule_set, before)
        except NotFound:
            why = f"rule set version {rule_set} is not there any more"
        except RuleSetError as error:
            why = f"rule set version {rule_set} cannot be read: {error}"
        else:
            for ids in parts:
                yield from _compared(session, _read(session, ids), then, first, last_of)
            continue
        for ids in parts:
            yield from (_of(row, [why]) for row in _read(session, ids))


def _state_of(row: Any) -> tuple[int, int]:
    return row.directory_version, row.rule_set_version


def batched(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """BATCH at a time."""
    for first in range(0, len(ids), BATCH):
        yield ids[first : first + BATCH]


def _newest(session: PortalSession, last: int) -> Sequence[Row[Any]]:
    query = (
        select(Decision.id, Decision.directory_version, Decision.rule_set_version, Decision.as_of)
        .where(Decision.realm_id == session.context.realm_id, Decision.subject_type == "lead")
        .order_by(Decision.id.desc())
        .limit(last)
    )
    return session.execute(query).all()


def _read(session: PortalSession, ids: Sequence[int]) -> Sequence[Row[Any]]:
    return session.execute(
        select(*Decision.__table__.c).where(Decision.id.in_(ids)).order_by(Decision.id)
    ).all()


def _of(row: Row[Any], why: Sequence[str]) -> Replayed:
    return Replayed(row.id, row.subject_id, row.as_of, tuple(why))


def _compared(
    session: PortalSession, rows: Sequence[Row[Any]], then: Plan, first: datetime, last: datetime
) -> Iterator[Replayed]:
    """Against the facts of the last moment of this state of the directory (`then`). What differs, against those of the
    second's end, of the first moment, and of its own: what was written down later for an earlier day is a change of
    the directory, but which of its moments a decision knew is not stored."""
    kept: dict[datetime, Plan] = {}
    for row in rows:
        why = differences(row, then)
        for moment in (last + SECOND, first, row.as_of, row.as_of + SECOND) if why else ():
            if moment not in kept:
                if len(kept) > MOST_KEPT:
                    kept.clear()
                kept[moment] = plan_at(session, then.version, moment, then.rule_set_version, then)
            if not differences(row, kept[moment]):
                why = []
                break
        yield _of(row, why)


def differences(row: Any, then: Plan) -> list[str]:
    """What a decision would say otherwise now, in words; never raises for what was stored."""
    if row.rule_set_hash != then.rules.hash:
        return [f"rule set version {then.rule_set_version} has another content (hash {then.rules.hash[:12]})"]
    try:
        request, state = Request.from_json(row.request), State.from_json(row.state)
    except RequestError as error:
        return [f"the stored request or state cannot be read: {error}"]
    engine = then.engine
    shortlist = engine.shortlist(request)
    decision = engine.decide(request, shortlist, state)
    found = []
    try:
        stored = zlib.decompress(row.gates)
    except zlib.error:
        return ["the stored gates cannot be read"]
    made = engine.gates(request, shortlist, state)
    if stored != made:
        found.append(_gates(stored, made, then))
    pairs = {
        "counts": (row.counts, [list(count) for count in decision.counts]),
        "eligible": (row.eligible, decision.eligible),
        "first": (row.chosen_location_id, decision.ranked[0].id if decision.ranked else None),
    }
    found += [f"{name}: stored {was}, now {now}" for name, (was, now) in pairs.items() if was != now]
    top = [top_entry(one) for one in decision.ranked[:TOP_KEPT]]
    found += _ranking(row.top, top)
    now = decision.result_hash
    if not row.result_hash.startswith("2:"):  # stored in the first form of the record
        now = Reference(then.rules, then.snapshot).first_hash(request, state)
    if row.result_hash != now and not found:
        found.append(f"result hash: stored {row.result_hash[:14]}, now {now[:14]}")
    return found


def gate_word(byte: int) -> str:
    """A stored gate byte as its name."""
    return "eligible" if byte == ELIGIBLE else "excluded" if byte == EXCLUDED else ALL_GATES[byte - 1]


def _gates(stored: bytes, made: bytes, then: Plan) -> str:
    if len(stored) != len(made):
        return f"candidates: stored {len(stored)}, now {len(made)}"
    others = [n for n, (was, now) in enumerate(zip(stored, made, strict=True)) if was != now]
    told = [
        f"{then.snapshot.candidates[n].id} was {gate_word(stored[n])}, is {gate_word(made[n])}"
        for n in others[:MOST_NAMED]
    ]
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    return f"gates: location {', '.join(told)}{more}"


def _ranking(stored: Sequence[Mapping[str, Any]], made: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first place at which two rankings part."""
    for place, (was, now) in enumerate(zip_longest(stored, made), 1):
        if was == now:
            continue
        if not was or not now or was["id"] != now["id"]:
            return [
                f"place {place}: stored {was['id'] if was else 'nobody'}, now {now['id'] if now else 'nobody'}"
            ]
        keys = [key for key in now if was.get(key) != now[key]]
        said = ", ".join(f"{key} {was.get(key)} is now {now[key]}" for key in keys)
        return [f"place {place}: {said}"]
    return []

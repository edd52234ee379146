"""Reads decisions as they were written down, beside today's directory. Vendor's contexts only; a partner has its brief."""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select
from sqlalchemy.engine import Engine

from portal.companies.models import Location, LocationFact
from portal.db import PortalSession, sort_key
from portal.events.models import Event
from portal.leads.models import Offer
from portal.routing.models import Decision as DecisionRow
from portal.routing.models import RuleSetRow
from portal.routing.snapshot import Plan, plan
from rules import (
    ALL_GATES,
    ELIGIBLE,
    EXCLUDED,
    Candidate,
    Explanation,
    Reference,
    Request,
    RuleSet,
    State,
    explain,
    one_short,
)
from rules import Plan as Compiled

# Decisions whose near misses are kept: all gates of every location cost as much as a thousand routings.
NEAR_KEPT = 64


@dataclass(slots=True)
class Kept:
    """What a process keeps of one database. locations: realm -> (version, (id, added with)); near: (decision, version of
    the directory) -> near misses."""

    locations: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    near: OrderedDict[tuple[int, int], dict[int, str]] = field(default_factory=OrderedDict)


_of_database: WeakKeyDictionary[Engine, Kept] = WeakKeyDictionary()


def _kept(session: PortalSession) -> Kept:
    return _of_database.setdefault(session.get_bind().engine, Kept())


@dataclass(frozen=True, slots=True)
class Decided:
    """A stored decision. gates: location id -> name of its first failing gate, '' could take it, 'excluded' was left
    out by the request; the stored bytes, never recomputed. `today` is the plan of now, for names and facts."""

    row: DecisionRow
    rules: RuleSet
    request: Request
    state: State
    gates: Mapping[int, str]
    offer: Mapping[Any, Any] | None
    today: Plan

    @property
    def moved_on(self) -> bool:
        """Whether the directory has changed since, so that facts shown are today's."""
        return bool(self.today.version != self.row.directory_version)

    def candidate(self, location_id: int) -> Candidate | None:
        """A location as it is today."""
        position = self.today.snapshot.position(location_id)
        return None if position is None else self.today.snapshot.candidates[position]

    def engine(self) -> Compiled | Reference:
        """The engine of the decision's own rules over today's directory."""
        if self.rules.hash == self.today.rules.hash:
            return self.today.engine
        return Reference(self.rules, self.today.snapshot)

    def stopped_at(self, gate: str) -> list[int]:
        """Locations whose first failing gate is this one."""
        return [location_id for location_id, stopped in self.gates.items() if stopped == gate]


def decisions_of(session: PortalSession, lead_id: int) -> Sequence[Any]:
    """(id, as_of) of a lead's decisions, newest first."""
    query = (
        select(DecisionRow.id, DecisionRow.as_of)
        .where(DecisionRow.subject_type == "lead", DecisionRow.subject_id == lead_id)
        .order_by(DecisionRow.id.desc())
        .limit(100)
    )
    return list(session.execute(query))


def assigned_by(session: PortalSession, lead_id: int, offer_id: int) -> int | None:
    """The person who made this offer by hand."""
    query = select(Event.person_id).where(
        Event.subject_type == "lead",
        Event.subject_id == lead_id,
        Event.type == "lead.offered",
        Event.data["offer"].astext == str(offer_id),
    )
    return session.execute(query.limit(1)).scalar()


def load(session: PortalSession, lead_id: int, decision_id: int) -> Decided | None:
    """One decision of a lead; None when it is another lead's or nobody's. Three statements; the snapshot and the
    locations are kept."""
    row = session.scalars(
        select(DecisionRow).where(
            DecisionRow.id == decision_id,
            DecisionRow.subject_type == "lead",
            DecisionRow.subject_id == lead_id,
        )
    ).first()
    if row is None:
        return None
    body = session.execute(
        select(RuleSetRow.body).where(
            RuleSetRow.realm_id == row.realm_id,
            RuleSetRow.subject_type == "lead",
            RuleSetRow.version == row.rule_set_version,
        )
    ).scalar_one()
    today = plan(session)
    known = [i for i, added in _locations(session, row.directory_version) if added <= row.directory_version]
    # By the lead as well: there is an index on that.
    query = select(*Offer.__table__.c).where(Offer.lead_id == lead_id, Offer.decision_id == row.id)
    offer = session.execute(query).mappings().first()
    gates = {i: gate_name(byte) for i, byte in zip(known, zlib.decompress(row.gates), strict=False)}
    return Decided(
        row,
        RuleSet.parse(body),
        Request.from_json(row.request),
        State.from_json(row.state),
        gates,
        offer,
        today,
    )


def _locations(session: PortalSession, version: int) -> list[tuple[int, int]]:
    """(id, version of the directory it came with) of the realm's locations, by id: all that had come by `version`.

    Kept until one is asked for of a later version.
    """
    kept, realm = _kept(session).locations, session.context.realm_id
    found = kept.get(realm)
    if found is None or found[0] < version:
        query = select(Location.id, Location.added_version).where(Location.realm_id == realm)
        rows = [(row.id, row.added_version) for row in session.execute(query.order_by(Location.id))]
        found = kept[realm] = (version, rows)
    return found[1]


def gate_name(byte: int) -> str:
    """A stored gate byte in words: '' for eligible."""
    if byte == ELIGIBLE:
        return ""
    return "excluded" if byte == EXCLUDED else ALL_GATES[byte - 1]


def near_misses(session: PortalSession, decided: Decided) -> Mapping[int, str]:
    """Locations that exactly one gate stopped, where the stored answer and today's facts agree on which."""
    kept, key = _kept(session).near, (decided.row.id, decided.today.version)
    near = kept.get(key)
    if near is None:
        found = one_short(decided.rules, decided.today.snapshot, decided.request, decided.state)
        near = kept[key] = {i: gate for i, gate in found.items() if decided.gates.get(i) == gate}
        if len(kept) > NEAR_KEPT:
            kept.popitem(last=False)
    return near


def explained(decided: Decided, location_id: int) -> Explanation | None:
    """All gates of one location by the decision's own rules and state, over today's facts; None for a stranger."""
    if location_id not in decided.gates or decided.candidate(location_id) is None:
        return None
    return explain(
        decided.rules, decided.today.snapshot, decided.request, decided.state, location_id, decided.engine()
    )


def towns(session: PortalSession, ids: Iterable[int]) -> dict[int, str]:
    """Town of each location."""
    wanted = set(ids)
    if not wanted:
        return {}
    query = select(LocationFact.location_id, LocationFact.city).where(
        LocationFact.location_id.in_(wanted), LocationFact.valid_to.is_(None)
    )
    return {row.location_id: row.city or "" for row in session.execute(query)}


def named(decided: Decided, words: str) -> list[Candidate]:
    """Candidates of the decision whose name holds these words, the exact ones first."""
    key = sort_key(words)
    if not key:
        return []
    found = [
        c for c in decided.today.snapshot.candidates if c.id in decided.gates and key in sort_key(c.name)
    ]
    exact = [c for c in found if sort_key(c.name) == key]
    return exact or sorted(found, key=lambda c: (sort_key(c.name), c.id))

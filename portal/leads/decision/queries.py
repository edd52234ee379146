"""Reads decisions as they were written down, beside today's directory. Vendor's contexts only; a partner has its brief."""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, bindparam, select, text
from sqlalchemy.engine import Engine, Row

from portal.companies.models import Location
from portal.db import PortalSession, sort_key
from portal.events.models import Event
from portal.leads.models import Offer
from portal.routing.models import Decision as DecisionRow
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
    distance_m,
    explain,
    one_short,
)
from rules import Plan as Compiled

# Decisions whose near misses are kept: all gates of every location cost as much as a thousand routings.
NEAR_KEPT = 64
NAMES_KEPT = 4
MOST_NAMES = 1000


@dataclass(slots=True)
class Kept:
    """What a process keeps of one database. locations: realm -> (version, (id, added with)); near, nearest: (decision,
    version of the directory) -> near misses, and the refused ones that lie nearest; names: (realm, version of the
    directory, the decision's) -> names of those that were there."""

    locations: dict[int, tuple[int, list[tuple[int, int]]]] = field(default_factory=dict)
    near: OrderedDict[tuple[int, int], dict[int, str]] = field(default_factory=OrderedDict)
    nearest: OrderedDict[tuple[int, int], tuple[Candidate, ...]] = field(default_factory=OrderedDict)
    names: OrderedDict[tuple[int, int, int], tuple[str, ...]] = field(default_factory=OrderedDict)


_of_database: WeakKeyDictionary[Engine, Kept] = WeakKeyDictionary()


def _kept(session: PortalSession) -> Kept:
    return _of_database.setdefault(session.get_bind().engine, Kept())


@dataclass(frozen=True, slots=True)
class Decided:
    """A stored decision. gates: location id -> name of its first failing gate, '' could take it, 'excluded' was left
    out by the request; the stored bytes, never recomputed. `today` is the plan of now, for names and facts."""

    row: Row[Any]
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

    def stopped_at(self, gate: str) -> int:
        """How many locations' first failing gate is this one."""
        return list(self.gates.values()).count(gate)

    def metres(self, candidate: Candidate | None) -> int | None:
        """From a location to the customer; None when the place of either is not known."""
        place = self.request.place
        if candidate is None or None in (place.lat, place.lon, candidate.lat, candidate.lon):
            return None
        return distance_m(candidate.lat, candidate.lon, place.lat, place.lon)  # type: ignore[arg-type]

    def far(self, candidate: Candidate | None) -> int:
        """To sort by: as metres, further than anywhere when not known."""
        metres = self.metres(candidate)
        return 1 << 40 if metres is None else metres


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


_DECISION = DecisionRow.__table__
DECISION = select(_DECISION).where(
    _DECISION.c.id == bindparam("decision", type_=BigInteger),
    _DECISION.c.subject_type == "lead",
    _DECISION.c.subject_id == bindparam("lead", type_=BigInteger),
)
BODY = text(
    "select body from rule_sets where realm_id = :realm and subject_type = 'lead' and version = :version"
)
_OFFER = Offer.__table__
# By the lead as well: there is an index on that.
OFFER = select(_OFFER).where(
    _OFFER.c.lead_id == bindparam("lead", type_=BigInteger),
    _OFFER.c.decision_id == bindparam("decision", type_=BigInteger),
)


def load(
    session: PortalSession, lead_id: int, decision_id: int, latest: Mapping[Any, Any] | None = None
) -> Decided | None:
    """One decision of a lead; None when it is another lead's or nobody's. One statement where it was made by the rules
    of today and led to the lead's `latest` offer, three at most; the snapshot and the locations are kept."""
    asked = {"decision": decision_id, "lead": lead_id}
    row = session.read(DECISION, asked).first()
    if row is None:
        return None
    today = plan(session)
    rules = today.rules
    if row.rule_set_version != today.rule_set_version:
        version = {"realm": row.realm_id, "version": row.rule_set_version}
        rules = RuleSet.parse(session.read(BODY, version).scalar_one())
    version = row.directory_version
    known = [i for i, added in _locations(session, version) if added <= version]
    offer: Mapping[Any, Any] | None = latest
    if latest is None or latest["decision_id"] != row.id:
        offer = session.read(OFFER, asked).mappings().first()
    gates = dict(zip(known, map(GATE_NAMES.__getitem__, zlib.decompress(row.gates)), strict=False))
    return Decided(
        row,
        rules,
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


GATE_NAMES = {ELIGIBLE: "", EXCLUDED: "excluded"} | dict(enumerate(ALL_GATES, 1))
"""Stored gate bytes in words: '' for eligible."""


def near_misses(session: PortalSession, decided: Decided) -> Mapping[int, str]:
    """Locations that exactly one gate stopped, where the stored answer and today's facts agree on which."""
    kept, key = _kept(session).near, (decided.row.id, decided.today.version)
    near = kept.get(key)
    if near is None:
        found = one_short(decided.rules, decided.today.snapshot, decided.request, decided.state)
        near = {i: gate for i, gate in found.items() if decided.gates.get(i) == gate}
        _keep(kept, key, near, NEAR_KEPT)
    return near


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    kept[key] = value
    while len(kept) > most:
        kept.popitem(last=False)


def nearest(session: PortalSession, decided: Decided, most: int) -> tuple[Candidate, ...]:
    """The refused locations that lie nearest to the customer, as they are today; those without a place are left out."""
    kept, key = _kept(session).nearest, (decided.row.id, decided.today.version)
    found = kept.get(key)
    if found is None:
        placed = (
            c
            for c in decided.today.snapshot.candidates
            if c.lat is not None and c.lon is not None and decided.gates.get(c.id)
        )
        found = tuple(nsmallest(most, placed, key=lambda c: (decided.far(c), c.id)))
        _keep(kept, key, found, NEAR_KEPT)
    return found


def names(session: PortalSession, decided: Decided) -> tuple[str, ...]:
    """Names of the locations that were there when it was decided, by alphabet, as many as a page offers."""
    kept = _kept(session).names
    key = (session.context.realm_id, decided.today.version, decided.row.directory_version)
    found = kept.get(key)
    if found is None:
        there = {c.name for c in decided.today.snapshot.candidates if c.id in decided.gates}
        found = tuple(sorted(there)[:MOST_NAMES])
        _keep(kept, key, found, NAMES_KEPT)
    return found


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
    return {row.location_id: row.city or "" for row in session.read(TOWNS, {"ids": list(wanted)})}


TOWNS = text(
    "select location_id, city from location_facts where location_id = any(cast(:ids as bigint[])) and valid_to is null"
)


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

"""Reads decisions as they were written down, beside today's directory. Vendor's contexts only; a partner has its brief."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

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

    def engine(self) -> Reference:
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
    """One decision of a lead; None when it is another lead's or nobody's. Five statements, the snapshot is kept."""
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
    known = select(Location.id).where(
        Location.realm_id == row.realm_id, Location.added_version <= row.directory_version
    )
    ids = session.scalars(known.order_by(Location.id)).all()
    query = select(*Offer.__table__.c).where(Offer.decision_id == row.id)
    offer = session.execute(query).mappings().first()
    gates = {i: gate_name(byte) for i, byte in zip(ids, zlib.decompress(row.gates), strict=False)}
    return Decided(
        row,
        RuleSet.parse(body),
        Request.from_json(row.request),
        State.from_json(row.state),
        gates,
        offer,
        plan(session),
    )


def gate_name(byte: int) -> str:
    """A stored gate byte in words: '' for eligible."""
    if byte == ELIGIBLE:
        return ""
    return "excluded" if byte == EXCLUDED else ALL_GATES[byte - 1]


def near_misses(decided: Decided) -> dict[int, str]:
    """Locations that exactly one gate stopped, where the stored answer and today's facts agree on which."""
    found = one_short(decided.rules, decided.today.snapshot, decided.request, decided.state)
    return {i: gate for i, gate in found.items() if decided.gates.get(i) == gate}


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

"""The reference engine: who passes each gate, one gate after the other, in plain Python.

It is the specification an indexed engine is compared with, and what runs until there is one. What does not depend on
the request is prepared once per snapshot: who covers an area, who sells a line, who is certified on a day, each as a
set of positions. `gates.py` says the same once more, one candidate at a time and with reasons.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TypeVar

from .answers import Decision, Handling, Ranked, Shortlist, State
from .calendars import opens_within
from .case import Case
from .gates import covers, narrowed_by
from .model import (
    ALL_GATES,
    ELIGIBLE,
    EXCLUDED,
    RANKED_MOST,
    Candidate,
    Place,
    Request,
    Snapshot,
    Territory,
)
from .places import full_subdivision, plain_postal
from .precedence import Field, settle
from .ranking import rank
from .record import first_result_hash, result_hash
from .ruleset import RuleSet

_BYTE = {gate: index + 1 for index, gate in enumerate(ALL_GATES)}
_TERRITORY, _CERTIFIED, _AUTHORISED = _BYTE["territory"], _BYTE["certified"], _BYTE["authorised"]
_DAYS_KEPT = (
    4  # certification sets of so many days stay in memory: today's, and a few while a demo or a replay runs
)

Key = TypeVar("Key", bound=Hashable)
Area = tuple[str, ...]
Pair = tuple[str, str | None]


def area_of(territory: Territory) -> Area | None:
    """The key under which a place asks for this territory; None when it can match by no key (circles, half-filled)."""
    if territory.kind == "nationwide":
        return ("nationwide", territory.country or "")
    if territory.kind == "subdivision":
        code = full_subdivision(territory.code, territory.country)
        return ("subdivision", code) if code else None
    if territory.kind == "country":
        return ("country", territory.country) if territory.country else None
    prefix = plain_postal(territory.code)
    if territory.kind == "postal_prefix" and prefix and territory.country:
        return ("postal_prefix", territory.country, prefix)
    return None


def areas_at(place: Place) -> set[Area]:
    """Every key that covers the place."""
    areas: set[Area] = {("nationwide", "")}
    subdivision = full_subdivision(place.subdivision, place.country)
    if subdivision:
        areas.add(("subdivision", subdivision))
    if place.country:
        postal = plain_postal(place.postal)
        areas |= {("nationwide", place.country), ("country", place.country)}
        areas |= {("postal_prefix", place.country, postal[:end]) for end in range(1, len(postal) + 1)}
    return areas


def _at_rest(candidate: Candidate) -> int:
    """The byte of a candidate that no area covers: the first static gate it fails whatever is asked."""
    if not candidate.active:
        return _BYTE["active"]
    return _TERRITORY if candidate.agreement_accepted else _BYTE["agreement"]


Positions = frozenset[int]


def _group(pairs: Iterable[tuple[Key, int]]) -> dict[Key, Positions]:
    found: dict[Key, set[int]] = {}
    for key, position in pairs:
        found.setdefault(key, set()).add(position)
    return {key: frozenset(positions) for key, positions in found.items()}


@dataclass(frozen=True, slots=True)
class _Shortlist:
    """Positions in the snapshot, their ids, and one byte per candidate as in `Engine.gates`."""

    positions: tuple[int, ...]
    ids: tuple[int, ...]
    gates: bytes


class Reference:
    """One rule set over one snapshot. Safe to share between threads: what it keeps only grows by whole values."""

    def __init__(self, ruleset: RuleSet, snapshot: Snapshot) -> None:
        self.ruleset, self.snapshot = ruleset, snapshot
        self._rest = bytes(_at_rest(candidate) for candidate in snapshot.candidates)
        # Who can be covered at all: the active who have accepted the agreement.
        able = [(n, c) for n, c in enumerate(snapshot.candidates) if self._rest[n] == _TERRITORY]
        self._areas = _group((area, n) for n, c in able for one in c.territories if (area := area_of(one)))
        self._circles = [(n, one) for n, c in able for one in c.territories if one.kind == "circle"]
        self._lines = _group((line, n) for n, c in able for line in c.product_lines)
        # Many locations share a calendar; each different one is asked once per decision.
        numbers: dict[object, int] = {}
        self._calendars = [numbers.setdefault(one.calendar, len(numbers)) for one in snapshot.candidates]
        self._held: dict[date, dict[Pair, Positions]] = {}
        self._counted = ruleset.gates_used

    def _held_on(self, day: date) -> dict[Pair, Positions]:
        """Who is certified that day, by (programme, line or None for all)."""
        held = self._held.get(day)
        if held is None:
            held = _group(
                ((one.programme, one.product_line), n)
                for n, c in enumerate(self.snapshot.candidates)
                for one in c.certifications
                if one.valid_on(day)
            )
            kept = list(self._held.items())[-(_DAYS_KEPT - 1) :]
            self._held = {**dict(kept), day: held}
        return held

    def shortlist(self, request: Request) -> _Shortlist:
        """Who passes the gates that need no state: active, agreement, territory, certified, authorised."""
        place = request.place
        covered = set().union(*(self._areas.get(area, ()) for area in areas_at(place)))
        covered.update(n for n, circle in self._circles if n not in covered and covers(circle, place))
        gates = bytearray(self._rest)
        for position in covered:
            gates[position] = _CERTIFIED
        for programme in request.certifications:
            covered &= _certified(self._held_on(request.day), programme, request.product_lines)
        for position in covered:
            gates[position] = _AUTHORISED
        for line in request.product_lines:
            covered &= self._lines.get(line, frozenset())
        for position in covered:
            gates[position] = ELIGIBLE
        for candidate_id in request.excluded:
            stranger = self.snapshot.position(candidate_id)
            if stranger is not None:
                gates[stranger] = EXCLUDED
                covered.discard(stranger)
        positions = tuple(sorted(covered))
        candidates = self.snapshot.candidates
        return _Shortlist(positions, tuple(candidates[position].id for position in positions), bytes(gates))

    def _judge(self, request: Request, shortlist: _Shortlist, state: State) -> tuple[bytearray, Case, Field]:
        """The gates that need state, then the rows, then who may have it: one byte per candidate, and the field."""
        case = Case.of(self.ruleset, self.snapshot, request, state)
        gates = bytearray(shortlist.gates)
        able = self._able(case, shortlist, gates)
        left = [one for position, one in able if not self._refused(case, position, one, gates)]
        field = settle(case, self.snapshot.candidates, [one for _, one in able], left)
        case = replace(case, handling=replace(field.handling, undecided=case.undecided))
        self._mark(case, gates, able, field)
        return gates, replace(case, handling=self._handling(case, field)), field

    def _own(self, request: Request, shortlist: Shortlist) -> _Shortlist:
        return shortlist if isinstance(shortlist, _Shortlist) else self.shortlist(request)

    def gates(self, request: Request, shortlist: Shortlist, state: State) -> bytes:
        """The first gate that stops each candidate."""
        return bytes(self._judge(request, self._own(request, shortlist), state)[0])

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision:
        """The gates that need state, the rows, who may have it of those who are left, and their ranking."""
        gates, case, field = self._judge(request, self._own(request, shortlist), state)
        ranking = rank(case, field.eligible)
        handling = self._for_first(case, field, ranking.ranked)
        ranked, counts = ranking.ranked[:RANKED_MOST], self._counts(gates)
        hashed = result_hash(
            self.ruleset.hash, self.snapshot.version, counts, ranked, ranking.credits, handling
        )
        return Decision(ranked, len(field.eligible), counts, ranking.credits, hashed, handling)

    def first_hash(self, request: Request, state: State) -> str:
        """The hash that the first form of stored decisions carries: over everybody's gate and everybody ranked."""
        gates, case, field = self._judge(request, self.shortlist(request), state)
        ranking = rank(case, field.eligible)
        return first_result_hash(ranking.ranked, bytes(gates), self._counts(gates), ranking.credits)

    def _able(self, case: Case, shortlist: _Shortlist, gates: bytearray) -> list[tuple[int, Candidate]]:
        """Those with free capacity who open in time; the bytes of the others are set."""
        opens: dict[tuple[int, int], bool] = {}
        able = []
        for position in shortlist.positions:
            candidate = self.snapshot.candidates[position]
            if case.load(candidate) >= candidate.capacity:
                gates[position] = _BYTE["capacity"]
                continue
            cap = case.offer_to(candidate).cap_minutes
            key = (self._calendars[position], cap)
            if key not in opens:
                opens[key] = opens_within(candidate.calendar, case.request.as_of, cap)
            if opens[key]:
                able.append((position, candidate))
            else:
                gates[position] = _BYTE["opens"]
        return able

    def _refused(self, case: Case, position: int, candidate: Candidate, gates: bytearray) -> bool:
        """Whether an exclude, a require or a cap stops the candidate; its byte is set."""
        gate = None
        if case.first("exclude", candidate):
            gate = "excludes"
        elif not all(case.meets(row, candidate) for row in case.in_force("require")):
            gate = "requires"
        elif any(
            case.state.taken.get(row.id, {}).get(candidate.id, 0) >= row.terms.most
            for row in case.in_force("cap")
            if case.meets(row, candidate)
        ):
            gate = "cap"
        if gate is not None:
            gates[position] = _BYTE[gate]
        return gate is not None

    def _mark(
        self, case: Case, gates: bytearray, able: Sequence[tuple[int, Candidate]], field: Field
    ) -> None:
        """The bytes of those from whom a claim, a row or a fallback took it, or to whom a fallback gave it."""
        if not self.ruleset.narrows:
            return
        eligible = {one.id for one in field.eligible}
        for position, candidate in able:
            if candidate.id in eligible:
                gates[position] = ELIGIBLE
            elif gates[position] == ELIGIBLE:
                gate = narrowed_by(case, candidate)
                assert gate is not None, "whoever is not left was stopped by something"
                gates[position] = _BYTE[gate]

    def _handling(self, case: Case, field: Field) -> Handling:
        """To how many it is offered at once."""
        row = next(iter(case.in_force("parallel_offers")), None)
        if row is None or not field.eligible:
            return case.handling
        return replace(case.handling, parallel=min(row.terms.most, len(field.eligible)))

    def _for_first(self, case: Case, field: Field, ranked: tuple[Ranked, ...]) -> Handling:
        """What depends on who is first: deadline, co-selling rep, and the resellers of a distributor, best first."""
        handling = case.handling
        if not ranked:
            return handling
        first = next(one for one in field.eligible if one.id == ranked[0].id)
        deadline, co_sell = case.first("deadline", first), case.first("co_sell", first)
        if deadline is not None:
            handling = replace(handling, deadline=deadline.id)
        if co_sell is not None:
            handling = replace(handling, co_sell=co_sell.id, rep=co_sell.terms.rep)
        if handling.via is not None and handling.fallback is None:
            supplied = [one for one in field.resellers if one.company_id in first.distributor_of]
            handling = replace(handling, onward=tuple(one.id for one in rank(case, supplied).ranked))
        return handling

    def _counts(self, gates: bytearray) -> tuple[tuple[str, int], ...]:
        """How many are left after each gate, the excluded not counted; row gates only where there are such rows."""
        left = len(gates) - gates.count(EXCLUDED)
        counts = []
        for gate in self._counted:
            left -= gates.count(_BYTE[gate])
            counts.append((gate, left))
        return tuple(counts)


def _certified(held: Mapping[Pair, Positions], programme: str, lines: tuple[str, ...]) -> Positions:
    """Who holds the programme for every line, or for any line at all when the request names none."""
    if not lines:
        return frozenset().union(*(found for (name, _line), found in held.items() if name == programme))
    nobody: Positions = frozenset()
    first, *others = (held.get((programme, line), nobody) for line in lines)
    return held.get((programme, None), nobody) | first.intersection(*others)


def decide(ruleset: RuleSet, snapshot: Snapshot, request: Request, state: State) -> Decision:
    """One decision without keeping an engine: for tests, examples and replay."""
    engine = Reference(ruleset, snapshot)
    return engine.decide(request, engine.shortlist(request), state)

"""The reference engine: who passes each gate, one gate after the other, in plain Python.

It is the specification an indexed engine is compared with, and what runs until there is one. What does not depend on
the request is prepared once per snapshot: who covers an area, who sells a line, who is certified on a day, each as a
set of positions. `gates.py` says the same once more, one candidate at a time and with reasons.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeVar

from .answers import Decision, Shortlist, State
from .case import Case
from .gates import covers
from .judging import BYTE, Judged, conclude, judge
from .model import (
    ELIGIBLE,
    EXCLUDED,
    Candidate,
    Place,
    Request,
    Snapshot,
    Territory,
)
from .places import full_subdivision, plain_postal
from .ranking import rank
from .record import first_result_hash
from .ruleset import RuleSet

_TERRITORY, _CERTIFIED, _AUTHORISED = BYTE["territory"], BYTE["certified"], BYTE["authorised"]
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
        return BYTE["active"]
    return _TERRITORY if candidate.agreement_accepted else BYTE["agreement"]


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

    def _judge(self, request: Request, shortlist: _Shortlist, state: State) -> Judged:
        case = Case.of(self.ruleset, self.snapshot, request, state)
        candidates = [self.snapshot.candidates[position] for position in shortlist.positions]
        calendars = [self._calendars[position] for position in shortlist.positions]
        return judge(case, candidates, calendars, self.snapshot.candidates)

    def _gates(self, shortlist: _Shortlist, judged: Judged) -> bytes:
        """One byte per candidate of the snapshot."""
        gates = bytearray(shortlist.gates)
        for position, gate in zip(shortlist.positions, judged.gates, strict=True):
            gates[position] = gate
        return bytes(gates)

    def _own(self, request: Request, shortlist: Shortlist) -> _Shortlist:
        return shortlist if isinstance(shortlist, _Shortlist) else self.shortlist(request)

    def gates(self, request: Request, shortlist: Shortlist, state: State) -> bytes:
        """The first gate that stops each candidate."""
        own = self._own(request, shortlist)
        return self._gates(own, self._judge(request, own, state))

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision:
        """The gates that need state, the rows, who may have it of those who are left, and their ranking."""
        own = self._own(request, shortlist)
        judged = self._judge(request, own, state)
        return conclude(self.snapshot.version, judged, self._counts(self._gates(own, judged)))

    def first_hash(self, request: Request, state: State) -> str:
        """The hash that the first form of stored decisions carries: over everybody's gate and everybody ranked."""
        own = self.shortlist(request)
        judged = self._judge(request, own, state)
        ranking, gates = rank(judged.case, judged.field.eligible), self._gates(own, judged)
        return first_result_hash(ranking.ranked, gates, self._counts(gates), ranking.credits)

    def _counts(self, gates: bytes) -> tuple[tuple[str, int], ...]:
        """How many are left after each gate, the excluded not counted; row gates only where there are such rows."""
        left = len(gates) - gates.count(EXCLUDED)
        counts = []
        for gate in self._counted:
            left -= gates.count(BYTE[gate])
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

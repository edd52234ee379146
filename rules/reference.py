"""The reference engine: every candidate through every gate, one after the other, in plain Python.

It is the specification an indexed engine is compared with, and what runs until there is one. What does not depend on
the request is prepared once per snapshot: the territories as a set of keys, the certifications valid on a day as
a set of pairs. `gates.py` says the same once more, one candidate at a time and with reasons.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

from .calendars import opens_within
from .canonical import digest
from .gates import covers, rows_in_force
from .model import (
    ALL_GATES,
    ELIGIBLE,
    EXCLUDED,
    GATES,
    Candidate,
    Decision,
    Place,
    Ranked,
    Request,
    Shortlist,
    Snapshot,
    State,
    Territory,
)
from .ranking import rank
from .rows import full_subdivision, plain_postal
from .ruleset import RuleSet

_BYTE = {gate: index + 1 for index, gate in enumerate(ALL_GATES)}
_TERRITORY, _CERTIFIED, _AUTHORISED = _BYTE["territory"], _BYTE["certified"], _BYTE["authorised"]
_DAYS_KEPT = (
    4  # certification sets of so many days stay in memory: today's, and a few while a demo or a replay runs
)

Area = tuple[str, ...]
Pair = tuple[str, str | None]


def _area(territory: Territory) -> Area | None:
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


def _areas(place: Place) -> set[Area]:
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


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A candidate with what its static gates need: the byte it starts with, its areas and circles, its lines."""

    start: int
    areas: frozenset[Area]
    circles: tuple[Territory, ...]
    lines: frozenset[str]


def _prepare(candidate: Candidate) -> _Prepared:
    start = ELIGIBLE
    if not candidate.agreement_accepted:
        start = _BYTE["agreement"]
    if not candidate.active:
        start = _BYTE["active"]
    areas = frozenset(area for one in candidate.territories if (area := _area(one)))
    circles = tuple(one for one in candidate.territories if one.kind == "circle")
    return _Prepared(start, areas, circles, candidate.product_lines)


class Reference:
    """One rule set over one snapshot. Safe to share between threads: what it keeps only grows by whole values."""

    def __init__(self, ruleset: RuleSet, snapshot: Snapshot) -> None:
        self.ruleset, self.snapshot = ruleset, snapshot
        self._prepared = [_prepare(candidate) for candidate in snapshot.candidates]
        # Many locations share a calendar; each different one is asked once per decision.
        numbers: dict[object, int] = {}
        self._calendars = [numbers.setdefault(one.calendar, len(numbers)) for one in snapshot.candidates]
        self._held: dict[date, list[frozenset[Pair]]] = {}
        effects = {row.effect for row in ruleset.rules}
        self._counted = GATES + tuple(
            gate for gate, effect in (("excludes", "exclude"), ("requires", "require")) if effect in effects
        )

    def _held_on(self, day: date) -> list[frozenset[Pair]]:
        """Per candidate, the (programme, line or None for all) pairs certified that day."""
        held = self._held.get(day)
        if held is None:
            held = [
                frozenset((one.programme, one.product_line) for one in c.certifications if one.valid_on(day))
                for c in self.snapshot.candidates
            ]
            kept = list(self._held.items())[-(_DAYS_KEPT - 1) :]
            self._held = {**dict(kept), day: held}
        return held

    def shortlist(self, request: Request) -> Shortlist:
        """Who passes the gates that need no state: active, agreement, territory, certified, authorised."""
        areas, place = _areas(request.place), request.place
        programmes, needed = request.certifications, frozenset(request.product_lines)
        held_on = self._held_on(request.day) if programmes else []
        gates = bytearray(len(self._prepared))
        for position, prepared in enumerate(self._prepared):
            byte = prepared.start
            if not byte:
                if prepared.areas.isdisjoint(areas) and not any(
                    covers(one, place) for one in prepared.circles
                ):
                    byte = _TERRITORY
                elif programmes and not _holds(held_on[position], programmes, request.product_lines):
                    byte = _CERTIFIED
                elif not needed <= prepared.lines:
                    byte = _AUTHORISED
            gates[position] = byte
        for candidate_id in request.excluded:
            stranger = self.snapshot.position(candidate_id)
            if stranger is not None:
                gates[stranger] = EXCLUDED
        positions = tuple(position for position, byte in enumerate(gates) if not byte)
        candidates = self.snapshot.candidates
        return Shortlist(positions, tuple(candidates[position].id for position in positions), bytes(gates))

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision:
        """The gates that need state, the rows, and the ranking of everybody who is left."""
        gates = bytearray(shortlist.gates)
        excludes = rows_in_force(self.ruleset, request, "exclude")
        requires = rows_in_force(self.ruleset, request, "require")
        opens: dict[int, bool] = {}
        eligible: list[Candidate] = []
        for position in shortlist.positions:
            candidate, calendar = self.snapshot.candidates[position], self._calendars[position]
            if calendar not in opens:
                cap = self.ruleset.offer.cap_minutes
                opens[calendar] = opens_within(candidate.calendar, request.as_of, cap)
            if state.load.get(candidate.id, 0) >= candidate.capacity:
                gates[position] = _BYTE["capacity"]
            elif not opens[calendar]:
                gates[position] = _BYTE["opens"]
            elif any(row.meets(candidate, request.day) for row in excludes):
                gates[position] = _BYTE["excludes"]
            elif not all(row.meets(candidate, request.day) for row in requires):
                gates[position] = _BYTE["requires"]
            else:
                eligible.append(candidate)
        ranking = rank(self.ruleset, request, eligible, state)
        counts = self._counts(gates)
        return Decision(
            ranking.ranked,
            bytes(gates),
            counts,
            ranking.credits,
            result_hash(ranking.ranked, bytes(gates), counts, ranking.credits),
        )

    def _counts(self, gates: bytearray) -> tuple[tuple[str, int], ...]:
        """How many are left after each gate, the excluded not counted; row gates only where there are such rows."""
        stopped = Counter(gates)
        left = len(gates) - stopped[EXCLUDED]
        counts = []
        for gate in self._counted:
            left -= stopped[_BYTE[gate]]
            counts.append((gate, left))
        return tuple(counts)


def _holds(held: frozenset[Pair], programmes: tuple[str, ...], lines: tuple[str, ...]) -> bool:
    """Every programme for every line, or for any line at all when the request names none."""
    for programme in programmes:
        if (programme, None) in held:
            continue
        if not lines:
            if all(programme != one for one, _line in held):
                return False
        elif not all((programme, line) in held for line in lines):
            return False
    return True


def result_hash(
    ranked: tuple[Ranked, ...], gates: bytes, counts: tuple[tuple[str, int], ...], credits: dict[int, int]
) -> str:
    """SHA-256 of the canonical JSON of everything a decision says; ids as strings, gates as hex."""
    return digest(
        {
            "ranked": [[str(one.id), one.score, one.terms, one.distance_m] for one in ranked],
            "gates": gates.hex(),
            "counts": counts,
            "credits": {str(i): credits[i] for i in sorted(credits)},
        }
    )


def decide(ruleset: RuleSet, snapshot: Snapshot, request: Request, state: State) -> Decision:
    """One decision without keeping an engine: for tests, examples and replay."""
    engine = Reference(ruleset, snapshot)
    return engine.decide(request, engine.shortlist(request), state)

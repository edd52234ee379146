"""Ranking in columns: the same integers as `ranking.rank`, for all the eligible at once, written down for the best.

Numbers that do not fit 64-bit integers are refused here and left to `rank`, which has no such bound.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, radians
from typing import overload

import numpy as np
from numpy.typing import NDArray

from ..answers import Ranked, State
from ..geo import EARTH_RADIUS_M, between_m, distance_m
from ..model import CREDIT_ONE, RANKED_MOST, Candidate, Request
from ..ranking import CREDIT_LIMIT, POINT, bounded, distance_score, fairness_score, tie_break
from ..record import NO_DISTANCE
from ..ruleset import RuleSet
from .bits import Slots
from .facts import Columns

Integers = NDArray[np.int64]
_MOST_CREDIT = 1 << 62
_MOST_WEIGHT = 1 << 30  # sum of capacities of which a share of CREDIT_ONE still fits
_FAR_M = 19_000_000  # beyond it a last bit of the sine is metres
_NEAR_HALF = 1e-3  # metres: nearer than that to a half, `distance_m` does the rounding
TERMS = ("level", "distance", "capacity", "fairness", "boost")
_NOWHERE = 1 << 62  # sorts after every distance
_ROW = np.dtype("<i8")
_HALF_DEGREE = pi / 360  # radians
_NOT_FAIR = 3  # terms before fairness


class TooLarge(Exception):
    """A number that 64 bits might not hold."""


class RankedRows(Sequence[Ranked]):
    """The best as rows of integers (id, score, metres, terms); each becomes a `Ranked` when it is looked at."""

    __slots__ = ("_rows", "_terms")

    def __init__(self, rows: Integers, terms: tuple[str, ...]) -> None:
        self._rows, self._terms = rows, terms

    @overload
    def __getitem__(self, index: int) -> Ranked: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Ranked, ...]: ...
    def __getitem__(self, index: int | slice) -> Ranked | tuple[Ranked, ...]:
        if isinstance(index, slice):
            return tuple(map(self._ranked, self._rows[index].tolist()))
        return self._ranked(self._rows[index].tolist())

    def _ranked(self, row: list[int]) -> Ranked:
        terms = tuple(zip(self._terms, row[3:], strict=True))
        return Ranked(row[0], row[1], terms, None if row[2] == NO_DISTANCE else row[2])

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Ranked]:
        return map(self._ranked, self._rows.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


@dataclass(frozen=True, slots=True)
class Outcome:
    """`rows` of the best; `running` and `credits` of those in the running, by id."""

    rows: Integers
    terms: tuple[str, ...]
    running: Integers
    credits: Integers


def distances(columns: Columns, slots: Slots, lat: float, lon: float) -> Integers:
    """Whole metres as `distance_m` gives them, NO_DISTANCE where a candidate has no coordinates."""
    phi = columns.phi[slots]
    here = radians(lat)
    half_lat = np.sin((here - phi) / 2)
    half_lon = np.sin((lon - columns.longitude[slots]) * _HALF_DEGREE)
    square = half_lat * half_lat + columns.cos_phi[slots] * cos(here) * half_lon * half_lon
    exact = 2 * EARTH_RADIUS_M * np.arcsin(np.sqrt(np.minimum(square, 1.0)))
    metres = np.rint(exact)
    near = np.abs(exact - metres) > 0.5 - _NEAR_HALF
    near |= exact > _FAR_M
    for n in near.nonzero()[0].tolist():
        slot = int(slots[n])
        metres[n] = distance_m(float(columns.latitude[slot]), float(columns.longitude[slot]), lat, lon)
    if not columns.somewhere:
        metres[np.isnan(metres)] = NO_DISTANCE
    whole: Integers = metres.astype(np.int64)
    return whole


def scored(
    ruleset: RuleSet,
    columns: Columns,
    request: Request,
    slots: Slots,
    load: Integers,
    boost: Integers | None,
    state: State,
) -> Outcome:
    """Rank the candidates in `slots` (at least one), all taken as eligible."""
    score, place = ruleset.score, request.place
    capacity = columns.capacity[slots]
    terms = [columns.level[slots], np.zeros(len(slots), np.int64)]
    if place.lat is None or place.lon is None:
        metres = np.full(len(slots), NO_DISTANCE, np.int64)
    else:
        metres = distances(columns, slots, place.lat, place.lon)
        term = score.distance
        full, zero = term.full_km * 1000, term.zero_km * 1000
        within = np.minimum(np.maximum(zero - metres, 0), zero - full)
        if not columns.somewhere:
            within[metres == NO_DISTANCE] = 0
        terms[1] = term.weight * POINT * within // (zero - full)
    terms.append(score.capacity.weight * POINT * (capacity - load) // capacity)
    if boost is not None:
        terms.append(boost)
    base = terms[0] + terms[1]
    for term_ in terms[2:]:
        base += term_
    most = score.fairness.weight * POINT
    ids = columns.ids[slots]
    by_id, running, shares = _shares(ruleset, ids, capacity, base >= np.maximum.reduce(base) - most)
    credit = _credits(state, ids)
    held = credit[running] + shares
    credit[running] = held
    fairness = most * (_cut(credit, CREDIT_ONE) + CREDIT_ONE) // (2 * CREDIT_ONE)
    total = base + fairness
    terms.insert(_NOT_FAIR, fairness)
    best = _order(request.seed, ids, total, credit, metres)[:RANKED_MOST]
    rows = np.array((ids, total, metres, *terms), _ROW).T[best]
    stored = _cut(held, CREDIT_LIMIT)
    first = bisect_left(by_id, rows[0, 0])
    stored[first] = max(int(stored[first]) - CREDIT_ONE, -CREDIT_LIMIT)
    return Outcome(rows, TERMS[: len(terms)], by_id, stored)


@dataclass(slots=True)
class Contender:
    """One of a few: its slot's candidate, the level's term, open leads, and points won, if there are such rows."""

    candidate: Candidate
    level: int
    load: int
    boost: int | None


def scored_few(ruleset: RuleSet, request: Request, few: Sequence[Contender], state: State) -> Outcome:
    """`scored` for a few candidates in id order, one by one: quicker than columns of three."""
    score, place = ruleset.score, request.place
    lat, lon = place.lat, place.lon
    based = []
    for one in few:
        candidate = one.candidate
        metres = between_m(candidate.lat, candidate.lon, lat, lon)
        capacity = candidate.capacity
        free = score.capacity.weight * POINT * (capacity - one.load) // capacity
        distance = distance_score(score.distance, metres)
        base = one.level + distance + free + (one.boost or 0)
        based.append((base, candidate.id, metres, (one.level, distance, free), one.boost, capacity))
    floor = max(based)[0] - score.fairness.weight * POINT
    running = [entry[1] for entry in based if entry[0] >= floor]
    by_capacity = score.fairness.share == "capacity"
    weights = [max(1, entry[5]) if by_capacity else 1 for entry in based if entry[0] >= floor]
    total, before, credits = sum(weights), 0, dict[int, int]()
    known = state.credit
    for own, weight in zip(running, weights, strict=True):
        after = before + weight
        credits[own] = known.get(own, 0) + CREDIT_ONE * after // total - CREDIT_ONE * before // total
        before = after
    keyed = []
    for base, own, metres, terms, boost, _capacity in based:
        credit = credits[own] if own in credits else known.get(own, 0)
        fairness = fairness_score(score.fairness.weight, credit)
        row = (own, base + fairness, NO_DISTANCE if metres is None else metres, *terms, fairness)
        far = _NOWHERE if metres is None else metres
        keyed.append((-row[1], -credit, far, own, row if boost is None else (*row, boost)))
    keyed.sort()
    if any(one[:3] == other[:3] for one, other in pairwise(keyed)):
        keyed.sort(key=lambda one: (*one[:3], tie_break(request.seed, one[3])))
    rows = np.array([one[4] for one in keyed[:RANKED_MOST]], _ROW)
    stored = [bounded(credits[own]) for own in running]
    first = running.index(keyed[0][3])
    stored[first] = bounded(stored[first] - CREDIT_ONE)
    names = TERMS if few[0].boost is not None else TERMS[:-1]
    return Outcome(rows, names, np.array(running, _ROW), np.array(stored, _ROW))


def _cut(numbers: Integers, bound: int) -> Integers:
    """Cut to [-bound, bound]; np.clip takes ten times as long over a few numbers."""
    return np.minimum(np.maximum(numbers, -bound), bound)


def _shares(
    ruleset: RuleSet, every: Integers, capacity: Integers, in_running: NDArray[np.bool_]
) -> tuple[Integers, Slots, Integers]:
    """Ids in the running, rising, where they stand in `slots`, and their parts of one turn."""
    running = in_running.nonzero()[0]
    ids = every[running]
    by_id = ids.argsort()
    running, ids = running[by_id], ids[by_id]
    if ruleset.score.fairness.share == "capacity":
        ends = np.maximum(capacity[running], 1).cumsum()
        if not 0 < ends[-1] < _MOST_WEIGHT:
            raise TooLarge
    else:
        ends = np.arange(1, len(running) + 1)
    parts = CREDIT_ONE * ends // int(ends[-1])
    parts[1:] -= parts[:-1].copy()
    return ids, running, parts


def _credits(state: State, ids: Integers) -> Integers:
    known = state.credit
    if not known:
        return np.zeros(len(ids), np.int64)
    found = [known.get(one, 0) for one in ids.tolist()]
    if max(found) > _MOST_CREDIT or min(found) < -_MOST_CREDIT:
        raise TooLarge
    return np.array(found, np.int64)


def _order(seed: int, ids: Integers, total: Integers, credit: Integers, metres: Integers) -> Slots:
    """The best first: by score, credit, distance, then the seeded hash among those whom these leave equal."""
    if len(total) > 4 * RANKED_MOST:
        least = np.partition(total, len(total) - RANKED_MOST)[len(total) - RANKED_MOST]
        among = (total >= least).nonzero()[0]
        best: Slots = among[_order_all(seed, ids[among], total[among], credit[among], metres[among])]
        return best
    return _order_all(seed, ids, total, credit, metres)


def _order_all(seed: int, ids: Integers, total: Integers, credit: Integers, metres: Integers) -> Slots:
    far = metres.view(np.uint64)  # so that NO_DISTANCE sorts after every distance
    order: Slots = np.lexsort((far, -credit, -total))
    sorted_ = total[order]
    equal = sorted_[1:] == sorted_[:-1]
    if np.logical_or.reduce(equal):
        for key in (credit[order], far[order]):
            equal &= key[1:] == key[:-1]
        starts = np.concatenate(((True,), ~equal)).nonzero()[0].tolist()
        for start, end in zip(starts, (*starts[1:], len(order)), strict=True):
            if start >= RANKED_MOST:
                break
            if end - start > 1:
                run = sorted(
                    (tie_break(seed, int(ids[at])), int(ids[at]), at) for at in order[start:end].tolist()
                )
                order[start:end] = [at for _hash, _id, at in run]
    return order

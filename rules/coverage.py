"""Where a channel is thin: for each place and product line how many could take a request, today and when certificates end.

A cell is a request of which only the place and the line are known, with the programmes its line needs. Qualified is who
passes every gate before the state (active, agreement, territory, certified, authorised) and every row for it; capacity
and hours, which change by the minute, are not looked at. Territories smaller than the place (a postal area, a circle)
count when they cover the place as it is given; who might cover another part of it is counted apart, as `partly`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from .axes import WHO, Asked
from .cells import OneOf
from .gates import certified
from .model import Candidate, Place, Request, Snapshot
from .places import full_subdivision
from .plan.territory import Circles
from .plan.when import WhenIndex
from .reference import area_of, areas_at
from .rows import Row
from .ruleset import RuleSet
from .verify.axes import bits
from .verify.people import People, bitmap

AHEAD = (30, 60, 90)  # days from today that are looked at besides
MOST_LEAVING = 10  # named per gap


@dataclass(frozen=True, slots=True)
class Leaving:
    """Who is qualified today and no more on the day of the gap; the certificate that ends, where that is why."""

    candidate_id: int
    programme: str | None
    product_line: str | None
    expires: date | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A cell with fewer qualified than wanted on `day`, the first such day of those looked at.

    `qualified` is per day looked at. `name` stays the same while the gap is of today, or while it is to come.
    """

    place: Place
    line: str
    day: date
    qualified: tuple[int, ...]
    partly: int
    leaving: tuple[Leaving, ...]
    name: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """`qualified` has the shape (days, places, lines); `gaps` in the order of places and lines."""

    days: tuple[date, ...]
    qualified: NDArray[np.int32]
    gaps: tuple[Gap, ...]


def coverage(
    ruleset: RuleSet,
    snapshot: Snapshot,
    places: Sequence[Place],
    lines: Sequence[str],
    today: date,
    least: int,
    ahead: Sequence[int] = AHEAD,
    needs: Mapping[str, Sequence[str]] | None = None,
) -> Coverage:
    """Count every place with every line, and name the cells with fewer than `least`; `needs`: programmes by line."""
    days = (today, *(today + timedelta(days=more) for more in ahead))
    grid = _Grid(ruleset, snapshot, places, lines, needs or {})
    views = [grid.on(day) for day in days]
    counts = np.array([view.counts() for view in views], np.int32).reshape(len(days), len(places), len(lines))
    gaps = []
    for at, place in enumerate(places):
        for column, line in enumerate(lines):
            qualified = tuple(counts[:, at, column].tolist())
            if min(qualified) < least:
                first = next(n for n, count in enumerate(qualified) if count < least)
                leaving = grid.leaving(views[0], views[first], at, column) if first else ()
                named = _name(place, line, "coming" if first else "now")
                partly = (grid.partly(place) & ~grid.covering[at] & views[first].able(column)).bit_count()
                gaps.append(Gap(place, line, days[first], qualified, partly, leaving, named))
    return Coverage(days, counts, tuple(gaps))


def _name(place: Place, line: str, when: str) -> str:
    region = full_subdivision(place.subdivision, place.country) or ""
    return f"coverage_gap:{when}:{place.country or ''}/{region}/{place.postal or ''}/{line}"


class _Grid:
    """What does not depend on the day. Positions are those of the able: active, agreement accepted."""

    def __init__(
        self,
        ruleset: RuleSet,
        snapshot: Snapshot,
        places: Sequence[Place],
        lines: Sequence[str],
        needs: Mapping[str, Sequence[str]],
    ) -> None:
        self.snapshot, self.places, self.lines = snapshot, places, lines
        self.needs = [tuple(needs.get(line, ())) for line in lines]
        # Of a request whose other facts are unknown no cell on them holds.
        asked = {"country", "subdivision", "postal_prefix", "inside", "product_lines"}
        self.rows = [
            row
            for row in ruleset.rules
            if row.effect in ("require", "exclude") and all(cell.axis in asked for cell in row.when)
        ]
        self.able = [one for one in snapshot.candidates if one.active and one.agreement_accepted]
        self.sells = self._selling()
        self.covering = self._covering()
        self._by_place = WhenIndex([self._only(row, False) for row in self.rows])
        self._by_line = WhenIndex([self._only(row, True) for row in self.rows])
        self._partly: dict[str | None, int] = {}

    @staticmethod
    def _only(row: Row, lines: bool) -> Row:
        return replace(row, when=tuple(cell for cell in row.when if (cell.axis == "product_lines") is lines))

    def _selling(self) -> list[int]:
        lists: dict[str, list[int]] = {}
        for position, one in enumerate(self.able):
            for line in one.product_lines:
                lists.setdefault(line, []).append(position)
        return [bitmap(lists.get(line, ()), len(self.able)) for line in self.lines]

    def _covering(self) -> list[int]:
        """Who covers each place."""
        areas: dict[tuple[str, ...], list[int]] = {}
        circles = []
        for position, one in enumerate(self.able):
            for territory in one.territories:
                if territory.kind == "circle":
                    circles.append((position, territory))
                elif area := area_of(territory):
                    areas.setdefault(area, []).append(position)
        grid = Circles(circles)
        found = []
        for place in self.places:
            positions = {n for area in areas_at(place) for n in areas.get(area, ())}
            found.append(bitmap({*positions, *grid.covering(place)}, len(self.able)))
        return found

    def partly(self, place: Place) -> int:
        """Who has a postal area in the place's country, or stands there and works in a circle."""
        if place.country not in self._partly:
            self._partly[place.country] = bitmap(
                (n for n, one in enumerate(self.able) if _works_within(one, place.country)), len(self.able)
            )
        return self._partly[place.country]

    def request(self, at: int, column: int | None, day: date) -> Request:
        lines = () if column is None else (self.lines[column],)
        programmes = () if column is None else self.needs[column]
        noon = datetime.combine(day, time(12), UTC)
        place = self.places[at] if at >= 0 else Place()
        return Request(0, place, lines, programmes, None, None, None, None, None, noon, 0)

    def on(self, day: date) -> _View:
        """The view of one day."""
        return _View(self, day)

    def in_force(self, day: date) -> tuple[list[int], list[int]]:
        """The rows that hold as far as the place goes, and as far as the line goes."""
        rates = self.snapshot.rates
        at_place = [
            self._by_place.rows(Asked(self.request(at, None, day), rates)) for at in range(len(self.places))
        ]
        of_line = [self._by_line.rows(Asked(self.request(-1, n, day), rates)) for n in range(len(self.lines))]
        return at_place, of_line

    def leaving(self, now: _View, then: _View, at: int, column: int) -> tuple[Leaving, ...]:
        """Who is qualified now and not then, by the end of the certificate."""
        gone = now.qualified(at, column) & ~then.qualified(at, column)
        rows = [self.rows[n] for n in bits(then.at_place[at] & then.of_line[column])]
        asked_for = {*self.needs[column]} | {
            word
            for row in rows
            for cell in row.who
            if cell.axis == "certification" and isinstance(cell.test, OneOf)
            for word in cell.test.values
        }
        found = []
        for position in bits(gone):
            one = self.able[position]
            ending = sorted(
                (held.expires, held.programme, held.product_line or "")
                for held in one.certifications
                if held.expires
                and held.valid_on(now.day)
                and not held.valid_on(then.day)
                and held.programme in asked_for
            )
            last = ending[0] if ending else None
            found.append(
                Leaving(one.id, *((last[1], last[2] or None, last[0]) if last else (None, None, None)))
            )
        found.sort(key=lambda one: (one.expires or date.max, one.candidate_id))
        return tuple(found[:MOST_LEAVING])


def _works_within(one: Candidate, country: str | None) -> bool:
    return any(
        (territory.kind == "postal_prefix" and territory.country == country)
        or (territory.kind == "circle" and one.country == country)
        for territory in one.territories
    )


class _View:
    """One day: who is certified, whom the rows mean."""

    def __init__(self, grid: _Grid, day: date) -> None:
        self.grid, self.day = grid, day
        self._people = People(grid.snapshot, day)
        self.at_place, self.of_line = grid.in_force(day)
        self._lines = [grid.sells[n] & self._certified(n) for n in range(len(grid.lines))]
        self._let_in: dict[int, int] = {}
        asking = ("request", "state")
        self._asking = sum(
            1 << n
            for n, row in enumerate(grid.rows)
            if any(WHO[cell.axis].needs in asking for cell in row.who)
        )

    def _certified(self, column: int) -> int:
        """Who holds what the line needs."""
        line, left = self.grid.lines[column], (1 << len(self.grid.able)) - 1
        for programme in self.grid.needs[column]:
            holding = self._people.having("certification", programme)
            left &= bitmap(
                (
                    n
                    for n in bits(holding)
                    if certified(self.grid.able[n].certifications, programme, line, self.day)
                ),
                len(self.grid.able),
            )
        return left

    def able(self, column: int) -> int:
        """Who sells the line and is certified for it."""
        return self._lines[column]

    def _allowed(self, rows: int) -> int:
        """Whom rows let in that ask nothing of the request."""
        found = self._let_in.get(rows)
        if found is None:
            found = everybody = (1 << len(self.grid.able)) - 1
            for n in bits(rows):
                row = self.grid.rows[n]
                meeting = self._people.meeting(row.who)
                found &= meeting if row.effect == "require" else everybody & ~meeting
            self._let_in[rows] = found
        return found

    def qualified(self, at: int, column: int) -> int:
        """Who could take a request of the place and line, as bits."""
        rows = self.at_place[at] & self.of_line[column]
        left = self.grid.covering[at] & self._lines[column]
        if not rows:
            return left
        left &= self._allowed(rows & ~self._asking)
        if rows & self._asking and left:
            left = self._asked(at, column, rows & self._asking, left)
        return left

    def _asked(self, at: int, column: int, rows: int, left: int) -> int:
        """Those left whom rows let in that ask of the request, or of what a candidate has open: nothing."""
        asked = Asked(self.grid.request(at, column, self.day), self.grid.snapshot.rates)
        asking = [self.grid.rows[n] for n in bits(rows)]
        kept: Iterable[int] = (
            n
            for n in bits(left)
            if all(row.meets(self.grid.able[n], asked, 0) is (row.effect == "require") for row in asking)
        )
        return bitmap(kept, len(self.grid.able))

    def counts(self) -> list[list[int]]:
        """How many are qualified, by place and line."""
        columns = range(len(self.grid.lines))
        return [
            [self.qualified(at, column).bit_count() for column in columns]
            for at in range(len(self.grid.places))
        ]

"""What a plan is made of, and how the plan of the next version comes from it: compiled once, then changed by slots."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import fields
from datetime import date
from typing import Self

import numpy as np

from ..model import Candidate, Snapshot
from ..ranking import POINT
from ..ruleset import RuleSet
from .bits import Words, count, nothing, of_slots, with_slot, without_slot
from .days import Day, Standing
from .facts import Columns
from .later import Later
from .territory import Territories
from .when import WhenIndex
from .who import Who

DAYS_KEPT = (
    2  # views of so many days stay in memory: today's, and one more while a replay or a rehearsal runs
)
WORTH_COMPILING = 20  # when more than one in so many candidates differ, compiling is quicker than changing
_ROW_EFFECTS = ("exclude", "require", "boost")


class Prepared:
    """A rule set and a snapshot in bitmaps, columns and indexes."""

    def __init__(self, ruleset: RuleSet, snapshot: Snapshot) -> None:
        self.ruleset, self.snapshot = ruleset, snapshot
        # Locations of one country lie together, so that a place's bitmaps have few words that are not empty.
        order = sorted(range(len(snapshot.candidates)), key=lambda n: snapshot.candidates[n].country or "")
        candidates = [snapshot.candidates[position] for position in order]
        self._columns = Columns(ruleset, candidates)
        words = self._columns.words
        self._slot_of = np.empty(len(order), np.intp)
        self._slot_of[np.array(order, np.intp)] = np.arange(len(order))
        self._rows = sorted(
            (row for row in ruleset.rules if row.effect in _ROW_EFFECTS),
            key=lambda row: _ROW_EFFECTS.index(row.effect),
        )
        self._prepare_rows()
        self._later = None if ruleset.plain else Later(ruleset, candidates)
        self._territories = Territories(candidates, words)
        lines: dict[str, list[int]] = {}
        for slot, candidate in enumerate(candidates):
            for line in candidate.product_lines:
                lines.setdefault(line, []).append(slot)
        self._lines = {line: of_slots(slots, words) for line, slots in lines.items()}
        active = [slot for slot, one in enumerate(candidates) if one.active]
        self._active = of_slots(active, words)
        self._agreed = of_slots(
            [slot for slot, one in enumerate(candidates) if one.agreement_accepted], words
        )
        self._able = self._active & self._agreed
        # Columns of rows that can stop somebody.
        stopping = {one.column for n, one in enumerate(self._who.of_rows) if self._rows[n].effect != "boost"}
        self._standing = Standing(self._who, stopping, candidates, words)
        self._present = of_slots(range(len(candidates)), words)
        self._days: dict[date, Day] = {}
        # Made when the first explanation asks for them.
        self._roomy: Words | None = None
        self._by_calendar: list[Words] | None = None
        self._ids = np.array([one.id for one in snapshot.candidates], np.int64)
        self._count()

    def _prepare_rows(self) -> None:
        """Rows in the order of their effects, what each asks, and which gates are counted."""
        self._when, self._who = WhenIndex(self._rows), Who(self._rows)
        effects = [row.effect for row in self._rows]
        excluding, requiring = effects.count("exclude"), effects.count("require")
        self._excluding = (1 << excluding) - 1
        self._requiring = ((1 << requiring) - 1) << excluding
        columns = np.array([one.column for one in self._who.of_rows], np.intp)
        self._byte, self._bit = columns >> 3, (1 << (columns & 7)).astype(np.uint8)
        self._points = np.array([row.points * POINT for row in self._rows], np.int64)
        # The same for one candidate at a time: byte and bit of its row, points.
        self._asks = list(zip(self._byte.tolist(), self._bit.tolist(), self._points.tolist(), strict=True))
        self._asking = {n: one.rest for n, one in enumerate(self._who.of_rows) if one.rest}
        self._row_bytes = (len(self._rows) + 7) // 8
        self._counted = self.ruleset.gates_used

    def _day(self, day: date) -> Day:
        found = self._days.get(day)
        if found is None:
            found = Day(self._standing, self._columns.candidates, day)
            kept = dict(list(self._days.items())[-(DAYS_KEPT - 1) :])
            self._days = kept | {day: found}
        return found

    # Changes -----------------------------------------------------------------------------------------------------------

    def changed(self, version: int, changed: Sequence[Candidate] = (), removed: Sequence[int] = ()) -> Self:
        """The plan of the directory's next version: some candidates replaced or added, others removed.

        It shares all it can; this plan stays as it is, for the decisions under way. The rule set is the same.
        """
        snapshot = self.snapshot.with_changes(version, changed, removed)
        with self._columns.lock:
            slot = self._columns.take(changed)
            if slot is None:
                return type(self)(self.ruleset, snapshot)
            made = copy(self)
            made.snapshot, made._roomy, made._by_calendar = snapshot, None, None
            made._lines, made._days = dict(self._lines), dict(self._days)
            made._later = None if self._later is None else self._later.changed(changed)
            for number, candidate in enumerate(changed):
                made._enter(slot + number, candidate)
            for candidate_id in removed:
                made._replace(candidate_id, None)
            made._count()
        return made

    def followed_by(self, snapshot: Snapshot) -> Self:
        """The plan of a later snapshot read as a whole: changed where few candidates differ, else compiled."""
        if not _like(self.snapshot, snapshot):
            return type(self)(self.ruleset, snapshot)
        gone = {one.id: one for one in self.snapshot.candidates}
        changed = [one for one in snapshot.candidates if gone.pop(one.id, None) != one]
        if len(changed) + len(gone) > len(snapshot.candidates) // WORTH_COMPILING:
            return type(self)(self.ruleset, snapshot)
        return self.changed(snapshot.version, changed, tuple(gone))

    def _replace(self, candidate_id: int, slot: int | None) -> None:
        """Another slot for a candidate, or none; whoever was there is there no more."""
        at = int(self._ids.searchsorted(candidate_id))
        if at < len(self._ids) and self._ids[at] == candidate_id:
            old = int(self._slot_of[at])
            self._active, self._able = without_slot(self._active, old), without_slot(self._able, old)
            self._present = without_slot(self._present, old)
            if slot is None:
                self._ids, self._slot_of = np.delete(self._ids, at), np.delete(self._slot_of, at)
            else:
                self._slot_of = self._slot_of.copy()
                self._slot_of[at] = slot
        elif slot is not None:
            self._ids = np.insert(self._ids, at, candidate_id)
            self._slot_of = np.insert(self._slot_of, at, slot)

    def _enter(self, slot: int, candidate: Candidate) -> None:
        """Put a candidate into the bitmaps; those of other plans stay as they are."""
        self._replace(candidate.id, slot)
        self._present = with_slot(self._present, slot)
        if candidate.active:
            self._active = with_slot(self._active, slot)
        if candidate.agreement_accepted:
            self._agreed = with_slot(self._agreed, slot)
        if candidate.active and candidate.agreement_accepted:
            self._able = with_slot(self._able, slot)
        for line in candidate.product_lines:
            self._lines[line] = with_slot(self._lines.get(line, nothing(self._columns.words)), slot)
        self._territories = self._territories.changed(slot, candidate)
        self._days = {day: view.changed(slot, candidate) for day, view in self._days.items()}

    def _count(self) -> None:
        self._counts = len(self._ids), count(self._active), count(self._able)


def _like(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots differ in version and candidates alone."""
    own = ("version", "candidates")
    return all(getattr(one, f.name) == getattr(other, f.name) for f in fields(one) if f.name not in own)

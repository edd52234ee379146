"""What holds for one day: who is certified for what, and the bits of everybody for the rows.

Certificates lie in columns, so the view of another day is a few passes over them: certificates begin and expire by the
day a request is decided on, never by a job that has to run at midnight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date

import numpy as np

from ..axes import WHO
from ..cells import Cell, OneOf
from ..model import Candidate
from .bits import Words, nothing, of_slots, transposed, with_slot
from .who import Knowing, Known, Who, on_day

Pair = tuple[str, str | None]  # programme, product line or None for all
_OPEN_END = date.max.toordinal()


class Certificates:
    """Certificates by (programme, line), in columns of slot, first day and last day."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        everybody = list(candidates)
        held = [one for candidate in everybody for one in candidate.certifications]
        numbers: dict[Pair, int] = {}
        for found in {(one.programme, one.product_line) for one in held}:
            numbers[found] = len(numbers)
        self.pairs = numbers
        pair = np.array([numbers[one.programme, one.product_line] for one in held], np.int64)
        order = np.argsort(pair, kind="stable")
        self._bounds = np.searchsorted(pair[order], np.arange(len(numbers) + 1)).tolist()
        counts = [len(candidate.certifications) for candidate in everybody]
        self._slots = np.repeat(np.arange(len(everybody)), counts)[order]
        self._from = np.array([one.issued.toordinal() for one in held], np.int64)[order]
        ends = [one.expires.toordinal() if one.expires else _OPEN_END for one in held]
        self._to = np.array(ends, np.int64)[order]

    def valid_on(self, day: date, words: int) -> dict[Pair, Words]:
        """Who holds what on a day."""
        at = day.toordinal()
        valid = (self._from <= at) & (at <= self._to)
        found: dict[Pair, Words] = {}
        for pair, number in self.pairs.items():
            run = slice(self._bounds[number], self._bounds[number + 1])
            slots = self._slots[run][valid[run]]
            if slots.size:
                found[pair] = of_slots(slots, words)
        return found


class _Programmes:
    """The axis `certification` from the bitmaps of a day: everybody's programmes are known, even when there are none."""

    def __init__(self, held: Mapping[str, Words], words: int) -> None:
        self._held, self._nobody = held, nothing(words)

    def meeting(self, cell: Cell) -> Words:
        assert isinstance(cell.test, OneOf)
        found = self._nobody
        for programme in cell.test.values:
            if programme in self._held:
                found = found | self._held[programme]
        return ~found if cell.test.negated else found


class Standing:
    """What a plan knows of its first candidates whatever the day: their certificates, and facts that need no day."""

    def __init__(
        self, who: Who, stopping: Collection[int], candidates: Sequence[Candidate], words: int
    ) -> None:
        self.stopping = stopping  # columns of rows that exclude or require
        self.who, self.words, self.count = who, words, len(candidates)
        self.certificates = Certificates(candidates)
        self.candidates = candidates[: self.count]
        self._lasting = {
            axis: self._known(axis, date.min) for axis in self._axes() if WHO[axis[0]].needs == "candidate"
        }

    def _axes(self) -> list[tuple[str, str]]:
        return list(dict.fromkeys((cell.axis, cell.key) for cell in self.who.cells))

    def _known(self, axis: tuple[str, str], day: date) -> Known:
        fact, key, asked = WHO[axis[0]].fact, axis[1], on_day(max(day, date(1, 1, 2)))
        return Known((fact(one, asked, 0, key) for one in self.candidates), self.words)

    def known_on(self, day: date, programmes: Mapping[str, Words]) -> dict[tuple[str, str], Knowing]:
        """What is known on each axis on a day, on which these are certified."""
        found: dict[tuple[str, str], Knowing] = {}
        for axis in self._axes():
            if axis[0] == "certification":
                found[axis] = _Programmes(programmes, self.words)
            else:
                found[axis] = self._lasting.get(axis) or self._known(axis, day)
        return found


class Day:
    """One day's view. A changed candidate makes a new view that shares the rest."""

    def __init__(self, standing: Standing, candidates: Sequence[Candidate], day: date) -> None:
        self._who, self._asked = standing.who, on_day(day)
        self._words, self.day = standing.words, day
        self._held = standing.certificates.valid_on(day, standing.words)
        programmes = self._by_programme(self._held)
        columns = standing.who.bitmaps(standing.known_on(day, programmes), standing.words)
        self.bits = transposed(columns, standing.words)
        # The columns themselves only where a row can stop somebody: for those who ask what did.
        self.columns = {number: columns[number] for number in standing.stopping}
        for slot in range(standing.count, len(candidates)):
            self._put(slot, candidates[slot])
        self._any = self._by_programme(self._held)

    def changed(self, slot: int, candidate: Candidate) -> Day:
        """With one more candidate, whose row of bits is its own."""
        made = object.__new__(Day)
        made._who, made._asked, made._words, made.day = self._who, self._asked, self._words, self.day
        made._held, made.bits, made.columns = dict(self._held), self.bits, dict(self.columns)
        made._any = dict(self._any)
        for programme in made._put(slot, candidate):
            made._any[programme] = with_slot(made._any.get(programme, nothing(made._words)), slot)
        return made

    def _put(self, slot: int, candidate: Candidate) -> set[str]:
        """Enter a candidate; the programmes it holds that day."""
        held = [one for one in candidate.certifications if one.valid_on(self.day)]
        for one in held:
            pair = (one.programme, one.product_line)
            self._held[pair] = with_slot(self._held.get(pair, nothing(self._words)), slot)
        bits = self.bits[slot] = self._who.bits_of(candidate, self._asked)
        for number in self.columns:
            if bits[number >> 3] >> (number & 7) & 1:
                self.columns[number] = with_slot(self.columns[number], slot)
        return {one.programme for one in held}

    @staticmethod
    def _by_programme(held: dict[Pair, Words]) -> dict[str, Words]:
        found: dict[str, Words] = {}
        for (programme, _line), bitmap in held.items():
            found[programme] = found[programme] | bitmap if programme in found else bitmap
        return found

    def certified(self, programme: str, lines: Sequence[str]) -> Words | None:
        """Who holds the programme for every line, or for any line at all when there are none; None for nobody."""
        if not lines:
            return self._any.get(programme)
        everything, each = self._held.get((programme, None)), self._held.get((programme, lines[0]))
        for line in lines[1:]:
            other = self._held.get((programme, line))
            each = None if each is None or other is None else each & other
        if everything is None or each is None:
            return each if everything is None else everything
        return everything | each

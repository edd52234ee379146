"""Whom the rows mean: each different `who` is a column, each candidate a row of bits, read for the few who are left.

What a `who` asks of the candidate alone, or of the candidate and the day, is worked out for everybody beforehand; what
depends on the request or on the load is asked for each decision of those for whom the rest holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..axes import WHO, Asked
from ..cells import Cell, Fact, OneOf, Within
from ..model import Candidate, Place, Request
from ..rows import Row
from .bits import Words, nothing, of_slots

PREPARED = ("candidate", "day")  # what an axis may need to be worked out beforehand

Column = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Asking:
    """One row's `who`: the column of what is prepared, and the tests that are not."""

    column: int
    rest: Column


class Who:
    """The columns of a rule set's rows; `of_rows[n]` says what row n asks."""

    def __init__(self, rows: Sequence[Row]) -> None:
        numbers: dict[Column, int] = {}
        self.of_rows: list[Asking] = []
        for row in rows:
            prepared = tuple(cell for cell in row.who if WHO[cell.axis].needs in PREPARED)
            rest = tuple(cell for cell in row.who if WHO[cell.axis].needs not in PREPARED)
            self.of_rows.append(Asking(numbers.setdefault(prepared, len(numbers)), rest))
        self.columns: list[Column] = list(numbers)
        numbered: dict[Cell, int] = {}
        self._tests = [
            [numbered.setdefault(cell, len(numbered)) for cell in column] for column in self.columns
        ]
        self.cells = list(numbered)

    def bits_of(self, candidate: Candidate, asked: Asked) -> NDArray[np.uint8]:
        """One candidate's row of bits on the day of `asked`."""
        axes = {(cell.axis, cell.key) for cell in self.cells}
        facts = {(name, key): WHO[name].fact(candidate, asked, 0, key) for name, key in axes}
        met = [cell.test.holds(facts[cell.axis, cell.key]) for cell in self.cells]
        flags = np.array([all(met[n] for n in column) for column in self._tests], np.bool_)
        return np.packbits(flags, bitorder="little")

    def bitmaps(self, bitmap_of: Mapping[tuple[str, str], Knowing], words: int) -> list[Words]:
        """Who is in each column, from what is known on each axis."""
        met = {cell: bitmap_of[cell.axis, cell.key].meeting(cell) for cell in self.cells}
        everybody = ~nothing(words)
        columns: list[Words] = []
        for column in self.columns:
            found = everybody
            for cell in column:
                found = found & met[cell]
            columns.append(found)
        return columns


def holds(cell: Cell, candidate: Candidate, asked: Asked, load: int) -> bool:
    """One test on one candidate."""
    return cell.test.holds(WHO[cell.axis].fact(candidate, asked, load, cell.key))


def on_day(day: date) -> Asked:
    """A question of which nothing is known but its day."""
    noon = datetime.combine(day, time(12), UTC)
    return Asked(Request(0, Place(), (), (), None, None, None, None, None, noon, 0))


class Knowing(Protocol):
    """Who meets a test on one axis."""

    def meeting(self, cell: Cell) -> Words: ...


class Known:
    """What everybody's fact on one axis is: words by the slots that have them, integers in a column, others by value."""

    def __init__(self, facts: Iterable[Fact], words: int) -> None:
        self._words = words
        sets: list[int] = []
        numbers: list[int] = []
        slots_of_number: list[int] = []
        self._by_word: dict[str, list[int]] = {}
        self._by_value: dict[Fact, list[int]] = {}
        for slot, fact in enumerate(facts):
            if isinstance(fact, frozenset):
                sets.append(slot)
                for word in fact:
                    self._by_word.setdefault(word, []).append(slot)
            elif isinstance(fact, int) and not isinstance(fact, bool):
                numbers.append(fact)
                slots_of_number.append(slot)
            elif fact is not None:
                self._by_value.setdefault(fact, []).append(slot)
        self._sets = of_slots(sets, words)
        self._numbers = np.array(numbers, np.int64)
        self._numbered = np.array(slots_of_number, np.intp)

    def meeting(self, cell: Cell) -> Words:
        """Who meets a test on this axis."""
        test = cell.test
        if isinstance(test, OneOf):
            met = of_slots(
                [slot for word in test.values for slot in self._by_word.get(word, ())], self._words
            )
            return self._sets & ~met if test.negated else met
        if isinstance(test, Within):
            inside = np.zeros(len(self._numbers), np.bool_)
            for low, high in test.spans:
                above = True if low is None else self._numbers >= low
                inside |= above & (True if high is None else self._numbers < high)
            return of_slots(self._numbered[inside], self._words)
        slots = [slot for value, held in self._by_value.items() if test.holds(value) for slot in held]
        return of_slots(slots, self._words)

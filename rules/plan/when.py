"""Which rows a request meets: one table per axis from what is known of the request to the rows it lets through.

A set of rows is an integer with a bit per row. For each axis the rows that do not test it are folded into every
entry, so the rows in force are the intersection of one entry per axis. Each kind of test has its index here; a test
of a kind without one, or a second test of a row on the same axis, is asked for itself.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Protocol

from ..axes import Asked
from ..cells import Cell, Fact, Is, OneOf, Prefixes, Test, Within
from ..rows import Row

Rows = int  # a bit per row
_KNOWN = 2_000  # answers kept by one index


class Index(Protocol):
    """The rows that a fact of one axis lets through."""

    def rows(self, fact: Fact) -> Rows: ...


class _ByWord:
    """Sets of words; with `prefixes` every beginning of a text is one of its words."""

    def __init__(self, tests: Sequence[tuple[Rows, OneOf | Prefixes]], free: Rows, prefixes: bool) -> None:
        self._free, self._prefixes = free, prefixes
        self._asking: dict[str, Rows] = {}
        self._refusing: dict[str, Rows] = {}
        self._negated = 0
        self._known: dict[Fact, Rows] = {}  # answers given, for the words that come again and again
        for row, test in tests:
            found = self._refusing if test.negated else self._asking
            self._negated |= row if test.negated else 0
            for word in test.values:
                found[word] = found.get(word, 0) | row

    def rows(self, fact: Fact) -> Rows:
        found = self._known.get(fact)
        if found is None:
            found = self._rows(fact)
            if len(self._known) < _KNOWN:
                self._known[fact] = found
        return found

    def _rows(self, fact: Fact) -> Rows:
        if self._prefixes:
            if not isinstance(fact, str):
                return self._free
            words: Iterable[str] = (fact[:length] for length in range(1, len(fact) + 1))
        else:
            if not isinstance(fact, frozenset):
                return self._free
            words = fact
        asked = refused = 0
        for word in words:
            asked |= self._asking.get(word, 0)
            if self._negated:
                refused |= self._refusing.get(word, 0)
        return self._free | asked | (self._negated & ~refused)


class _ByNumber:
    """Spans of integers, cut into elementary intervals."""

    def __init__(self, tests: Sequence[tuple[Rows, Within]], free: Rows) -> None:
        self._free = free
        turns: dict[int, Rows] = {}
        inside = 0
        for row, test in tests:
            for (
                low,
                high,
            ) in test.spans:  # spans of one test do not touch, so each end turns its row on or off
                if low is None:
                    inside ^= row
                else:
                    turns[low] = turns.get(low, 0) ^ row
                if high is not None:
                    turns[high] = turns.get(high, 0) ^ row
        self._cuts = sorted(turns)
        self._between = [free | inside]
        for cut in self._cuts:
            inside ^= turns[cut]
            self._between.append(free | inside)

    def rows(self, fact: Fact) -> Rows:
        if isinstance(fact, bool) or not isinstance(fact, int):
            return self._free
        return self._between[bisect_right(self._cuts, fact)]


class _ByFlag:
    """Yes or no."""

    def __init__(self, tests: Sequence[tuple[Rows, Is]], free: Rows) -> None:
        self._free = free
        self._rows = {
            value: free | _union(row for row, test in tests if test.value is value) for value in (True, False)
        }

    def rows(self, fact: Fact) -> Rows:
        return self._rows[fact] if isinstance(fact, bool) else self._free


def _union(rows: Iterable[Rows]) -> Rows:
    found = 0
    for row in rows:
        found |= row
    return found


def _indexes(tests: list[tuple[Rows, Test]], everybody: Rows) -> tuple[list[Index], list[tuple[Rows, Test]]]:
    """The indexes of one axis, and the tests none of them knows. Each index is free for the rows of the others."""
    sets = [(row, test) for row, test in tests if isinstance(test, OneOf)]
    prefixes = [(row, test) for row, test in tests if isinstance(test, Prefixes)]
    spans = [(row, test) for row, test in tests if isinstance(test, Within)]
    flags = [(row, test) for row, test in tests if isinstance(test, Is)]
    made: list[Index] = []
    if sets:
        made.append(_ByWord(sets, _free(sets, everybody), False))
    if prefixes:
        made.append(_ByWord(prefixes, _free(prefixes, everybody), True))
    if spans:
        made.append(_ByNumber(spans, _free(spans, everybody)))
    if flags:
        made.append(_ByFlag(flags, _free(flags, everybody)))
    known = (OneOf, Prefixes, Within, Is)
    return made, [(row, test) for row, test in tests if not isinstance(test, known)]


def _free(tests: Iterable[tuple[Rows, Test]], everybody: Rows) -> Rows:
    return everybody & ~_union(row for row, _test in tests)


class WhenIndex:
    """All rows of a rule set; bit n is row n of `rows`."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._all = (1 << len(rows)) - 1
        by_axis: dict[tuple[str, str], list[tuple[Rows, Test]]] = {}
        self._rest: list[tuple[Rows, Cell]] = []
        for number, row in enumerate(rows):
            seen: set[tuple[str, str]] = set()
            for cell in row.when:
                axis = (cell.axis, cell.key)
                if axis in seen:
                    self._rest.append((1 << number, cell))
                else:
                    seen.add(axis)
                    by_axis.setdefault(axis, []).append((1 << number, cell.test))
        self._axes: list[tuple[str, str, list[Index]]] = []
        for (name, key), tests in by_axis.items():
            indexes, unknown = _indexes(tests, self._all)
            self._rest += [(row, Cell(name, key, test)) for row, test in unknown]
            if indexes:
                self._axes.append((name, key, indexes))
        self._days = _ByNumber([(1 << n, _days(row)) for n, row in enumerate(rows)], 0)

    def rows(self, asked: Asked) -> Rows:
        """The rows in force for a request on its day."""
        found = self._days.rows(asked.day.toordinal())
        for name, key, indexes in self._axes:
            if not found:
                return 0
            fact = asked.fact(name, key)
            for index in indexes:
                found &= index.rows(fact)
        for row, cell in self._rest:
            if found & row and not cell.test.holds(asked.fact(cell.axis, cell.key)):
                found &= ~row
        return found


def _days(row: Row) -> Within:
    first = row.valid_from.toordinal() if row.valid_from else None
    return Within(((first, row.valid_to.toordinal() + 1 if row.valid_to else None),))

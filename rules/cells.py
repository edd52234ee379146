"""What a cell of a row asks of one fact: each kind of test, with one meaning for parser, engine and verification.

A fact is what is known: None is unknown and meets no test, negated or not. What is not known never matches what is
asked for, and a row that says "not from Austria" says nothing of a request that gives no country.

| kind     | fact                        | test       | holds when                                      |
|----------|-----------------------------|------------|-------------------------------------------------|
| set      | frozenset of words          | `OneOf`    | any word of the fact is among the values        |
| prefix   | text                        | `Prefixes` | the text starts with any of the values          |
| interval | integer                     | `Within`   | it lies in one of the spans [low, high)         |
| geo      | (latitude, longitude)       | `Inside`   | it lies in one of the shapes                    |
| flag     | bool                        | `Is`       | it is the value                                 |

A custom attribute (kind `custom`) is tested as its declaration says: as a set, an interval or a flag.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from .shapes import Point, Shape

Kind = Literal["set", "prefix", "interval", "geo", "flag", "custom"]
Fact = frozenset[str] | str | int | Point | bool | None
Span = tuple[int | None, int | None]  # from (included) to (not included); None is open


@dataclass(frozen=True, slots=True)
class OneOf:
    """Any word of a set of words; `negated`: none of them."""

    values: frozenset[str]
    negated: bool = False

    def holds(self, fact: Fact) -> bool:
        return isinstance(fact, frozenset) and fact.isdisjoint(self.values) is self.negated


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Text that starts with one of the values; `negated`: with none of them."""

    values: frozenset[str]
    negated: bool = False

    def holds(self, fact: Fact) -> bool:
        if not isinstance(fact, str):
            return False
        return any(fact[:length] in self.values for length in range(1, len(fact) + 1)) is not self.negated


@dataclass(frozen=True, slots=True)
class Within:
    """Integers in one of the spans, which rise and do not touch; a negated test is its complement, so it needs no flag."""

    spans: tuple[Span, ...]

    def holds(self, fact: Fact) -> bool:
        if isinstance(fact, bool) or not isinstance(fact, int):
            return False
        return any((low is None or low <= fact) and (high is None or fact < high) for low, high in self.spans)


@dataclass(frozen=True, slots=True)
class Is:
    """Yes or no."""

    value: bool

    def holds(self, fact: Fact) -> bool:
        return fact is self.value


@dataclass(frozen=True, slots=True)
class Inside:
    """A point in any of the shapes; `negated`: in none of them."""

    shapes: tuple[Shape, ...]
    negated: bool = False

    def holds(self, fact: Fact) -> bool:
        return isinstance(fact, tuple) and any(s.holds(fact) for s in self.shapes) is not self.negated


Test = OneOf | Prefixes | Within | Inside | Is


def complement(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Everything that rising spans leave out."""
    left: list[Span] = []
    start: int | None = None
    for low, high in spans:
        if low is not None:
            left.append((start, low))
        if high is None:
            return tuple(left)
        start = high
    return (*left, (start, None))


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same integers as rising spans that neither overlap nor touch."""
    result: list[Span] = []
    for low, high in sorted(spans, key=lambda span: (span[0] is not None, span[0] or 0)):
        if result:
            before_low, before_high = result[-1]
            if before_high is None:
                break
            if low is None or low <= before_high:
                result[-1] = (before_low, None if high is None else max(high, before_high))
                continue
        result.append((low, high))
    return tuple(result)


@dataclass(frozen=True, slots=True)
class Cell:
    """One test on one axis; `key` says which fact of an axis that has several (a currency), else it is empty."""

    axis: str
    key: str
    test: Test

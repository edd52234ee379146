"""Axes with finitely many atoms: parts of an axis that every cell of a rule set holds wholly or not at all.

An axis is made from all terms on it. A set of atoms is an integer with one bit per atom; `mask` says which atoms meet a
term, `facts` gives an example of each atom, None for what is not known. Every atom has an example, so an overlap of
masks is an overlap of cells, and what the masks cover the cells cover.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from ..cells import Is, Within
from .terms import Term

Fact = TypeVar("Fact")
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Axis(ABC, Generic[Fact]):
    """Atoms by their examples; `full` is the set of all of them."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.facts = tuple(facts)
        self.full = (1 << len(self.facts)) - 1

    @abstractmethod
    def mask(self, term: Term) -> int:
        """The atoms that meet the term."""


def _words(terms: Iterable[Term]) -> list[str]:
    return sorted({word for term in terms for word in term.words})


def _unused(known: Iterable[str], made: Iterable[str]) -> str:
    """The first of `made` that is not known."""
    taken = set(known)
    return next(word for word in made if word not in taken)


class One(Axis[str | None]):
    """One word or none: an atom per word that a row names, one for every other word, one for none."""

    def __init__(self, terms: Sequence[Term]) -> None:
        words = _words(terms)
        code = all(len(word) == 2 and word.isupper() for word in words)
        other = (
            (f"Z{letter}" for letter in reversed(_LETTERS)) if code else (f"other{n}" for n in range(10**6))
        )
        super().__init__([None, _unused(words, other), *words])
        self._bit = {word: 1 << n for n, word in enumerate(self.facts)}

    def mask(self, term: Term) -> int:
        met = 0
        for word in term.words:
            met |= self._bit[word]
        return self.full & ~met & ~1 if term.negated else met


class Prefix(Axis[str | None]):
    """A text or none: an atom per prefix that a row names (and no longer one), one for texts that start with none."""

    def __init__(self, terms: Sequence[Term]) -> None:
        words = _words(terms)
        free = [letter for letter in _LETTERS if letter not in words][:1]
        super().__init__([None, *free, *words])
        self._below = dict.fromkeys(words, 0)
        for n, word in enumerate(words, 1 + len(free)):
            for length in range(1, len(word) + 1):
                if word[:length] in self._below:
                    self._below[word[:length]] |= 1 << n

    def mask(self, term: Term) -> int:
        met = 0
        for word in term.words:
            met |= self._below[word]
        return self.full & ~met & ~1 if term.negated else met


class Spans(Axis[tuple[str, int] | None]):
    """A number of one key or none: an atom per stretch between the edges that rows name. Facts are (key, number).

    `floor`: the least number there is; `always`: one is known.
    """

    def __init__(self, terms: Sequence[Term], floor: int | None = None, always: bool = False) -> None:
        edges: dict[str, set[int]] = {"": set()} if always else {}
        for term in terms:
            if isinstance(term.test, Within):
                found = edges.setdefault(term.key, set())
                found |= {edge for span in term.test.spans for edge in span if edge is not None}
        facts: list[tuple[str, int] | None] = [] if always else [None]
        self._edges: dict[str, tuple[int, list[int]]] = {}
        for key in sorted(edges):
            least = min(edges[key]) - 1 if floor is None else floor
            ordered = sorted({least, *(edge for edge in edges[key] if edge > least)})
            self._edges[key] = (len(facts), ordered)
            facts += [(key, edge) for edge in ordered]
        super().__init__(facts)

    def mask(self, term: Term) -> int:
        first, edges = self._edges[term.key]
        met = 0
        for low, high in term.test.spans if isinstance(term.test, Within) else ():
            start = 0 if low is None else bisect_left(edges, low)
            end = len(edges) if high is None else bisect_left(edges, high)
            if start < end:
                met |= (1 << (first + end)) - (1 << (first + start))
        return met


class Place(Axis[tuple[str | None, str | None]]):
    """A country and a subdivision, each known or not; who knows a subdivision knows its country, and it lies in it."""

    def __init__(self, terms: Sequence[Term]) -> None:
        words = _words(terms)
        countries = sorted({word[:2] for word in words})
        elsewhere = _unused(countries, (f"Z{letter}" for letter in reversed(_LETTERS)))
        facts: list[tuple[str | None, str | None]] = [(None, None)]
        for country in (elsewhere, *countries):
            own = [word for word in words if word.startswith(f"{country}-")]
            other = _unused(own, (f"{country}-{n:03d}" for n in range(999, -1, -1)))
            facts += [(country, None), (country, other), *((country, word) for word in own)]
        super().__init__(facts)
        self._known = [0, 0]
        self._bits: list[dict[str, int]] = [{}, {}]
        for n, fact in enumerate(facts):
            for part, word in enumerate(fact):
                if word is not None:
                    self._known[part] |= 1 << n
                    self._bits[part][word] = self._bits[part].get(word, 0) | 1 << n

    def mask(self, term: Term) -> int:
        part = 0 if term.path == "when.country" else 1
        met = 0
        for word in term.words:
            met |= self._bits[part][word]
        return self._known[part] & ~met if term.negated else met


class Flag(Axis[bool | None]):
    """Yes, no or unknown; also a test that is not understood: it holds, fails, or meets what is unknown."""

    def __init__(self) -> None:
        super().__init__((None, False, True))

    def mask(self, term: Term) -> int:
        if isinstance(term.test, Is):
            return 4 if term.test.value else 2
        return 4


class Known(Axis[bool | None]):
    """Whether a set of words is known at all; every test asks for one that is."""

    def __init__(self) -> None:
        super().__init__((None, True))

    def mask(self, term: Term) -> int:
        return 2


def bits(mask: int) -> Iterable[int]:
    """The positions of the bits that are set, from the lowest."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low

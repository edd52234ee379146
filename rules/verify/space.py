"""The space a rule set speaks of: requests times candidates, cut into atoms, and its rows as boxes in it.

Axes with one value (country, level) have atoms (`axes.py`). Axes with many values at once (product lines) have one
yes-or-no per value that a row names; a cell there says that one of some values is among them, or that none is, which
is kept as it is said (`Wanted`) rather than multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from ..rows import Row
from . import axes
from .terms import DAYS, PLACE, Term, terms

MANY = ("many", "sure")

Wanted = tuple[int, tuple[int, ...]]  # none of these values; and of each of those sets of values at least one
ANY: Wanted = (0, ())


@dataclass(frozen=True, slots=True)
class Box:
    """A set of atoms per axis with one value, and what is wanted per axis with many."""

    masks: tuple[int, ...]
    many: tuple[Wanted, ...]

    @property
    def empty(self) -> bool:
        """No request and candidate lies in it."""
        return not all(self.masks) or any(not hit & ~none for none, hits in self.many for hit in hits)


@dataclass(frozen=True, slots=True)
class Point:
    """One atom per axis with one value, the values present per axis with many."""

    atoms: tuple[int, ...]
    many: tuple[int, ...]


class Space:
    """Made of the rows of one rule set, as they stand on `today` and later.

    `exchanged`: amounts may be known in several currencies, by exchange rates.
    """

    def __init__(self, rows: Sequence[Row], today: date, exchanged: bool = False) -> None:
        self.today, self.exchanged = today, exchanged
        self.terms = [tuple(terms(row)) for row in rows]
        found: dict[str, list[Term]] = {DAYS: []}
        for term in (term for one in self.terms for term in one):
            found.setdefault(self.axis(term), []).append(term)
            if term.form == "many":
                found.setdefault(self.axis(term) + "?", []).append(term)
        self.many_names = sorted(
            name for name, given in found.items() if name[-1] != "?" and given and given[0].form in MANY
        )
        self.names = sorted(set(found) - set(self.many_names))
        self.axes = [self._made(name, found[name]) for name in self.names]
        self.values = [
            sorted({word for one in found[name] for word in one.words}) for name in self.many_names
        ]
        self._bit = [{word: 1 << n for n, word in enumerate(values)} for values in self.values]
        self.days = self.names.index(DAYS)
        self._at = {name: n for n, name in enumerate(self.names)}
        self._many_at = {name: n for n, name in enumerate(self.many_names)}
        self._masks: dict[Term, tuple[int, int]] = {}
        self._wanted: dict[Term, tuple[int, Wanted, int]] = {}
        self.full = tuple(axis.full for axis in self.axes)
        self.asks_request = [name.startswith("when.") for name in self.names]
        self.many_asks_request = [name.startswith("when.") for name in self.many_names]

    def axis(self, term: Term) -> str:
        """The name of the axis a term constrains; each test that is not understood is an axis of its own."""
        if term.form == "place":
            return PLACE
        if term.form == "opaque":
            return f"{term.path} {term.key} {term.said}"
        if term.form == "amount" and not self.exchanged:
            return term.path
        return f"{term.path} {term.key}" if term.key else term.path

    def _made(self, name: str, given: Sequence[Term]) -> axes.Axis[Any]:
        if name == DAYS:
            return axes.Spans(given, self.today.toordinal(), always=True)
        if name[-1] == "?":
            return axes.Known()
        form = given[0].form
        if form in ("amount", "always"):
            return axes.Spans(given, 0, always=form == "always")
        if form in ("flag", "opaque"):
            return axes.Flag()
        if form == "span":
            return axes.Spans(given)
        kinds: dict[str, Callable[[Sequence[Term]], axes.Axis[Any]]] = {
            "one": axes.One,
            "prefix": axes.Prefix,
            "place": axes.Place,
        }
        return kinds[form](given)

    def box(self, number: int, side: str = "") -> Box:
        """The box of a row, or of one side of it (`when.` or `who.`)."""
        masks, many = list(self.full), [ANY] * len(self.values)
        for term in self.terms[number]:
            if not term.path.startswith(side):
                continue
            if term.form in MANY:
                at, (none, hits), known = self._want(term)
                many[at] = (many[at][0] | none, (*many[at][1], *hits))
                if known >= 0:
                    masks[known] &= 2
            else:
                if term not in self._masks:
                    at = self._at[self.axis(term)]
                    self._masks[term] = (at, self.axes[at].mask(term))
                at, mask = self._masks[term]
                masks[at] &= mask
        return Box(tuple(masks), tuple(many))

    def _want(self, term: Term) -> tuple[int, Wanted, int]:
        """The axis, what is wanted there, and the axis of whether it is known, or -1."""
        if term not in self._wanted:
            name = self.axis(term)
            at = self._many_at[name]
            words = sum(self._bit[at][word] for word in term.words)
            wanted: Wanted = (words, ()) if term.negated else (0, (words,))
            self._wanted[term] = (at, wanted, self._at.get(name + "?", -1))
        return self._wanted[term]

    def opaque(self, number: int) -> bool:
        """Whether a cell of the row is one that verification does not understand."""
        return any(term.form == "opaque" for term in self.terms[number])

    def outside(self, number: int) -> list[Box]:
        """Where a row applies and its `who` is not met: boxes that may overlap, one per way not to meet it."""
        when, who, found = self.box(number, "when."), self.box(number, "who."), []
        for at, mask in enumerate(who.masks):
            if mask != self.full[at]:
                rest = (*when.masks[:at], self.full[at] & ~mask, *when.masks[at + 1 :])
                found.append(Box(rest, when.many))
        for at, (none, hits) in enumerate(who.many):
            others: list[Wanted] = [(0, (none,))] if none else []
            others += [(hit, ()) for hit in hits]
            found += [Box(when.masks, (*when.many[:at], one, *when.many[at + 1 :])) for one in others]
        return [box for box in found if not box.empty]

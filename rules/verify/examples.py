"""Points of the space as a request and a candidate: what a finding shows, to be run through any engine."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from ..model import Attribute, Candidate, Certification, Place, Request, Territory
from . import axes
from .space import Point, Space
from .terms import DAYS, PLACE


class Example:
    """One point. What its axes do not say is unknown; tests that are not understood are not looked at."""

    def __init__(self, space: Space, point: Point) -> None:
        self._facts: dict[str, Any] = {
            name: axis.facts[atom]
            for name, axis, atom in zip(space.names, space.axes, point.atoms, strict=True)
        }
        self._present = {
            name: [values[n] for n in axes.bits(present)]
            for name, values, present in zip(space.many_names, space.values, point.many, strict=True)
        }
        _key, day = self._facts[DAYS]
        self.day = date.fromordinal(day)

    def _keyed(self, path: str) -> dict[str, Attribute]:
        """What is known on an axis with several facts, by key."""
        found: dict[str, Attribute] = {}
        for name, fact in self._facts.items():
            said, _, key = name.partition(" ")
            if said == path and fact is not None and not key.endswith("?"):
                found[key] = fact[1] if isinstance(fact, tuple) else fact
        for name, present in self._present.items():
            said, _, key = name.partition(" ")
            if said == path and self._facts.get(f"{name}?", True):
                found[key] = frozenset(present)
        return found

    def _amount(self) -> tuple[str | None, int | None]:
        """The first amount that is known."""
        for name, fact in self._facts.items():
            if name.split(" ")[0] == "when.amount" and isinstance(fact, tuple):
                return fact[0], fact[1]
        return None, None

    def request(self) -> Request:
        """A request at the point, at noon of its day."""
        country, subdivision = self._facts.get(PLACE) or (None, None)
        currency, minor = self._amount()
        related = self._facts.get("when.relationship")
        return Request(
            id=0,
            place=Place(country, subdivision, self._facts.get("when.postal_prefix")),
            product_lines=tuple(self._present.get("when.product_lines", ())),
            certifications=(),
            amount_minor=minor,
            currency=currency,
            language=self._facts.get("when.language"),
            industry=self._facts.get("when.industry"),
            source=self._facts.get("when.source"),
            as_of=datetime.combine(self.day, time(12), UTC),
            seed=0,
            segment=self._facts.get("when.segment"),
            account=self._facts.get("when.named_account"),
            relationships=None if related is None else frozenset({1} if related else ()),
            open_now=self._facts.get("when.open_now"),
            custom=self._keyed("when.custom"),
        )

    def candidate(self) -> Candidate:
        """A candidate at the point, which passes every gate before the rows for `request()` where it can."""
        held = [
            Certification(programme, None, self.day)
            for programme in self._present.get("who.certification", ())
        ]
        for programme, levels in self._keyed("who.certified_at").items():
            words = sorted(levels) if isinstance(levels, frozenset) else []
            held += [Certification(programme, level, self.day) for level in words]
        free = self._facts.get("who.capacity")
        lines = {*self._present.get("when.product_lines", ()), *self._present.get("who.authorised", ())}
        figures = self._keyed("who.performance")
        return Candidate(
            id=1,
            company_id=1,
            name="example",
            level=self._facts.get("who.level"),
            country=self._facts.get("who.country"),
            territories=(Territory("nationwide"),),
            certifications=tuple(held),
            product_lines=frozenset(lines),
            capacity=1 if free is None else free[1],
            tags=frozenset(self._present.get("who.tags", ())) if self._facts.get("who.tags?") else None,
            distributor_of=frozenset(map(int, self._present.get("who.distributor_of", ()))),
            figures={name: value for name, value in figures.items() if isinstance(value, int)},
            custom=self._keyed("who.custom"),
        )

"""The axes a row may test: one table from which parser, schema, reference, index and verification all follow.

An axis is a fact of the request (side `when`) or of a candidate (side `who`): its name in a rule set, its kind (which
says what a test on it is, see `cells.py`), how its cells are written (`cellform.py`), how the fact is read, and since
which form of rule sets it is known. To add a predicate is to add a line here.

`needs` says what a `who` fact depends on beyond the candidate: nothing, the day, the request, or its state (load). An
index may prepare the first two once, and must ask the others for each decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date
from re import Pattern
from typing import Literal

from .calendars import next_opening
from .cells import Fact, Kind
from .geo import between_m
from .model import FIGURES, Attribute, Candidate, Request
from .money import NO_RATES, Rates
from .places import full_subdivision, plain_postal
from .reading import COUNTRY, CURRENCY, DIGITS, POSTAL, SUBDIVISION, TEXT

MAX_AMOUNT = 10**15  # whole units of a currency
MAX_KM = 20_100  # half the circumference of the earth: nothing is farther
MAX_COUNT = 10**9

Needs = Literal["candidate", "day", "request", "state"]
# How a cell is written: values as such; {currency, from, below}; one test for each key; one for each custom attribute.
Writing = Literal["plain", "money", "keyed", "custom"]


class Asked:
    """A request as rows see it, with the exchange rates of its snapshot: each fact is read once for all rows."""

    __slots__ = ("_facts", "day", "rates", "request")

    def __init__(self, request: Request, rates: Rates = NO_RATES) -> None:
        self.request, self.rates, self.day = request, rates, request.day
        self._facts: dict[tuple[str, str], Fact] = {}

    def fact(self, name: str, key: str = "") -> Fact:
        """The fact of one `when` axis."""
        at = (name, key)
        if at not in self._facts:
            self._facts[at] = WHEN[name].fact(self, key)
        return self._facts[at]


@dataclass(frozen=True, slots=True)
class Axis:
    """What both sides share. `unit`: how many of the fact's integers one written number is; `most` the largest one.

    `keys`: the keys of a keyed axis, empty when any word will do. `fold`: values are compared without case.
    """

    name: str
    kind: Kind
    pattern: Pattern[str] = TEXT
    writing: Writing = "plain"
    unit: int = 1
    most: int = MAX_COUNT
    keys: tuple[str, ...] = ()
    fold: bool = False
    since: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class WhenAxis(Axis):
    """A fact of the request."""

    fact: Callable[[Asked, str], Fact]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoAxis(Axis):
    """A fact of a candidate of whose capacity a load is taken."""

    fact: Callable[[Candidate, Asked, int, str], Fact]
    needs: Needs = "candidate"


def _one(word: str | None) -> Fact:
    return None if word is None else frozenset((word,))


def attribute_fact(value: Attribute | None) -> Fact:
    """A custom attribute as a fact: a day as its ordinal."""
    if isinstance(value, str):
        return frozenset((value,))
    return value.toordinal() if isinstance(value, date) else value


def _amount(asked: Asked, currency: str) -> Fact:
    request = asked.request
    if request.amount_minor is None or request.currency is None:
        return None
    return asked.rates.convert(request.amount_minor, request.currency, currency, asked.day)


def _subdivision(asked: Asked, key: str) -> Fact:
    place = asked.request.place
    return _one(full_subdivision(place.subdivision, place.country))


def _point(asked: Asked, key: str) -> Fact:
    place = asked.request.place
    return None if place.lat is None or place.lon is None else (place.lat, place.lon)


def _relationship(asked: Asked, key: str) -> Fact:
    known = asked.request.relationships
    return None if known is None else bool(known)


def _programmes(one: Candidate, asked: Asked, load: int, key: str) -> Fact:
    """Programmes of which it holds a certificate valid that day, for whatever product line."""
    return frozenset(held.programme for held in one.certifications if held.valid_on(asked.day))


def _certified_at(one: Candidate, asked: Asked, load: int, programme: str) -> Fact:
    """Levels at which it is certified in a programme that day."""
    return frozenset(
        held.level.casefold()
        for held in one.certifications
        if held.level and held.programme == programme and held.valid_on(asked.day)
    )


def _distance(one: Candidate, asked: Asked, load: int, key: str) -> Fact:
    place = asked.request.place
    return between_m(one.lat, one.lon, place.lat, place.lon)


def _open(one: Candidate, asked: Asked, load: int, key: str) -> Fact:
    return next_opening(one.calendar, asked.request.as_of) == asked.request.as_of.astimezone(UTC)


_WHEN = (
    WhenAxis("country", "set", COUNTRY, fact=lambda asked, key: _one(asked.request.place.country)),
    WhenAxis("subdivision", "set", SUBDIVISION, fact=_subdivision),
    WhenAxis(
        "postal_prefix",
        "prefix",
        POSTAL,
        fact=lambda asked, key: plain_postal(asked.request.place.postal) or None,
    ),
    WhenAxis("product_lines", "set", fact=lambda asked, key: frozenset(asked.request.product_lines)),
    WhenAxis("language", "set", fact=lambda asked, key: _one(asked.request.language)),
    WhenAxis("industry", "set", fact=lambda asked, key: _one(asked.request.industry)),
    WhenAxis("source", "set", fact=lambda asked, key: _one(asked.request.source)),
    WhenAxis("amount", "interval", CURRENCY, "money", most=MAX_AMOUNT, fact=_amount),
    WhenAxis("inside", "geo", since=2, fact=_point),
    WhenAxis("segment", "set", since=2, fact=lambda asked, key: _one(asked.request.segment)),
    WhenAxis("named_account", "set", since=2, fact=lambda asked, key: _one(asked.request.account)),
    WhenAxis("relationship", "flag", since=2, fact=_relationship),
    WhenAxis("open_now", "flag", since=2, fact=lambda asked, key: asked.request.open_now),
    WhenAxis(
        "custom",
        "custom",
        writing="custom",
        since=2,
        fact=lambda asked, key: attribute_fact(asked.request.custom.get(key)),
    ),
)
_WHO = (
    WhoAxis(
        "level",
        "set",
        fold=True,
        fact=lambda one, asked, load, key: _one(one.level.casefold() if one.level else None),
    ),
    WhoAxis("certification", "set", fact=_programmes, needs="day"),
    WhoAxis("country", "set", COUNTRY, fact=lambda one, asked, load, key: _one(one.country)),
    WhoAxis("certified_at", "set", writing="keyed", fold=True, since=2, fact=_certified_at, needs="day"),
    WhoAxis("authorised", "set", since=2, fact=lambda one, asked, load, key: one.product_lines),
    WhoAxis("tags", "set", since=2, fact=lambda one, asked, load, key: one.tags),
    WhoAxis(
        "capacity",
        "interval",
        since=2,
        needs="state",
        fact=lambda one, asked, load, key: max(0, one.capacity - load),
    ),
    WhoAxis("distance", "interval", unit=1000, most=MAX_KM, since=2, fact=_distance, needs="request"),
    WhoAxis("open_now", "flag", since=2, fact=_open, needs="request"),
    WhoAxis(
        "performance",
        "interval",
        writing="keyed",
        keys=FIGURES,
        since=2,
        fact=lambda one, asked, load, key: one.figures.get(key),
    ),
    WhoAxis(
        "distributor_of",
        "set",
        DIGITS,
        since=2,
        fact=lambda one, asked, load, key: frozenset(map(str, one.distributor_of)),
    ),
    WhoAxis(
        "custom",
        "custom",
        writing="custom",
        since=2,
        fact=lambda one, asked, load, key: attribute_fact(one.custom.get(key)),
    ),
)
WHEN: Mapping[str, WhenAxis] = {axis.name: axis for axis in _WHEN}
WHO: Mapping[str, WhoAxis] = {axis.name: axis for axis in _WHO}

"""What the engine is asked about: frozen values that can read and write themselves.

Ids are 63-bit integers here and strings in JSON. No value in this file holds personal data: a request knows a place and
needs, never who asks. Days are UTC days of `Request.as_of`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Literal

from .calendars import ALWAYS_OPEN, Calendar
from .canonical import utc_text
from .errors import RequestError
from .money import NO_RATES, Rates
from .performance import Performance
from .reading import MAX_INT, Node

# The order is fixed: a candidate is counted at the first gate that stops it, and a decision stores 1 + this index.
GATES = ("active", "agreement", "territory", "certified", "authorised", "capacity", "opens")
# After the hard gates come the rows of the rule set: whom a row excludes, then who misses what a row requires.
# Then those who have had their share of offers, and those from whom a claim, the house, an exclusivity, a pool or a
# distributor takes it.
RULE_GATES = ("excludes", "requires", "cap", "claimed", "house", "exclusive", "pool", "distributor")
ALL_GATES = GATES + RULE_GATES
STATIC_GATES = 5  # the first five need no state and no clock beyond the day
ELIGIBLE = 0
EXCLUDED = 0xFF  # taken out by the request itself: a partner that already refused

# A decision names so many of the eligible, best first; it counts all of them.
RANKED_MOST = 50

CREDIT_ONE = 1 << 32  # one turn, in the fixed point of 2**-32 in which fairness credit is kept

TerritoryKind = Literal["country", "subdivision", "postal_prefix", "circle", "nationwide"]
TERRITORY_KINDS: tuple[TerritoryKind, ...] = (
    "country",
    "subdivision",
    "postal_prefix",
    "circle",
    "nationwide",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the request is: ISO 3166-1 alpha-2, ISO 3166-2 (`US-MD`; `MD` is read with the country), degrees."""

    country: str | None = None
    subdivision: str | None = None
    postal: str | None = None
    city: str | None = None
    lat: float | None = None
    lon: float | None = None

    def __post_init__(self) -> None:
        for name, value, most in (("lat", self.lat, 90), ("lon", self.lon, 180)):
            if value is not None and not -most <= value <= most:
                raise RequestError(f"place.{name}", value, f"must be degrees from -{most} to {most}, or None")


# A custom attribute: words, an integer (scaled as its declaration says), a day, or yes and no. Absent is unknown.
Attribute = str | frozenset[str] | int | date | bool


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to be routed. Lines and certifications are sets, kept sorted; `as_of` is turned into UTC.

    `account` is the key of a named account, `relationships` the companies that work with this customer already, None
    when nobody has looked; `open_now` whether the vendor's own desk is open. All of them may be unknown.
    """

    id: int
    place: Place
    product_lines: tuple[str, ...]
    certifications: tuple[str, ...]
    amount_minor: int | None
    currency: str | None
    language: str | None
    industry: str | None
    source: str | None
    as_of: datetime
    seed: int
    excluded: frozenset[int] = frozenset()
    segment: str | None = None
    account: str | None = None
    relationships: frozenset[int] | None = None
    open_now: bool | None = None
    custom: Mapping[str, Attribute] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.as_of.tzinfo is None:
            raise RequestError("as_of", self.as_of, "must be an aware datetime; give it in UTC")
        for name, value in (("id", self.id), ("seed", self.seed), ("amount_minor", self.amount_minor or 0)):
            if not 0 <= value < MAX_INT:
                raise RequestError(name, value, "must be from 0 to 2**63 - 1")
        object.__setattr__(self, "as_of", self.as_of.astimezone(UTC))
        object.__setattr__(self, "product_lines", tuple(sorted(set(self.product_lines))))
        object.__setattr__(self, "certifications", tuple(sorted(set(self.certifications))))

    @property
    def day(self) -> date:
        """The UTC day on which certifications and rows must be valid."""
        return self.as_of.date()

    def to_json(self) -> dict[str, object]:
        """The stored form: no personal data, ids and seed as strings, sets sorted.

        Facts of the first form are written even when absent, later ones only when they are known.
        """
        return {
            "id": str(self.id),
            "place": {name: getattr(self.place, name) for name in PLACE_FIELDS},
            "product_lines": list(self.product_lines),
            "certifications": list(self.certifications),
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "language": self.language,
            "industry": self.industry,
            "source": self.source,
            "as_of": utc_text(self.as_of),
            "seed": str(self.seed),
            "excluded": [str(i) for i in sorted(self.excluded)],
            **self._later_json(),
        }

    def _later_json(self) -> dict[str, object]:
        later: dict[str, object] = {
            "segment": self.segment,
            "account": self.account,
            "relationships": None
            if self.relationships is None
            else [str(i) for i in sorted(self.relationships)],
            "open_now": self.open_now,
            "custom": {name: attribute_json(value) for name, value in sorted(self.custom.items())} or None,
        }
        return {name: value for name, value in later.items() if value is not None}

    @staticmethod
    def from_json(data: object) -> Request:
        """Read the stored form; only `as_of` must be there. RequestError names the first thing that is wrong."""
        node = Node(data)
        request = Request.read(node)
        refuse(node)
        return request

    @staticmethod
    def read(node: Node, form: int = 2) -> Request:
        """Read one request inside a larger document of that form; faults go into the node's list."""
        later = LATER_FIELDS if form == 1 else ()
        node.keys(("as_of",), tuple(name for name in REQUEST_FIELDS if name not in later), later)
        amount = node["amount_minor"]
        return Request(
            id=0 if node["id"].absent else node["id"].id(),
            place=_read_place(node["place"]),
            product_lines=_plain_words(node["product_lines"]),
            certifications=_plain_words(node["certifications"]),
            amount_minor=None if amount.absent else amount.integer(0, MAX_INT - 1),
            currency=node["currency"].plain_or_none(),
            language=node["language"].plain_or_none(),
            industry=node["industry"].plain_or_none(),
            source=node["source"].plain_or_none(),
            as_of=node["as_of"].moment(),
            seed=0 if node["seed"].absent else node["seed"].id(),
            excluded=frozenset(item.id() for item in node["excluded"].items(MAX_WORDS)),
            segment=node["segment"].plain_or_none(),
            account=node["account"].plain_or_none(),
            relationships=read_ids(node["relationships"]),
            open_now=None if node["open_now"].absent else node["open_now"].boolean(False),
            custom=read_attributes(node["custom"]),
        )


def read_ids(node: Node) -> frozenset[int] | None:
    """A list of ids; absent is unknown."""
    return None if node.absent else frozenset(item.id() for item in node.items(MAX_WORDS))


def attribute_json(value: Attribute) -> object:
    """A custom attribute as it is stored: a day as {"day": ...}, words sorted."""
    if isinstance(value, date):
        return {"day": value.isoformat()}
    return sorted(value) if isinstance(value, frozenset) else value


def read_attributes(node: Node) -> dict[str, Attribute]:
    """Custom attributes by name; faults go into the node's list."""
    return {} if node.absent else {name: _read_attribute(value) for name, value in node.members()}


def _read_attribute(node: Node) -> Attribute:
    value = node.value
    if isinstance(value, (bool, str)):
        return value
    if isinstance(value, Mapping):
        return (node["day"].day() if node.keys(("day",)) else None) or date.min
    if isinstance(value, (list, tuple)):
        return frozenset(_plain_words(node))
    return node.integer(-MAX_INT, MAX_INT - 1)


MAX_WORDS = 100_000  # members of a list in a stored request
PLACE_FIELDS = ("country", "subdivision", "postal", "city", "lat", "lon")
LATER_FIELDS = ("segment", "account", "relationships", "open_now", "custom")  # since the second form
REQUEST_FIELDS = (
    *("id", "place", "product_lines", "certifications", "amount_minor", "currency"),
    *("language", "industry", "source", "seed", "excluded"),
    *LATER_FIELDS,
)


def _plain_words(node: Node) -> tuple[str, ...]:
    return tuple(item.plain() for item in node.items(MAX_WORDS))


def _read_place(node: Node) -> Place:
    if node.absent or not node.keys((), PLACE_FIELDS):
        return Place()
    return Place(
        country=node["country"].plain_or_none(),
        subdivision=node["subdivision"].plain_or_none(),
        postal=node["postal"].plain_or_none(),
        city=node["city"].plain_or_none(),
        lat=node["lat"].number_or_none(-90, 90),
        lon=node["lon"].number_or_none(-180, 180),
    )


def refuse(node: Node) -> None:
    """RequestError for the first fault, if there is one."""
    for fault in node.faults:
        raise RequestError(fault.path, fault.value, fault.cure)


@dataclass(frozen=True, slots=True)
class Territory:
    """Where a location works. `nationwide` without a country is the whole market, even a place nobody knows."""

    kind: TerritoryKind
    country: str | None = None
    code: str | None = None  # subdivision (ISO 3166-2) or postal prefix
    lat: float | None = None
    lon: float | None = None
    radius_km: float | None = None


@dataclass(frozen=True, slots=True)
class Certification:
    """Valid on every day from `issued` to `expires`, both included; no product line covers all of them."""

    programme: str
    level: str | None
    issued: date
    expires: date | None = None
    product_line: str | None = None

    def valid_on(self, day: date) -> bool:
        return self.issued <= day and (self.expires is None or day <= self.expires)


# Measured performance a row may ask for: rates in thousandths, times in minutes, counts.
FIGURES = ("win_rate", "accept_rate", "answer_minutes", "won", "held")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A partner's location as routing sees it; `id` is the location's, `country` where it stands.

    `tags` None: nobody has said. `accounts` are named accounts it looks after, `distributor_of` the companies it
    supplies. `figures` are measured (see `FIGURES`), `custom` declared by the vendor; what is absent is unknown.
    """

    id: int
    company_id: int
    name: str
    active: bool = True
    agreement_accepted: bool = True
    level: str | None = None
    lat: float | None = None
    lon: float | None = None
    country: str | None = None
    territories: tuple[Territory, ...] = ()
    certifications: tuple[Certification, ...] = ()
    product_lines: frozenset[str] = frozenset()
    capacity: int = 0
    calendar: Calendar = ALWAYS_OPEN
    tags: frozenset[str] | None = None
    accounts: frozenset[str] = frozenset()
    distributor_of: frozenset[int] = frozenset()
    figures: Mapping[str, int] = field(default_factory=dict)
    custom: Mapping[str, Attribute] = field(default_factory=dict)


def _id_of(candidate: Candidate) -> int:
    return candidate.id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All candidates at one version, sorted by id whatever order they come in; the same id twice is a RequestError.

    `rates` are the exchange rates of then; without them an amount is known in its own currency alone. `performance`
    is the frozen table of then; without it its terms are 0.
    """

    version: int
    candidates: tuple[Candidate, ...]
    rates: Rates = NO_RATES
    performance: Performance | None = None

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.candidates, key=lambda candidate: candidate.id))
        for before, after in pairwise(ordered):
            if before.id == after.id:
                raise RequestError("candidates", after.id, "stands twice in the snapshot; keep one")
        object.__setattr__(self, "candidates", ordered)

    def with_changes(
        self, version: int, changed: Iterable[Candidate] = (), removed: Iterable[int] = ()
    ) -> Snapshot:
        """The next version: candidates replaced or added, others removed (strangers are ignored); the rest is shared."""
        candidates = list(self.candidates)
        for one in changed:
            at = bisect_left(candidates, one.id, key=_id_of)
            there = at < len(candidates) and candidates[at].id == one.id
            candidates[at : at + there] = [one]
        for candidate_id in removed:
            at = bisect_left(candidates, candidate_id, key=_id_of)
            if at < len(candidates) and candidates[at].id == candidate_id:
                del candidates[at]
        made = object.__new__(
            Snapshot
        )  # it is in order: to sort a hundred thousand again takes longer than all else
        for known in fields(self):
            object.__setattr__(made, known.name, getattr(self, known.name))
        object.__setattr__(made, "version", version)
        object.__setattr__(made, "candidates", tuple(candidates))
        return made

    def position(self, candidate_id: int) -> int | None:
        """Index in `candidates` and so in `Engine.gates`; None for a stranger. Binary search."""
        low, high = 0, len(self.candidates)
        while low < high:
            middle = (low + high) // 2
            if self.candidates[middle].id < candidate_id:
                low = middle + 1
            else:
                high = middle
        found = low < len(self.candidates) and self.candidates[low].id == candidate_id
        return low if found else None

"""What the engine is asked about and what it answers: frozen values that can read and write themselves.

Ids are 63-bit integers here and strings in JSON. No value in this file holds personal data: a request knows a place and
needs, never who asks. Days are UTC days of `Request.as_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Literal, Protocol

from .calendars import ALWAYS_OPEN, Calendar
from .canonical import utc_text
from .errors import RequestError
from .reading import MAX_INT, Node

# The order is fixed: a candidate is counted at the first gate that stops it, and a decision stores 1 + this index.
GATES = ("active", "agreement", "territory", "certified", "authorised", "capacity", "opens")
# After the hard gates come the rows of the rule set: whom a row excludes, then who misses what a row requires.
RULE_GATES = ("excludes", "requires")
ALL_GATES = GATES + RULE_GATES
STATIC_GATES = 5  # the first five need no state and no clock beyond the day
ELIGIBLE = 0
EXCLUDED = 0xFF  # taken out by the request itself: a partner that already refused

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


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to be routed. Lines and certifications are sets, kept sorted; `as_of` is turned into UTC."""

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
        """The stored form: no personal data, ids and seed as strings, sets sorted, nothing absent left out."""
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
        }

    @staticmethod
    def from_json(data: object) -> Request:
        """Read the stored form; only `as_of` must be there. RequestError names the first thing that is wrong."""
        node = Node(data)
        request = Request.read(node)
        _refuse(node)
        return request

    @staticmethod
    def read(node: Node) -> Request:
        """Read one request inside a larger document; faults go into the node's list."""
        node.keys(("as_of",), REQUEST_FIELDS)
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
        )


MAX_WORDS = 100_000  # members of a list in a stored request
PLACE_FIELDS = ("country", "subdivision", "postal", "city", "lat", "lon")
REQUEST_FIELDS = (
    *("id", "place", "product_lines", "certifications", "amount_minor", "currency"),
    *("language", "industry", "source", "seed", "excluded"),
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


def _refuse(node: Node) -> None:
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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A partner's location as routing sees it; `id` is the location's, `country` where it stands."""

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


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All candidates at one version, sorted by id whatever order they come in; the same id twice is a RequestError."""

    version: int
    candidates: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        ordered = tuple(sorted(self.candidates, key=lambda candidate: candidate.id))
        for before, after in pairwise(ordered):
            if before.id == after.id:
                raise RequestError("candidates", after.id, "stands twice in the snapshot; keep one")
        object.__setattr__(self, "candidates", ordered)

    def position(self, candidate_id: int) -> int | None:
        """Index in `candidates` and so in `Decision.gates`; None for a stranger. Binary search."""
        low, high = 0, len(self.candidates)
        while low < high:
            middle = (low + high) // 2
            if self.candidates[middle].id < candidate_id:
                low = middle + 1
            else:
                high = middle
        found = low < len(self.candidates) and self.candidates[low].id == candidate_id
        return low if found else None


@dataclass(frozen=True, slots=True)
class State:
    """What changes between decisions, by location: open leads, and fairness credit in 2**-32 turns. Absent is 0."""

    load: Mapping[int, int] = field(default_factory=dict)
    credit: Mapping[int, int] = field(default_factory=dict)

    def only(self, ids: Iterable[int]) -> State:
        """Just the values of these locations, zeros left out: what a decision stores (ids of its shortlist)."""
        ids = sorted(ids)
        load = {i: self.load[i] for i in ids if self.load.get(i)}
        credit = {i: self.credit[i] for i in ids if self.credit.get(i)}
        return State(load, credit)

    def to_json(self) -> dict[str, dict[str, int]]:
        """The stored form: ids as strings, zeros left out, credit as integers of 2**-32."""
        return {
            "load": {str(i): self.load[i] for i in sorted(self.load) if self.load[i]},
            "credit": {str(i): self.credit[i] for i in sorted(self.credit) if self.credit[i]},
        }

    @staticmethod
    def from_json(data: object) -> State:
        """Read the stored form; RequestError names the first thing that is wrong."""
        node = Node(data)
        node.keys((), ("load", "credit"))
        load = {Node(k, n.path, n.faults).id(): n.integer(0, MAX_INT - 1) for k, n in node["load"].members()}
        credit = {
            Node(k, n.path, n.faults).id(): n.integer(-MAX_INT, MAX_INT - 1)
            for k, n in node["credit"].members()
        }
        _refuse(node)
        return State(load, credit)


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Who passed the static gates: positions in the snapshot, their ids, and one byte per candidate as in Decision."""

    positions: tuple[int, ...]
    ids: tuple[int, ...]
    gates: bytes


@dataclass(frozen=True, slots=True)
class Ranked:
    """One eligible candidate. Scores are thousandths of a point; `distance_m` None: one side has no coordinates."""

    id: int
    score: int
    terms: tuple[tuple[str, int], ...]
    distance_m: int | None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `counts` is (gate, how many are left after it); `credits` what to store if the first is offered.

    `credits` holds only the locations whose credit changed: those that were in the running.
    """

    ranked: tuple[Ranked, ...]
    gates: bytes
    counts: tuple[tuple[str, int], ...]
    credits: dict[int, int]
    result_hash: str


class Engine(Protocol):
    """What portal needs of an engine; `Reference` is one, an indexed matcher another with the same bytes."""

    def shortlist(self, request: Request) -> Shortlist: ...

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision: ...

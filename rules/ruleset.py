"""A rule set: the JSON form read into frozen values, every fault found in one pass, and hashed in canonical form.

`RuleSet.parse` refuses what it cannot run (a later effect, an unknown key) rather than ignore it: a rule that silently
does nothing is the worst rule. `to_json` gives the whole form back with defaults filled in; its digest is the hash.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

from .canonical import digest
from .errors import ConflictError, KindError, RuleSetError
from .examples import MAX_EXAMPLES, Example
from .model import GATES
from .money import AmountBands
from .reading import CURRENCY, TEXT, Node
from .rows import MAX_ROWS, Row

FORM = "interline.rule-set/1"
MAX_WEIGHT = 1_000  # points one term may bring
MAX_KM = 20_100  # half the circumference of the earth: nothing is farther
MAX_MINUTES = 60 * 24 * 366
KEYS_REQUIRED = ("schema", "name", "version", "gates", "score", "offer")
KEYS_OPTIONAL = ("note", "amount_bands", "rules", "examples")
TERMS = ("level", "distance", "capacity", "fairness")
TERMS_LATER = ("win_rate", "answer_speed", "performance", "bands")
SHARES = ("equal", "capacity")


@dataclass(frozen=True, slots=True)
class LevelTerm:
    """Percent of `weight` by programme level, names compared without case; `default` for other levels or none."""

    weight: int
    points: tuple[tuple[str, int], ...]
    default: int

    def percent(self, level: str | None) -> int:
        if level is None:
            return self.default
        return dict(self.points).get(level.casefold(), self.default)


@dataclass(frozen=True, slots=True)
class DistanceTerm:
    """All of `weight` up to `full_km`, none from `zero_km` on, a straight line between; none without coordinates."""

    weight: int
    full_km: int
    zero_km: int


@dataclass(frozen=True, slots=True)
class CapacityTerm:
    """`weight` times the free part of the capacity: (capacity - load) / capacity."""

    weight: int


@dataclass(frozen=True, slots=True)
class FairnessTerm:
    """At most `weight`, by whose turn it is; `share` says what a turn is measured by: equal, or capacity."""

    weight: int
    share: str


@dataclass(frozen=True, slots=True)
class Score:
    level: LevelTerm
    distance: DistanceTerm
    capacity: CapacityTerm
    fairness: FairnessTerm

    @property
    def total(self) -> int:
        """Points the four terms can bring together; what a page shows as "of 100"."""
        return self.level.weight + self.distance.weight + self.capacity.weight + self.fairness.weight


@dataclass(frozen=True, slots=True)
class OfferPolicy:
    """How long an offer stands: working minutes of the location, cut by a wall-clock cap; reminder at a fraction."""

    answer_within_minutes: int
    cap_minutes: int
    reminder_at: float


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A valid rule set; make one with `parse`. `hash` is the SHA-256 of its canonical JSON."""

    name: str
    version: int
    note: str
    gates: tuple[str, ...]
    score: Score
    offer: OfferPolicy
    amount_bands: tuple[AmountBands, ...]
    rules: tuple[Row, ...]
    examples: tuple[Example, ...]
    hash: str

    @staticmethod
    def parse(data: object) -> RuleSet:
        """Read the JSON form (parsed JSON, not text). Raises RuleSetError with every fault, at most 100."""
        node = Node(data)
        parsed = _read(node)
        if node.faults or parsed is None:
            raise RuleSetError(node.faults)
        return parsed

    @staticmethod
    def loads(text: str | bytes) -> RuleSet:
        """Read the JSON form from text; a key that stands twice in one object is refused."""
        try:
            data = json.loads(text, object_pairs_hook=_no_twins)
        except (ValueError, RecursionError) as error:
            raise RuleSetError([KindError("", str(error), "is not JSON; mend the place it names")]) from error
        return RuleSet.parse(data)

    def to_json(self) -> dict[str, object]:
        """The canonical form: every default written out, level names in lower case and sorted."""
        return _to_json(self)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """JSON objects without repeated keys: json would keep the last one and say nothing."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _read(node: Node) -> RuleSet | None:
    if not node.keys(KEYS_REQUIRED, KEYS_OPTIONAL):
        return None
    node["schema"].choice((FORM,))
    _read_gates(node["gates"])
    draft = RuleSet(
        name=node["name"].text(),
        version=node["version"].integer(1, 2**31 - 1),
        note="" if node["note"].value == "" else node["note"].text(most=2_000),
        gates=GATES,
        score=_read_score(node["score"]),
        offer=_read_offer(node["offer"]),
        amount_bands=_read_bands(node["amount_bands"]),
        rules=_read_rows(node["rules"]),
        examples=tuple(Example.read(item) for item in node["examples"].items(MAX_EXAMPLES)),
        hash="",
    )
    if node.faults:
        return None
    return replace(draft, hash=digest(_to_json(draft)))


def _read_gates(node: Node) -> None:
    if not isinstance(node.value, (list, tuple)) or list(node.value) != list(GATES):
        node.items(100)
        cure = f"must be the seven gates in their fixed order: {', '.join(GATES)}"
        if isinstance(node.value, (list, tuple)):
            node.fault(ConflictError(node.path, node.value, cure))


def _read_score(node: Node) -> Score:
    node.keys(TERMS, later=TERMS_LATER)
    level, distance, capacity, fairness = (node[term] for term in TERMS)
    for term, keys in ((level, ("points", "default")), (distance, ("full_km", "zero_km")), (capacity, ())):
        term.keys(
            ("weight", *(key for key in keys if key != "default")), ("default",) if "default" in keys else ()
        )
    fairness.keys(("weight",), ("share",))
    return Score(
        LevelTerm(_weight(level), _read_points(level["points"]), level["default"].integer(0, 100, default=0)),
        _read_distance(distance),
        CapacityTerm(_weight(capacity)),
        FairnessTerm(_weight(fairness), fairness["share"].choice(SHARES)),
    )


def _weight(node: Node) -> int:
    return node["weight"].integer(0, MAX_WEIGHT)


def _read_points(node: Node) -> tuple[tuple[str, int], ...]:
    points: dict[str, int] = {}
    for name, value in node.members():
        level = Node(name, value.path, value.faults).text(TEXT, 80).casefold()
        if level in points:
            value.fault(
                ConflictError(value.path, name, "is the same level as another but for case; keep one")
            )
        points[level] = value.integer(0, 100)
    return tuple(sorted(points.items()))


def _read_distance(node: Node) -> DistanceTerm:
    full, zero = node["full_km"].integer(0, MAX_KM), node["zero_km"].integer(1, MAX_KM)
    if zero <= full and not node.faults:
        node.fault(ConflictError(node["zero_km"].path, zero, f"must be more than full_km, which is {full}"))
    return DistanceTerm(_weight(node), full, zero)


def _read_offer(node: Node) -> OfferPolicy:
    node.keys(("answer_within_minutes", "cap_minutes"), ("reminder_at",))
    return OfferPolicy(
        node["answer_within_minutes"].integer(1, MAX_MINUTES),
        node["cap_minutes"].integer(1, MAX_MINUTES),
        node["reminder_at"].number(0.01, 0.99, default=0.5),
    )


def _read_bands(node: Node) -> tuple[AmountBands, ...]:
    bands: list[AmountBands] = []
    for item in node.items(200):
        if not item.keys(("currency", "edges")):
            continue
        currency = "*" if item["currency"].value == "*" else item["currency"].text(CURRENCY)
        edges = tuple(edge.integer(1, 10**15) for edge in item["edges"].items(50, least=1))
        if any(after <= before for before, after in pairwise(edges)):
            item.fault(ConflictError(item["edges"].path, list(edges), "must rise from edge to edge"))
        if currency in {band.currency for band in bands}:
            item.fault(ConflictError(item["currency"].path, currency, "has bands already; keep one entry"))
        bands.append(AmountBands(currency, edges))
    return tuple(bands)


def _read_rows(node: Node) -> tuple[Row, ...]:
    rows: list[Row] = []
    seen: set[str] = set()
    for item in node.items(MAX_ROWS):
        if node.full:
            break
        row = Row.read(item)
        if row.id and row.id in seen:
            item.fault(
                ConflictError(item["id"].path, row.id, "is the id of an earlier row; give each row its own")
            )
        seen.add(row.id)
        rows.append(row)
    return tuple(rows)


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _to_json(rules: RuleSet) -> dict[str, object]:
    score = rules.score
    return {
        "schema": FORM,
        "name": rules.name,
        "version": rules.version,
        "note": rules.note,
        "gates": list(rules.gates),
        "score": {
            "level": {
                "weight": score.level.weight,
                "points": dict(score.level.points),
                "default": score.level.default,
            },
            "distance": {
                "weight": score.distance.weight,
                "full_km": score.distance.full_km,
                "zero_km": score.distance.zero_km,
            },
            "capacity": {"weight": score.capacity.weight},
            "fairness": {"weight": score.fairness.weight, "share": score.fairness.share},
        },
        "offer": {
            "answer_within_minutes": rules.offer.answer_within_minutes,
            "cap_minutes": rules.offer.cap_minutes,
            "reminder_at": rules.offer.reminder_at,
        },
        "amount_bands": [
            {"currency": band.currency, "edges": list(band.edges)} for band in rules.amount_bands
        ],
        "rules": [row.to_json() for row in rules.rules],
        "examples": [example.to_json() for example in rules.examples],
    }


@cache
def default_ruleset() -> RuleSet:
    """The first rule set, as shipped in default_ruleset.json."""
    return RuleSet.loads((Path(__file__).parent / "default_ruleset.json").read_text(encoding="utf-8"))

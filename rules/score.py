"""The score of a rule set: what its terms weigh, in which bands candidates stand, and what orders them within one.

Points are integers; a term brings from 0 to its weight. Bands come before any score: a candidate of an earlier band goes
before all of a later one. Within a band `order` says what comes first: the score, whose turn it is, or who has the
smallest part of its capacity taken; the others break ties.
"""

from __future__ import annotations

from dataclasses import dataclass

from .axes import MAX_KM, WHO
from .cellform import Vocabulary, read_cells, write_cells
from .cells import Cell
from .effects import MAX_MINUTES, ORDERS
from .errors import ConflictError
from .reading import NAME, TEXT, Node

MAX_WEIGHT = 1_000  # points one term may bring
MAX_BANDS = 20
TERMS = ("level", "distance", "capacity", "fairness")
TERMS_LATER = ("win_rate", "answer_speed", "order", "bands")  # since the second form
SHARES = ("equal", "capacity")
PER_MILLE = 1_000


@dataclass(frozen=True, slots=True)
class LevelTerm:
    """Percent of `weight` by programme level, names compared without case; `default` for other levels or none."""

    weight: int
    points: tuple[tuple[str, int], ...]
    default: int

    def percent(self, level: str | None) -> int:
        if level is None:
            return self.default
        folded = level.casefold()
        return next((percent for name, percent in self.points if name == folded), self.default)


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
class WinRateTerm:
    """All of `weight` from a shrunk win rate of `full` thousandths on, a straight line from none at 0."""

    weight: int
    full: int


@dataclass(frozen=True, slots=True)
class AnswerSpeedTerm:
    """All of `weight` up to `full_minutes` to an answer (shrunk mean), none from `zero_minutes` on."""

    weight: int
    full_minutes: int
    zero_minutes: int


@dataclass(frozen=True, slots=True)
class Band:
    """Candidates who are such, wherever a better band does not have them already."""

    name: str
    who: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Score:
    level: LevelTerm
    distance: DistanceTerm
    capacity: CapacityTerm
    fairness: FairnessTerm
    win_rate: WinRateTerm | None = None
    answer_speed: AnswerSpeedTerm | None = None
    order: str = "score"
    bands: tuple[Band, ...] = ()

    @property
    def total(self) -> int:
        """Points the terms can bring together; what a page shows as "of 100"."""
        every = (self.level, self.distance, self.capacity, self.fairness, self.win_rate, self.answer_speed)
        return sum(term.weight for term in every if term is not None)


def read_score(node: Node, words: Vocabulary) -> Score:
    """The whole score; faults go into the node's list."""
    node.keys(TERMS, TERMS_LATER if words.form > 1 else (), TERMS_LATER if words.form == 1 else ())
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
        _read_win_rate(node["win_rate"]),
        _read_answer_speed(node["answer_speed"]),
        ORDERS[0] if node["order"].absent else node["order"].choice(ORDERS),
        _read_bands(node["bands"], words),
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


def _read_win_rate(node: Node) -> WinRateTerm | None:
    if node.absent or not node.keys(("weight", "full")):
        return None
    return WinRateTerm(_weight(node), node["full"].integer(1, PER_MILLE))


def _read_answer_speed(node: Node) -> AnswerSpeedTerm | None:
    if node.absent or not node.keys(("weight", "full_minutes", "zero_minutes")):
        return None
    before = len(node.faults)
    full = node["full_minutes"].integer(0, MAX_MINUTES)
    zero = node["zero_minutes"].integer(1, MAX_MINUTES)
    if zero <= full and len(node.faults) == before:
        cure = f"must be more than full_minutes, which is {full}"
        node.fault(ConflictError(node["zero_minutes"].path, zero, cure))
    return AnswerSpeedTerm(_weight(node), full, zero)


def _read_bands(node: Node, words: Vocabulary) -> tuple[Band, ...]:
    bands: list[Band] = []
    for item in [] if node.absent else node.items(MAX_BANDS):
        if not item.keys(("name", "who")):
            continue
        name = item["name"].text(NAME, 64)
        if name in {band.name for band in bands}:
            item.fault(ConflictError(item["name"].path, name, "stands twice; give each band its own name"))
        bands.append(Band(name, read_cells(item["who"], WHO, words)))
    return tuple(bands)


def write_score(score: Score, words: Vocabulary) -> dict[str, object]:
    """As it is stored: what only the second form knows is written in it alone, and only when it says something."""
    found: dict[str, object] = {
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
    }
    if score.win_rate:
        found["win_rate"] = {"weight": score.win_rate.weight, "full": score.win_rate.full}
    if score.answer_speed:
        speed = score.answer_speed
        found["answer_speed"] = {
            "weight": speed.weight,
            "full_minutes": speed.full_minutes,
            "zero_minutes": speed.zero_minutes,
        }
    if words.form > 1:
        found["order"] = score.order
        found["bands"] = [
            {"name": band.name, "who": write_cells(band.who, WHO, words)} for band in score.bands
        ]
    return found

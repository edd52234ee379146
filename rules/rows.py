"""Rows of a rule set: `when` a request is such, candidates `who` are such are required, excluded or boosted.

A cell is a list of values and holds when any of them does; all cells of a side must hold; an empty `when` always holds.
Later predicates and effects are known by name, so that a newer rule set is refused clearly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from re import Pattern

from .errors import ConflictError, MissingError, RangeError
from .model import Candidate, Certification, Place, Request
from .money import minor_per_major
from .reading import COUNTRY, CURRENCY, NAME, POSTAL, SUBDIVISION, TEXT, Node

MAX_ROWS = 5_000
MAX_VALUES = 10_000  # values in one cell
MAX_AMOUNT = 10**15  # whole units of a currency
MAX_BOOST = 1_000  # points

EFFECTS = ("require", "exclude", "boost")
EFFECTS_LATER = (
    *(
        "exclusive",
        "cap",
        "pool",
        "deadline",
        "parallel_offers",
        "house",
        "co_sell",
        "via_distributor",
        "fallback",
    ),
)
WHEN: dict[str, Pattern[str]] = {
    "country": COUNTRY,
    "subdivision": SUBDIVISION,
    "postal_prefix": POSTAL,
    "product_lines": TEXT,
    "language": TEXT,
    "industry": TEXT,
    "source": TEXT,
}
WHEN_LATER = ("circle", "polygon", "segment", "named_account", "relationship", "open_now", "custom")
WHO: dict[str, Pattern[str]] = {"level": TEXT, "certification": TEXT, "country": COUNTRY}
WHO_LATER = (
    "authorised",
    "tags",
    "capacity",
    "distance",
    "open_now",
    "performance",
    "custom",
    "distributor_of",
)


@dataclass(frozen=True, slots=True)
class AmountRange:
    """From `low` (included) to `high` (not included) whole units; holds only for amounts in this currency."""

    currency: str
    low: int | None
    high: int | None

    def holds(self, request: Request) -> bool:
        if request.amount_minor is None or request.currency != self.currency:
            return False
        unit = minor_per_major(self.currency)
        above = self.low is None or self.low * unit <= request.amount_minor
        return above and (self.high is None or request.amount_minor < self.high * unit)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `when` and `who` are (predicate, values); `points` is 0 but for a boost; validity days are included."""

    id: str
    when: tuple[tuple[str, frozenset[str]], ...] = ()
    amount: AmountRange | None = None
    who: tuple[tuple[str, frozenset[str]], ...] = ()
    effect: str = "require"
    points: int = 0
    valid_from: date | None = None
    valid_to: date | None = None
    note: str = field(default="")

    @staticmethod
    def read(node: Node) -> Row:
        """Read one row; faults go into the node's list."""
        if not node.keys(("id", "when", "who", "effect"), ("valid_from", "valid_to", "note")):
            return Row("")
        when, who, effect = node["when"], node["who"], node["effect"]
        when.keys((), (*WHEN, "amount"), WHEN_LATER)
        who.keys((), tuple(WHO), WHO_LATER)
        kind, points = _read_effect(effect)
        if kind != "boost" and who.value == {}:
            cure = f"must say whom the row {kind}s; an empty one would {kind} everybody"
            node.fault(ConflictError(who.path, {}, cure))
        valid_from, valid_to = node["valid_from"].day(), node["valid_to"].day()
        if valid_from and valid_to and valid_to < valid_from:
            node.fault(
                ConflictError(node["valid_to"].path, node["valid_to"].value, f"is before {valid_from}")
            )
        return Row(
            id=node["id"].text(NAME, 64),
            when=_read_cells(when, WHEN),
            amount=None if when["amount"].absent else _read_amount(when["amount"]),
            who=_read_cells(who, WHO),
            effect=kind,
            points=points,
            valid_from=valid_from,
            valid_to=valid_to,
            note="" if node["note"].value == "" else node["note"].text(most=2_000),
        )

    def to_json(self) -> dict[str, object]:
        when: dict[str, object] = {name: sorted(values) for name, values in self.when}
        if self.amount:
            when["amount"] = {
                "currency": self.amount.currency,
                "from": self.amount.low,
                "below": self.amount.high,
            }
        effect: dict[str, object] = {"kind": self.effect}
        if self.effect == "boost":
            effect["points"] = self.points
        return {
            "id": self.id,
            "when": when,
            "who": {name: sorted(values) for name, values in self.who},
            "effect": effect,
            "valid_from": self.valid_from.isoformat() if self.valid_from else None,
            "valid_to": self.valid_to.isoformat() if self.valid_to else None,
            "note": self.note,
        }

    def applies(self, request: Request) -> bool:
        """Whether the row is valid on the request's day and its `when` holds."""
        day = request.day
        if (self.valid_from and day < self.valid_from) or (self.valid_to and self.valid_to < day):
            return False
        if self.amount is not None and not self.amount.holds(request):
            return False
        return all(_WHEN_HOLDS[name](request, values) for name, values in self.when)

    def meets(self, candidate: Candidate, day: date) -> bool:
        """Whether the candidate is one of those in `who` on that day."""
        return all(_WHO_HOLDS[name](candidate, values, day) for name, values in self.who)


def _read_effect(node: Node) -> tuple[str, int]:
    kind = node["kind"].choice(EFFECTS, later=EFFECTS_LATER)
    if node["kind"].value in EFFECTS_LATER:  # its other keys are of a later version too
        return kind, 0
    if not node.keys(("kind", "points") if kind == "boost" else ("kind",)):
        return kind, 0
    points = node["points"].integer(-MAX_BOOST, MAX_BOOST, default=0) if kind == "boost" else 0
    return kind, points


def _read_cells(node: Node, predicates: dict[str, Pattern[str]]) -> tuple[tuple[str, frozenset[str]], ...]:
    cells: list[tuple[str, frozenset[str]]] = []
    for name, pattern in predicates.items():
        cell = node[name]
        if isinstance(node.value, Mapping) and name in node.value:
            words = cell.words(pattern, MAX_VALUES, least=1)
            cells.append((name, frozenset(word.casefold() if name == "level" else word for word in words)))
    return tuple(cells)


def _read_amount(node: Node) -> AmountRange | None:
    if not node.keys(("currency",), ("from", "below")):
        return None
    low = None if node["from"].absent else node["from"].integer(0, MAX_AMOUNT)
    high = None if node["below"].absent else node["below"].integer(0, MAX_AMOUNT)
    if low is None and high is None:
        node.fault(MissingError(f"{node.path}.from", "add 'from' or 'below' or both, in whole units"))
    if low is not None and high is not None and high <= low:
        node.fault(RangeError(node["below"].path, high, f"must be more than from, which is {low}"))
    return AmountRange(node["currency"].text(CURRENCY), low, high)


def plain_postal(postal: str | None) -> str:
    """A postal code as it is compared: upper case letters and digits only."""
    return "".join(char for char in (postal or "").upper() if char.isalnum())


def full_subdivision(code: str | None, country: str | None) -> str | None:
    """ISO 3166-2 in full: `MD` in US is `US-MD`; None when it cannot be told."""
    if not code:
        return None
    if "-" in code:
        return code
    return f"{country}-{code}" if country else None


def _starts(place: Place, values: frozenset[str]) -> bool:
    postal = plain_postal(place.postal)
    return any(postal[:length] in values for length in range(1, len(postal) + 1))


def holds_programme(certifications: tuple[Certification, ...], programmes: frozenset[str], day: date) -> bool:
    """Whether any certification of one of the programmes is valid that day, for whatever product line."""
    return any(held.programme in programmes and held.valid_on(day) for held in certifications)


_WHEN_HOLDS: dict[str, Callable[[Request, frozenset[str]], bool]] = {
    "country": lambda request, values: request.place.country in values,
    "subdivision": lambda request, values: (
        full_subdivision(request.place.subdivision, request.place.country) in values
    ),
    "postal_prefix": lambda request, values: _starts(request.place, values),
    "product_lines": lambda request, values: not values.isdisjoint(request.product_lines),
    "language": lambda request, values: request.language in values,
    "industry": lambda request, values: request.industry in values,
    "source": lambda request, values: request.source in values,
}
_WHO_HOLDS: dict[str, Callable[[Candidate, frozenset[str], date], bool]] = {
    "level": lambda candidate, values, day: (candidate.level or "").casefold() in values,
    "certification": lambda candidate, values, day: holds_programme(candidate.certifications, values, day),
    "country": lambda candidate, values, day: candidate.country in values,
}

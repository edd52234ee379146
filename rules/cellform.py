"""How cells are written in a rule set, read with all their faults, and written back in one canonical way.

A set or prefix cell is a list of values, or {"not": [...]}. An interval is {"from": a, "below": b} (a included, b not;
"above" and "to" turn that around), a list of such, or {"not": [...]}; an amount says its currency in each. A flag is true
or false. Shapes are a list, or {"not": [...]}. A keyed cell has one test for each key, a custom one for each declared
attribute. The first form knows lists and amounts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Literal

from .axes import MAX_COUNT, Axis, WhenAxis, WhoAxis
from .cells import Cell, Inside, Is, OneOf, Prefixes, Span, Test, Within, complement, merged
from .codes import COUNTRIES, CURRENCIES, look_alike
from .errors import ConflictError, KindError, MissingError, RangeError, UnknownError
from .money import minor_per_major
from .reading import COUNTRY, NAME, TEXT, Node
from .shapes import read_shape

MAX_VALUES = 10_000  # values in one cell
MAX_SPANS = 1_000
SPAN_KEYS = ("from", "below")
SPAN_KEYS_LATER = ("above", "to")  # since the second form: the other way round about their own value
MAX_SHAPES = 100
MAX_ATTRIBUTES = 200
MAX_DECIMALS = 6
Type = Literal["words", "number", "day", "flag"]
TYPES: tuple[Type, ...] = ("words", "number", "day", "flag")


@dataclass(frozen=True, slots=True)
class Declared:
    """A custom attribute a rule set declares; `values` empty: any word. A number is kept with so many `decimals`."""

    name: str
    type: Type
    values: tuple[str, ...] = ()
    decimals: int = 0

    @staticmethod
    def read(name: str, node: Node) -> Declared:
        node.keys(("type",), ("values", "decimals"))
        kind = node["type"].choice(TYPES)
        if kind != "words" and not node["values"].absent:
            node.fault(ConflictError(node["values"].path, node["values"].value, "belong to words alone"))
        if kind != "number" and not node["decimals"].absent:
            node.fault(
                ConflictError(node["decimals"].path, node["decimals"].value, "belong to numbers alone")
            )
        return Declared(
            Node(name, node.path, node.faults).text(NAME, 64),
            next(one for one in TYPES if one == kind),
            node["values"].words(TEXT, MAX_VALUES),
            node["decimals"].integer(0, MAX_DECIMALS, default=0),
        )

    def to_json(self) -> dict[str, object]:
        more: dict[str, object] = {"values": sorted(self.values)} if self.values else {}
        return {"type": self.type} | more | ({"decimals": self.decimals} if self.decimals else {})


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What a rule set may say: which form it is of, and the custom attributes it declares for either side."""

    form: int = 2
    when: Mapping[str, Declared] = field(default_factory=dict)
    who: Mapping[str, Declared] = field(default_factory=dict)

    def names(self, axes: Mapping[str, Axis]) -> tuple[str, ...]:
        """The axes of one side that this form knows."""
        return tuple(name for name, axis in axes.items() if axis.since <= self.form)

    def later(self, axes: Mapping[str, Axis]) -> tuple[str, ...]:
        """The axes of one side that only a later form knows."""
        return tuple(name for name, axis in axes.items() if axis.since > self.form)


def read_cells(
    node: Node, axes: Mapping[str, WhenAxis] | Mapping[str, WhoAxis], words: Vocabulary
) -> tuple[Cell, ...]:
    """The cells of one side, in the order of the table; faults go into the node's list."""
    if not node.keys((), words.names(axes), words.later(axes)) or not isinstance(node.value, Mapping):
        return ()
    cells: list[Cell] = []
    for axis in axes.values():
        if axis.name in node.value and axis.since <= words.form:
            cells.extend(_read(node[axis.name], axis, words))
    if words.form > 1:
        _known_together(node, cells)
    return tuple(cells)


def _known_together(node: Node, cells: Iterable[Cell]) -> None:
    """A subdivision that lies in none of the row's countries can never hold."""
    values = {c.axis: c.test.values for c in cells if isinstance(c.test, OneOf) and not c.test.negated}
    countries = values.get("country")
    for code in sorted(values.get("subdivision", ())):
        if countries is not None and code[:2] not in countries:
            path = node["subdivision"].path
            node.fault(
                ConflictError(path, code, f"lies in none of the countries {', '.join(sorted(countries))}")
            )


def _read(node: Node, axis: Axis, words: Vocabulary) -> Iterable[Cell]:
    if axis.writing == "money":
        return () if node.absent else _read_money(node, axis, words)
    if axis.writing == "plain":
        return (Cell(axis.name, "", read_test(node, axis, words)),)
    cells = []
    for key, value in node.members():
        if axis.writing == "keyed":
            if axis.keys and key not in axis.keys:
                node.fault(
                    UnknownError(value.path, key, f"is not known here; use one of: {', '.join(axis.keys)}")
                )
            cells.append(Cell(axis.name, key, read_test(value, axis, words)))
        else:
            declared = (words.when if isinstance(axis, WhenAxis) else words.who).get(key)
            if declared is None:
                node.fault(
                    UnknownError(value.path, key, "is not declared; add it to the rule set's attributes")
                )
            else:
                cells.append(Cell(axis.name, key, _read_custom(value, declared)))
    if not cells and not node.faults:
        node.fault(RangeError(node.path, node.value, "must test at least one key"))
    return cells


def read_test(node: Node, axis: Axis, words: Vocabulary) -> Test:
    """One test on one axis."""
    if axis.kind == "flag":
        return Is(node.boolean(False) if not node.absent else _missing(node))
    if axis.kind == "interval":
        return _read_within(node, lambda limit: _whole(limit, axis.unit, axis.most), words)
    inner, negated = _negated(node, words)
    if axis.kind == "geo":
        shapes = (read_shape(item) for item in inner.items(MAX_SHAPES, least=1))
        return Inside(tuple(shape for shape in shapes if shape is not None), negated)
    values = inner.words(axis.pattern, MAX_VALUES, least=1)
    if words.form > 1:
        _check_words(inner, axis, values)
    folded = frozenset(word.casefold() for word in values) if axis.fold else frozenset(values)
    return (Prefixes if axis.kind == "prefix" else OneOf)(folded, negated)


def _missing(node: Node) -> bool:
    node.fault(KindError(node.path, None, "must be true or false"))
    return False


def _negated(node: Node, words: Vocabulary) -> tuple[Node, bool]:
    if words.form > 1 and isinstance(node.value, Mapping):
        node.keys(("not",))
        return node["not"], True
    return node, False


def _check_words(node: Node, axis: Axis, values: Iterable[str]) -> None:
    """Codes that exist, and words that are what they look like."""
    for index, word in enumerate(values):
        twin = look_alike(word)
        if twin:
            node.fault(RangeError(f"{node.path}[{index}]", word, twin))
        elif axis.pattern is COUNTRY and word not in COUNTRIES:
            node.fault(UnknownError(f"{node.path}[{index}]", word, "is no country of ISO 3166-1"))
        elif axis.name == "subdivision" and word[:2] not in COUNTRIES:
            node.fault(UnknownError(f"{node.path}[{index}]", word, "is of no country of ISO 3166-1"))


def _whole(node: Node, unit: int, most: int) -> int:
    return node.integer(0, most) * unit


def _read_within(node: Node, limit: Callable[[Node], int], words: Vocabulary) -> Within:
    """One span or several, or what is outside them, as rising spans."""
    inner, negated = node, False
    if isinstance(node.value, Mapping) and "not" in node.value:
        inner, negated = _negated(node, words)
    items = inner.items(MAX_SPANS, least=1) if isinstance(inner.value, (list, tuple)) else [inner]
    later = SPAN_KEYS_LATER if words.form == 1 else ()
    keys = SPAN_KEYS if later else SPAN_KEYS + SPAN_KEYS_LATER
    spans = merged(_read_span(item, limit) for item in items if item.keys((), keys, later))
    if not negated:
        return Within(spans)
    if not complement(spans) and not node.faults:
        node.fault(ConflictError(node.path, node.value, "leaves nothing out: it can never hold"))
    return Within(complement(spans))


def _read_span(node: Node, limit: Callable[[Node], int]) -> Span:
    """At least one limit; the upper must leave something above the lower."""
    before = len(node.faults)
    low, lower = _limit_of(node, limit, "from", "above", 0, 1)
    high, upper = _limit_of(node, limit, "below", "to", 0, 1)
    if low is None and high is None and len(node.faults) == before:
        node.fault(MissingError(f"{node.path}.from", "add 'from' or 'below' or both, in whole units"))
    if low is not None and high is not None and high <= low and len(node.faults) == before:
        at, start = node[upper], node[lower].value
        node.fault(RangeError(at.path, at.value, f"must be more than {lower}, which is {start}"))
    return low, high


def _limit_of(
    node: Node, limit: Callable[[Node], int], plain: str, other: str, *add: int
) -> tuple[int | None, str]:
    """The limit under either key, as the half-open span has it, and the key; both together are a fault."""
    if not node[plain].absent and not node[other].absent:
        node.fault(ConflictError(node[other].path, node[other].value, f"stands beside {plain!r}; keep one"))
    for key, more in zip((plain, other), add, strict=True):
        if not node[key].absent:
            return limit(node[key]) + more, key
    return None, plain


def _read_money(node: Node, axis: Axis, words: Vocabulary) -> Iterable[Cell]:
    several = isinstance(node.value, (list, tuple)) and words.form > 1
    spans: list[Span] = []
    currencies: dict[str, None] = {}
    later = SPAN_KEYS_LATER if words.form == 1 else ()
    for item in node.items(MAX_SPANS, least=1) if several else [node]:
        if not item.keys(("currency",), SPAN_KEYS if later else SPAN_KEYS + SPAN_KEYS_LATER, later):
            return ()
        currency = item["currency"].text(axis.pattern)
        if words.form > 1 and currency and currency not in CURRENCIES:
            item.fault(UnknownError(item["currency"].path, currency, "is no currency of ISO 4217"))
        currencies[currency] = None
        spans.append(_read_span(item, _money_limit(axis, currency)))
    if len(currencies) > 1:
        node.fault(ConflictError(node.path, list(currencies), "must be one currency in one cell"))
    return (Cell(axis.name, next(iter(currencies), ""), Within(merged(spans))),)


def _money_limit(axis: Axis, currency: str) -> Callable[[Node], int]:
    unit = minor_per_major(currency)
    return lambda limit: _whole(limit, unit, axis.most)


def read_in_column(node: Node, axis: Axis, key: str, declared: Declared | None, words: Vocabulary) -> Test:
    """One test in a column of a table, which says the key once for all its cells."""
    if declared is not None:
        return _read_custom(node, declared)
    if axis.writing == "money":
        return _read_within(node, _money_limit(axis, key), words)
    return read_test(node, axis, words)


def write_in_column(cell: Cell, axis: Axis, declared: Declared | None) -> object:
    """One test as a table stores it."""
    unit = minor_per_major(cell.key) if axis.writing == "money" else axis.unit
    return write_test(cell.test, unit, declared)


def _read_custom(node: Node, declared: Declared) -> Test:
    """A test on a custom attribute, as its declaration says."""
    if declared.type == "flag":
        return Is(node.boolean(False) if not node.absent else _missing(node))
    if declared.type == "number":
        return _read_within(node, lambda limit: limit.scaled(declared.decimals, MAX_COUNT), Vocabulary())
    if declared.type == "day":
        return _read_within(node, lambda limit: (limit.day() or date.min).toordinal(), Vocabulary())
    inner, negated = _negated(node, Vocabulary())
    values = inner.words(TEXT, MAX_VALUES, least=1)
    for index, word in enumerate(values):
        twin = look_alike(word)
        if twin:
            node.fault(RangeError(f"{inner.path}[{index}]", word, twin))
        elif declared.values and word not in declared.values:
            known = ", ".join(declared.values[:8])
            node.fault(UnknownError(f"{inner.path}[{index}]", word, f"is not one of its values: {known}"))
    return OneOf(frozenset(values), negated)


# Writing --------------------------------------------------------------------------------------------------------------


def write_cells(cells: Iterable[Cell], axes: Mapping[str, Axis], words: Vocabulary) -> dict[str, object]:
    """The cells of one side as they are stored: every default written out, values sorted."""
    written: dict[str, object] = {}
    for cell in cells:
        axis = axes[cell.axis]
        if axis.writing == "money":
            written[cell.axis] = _write_money(cell)
        elif axis.writing == "plain":
            written[cell.axis] = write_test(cell.test, axis.unit)
        else:
            declared = (words.when if isinstance(axis, WhenAxis) else words.who).get(cell.key)
            keyed = written.setdefault(cell.axis, {})
            assert isinstance(keyed, dict)
            keyed[cell.key] = write_test(cell.test, axis.unit, declared if axis.writing == "custom" else None)
    return written


def _one_or_all(spans: list[dict[str, object]]) -> object:
    return spans[0] if len(spans) == 1 else spans


def _write_money(cell: Cell) -> object:
    assert isinstance(cell.test, Within)
    unit = minor_per_major(cell.key)
    return _one_or_all([{"currency": cell.key} | _span_json(span, unit) for span in cell.test.spans])


def _span_json(span: Span, unit: int) -> dict[str, object]:
    """A limit one past a whole unit is the other kind about that unit."""
    low, high = span
    found: dict[str, object] = {"from": None, "below": None}
    if low is not None:
        found |= {"from": low // unit} if low % unit == 0 else {"above": low // unit}
    if high is not None:
        found |= {"below": high // unit} if high % unit == 0 else {"to": high // unit}
    return found


def write_test(test: Test, unit: int = 1, declared: Declared | None = None) -> object:
    """One test as it is stored."""
    if isinstance(test, Is):
        return test.value
    if isinstance(test, Within):
        if declared is None:
            return _one_or_all([_span_json(span, unit) for span in test.spans])
        return _one_or_all(
            [{"from": _limit(low, declared), "below": _limit(high, declared)} for low, high in test.spans]
        )
    values: list[object] = (
        [shape.to_json() for shape in test.shapes] if isinstance(test, Inside) else [*sorted(test.values)]
    )
    return {"not": values} if test.negated else values


def _limit(value: int | None, declared: Declared) -> object:
    if value is None:
        return None
    if declared.type == "day":
        return date.fromordinal(value).isoformat()
    if not declared.decimals:
        return value
    return float(Decimal(value).scaleb(-declared.decimals))

"""A row as structured data, cell by cell: what a page turns into a sentence in its reader's language.

Codes, numbers and days, never prose. Limits are in the unit in which the axis is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .axes import WHEN, WHO, Axis
from .cellform import Vocabulary, write_in_column
from .cells import Cell, Inside, Is, OneOf, Prefixes, Within
from .effects import write_effect
from .rows import Row

Operator = Literal[
    "any_of", "none_of", "starts_with", "starts_with_none", "within", "inside", "outside", "is"
]


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One cell: the axis and its key, what is asked, and the values as a rule set stores them."""

    side: Literal["when", "who"]
    axis: str
    key: str
    operator: Operator
    values: object


@dataclass(frozen=True, slots=True)
class RowFacts:
    """`table` and `number` (from 1) say where it stands in a decision table; both are None for a row of its own."""

    id: str
    table: str | None
    number: int | None
    when: tuple[CellFacts, ...]
    who: tuple[CellFacts, ...]
    effect: Mapping[str, object]
    valid_from: str | None
    valid_to: str | None
    note: str


def row_facts(row: Row, words: Vocabulary) -> RowFacts:
    """Everything a row says."""
    number = int(row.id.rpartition(".")[2]) if row.table else None
    return RowFacts(
        id=row.id,
        table=row.table or None,
        number=number,
        when=tuple(_facts(cell, "when", WHEN[cell.axis], words) for cell in row.when),
        who=tuple(_facts(cell, "who", WHO[cell.axis], words) for cell in row.who),
        effect=write_effect(row.effect, row.terms),
        valid_from=row.valid_from.isoformat() if row.valid_from else None,
        valid_to=row.valid_to.isoformat() if row.valid_to else None,
        note=row.note,
    )


def _facts(cell: Cell, side: Literal["when", "who"], axis: Axis, words: Vocabulary) -> CellFacts:
    declared = (words.when if side == "when" else words.who).get(cell.key) if axis.kind == "custom" else None
    values = write_in_column(cell, axis, declared)
    if isinstance(values, dict) and "not" in values:
        values = values["not"]
    if isinstance(cell.test, Within) and not isinstance(values, list):
        values = [values]
    return CellFacts(side, cell.axis, cell.key, _operator(cell), values)


def _operator(cell: Cell) -> Operator:
    match cell.test:
        case OneOf(negated=negated):
            return "none_of" if negated else "any_of"
        case Prefixes(negated=negated):
            return "starts_with_none" if negated else "starts_with"
        case Inside(negated=negated):
            return "outside" if negated else "inside"
        case Is():
            return "is"
    return "within"

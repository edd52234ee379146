"""The stored form of a decision table, its lowering to rows of the rule set, and what hit policies choose.

A table has columns (an axis of the request or of the candidate each, with a key where the axis has several) and rows of
cells: the JSON of a test, or null for anything. A row has an effect of its own or the table's. Hit policies are those
of DMN, over the rows whose `when` holds for a request:

 U  unique    exactly one may hold; when several do, none acts, and the decision says so (`Handling.undecided`)
 F  first     the first that holds acts
 C  collect   all that hold act

Row 3 of table `regions` becomes the row `regions.3`; rows count from 1, as people count them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ..axes import WHEN, WHO, Axis
from ..cellform import Declared, Vocabulary, read_in_column, write_in_column
from ..cells import Cell
from ..effects import NO_TERMS, Terms, read_effect, write_effect
from ..errors import ConflictError, MissingError, RangeError, UnknownError
from ..model import Request
from ..reading import CURRENCY, NAME, Node
from ..rows import Row, read_validity

Policy = Literal["U", "F", "C"]
POLICIES: tuple[Policy, ...] = ("U", "F", "C")
MAX_TABLES = 100
MAX_COLUMNS = 50
MAX_TABLE_ROWS = 5_000
MAX_TABLE_EXAMPLES = 500


@dataclass(frozen=True, slots=True)
class Column:
    """One axis; `key` is the currency, the programme, the figure or the attribute where the axis needs one."""

    side: Literal["when", "who"]
    axis: Axis
    key: str
    declared: Declared | None

    def to_json(self) -> dict[str, object]:
        found: dict[str, object] = {"side": self.side, "axis": self.axis.name}
        return found | {"key": self.key} if self.key else found

    @staticmethod
    def read(node: Node, words: Vocabulary) -> Column | None:
        if not node.keys(("side", "axis"), ("key",)):
            return None
        side: Literal["when", "who"] = "who" if node["side"].choice(("when", "who")) == "who" else "when"
        axes: Mapping[str, Axis] = WHO if side == "who" else WHEN
        axis = axes[node["axis"].choice(words.names(axes))]
        key = node["key"].text_or_none() or ""
        declared = (words.who if side == "who" else words.when).get(key) if axis.writing == "custom" else None
        if axis.writing == "plain":
            if key:
                node.fault(ConflictError(node["key"].path, key, f"does not belong: {axis.name} has no keys"))
        elif not key:
            node.fault(MissingError(node["key"].path, f"say which {axis.name} this column is about"))
        elif axis.writing == "custom" and declared is None:
            node.fault(
                UnknownError(node["key"].path, key, "is not declared; add it to the rule set's attributes")
            )
        elif axis.keys and key not in axis.keys:
            node.fault(UnknownError(node["key"].path, key, f"must be one of: {', '.join(axis.keys)}"))
        elif axis.writing == "money":
            node["key"].text(CURRENCY)
        return Column(side, axis, key, declared)


@dataclass(frozen=True, slots=True)
class TableExample:
    """A request, and the rows (from 1) of the table that must act on it."""

    name: str
    request: Request
    rows: tuple[int, ...]
    source: Mapping[str, object]

    @staticmethod
    def read(node: Node, count: int) -> TableExample:
        node.keys(("name", "request", "rows"))
        return TableExample(
            node["name"].text(),
            Request.read(node["request"]),
            tuple(item.integer(1, max(1, count)) for item in node["rows"].items(MAX_TABLE_ROWS)),
            node.value if isinstance(node.value, Mapping) else {},
        )


@dataclass(frozen=True, slots=True)
class Table:
    """A table that has been read; `rows` are lowered, `effect` is the one of rows without their own."""

    id: str
    name: str
    policy: Policy
    columns: tuple[Column, ...]
    effect: tuple[str, Terms] | None
    rows: tuple[Row, ...]
    own: tuple[bool, ...]  # whether each row has an effect of its own
    examples: tuple[TableExample, ...]

    @staticmethod
    def read(node: Node, words: Vocabulary) -> Table:
        """Read one table; faults go into the node's list, with row and cell."""
        node.keys(("id", "hit_policy", "columns", "rows"), ("name", "effect", "examples"))
        own_id = node["id"].text(NAME, 50)
        policy = node["hit_policy"].choice(POLICIES)
        columns = _read_columns(node["columns"], words)
        rows: list[Row] = []
        own: list[bool] = []
        for number, item in enumerate(node["rows"].items(MAX_TABLE_ROWS), start=1):
            if node.full:
                break
            own.append(not item["effect"].absent)
            effect = item["effect"] if own[-1] else node["effect"]
            if effect.absent:
                item.fault(
                    MissingError(item["effect"].path, "give the row an effect, or the table one for all")
                )
            rows.append(_read_row(item, f"{own_id}.{number}", own_id, columns, effect, words))
        return Table(
            own_id,
            "" if node["name"].absent or node["name"].value == "" else node["name"].text(),
            next(one for one in POLICIES if one == policy),
            tuple(column for column in columns if column is not None),
            None if node["effect"].absent else read_effect(node["effect"], None, words.form),
            tuple(rows),
            tuple(own),
            tuple(TableExample.read(e, len(rows)) for e in node["examples"].items(MAX_TABLE_EXAMPLES)),
        )

    def to_json(self) -> dict[str, object]:
        """The canonical form."""
        return {
            "id": self.id,
            "name": self.name,
            "hit_policy": self.policy,
            "columns": [column.to_json() for column in self.columns],
            "effect": write_effect(*self.effect) if self.effect else None,
            "rows": [self._row_json(row, own) for row, own in zip(self.rows, self.own, strict=True)],
            "examples": [dict(example.source) for example in self.examples],
        }

    def _row_json(self, row: Row, own: bool) -> dict[str, object]:
        return {
            "cells": [_cell_json(row, column) for column in self.columns],
            "effect": write_effect(row.effect, row.terms) if own else None,
            **row.validity_json(),
        }


def _cell_json(row: Row, column: Column) -> object:
    cells = row.who if column.side == "who" else row.when
    found = next((cell for cell in cells if (cell.axis, cell.key) == (column.axis.name, column.key)), None)
    return None if found is None else write_in_column(found, column.axis, column.declared)


def _read_columns(node: Node, words: Vocabulary) -> list[Column | None]:
    columns: list[Column | None] = []
    seen: set[tuple[str, str, str]] = set()
    for item in node.items(MAX_COLUMNS, least=1):
        column = Column.read(item, words)
        columns.append(column)
        if column is not None:
            at = (column.side, column.axis.name, column.key)
            if at in seen:
                item.fault(ConflictError(item.path, column.axis.name, "has a column already; keep one"))
            seen.add(at)
    return columns


def _read_row(
    node: Node, row_id: str, table: str, columns: Sequence[Column | None], effect: Node, words: Vocabulary
) -> Row:
    node.keys(("cells",), ("effect", "valid_from", "valid_to", "note"))
    items = node["cells"].items(MAX_COLUMNS)
    if items and len(items) != len(columns):
        cure = f"must hold one cell for each of the {len(columns)} columns"
        node.fault(RangeError(node["cells"].path, f"{len(items)} cells", cure))
    when: list[Cell] = []
    who: list[Cell] = []
    for item, column in zip(items, columns, strict=False):
        if column is not None and not item.absent:
            test = read_in_column(item, column.axis, column.key, column.declared, words)
            side = who if column.side == "who" else when
            side.append(Cell(column.axis.name, column.key, test))
    means = Node({cell.axis: True for cell in who}, node["cells"].path, node.faults)
    kind, terms = ("require", NO_TERMS) if effect.absent else read_effect(effect, means, words.form)
    valid_from, valid_to, note = read_validity(node)
    return Row(row_id, tuple(when), tuple(who), kind, terms, valid_from, valid_to, note, table)


def acting(rows: Iterable[Row], policies: Mapping[str, Policy]) -> tuple[list[Row], tuple[str, ...]]:
    """Of rows that hold, in their order, those that act; and the tables in which several of a unique one did.

    A row of no table always acts.
    """
    found = list(rows)
    holding: dict[str, int] = {}
    kept: list[Row] = []
    for row in found:
        holding[row.table] = holding.get(row.table, 0) + 1
        if row.table == "" or policies[row.table] == "C" or holding[row.table] == 1:
            kept.append(row)
    undecided = tuple(table for table, n in holding.items() if table and policies[table] == "U" and n > 1)
    return [row for row in kept if row.table not in undecided], undecided


def acting_rows(table: Table, holding: Iterable[Row]) -> tuple[int, ...]:
    """The numbers (from 1) of the rows of one table that act, of those that hold."""
    kept, _undecided = acting(holding, {table.id: table.policy})
    return tuple(int(row.id.rpartition(".")[2]) for row in kept)

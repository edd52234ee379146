"""What differs between two rule sets: row by row, cell by cell, and in what stands around the rows. Pure."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from rules import canonical_json

Body = Mapping[str, Any]
RowJson = Mapping[str, Any]
Kind = Literal["added", "removed", "changed", "moved", "same"]

# What is told of rows or of the set itself, not of its settings.
APART = ("rules", "version", "schema")


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row of either side. Positions count from 1; `cells` are the paths of the cells that differ ("when.country")."""

    kind: Kind
    id: str
    before: RowJson | None
    after: RowJson | None
    was_at: int | None
    at: int | None
    cells: tuple[str, ...] = ()
    moved: bool = False


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A setting outside the rows by its path ("score.level.weight"); None where one side has none."""

    path: str
    before: Any
    after: Any


def compare_rows(before: Sequence[RowJson], after: Sequence[RowJson]) -> list[RowChange]:
    """Every row of both, in the order of `after`; a removed one stands where it stood among its neighbours."""
    old = {row["id"]: (at, row) for at, row in enumerate(before, 1)}
    new_ids = {row["id"] for row in after}
    stays = _in_order([old[row["id"]][0] for row in after if row["id"] in old])
    found: list[RowChange] = []
    done = 0
    for at, row in enumerate(after, 1):
        if row["id"] not in old:
            found.append(RowChange("added", row["id"], None, row, None, at))
            continue
        was_at, was = old[row["id"]]
        if was_at in stays:
            found += _removed(before[done:was_at], done, new_ids)
            done = max(done, was_at)
        cells = changed_cells(was, row)
        moved = was_at not in stays
        kind: Kind = "changed" if cells else "moved" if moved else "same"
        found.append(RowChange(kind, row["id"], was, row, was_at, at, cells, moved))
    return found + _removed(before[done:], done, new_ids)


def _removed(rows: Sequence[RowJson], start: int, kept: set[str]) -> list[RowChange]:
    return [
        RowChange("removed", row["id"], row, None, at, None)
        for at, row in enumerate(rows, start + 1)
        if row["id"] not in kept
    ]


def _in_order(numbers: Sequence[int]) -> set[int]:
    """The members of a longest rising subsequence: rows that kept their order, so that the fewest count as moved."""
    tails: list[int] = []
    tail_at: list[int] = []
    before: list[int] = []
    for n, number in enumerate(numbers):
        at = bisect_left(tails, number)
        before.append(tail_at[at - 1] if at else -1)
        tails[at : at + 1] = [number]
        tail_at[at : at + 1] = [n]
    kept, n = set(), tail_at[-1] if tail_at else -1
    while n >= 0:
        kept.add(numbers[n])
        n = before[n]
    return kept


def changed_cells(before: RowJson, after: RowJson) -> tuple[str, ...]:
    """Paths of the cells that differ: `when` and `who` by axis, the rest as a whole."""
    found = []
    for side in ("when", "who"):
        one, other = before.get(side, {}), after.get(side, {})
        found += [
            f"{side}.{axis}" for axis in dict.fromkeys([*one, *other]) if one.get(axis) != other.get(axis)
        ]
    found += [
        key for key in ("effect", "valid_from", "valid_to", "note") if before.get(key) != after.get(key)
    ]
    return tuple(found)


def compare_settings(before: Body, after: Body) -> list[SettingChange]:
    """Settings that differ, by path; lists (bands, examples) count as one value each."""
    one, other = _flat(before), _flat(after)
    return [
        SettingChange(path, one.get(path), other.get(path))
        for path in dict.fromkeys([*one, *other])
        if canonical_json(one.get(path)) != canonical_json(other.get(path))
    ]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping) and (value or not path):
        found: dict[str, Any] = {}
        for key, member in value.items():
            if path or key not in APART:
                found |= _flat(member, f"{path}.{key}" if path else str(key))
        return found
    return {path: value}

"""The rows of a draft as they stand in a form or a file: read cell by cell, checked as a whole, every fault at its cell."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.routing.rulesets.cells import CellFault, Vocabulary, read, written
from portal.routing.rulesets.columns import Column, columns
from portal.web.i18n import _, tr
from rules import FORMS, ConflictError, MissingError, RuleError, RuleSet, RuleSetError, UnknownError

_ROW = re.compile(r"rules\[(\d+)\](?:\.(.*))?")


@dataclass(slots=True)
class Typed:
    """A row as it was typed. key: its place in the form; was: the id under which it is stored, '' for a new one; cells:
    column key -> text, of the columns that were shown."""

    key: str
    was: str
    cells: dict[str, str]

    @property
    def blank(self) -> bool:
        """Nothing was typed."""
        return not self.was and not any(text.strip() for text in self.cells.values())


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one cell; row: the key of its row, '' for the set as a whole; suggestion: what may be meant."""

    row: str
    column: str
    message: str
    suggestion: str = ""


@dataclass(slots=True)
class Checked:
    """What was made of the rows. rules: the whole set when nothing is wrong; rows: key -> its JSON where it could be
    read."""

    rules: RuleSet | None
    faults: list[Fault] = field(default_factory=list)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


def typed_of(row: Mapping[str, Any], key: str, shown: Iterable[Column], words: Vocabulary) -> Typed:
    """A stored row as a form shows it."""
    return Typed(key, row["id"], {one.key: written(one, one.of(row), words) for one in shown})


def check(
    body: Mapping[str, Any], first: int, count: int, typed: Sequence[Typed], words: Vocabulary
) -> Checked:
    """The set with `typed` in place of `count` rows from `first`; columns that were not shown stay as they are."""
    before, after = body["rules"][:first], body["rules"][first + count :]
    stored = {row["id"]: row for row in body["rules"]}
    taken = {row["id"] for row in (*before, *after)}
    found = Checked(None)
    kept = [one for one in typed if not one.blank]
    names = taken | {one.was for one in kept if one.was} | {one.cells.get("id", "").strip() for one in kept}
    names.discard("")
    rows, keys = [], []
    for one in kept:
        row, faults = _read(one, stored.get(one.was), words)
        if not row["id"]:
            row["id"] = _new_name(names)
        if row["id"] in taken:
            message = _(
                "Another row is called ${name}. Give each its own name, or none.", mapping={"name": row["id"]}
            )
            faults.append(Fault(one.key, "id", tr(message)))
        names.add(row["id"])
        taken.add(row["id"])
        found.faults += faults
        if not faults:
            found.rows[one.key] = row
        rows.append(row)
        keys.append(one.key)
    if found.faults:
        return found
    whole = {**body, "rules": [*before, *rows, *after]}
    for form in dict.fromkeys(
        (body["schema"], FORMS[-1])
    ):  # what the first form does not know yet, the newest may
        try:
            found.rules = RuleSet.parse(whole | {"schema": form})
            return found
        except RuleSetError as error:
            found.faults = [_placed(fault, len(before), keys) for fault in error.faults]
    bad = {fault.row for fault in found.faults}
    found.rows = {key: row for key, row in found.rows.items() if key not in bad}
    return found


def _read(
    typed: Typed, stored: Mapping[str, Any] | None, words: Vocabulary
) -> tuple[dict[str, Any], list[Fault]]:
    """One row as JSON and what is wrong with its cells."""
    base = stored or {}
    row: dict[str, Any] = {
        "id": typed.was,
        "when": dict(base.get("when", {})),
        "who": dict(base.get("who", {})),
        "effect": base.get("effect"),
        "valid_from": base.get("valid_from"),
        "valid_to": base.get("valid_to"),
        "note": base.get("note", ""),
    }
    faults = []
    for one in columns():
        if one.key not in typed.cells:
            continue
        try:
            value = read(one, typed.cells[one.key], words)
        except CellFault as fault:
            faults.append(Fault(typed.key, one.key, fault.message, fault.suggestion))
            continue
        if not one.axis:
            row[one.key] = (value or typed.was) if one.key == "id" else value
        elif value is None:
            row[one.side].pop(one.axis, None)
        else:
            row[one.side][one.axis] = value
    if row["effect"] is None and not faults:
        row["effect"] = {"kind": "require"}
    return row, faults


def _new_name(names: set[str]) -> str:
    number = len(names) + 1
    while f"row-{number}" in names:
        number += 1
    return f"row-{number}"


def _placed(error: RuleError, first: int, keys: Sequence[str]) -> Fault:
    """A fault of the engine at the cell of the form that it means."""
    match = _ROW.match(error.path)
    at = int(match[1]) - first if match else -1
    if match is None or not 0 <= at < len(keys):
        return Fault("", "", str(error))
    path = match[2] or ""
    found = next(
        (one for one in columns() if path == one.key or path.startswith((f"{one.key}.", f"{one.key}["))), None
    )
    column = found.key if found else next((one.key for one in columns() if one.side == path), "effect")
    return Fault(keys[at], column, said(error, path))


def said(error: RuleError, path: str) -> str:
    """What the engine refuses, in the reader's language where it is a fault that people make."""
    if path == "who":
        return tr(_("Say which partners: with no cell filled in here the row would mean everybody."))
    if path == "valid_to" and isinstance(error, ConflictError):
        return tr(_("The last day is before the first."))
    if isinstance(error, MissingError):
        return tr(_("Something is missing: ${path}", mapping={"path": path}))
    if isinstance(error, UnknownError):
        return tr(_("“${value}” is not known here.", mapping={"value": str(error.value)[:80]}))
    return tr(
        _(
            "“${value}” cannot stand here: it ${cure}",
            mapping={"value": str(error.value)[:80], "cure": error.cure},
        )
    )

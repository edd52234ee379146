"""Running the example cases of a rule set against itself."""

from __future__ import annotations

from dataclasses import dataclass

from .axes import Asked
from .examples import EXCLUDED_NAME, Example
from .model import ALL_GATES, EXCLUDED, Snapshot
from .reference import Reference
from .ruleset import RuleSet
from .tables.form import acting_rows


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What an example expected and what came out; `gates` as (candidate, expected, found) where they differ."""

    name: str
    passed: bool
    expected_order: tuple[str, ...] | None
    order: tuple[str, ...]
    gates: tuple[tuple[str, str, str | None], ...]


def run_examples(ruleset: RuleSet) -> tuple[ExampleResult, ...]:
    """Decide every example of the rule set, in its order."""
    return tuple(_run(ruleset, example) for example in ruleset.examples)


def _run(ruleset: RuleSet, example: Example) -> ExampleResult:
    snapshot = Snapshot(1, example.candidates)
    engine = Reference(ruleset, snapshot)
    shortlist = engine.shortlist(example.request)
    decision = engine.decide(example.request, shortlist, example.state)
    gates = engine.gates(example.request, shortlist, example.state)
    names = {candidate.id: candidate.name for candidate in snapshot.candidates}
    order = tuple(names[one.id] for one in decision.ranked)
    found = {c.name: _gate(byte) for c, byte in zip(snapshot.candidates, gates, strict=True)}
    differ = tuple((name, gate, found[name]) for name, gate in example.gates if found[name] != gate)
    passed = not differ and example.order in (None, order)
    return ExampleResult(example.name, passed, example.order, order, differ)


def _gate(byte: int) -> str | None:
    if byte == EXCLUDED:
        return EXCLUDED_NAME
    return ALL_GATES[byte - 1] if byte else None


@dataclass(frozen=True, slots=True)
class TableResult:
    """Which rows (from 1) of a table an example expected to act, and which did."""

    table: str
    name: str
    passed: bool
    expected: tuple[int, ...]
    rows: tuple[int, ...]


def run_table_examples(ruleset: RuleSet) -> tuple[TableResult, ...]:
    """Ask every example of every table which rows act on it."""
    results = []
    for table in ruleset.tables:
        for example in table.examples:
            asked = Asked(example.request)
            rows = acting_rows(table, (row for row in table.rows if row.applies(asked)))
            results.append(TableResult(table.id, example.name, rows == example.rows, example.rows, rows))
    return tuple(results)

"""Running the example cases of a rule set against itself."""

from __future__ import annotations

from dataclasses import dataclass

from .examples import EXCLUDED_NAME, Example
from .model import ALL_GATES, EXCLUDED, Snapshot
from .reference import decide
from .ruleset import RuleSet


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
    decision = decide(ruleset, snapshot, example.request, example.state)
    names = {candidate.id: candidate.name for candidate in snapshot.candidates}
    order = tuple(names[one.id] for one in decision.ranked)
    found = {c.name: _gate(byte) for c, byte in zip(snapshot.candidates, decision.gates, strict=True)}
    differ = tuple((name, gate, found[name]) for name, gate in example.gates if found[name] != gate)
    passed = not differ and example.order in (None, order)
    return ExampleResult(example.name, passed, example.order, order, differ)


def _gate(byte: int) -> str | None:
    if byte == EXCLUDED:
        return EXCLUDED_NAME
    return ALL_GATES[byte - 1] if byte else None

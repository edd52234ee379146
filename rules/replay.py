"""Replay: the same rules, snapshot, request and state values give the same answer, byte for byte, on any later day."""

from __future__ import annotations

from dataclasses import dataclass

from .model import Decision, Request, Snapshot, State
from .reference import decide
from .ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class Stored:
    """What a decision left behind. `state` may be cut to the shortlist's ids (`State.only`); nothing else was read."""

    request: Request
    state: State
    result_hash: str
    ruleset_hash: str | None = None  # None: stored before hashes of rule sets were


@dataclass(frozen=True, slots=True)
class Replay:
    """`same` when the result hash is equal and the rule set is the one of then; `decision` is today's recomputation."""

    same: bool
    same_rules: bool
    decision: Decision


def replay(ruleset: RuleSet, snapshot: Snapshot, stored: Stored) -> Replay:
    """Decide again and compare; never raises for a difference."""
    decision = decide(ruleset, snapshot, stored.request, stored.state)
    same_rules = stored.ruleset_hash in (None, ruleset.hash)
    return Replay(same_rules and decision.result_hash == stored.result_hash, same_rules, decision)

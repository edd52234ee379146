"""Replay: the same rules, snapshot, request and state values give the same answer, byte for byte, on any later day."""

from __future__ import annotations

from dataclasses import dataclass

from .answers import Decision, State
from .model import Request, Snapshot
from .record import FORM
from .reference import Reference
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
    engine = Reference(ruleset, snapshot)
    decision = engine.decide(stored.request, engine.shortlist(stored.request), stored.state)
    # Decisions stored in the first form are compared in it.
    found = (
        decision.result_hash
        if stored.result_hash.startswith(FORM)
        else engine.first_hash(stored.request, stored.state)
    )
    same_rules = stored.ruleset_hash in (None, ruleset.hash)
    return Replay(same_rules and found == stored.result_hash, same_rules, decision)

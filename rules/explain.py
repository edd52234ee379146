"""Why one candidate got the request, or why it did not: every gate with its facts, the rows, and where it stands.

Structured data only; a page turns it into sentences in the reader's language.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from .answers import Engine, Ranked, State
from .case import Case
from .errors import RequestError
from .gates import GateOutcome, all_outcomes, failing
from .model import Request, Snapshot
from .ranking import rank
from .reference import Reference
from .ruleset import RuleSet


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """A row in force for the request, and whether this candidate is one of its `who`."""

    id: str
    effect: str
    points: int
    meets: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a candidate stands among the eligible: rank from 1, `behind` the first in thousandths of a point.

    `hypothetical`: it is not eligible, and this is where it would stand had it passed every gate.
    """

    ranked: Ranked
    rank: int
    behind: int
    hypothetical: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one candidate of one decision. `failing` names all gates it fails, in their order."""

    candidate_id: int
    eligible: bool
    excluded: bool
    first_failing: str | None
    failing: tuple[str, ...]
    gates: tuple[GateOutcome, ...]
    rows: tuple[RowOutcome, ...]
    standing: Standing

    @property
    def one_short(self) -> bool:
        """A near miss: exactly one gate stopped it."""
        return len(self.failing) == 1 and not self.excluded


def explain(
    ruleset: RuleSet,
    snapshot: Snapshot,
    request: Request,
    state: State,
    candidate_id: int,
    engine: Engine | None = None,
) -> Explanation:
    """Explain one candidate; `engine` saves preparing the snapshot again. RequestError for a stranger."""
    position = snapshot.position(candidate_id)
    if position is None:
        raise RequestError("candidate_id", candidate_id, "is not in this snapshot; take one of its locations")
    candidate = snapshot.candidates[position]
    engine = engine or Reference(ruleset, snapshot)
    case = _case(ruleset, snapshot, request, state, engine)
    outcomes = all_outcomes(case, candidate)
    failed = tuple(one.gate for one in outcomes if not one.passed)
    excluded = candidate_id in request.excluded
    in_force = {row.id for rows in case.rows.values() for row in rows}
    rows = tuple(
        RowOutcome(row.id, row.effect, row.points, case.meets(row, candidate))
        for row in ruleset.rules
        if row.id in in_force
    )
    return Explanation(
        candidate_id=candidate_id,
        eligible=not failed and not excluded,
        excluded=excluded,
        first_failing=failed[0] if failed else None,
        failing=failed,
        gates=outcomes,
        rows=rows,
        standing=_standing(case, snapshot, engine.gates(request, engine.shortlist(request), state), position),
    )


def _standing(case: Case, snapshot: Snapshot, gates: bytes, position: int) -> Standing:
    """Rank the eligible again with this candidate among them, whether it is eligible or not."""
    among = [c for index, c in enumerate(snapshot.candidates) if gates[index] == 0 or index == position]
    ranked = rank(case, among).ranked
    own_id = snapshot.candidates[position].id
    place = next(index for index, one in enumerate(ranked) if one.id == own_id)
    behind = max(0, ranked[0].score - ranked[place].score)
    return Standing(ranked[place], place + 1, behind, hypothetical=gates[position] != 0)


def _case(rules: RuleSet, snapshot: Snapshot, request: Request, state: State, engine: Engine | None) -> Case:
    """The case with the handling of its decision, which is asked for only where rules can make one."""
    case = Case.of(rules, snapshot, request, state)
    if not rules.narrows:
        return case
    engine = engine or Reference(rules, snapshot)
    return replace(case, handling=engine.decide(request, engine.shortlist(request), state).handling)


def one_short(
    rules: RuleSet, snapshot: Snapshot, request: Request, state: State, engine: Engine | None = None
) -> dict[int, str]:
    """The near misses: id and gate of every candidate that exactly one gate stopped; the excluded are none."""
    case = _case(rules, snapshot, request, state, engine)
    found: dict[int, str] = {}
    for candidate in snapshot.candidates:
        if candidate.id not in request.excluded:
            failed = failing(case, candidate, 2)
            if len(failed) == 1:
                found[candidate.id] = failed[0]
    return found

"""What follows the shortlist, one candidate after the other: the gates that need state, the rows, and who may have it.

The specification of that part, for whoever made the shortlist: `reference.py` from sets, `plan` from bitmaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .answers import Decision, Handling, Ranked
from .calendars import opens_within
from .case import Case
from .gates import narrowed_by
from .model import ALL_GATES, ELIGIBLE, RANKED_MOST, Candidate
from .precedence import Field, settle
from .ranking import rank
from .record import result_hash

BYTE = {gate: index + 1 for index, gate in enumerate(ALL_GATES)}


@dataclass(frozen=True, slots=True)
class Judged:
    """`gates`: a byte per candidate of the shortlist, in its order. `case` knows what the rows say of all of them."""

    case: Case
    field: Field
    gates: bytes


def judge(
    case: Case, candidates: Sequence[Candidate], calendars: Sequence[int], everybody: Sequence[Candidate]
) -> Judged:
    """`candidates` passed the static gates, in id order; `calendars`: a number each, the same for the same calendar;
    `everybody` who may have a claim."""
    gates = bytearray([ELIGIBLE] * len(candidates))
    able = _able(case, candidates, calendars, gates)
    left = [candidates[n] for n in able if not _refused(case, n, candidates[n], gates)]
    field = settle(case, everybody, [candidates[n] for n in able], left)
    case = replace(case, handling=replace(field.handling, undecided=case.undecided))
    if case.rules.narrows:
        _mark(case, [(n, candidates[n]) for n in able], gates, field)
    return Judged(replace(case, handling=_handling(case, field)), field, bytes(gates))


def conclude(version: int, judged: Judged, counts: tuple[tuple[str, int], ...]) -> Decision:
    """The ranking of those who are left, and what the rows say of the first."""
    case, field = judged.case, judged.field
    ranking = rank(case, field.eligible)
    handling, ranked = _for_first(case, field, ranking.ranked), ranking.ranked[:RANKED_MOST]
    hashed = result_hash(case.rules.hash, version, counts, ranked, ranking.credits, handling)
    return Decision(ranked, len(field.eligible), counts, ranking.credits, hashed, handling)


def _able(
    case: Case, candidates: Sequence[Candidate], calendars: Sequence[int], gates: bytearray
) -> list[int]:
    """Where those stand who have free capacity and open in time; the bytes of the others are set."""
    opens: dict[tuple[int, int], bool] = {}
    able = []
    for n, candidate in enumerate(candidates):
        if case.load(candidate) >= candidate.capacity:
            gates[n] = BYTE["capacity"]
            continue
        cap = case.offer_to(candidate).cap_minutes
        key = (calendars[n], cap)
        if key not in opens:
            opens[key] = opens_within(candidate.calendar, case.request.as_of, cap)
        if opens[key]:
            able.append(n)
        else:
            gates[n] = BYTE["opens"]
    return able


def _refused(case: Case, n: int, candidate: Candidate, gates: bytearray) -> bool:
    """Whether an exclude, a require or a cap stops the candidate; its byte is set."""
    gate = None
    if case.first("exclude", candidate):
        gate = "excludes"
    elif not all(case.meets(row, candidate) for row in case.in_force("require")):
        gate = "requires"
    elif any(
        case.state.taken.get(row.id, {}).get(candidate.id, 0) >= row.terms.most
        for row in case.in_force("cap")
        if case.meets(row, candidate)
    ):
        gate = "cap"
    if gate is not None:
        gates[n] = BYTE[gate]
    return gate is not None


def _mark(case: Case, able: Sequence[tuple[int, Candidate]], gates: bytearray, field: Field) -> None:
    """The bytes of those from whom a claim, a row or a fallback took it, or to whom a fallback gave it."""
    eligible = {one.id for one in field.eligible}
    for n, candidate in able:
        if candidate.id in eligible:
            gates[n] = ELIGIBLE
        elif gates[n] == ELIGIBLE:
            gate = narrowed_by(case, candidate)
            assert gate is not None, "whoever is not left was stopped by something"
            gates[n] = BYTE[gate]


def _handling(case: Case, field: Field) -> Handling:
    """To how many it is offered at once."""
    row = next(iter(case.in_force("parallel_offers")), None)
    if row is None or not field.eligible:
        return case.handling
    return replace(case.handling, parallel=min(row.terms.most, len(field.eligible)))


def _for_first(case: Case, field: Field, ranked: tuple[Ranked, ...]) -> Handling:
    """What depends on who is first: deadline, co-selling rep, and the resellers of a distributor, best first."""
    handling = case.handling
    if not ranked:
        return handling
    first = next(one for one in field.eligible if one.id == ranked[0].id)
    deadline, co_sell = case.first("deadline", first), case.first("co_sell", first)
    if deadline is not None:
        handling = replace(handling, deadline=deadline.id)
    if co_sell is not None:
        handling = replace(handling, co_sell=co_sell.id, rep=co_sell.terms.rep)
    if handling.via is not None and handling.fallback is None:
        supplied = [one for one in field.resellers if one.company_id in first.distributor_of]
        handling = replace(handling, onward=tuple(one.id for one in rank(case, supplied).ranked))
    return handling

"""Who may have the request when rules want different things: the fixed order in which they take it from others.

 1. a named account, then an existing relationship   whose it is has it; what follows down to 3 is not asked
 2. house                                            the vendor keeps it
 3. exclusivity, hard before soft                    theirs alone, or theirs first
 4. hard gates                                       what a partner must be, whoever it is
 5. excludes, 6. requires, caps                      what rows refuse it for
 7. pool, then distributor                           who of those left it goes through
 8. band, score, fairness, then the id               who of those goes first (`ranking.py`)

A claim, a house row or an exclusivity decides whose the request is; it never lets anybody through a gate. So a hard one
may leave nobody, and a soft one is passed over when nobody of its own is left. When nobody is left, the first fallback
with somebody (or with a rep) takes it: it waives rules, never gates. The bytes of a decision tell the first reason
in the order of ALL_GATES, which is the order in which a person asks, not this one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .answers import PLAIN, Handling
from .case import Case
from .model import Candidate, Request
from .rows import Row
from .ruleset import CLAIMS


@dataclass(frozen=True, slots=True)
class Field:
    """Who is left, what the rows said on the way, and to whom a distributor may pass it on (any order)."""

    handling: Handling
    eligible: Sequence[Candidate]
    resellers: Sequence[Candidate] = ()


def claims(claim: str, candidate: Candidate, request: Request) -> bool:
    """Whether the named account is the candidate's, or its company works with the customer already."""
    if claim == "named_account":
        return request.account is not None and request.account in candidate.accounts
    return request.relationships is not None and candidate.company_id in request.relationships


def settle(
    case: Case, everybody: Sequence[Candidate], able: Sequence[Candidate], left: Sequence[Candidate]
) -> Field:
    """`able` passed the hard gates, `left` the excludes, requires and caps too."""
    field = _narrow(case, everybody, left)
    if field.eligible or field.handling.house:
        return field
    for row in case.in_force("fallback"):
        if row.terms.rep:
            return Field(replace(field.handling, fallback=row.id, rep=row.terms.rep), ())
        found = _meeting(case, (row,), able)
        if found:
            return Field(replace(field.handling, fallback=row.id, pool_name=None), found)
    return field


def _meeting(case: Case, rows: Iterable[Row], candidates: Iterable[Candidate]) -> list[Candidate]:
    rows = tuple(rows)
    return [one for one in candidates if any(case.meets(row, one) for row in rows)]


def _claim(case: Case, everybody: Sequence[Candidate], left: Sequence[Candidate]) -> str | None:
    for claim, policy in zip(CLAIMS, case.rules.claims, strict=True):
        among = {"off": (), "soft": left, "hard": everybody}[policy]
        # A partner that has left has no claim any more.
        if any(one.active and claims(claim, one, case.request) for one in among):
            return claim
    return None


def _narrow(case: Case, everybody: Sequence[Candidate], left: Sequence[Candidate]) -> Field:
    claim = _claim(case, everybody, left)
    if claim is not None:
        return _through(
            case, Handling(claim=claim), [one for one in left if claims(claim, one, case.request)]
        )
    house = next(iter(case.in_force("house")), None)
    if house is not None:
        return Field(Handling(house=house.id, rep=house.terms.rep), ())
    names: list[str] = []
    hard = [row for row in case.in_force("exclusive") if row.terms.hard]
    if hard:
        left, names = _meeting(case, hard, left), [row.id for row in hard]
    for row in case.in_force("exclusive"):
        if not row.terms.hard and (found := _meeting(case, (row,), left)):
            left = found
            names.append(row.id)
    return _through(case, replace(PLAIN, exclusive=tuple(names)), left)


def _through(case: Case, handling: Handling, left: Sequence[Candidate]) -> Field:
    """The first pool with somebody in it, then the first distributor row, if there are such rows."""
    for row in case.in_force("pool"):
        if found := _meeting(case, (row,), left):
            left = found
            handling = replace(handling, pool=row.id, pool_name=row.terms.name)
            break
    via = next(iter(case.in_force("via_distributor")), None)
    if via is None:
        return Field(handling, left)
    companies = {one.company_id for one in left}
    found = [one for one in left if case.meets(via, one) and not companies.isdisjoint(one.distributor_of)]
    ids = tuple(one.id for one in found)
    return Field(replace(handling, via=via.id, distributors=ids), found, left)

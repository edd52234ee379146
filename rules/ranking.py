"""Ranking the eligible: terms in thousandths of a point, and turns between those who are close.

Fairness is normalised smooth weighted round robin. For each decision the candidates *in the running* share one turn by
weight (their credit grows by w / sum(w)); when the first is offered, it pays one turn. In the running are those whose
score without fairness is within the fairness weight of the best: exactly those whom a turn can bring to the front.
Nobody collects turns for requests it could not have won, so nobody floods after a holiday, membership may change
without a reset, and a decision touches few stored credits. Credit is kept within CREDIT_LIMIT for the same reason.

The fairness term is linear in the credit, cut at one turn owed or owing, so it never leaves [0, weight]; with no credit
either way it is half the weight. Only integers; shares are cut so that they add up to one turn exactly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from .geo import between_m
from .model import CREDIT_ONE, Candidate, Ranked, Request, State
from .rows import Row
from .ruleset import DistanceTerm, RuleSet

POINT = 1_000  # scores are integers of a thousandth of a point
CREDIT_LIMIT = (
    4 * CREDIT_ONE
)  # far beyond what turns among equals reach (under 1.5), so it only stops endless drift
_NOWHERE = 1 << 62  # sorts after every distance: for a candidate whose distance nobody knows


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates best first, and the credits that change when the first one is offered."""

    ranked: tuple[Ranked, ...]
    credits: dict[int, int]


def distance_score(term: DistanceTerm, metres: int | None) -> int:
    """Thousandths of a point for a distance: all up to full_km, none from zero_km, straight between; None gives 0."""
    if metres is None:
        return 0
    full, zero = term.full_km * 1000, term.zero_km * 1000
    within = min(max(zero - metres, 0), zero - full)
    return term.weight * POINT * within // (zero - full)


def fairness_score(weight: int, credit: int) -> int:
    """Thousandths of a point for a credit, in [0, weight]."""
    held = min(max(credit, -CREDIT_ONE), CREDIT_ONE)
    return weight * POINT * (held + CREDIT_ONE) // (2 * CREDIT_ONE)


def bounded(credit: int) -> int:
    """A credit as it is stored: within CREDIT_LIMIT either way."""
    return min(max(credit, -CREDIT_LIMIT), CREDIT_LIMIT)


def returned_credit(credit: int) -> int:
    """The stored credit after an offer was withdrawn by the vendor: the turn paid for it comes back."""
    return bounded(credit + CREDIT_ONE)


def tie_break(seed: int, candidate_id: int) -> bytes:
    """An order among equals that nobody can guess or game, the same in every process: BLAKE2b of seed and id."""
    return hashlib.blake2b(b"%d:%d" % (seed, candidate_id), digest_size=8).digest()


def _base_terms(
    rules: RuleSet, request: Request, candidate: Candidate, load: int, boosts: Sequence[Row]
) -> tuple[list[tuple[str, int]], int | None]:
    """Every term but fairness, and the distance."""
    score, place = rules.score, request.place
    metres = between_m(candidate.lat, candidate.lon, place.lat, place.lon)
    free = max(0, candidate.capacity - load)
    terms = [
        ("level", score.level.weight * POINT * score.level.percent(candidate.level) // 100),
        ("distance", distance_score(score.distance, metres)),
        ("capacity", score.capacity.weight * POINT * free // candidate.capacity if free else 0),
    ]
    if boosts:
        day = request.day
        terms.append(("boost", sum(row.points for row in boosts if row.meets(candidate, day)) * POINT))
    return terms, metres


def _shares(rules: RuleSet, running: Sequence[Candidate]) -> dict[int, int]:
    """One turn divided among the candidates in the running, by weight; the parts add up to CREDIT_ONE."""
    by_capacity = rules.score.fairness.share == "capacity"
    weights = [max(1, candidate.capacity) if by_capacity else 1 for candidate in running]
    total, before, shares = sum(weights), 0, {}
    for candidate, weight in zip(running, weights, strict=True):
        after = before + weight
        shares[candidate.id] = CREDIT_ONE * after // total - CREDIT_ONE * before // total
        before = after
    return shares


def rank(rules: RuleSet, request: Request, candidates: Sequence[Candidate], state: State) -> Ranking:
    """Score and order `candidates` (all taken as eligible, in id order); ties by credit, distance, seeded hash, id."""
    if not candidates:
        return Ranking((), {})
    boosts = [row for row in rules.rules if row.effect == "boost" and row.applies(request)]
    weight = rules.score.fairness.weight
    based = []
    for candidate in candidates:
        terms, metres = _base_terms(rules, request, candidate, state.load.get(candidate.id, 0), boosts)
        based.append((candidate, terms, metres, sum([value for _name, value in terms])))
    floor = max([base for _candidate, _terms, _metres, base in based]) - weight * POINT
    shares = _shares(rules, [candidate for candidate, _terms, _metres, base in based if base >= floor])
    keyed = []
    for candidate, terms, metres, base in based:
        credit = state.credit.get(candidate.id, 0) + shares.get(candidate.id, 0)
        fairness = fairness_score(weight, credit)
        ranked = Ranked(
            candidate.id, base + fairness, (*terms[:3], ("fairness", fairness), *terms[3:]), metres
        )
        hashed = tie_break(request.seed, candidate.id)
        keyed.append(
            (-ranked.score, -credit, _NOWHERE if metres is None else metres, hashed, candidate.id, ranked)
        )
    keyed.sort()
    order = tuple(entry[5] for entry in keyed)
    credits = {i: bounded(state.credit.get(i, 0) + share) for i, share in shares.items()}
    credits[order[0].id] = bounded(credits[order[0].id] - CREDIT_ONE)
    return Ranking(order, credits)

"""Ranking the eligible: terms in thousandths of a point, and turns between those who are close.

Fairness is normalised smooth weighted round robin. For each decision the candidates *in the running* share one turn by
weight (their credit grows by w / sum(w)); when the first is offered, it pays one turn. In the running are those whose
score without fairness is within the fairness weight of the best: exactly those whom a turn can bring to the front.
Nobody collects turns for requests it could not have won, so nobody floods after a holiday, membership may change
without a reset, and a decision touches few stored credits. Credit is kept within CREDIT_LIMIT for the same reason.

The fairness term is linear in the credit, cut at one turn owed or owing, so it never leaves [0, weight]; with no credit
either way it is half the weight. Only integers; shares are cut so that they add up to one turn exactly.

Bands come first: only the best band is in the running. Where whose turn it is comes before the score, all of it is; where
load does, those with the least of it. A pool keeps turns of its own. When several are offered at once, they pay one turn
together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .answers import Ranked
from .case import Case
from .geo import between_m
from .model import CREDIT_ONE, Candidate
from .performance import MILLION, Figures
from .rows import meets
from .ruleset import RuleSet
from .score import AnswerSpeedTerm, DistanceTerm, WinRateTerm

POINT = 1_000  # scores are integers of a thousandth of a point
CREDIT_LIMIT = (
    4 * CREDIT_ONE
)  # far beyond what turns among equals reach (under 1.5), so it only stops endless drift
NOWHERE = 1 << 62  # sorts after every distance: for a candidate whose distance nobody knows


@dataclass(frozen=True, slots=True)
class Ranking:
    """All candidates best first, and the credits that change when the first ones are offered."""

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


def returned_credit(credit: int, parallel: int = 1) -> int:
    """The stored credit after an offer was withdrawn by the vendor, or failed by its error: what was paid comes back.

    `parallel`: to how many it was offered at once; each had paid so much of a turn.
    """
    return bounded(credit + CREDIT_ONE // parallel)


def win_rate_score(term: WinRateTerm, figures: Figures) -> int:
    """Thousandths of a point for a shrunk win rate."""
    full = term.full * (MILLION // 1000)
    return term.weight * POINT * min(figures.win, full) // full


def answer_speed_score(term: AnswerSpeedTerm, figures: Figures) -> int:
    """Thousandths of a point for shrunk minutes to an answer; none when nobody ever answered."""
    if figures.answer is None:
        return 0
    within = min(max(term.zero_minutes - figures.answer, 0), term.zero_minutes - term.full_minutes)
    return term.weight * POINT * within // (term.zero_minutes - term.full_minutes)


def tie_break(seed: int, candidate_id: int) -> bytes:
    """An order among equals that nobody can guess or game, the same in every process: BLAKE2b of seed and id."""
    return hashlib.blake2b(b"%d:%d" % (seed, candidate_id), digest_size=8).digest()


@dataclass(slots=True)
class _Entry:
    """A candidate on its way into the order: `base` is every term but fairness."""

    candidate: Candidate
    band: int
    load: int  # open leads in 2**-32 of the capacity
    terms: list[tuple[str, int]]
    metres: int | None
    base: int


def _entry(case: Case, candidate: Candidate) -> _Entry:
    score, place, load = case.rules.score, case.request.place, case.load(candidate)
    metres = between_m(candidate.lat, candidate.lon, place.lat, place.lon)
    free = max(0, candidate.capacity - load)
    terms = [
        ("level", score.level.weight * POINT * score.level.percent(candidate.level) // 100),
        ("distance", distance_score(score.distance, metres)),
        ("capacity", score.capacity.weight * POINT * free // candidate.capacity if free else 0),
    ]
    if case.performance is not None and (score.win_rate or score.answer_speed):
        figures = case.performance.of(candidate.id, case.request.segment)
        if score.win_rate:
            terms.append(("win_rate", win_rate_score(score.win_rate, figures)))
        if score.answer_speed:
            terms.append(("answer_speed", answer_speed_score(score.answer_speed, figures)))
    boosts = case.in_force("boost")
    if boosts:
        won = sum(row.points for row in boosts if case.meets(row, candidate))
        terms.append(("boost", won * POINT))
    part = (load << 32) // max(1, candidate.capacity)
    return _Entry(
        candidate, _band(case, candidate, load), part, terms, metres, sum([value for _name, value in terms])
    )


def _band(case: Case, candidate: Candidate, load: int) -> int:
    """The place of the first band that means the candidate; after all of them when none does."""
    bands = case.rules.score.bands
    return next(
        (index for index, band in enumerate(bands) if meets(band.who, candidate, case.asked, load)),
        len(bands),
    )


def _running(case: Case, order: str, entries: Sequence[_Entry]) -> list[_Entry]:
    """Those among whom this turn is shared, in id order."""
    best = min([entry.band for entry in entries])
    among = [entry for entry in entries if entry.band == best]
    if order == "turns":
        return among
    if order == "load":
        least = min([entry.load for entry in among])
        return [entry for entry in among if entry.load == least]
    floor = max([entry.base for entry in among]) - case.rules.score.fairness.weight * POINT
    return [entry for entry in among if entry.base >= floor]


def _shares(rules: RuleSet, running: Sequence[_Entry]) -> dict[int, int]:
    """One turn divided among the candidates in the running, by weight; the parts add up to CREDIT_ONE."""
    by_capacity = rules.score.fairness.share == "capacity"
    weights = [max(1, entry.candidate.capacity) if by_capacity else 1 for entry in running]
    total, before, shares = sum(weights), 0, {}
    for entry, weight in zip(running, weights, strict=True):
        after = before + weight
        shares[entry.candidate.id] = CREDIT_ONE * after // total - CREDIT_ONE * before // total
        before = after
    return shares


def _key(order: str, entry: _Entry, score: int, credit: int) -> tuple[int, ...]:
    """What orders two candidates before their hash and id do."""
    metres = NOWHERE if entry.metres is None else entry.metres
    if order == "turns":
        return (entry.band, -credit, -score, metres)
    if order == "load":
        return (entry.band, entry.load, -score, -credit, metres)
    return (entry.band, -score, -credit, metres)


def rank(case: Case, candidates: Sequence[Candidate]) -> Ranking:
    """Score and order `candidates` (all taken as eligible, in id order); ties by credit, distance, seeded hash, id."""
    if not candidates:
        return Ranking((), {})
    rules, handling = case.rules, case.handling
    pool = case.named(handling.pool, "pool") if handling.pool_name is not None else None
    order = pool.terms.order if pool else rules.score.order
    held = case.state.credit if pool is None else case.state.pools.get(pool.terms.name, {})
    weight, bands = rules.score.fairness.weight, rules.score.bands
    entries = [_entry(case, candidate) for candidate in candidates]
    shares = _shares(rules, _running(case, order, entries))
    keyed = []
    for entry in entries:
        own = entry.candidate.id
        credit = held.get(own, 0) + shares.get(own, 0)
        fairness = fairness_score(weight, credit)
        terms = (*entry.terms[:3], ("fairness", fairness), *entry.terms[3:])
        band = bands[entry.band].name if entry.band < len(bands) else None
        ranked = Ranked(own, entry.base + fairness, terms, entry.metres, band)
        hashed = tie_break(case.request.seed, own)
        keyed.append((_key(order, entry, ranked.score, credit), hashed, own, ranked))
    keyed.sort()
    ordered = tuple(entry[3] for entry in keyed)
    return Ranking(ordered, _paid(held, shares, ordered[: handling.parallel]))


def _paid(held: Mapping[int, int], shares: Mapping[int, int], offered: Sequence[Ranked]) -> dict[int, int]:
    """The credits to store: everyone in the running got its share, those offered pay one turn together."""
    credits = {i: bounded(held.get(i, 0) + share) for i, share in shares.items()}
    for index, one in enumerate(offered):
        part = CREDIT_ONE * (index + 1) // len(offered) - CREDIT_ONE * index // len(offered)
        credits[one.id] = bounded(credits.get(one.id, held.get(one.id, 0)) - part)
    return credits

"""Terms by hand, and turns that stay within one and a half of the fluid share."""

from __future__ import annotations

import random

import pytest

from rules import (
    CREDIT_LIMIT,
    CREDIT_ONE,
    Place,
    Reference,
    RuleSet,
    Snapshot,
    State,
    decide,
    default_ruleset,
    returned_credit,
)
from tests.rules.worlds import candidate, request, rule_set


def scored(rules: RuleSet | None = None, state: State | None = None, **facts: object) -> dict[str, int]:
    decision = decide(
        rules or default_ruleset(), Snapshot(1, (candidate(**facts),)), request(), state or State()
    )
    return dict(decision.ranked[0].terms)


@pytest.mark.parametrize(
    ("level", "points"), [("Platinum", 40_000), ("GOLD", 36_000), ("silver", 20_000), ("brass", 0), (None, 0)]
)
def test_level_points_by_name_whatever_its_case(level: str | None, points: int) -> None:
    assert scored(level=level)["level"] == points


@pytest.mark.parametrize(
    ("degrees", "points"),
    [(0.0, 35_000), (0.08, 35_000), (0.5, 23_600), (0.7194, 17_502), (1.4, 0), (90.0, 0)],
)
def test_distance_falls_in_a_straight_line(degrees: float, points: int) -> None:
    snapshot = Snapshot(1, (candidate(lat=0.0, lon=degrees),))
    asked = request(place=Place("AT", lat=0.0, lon=0.0))
    terms = dict(decide(default_ruleset(), snapshot, asked, State()).ranked[0].terms)
    assert terms["distance"] == pytest.approx(points, abs=5)


def test_free_capacity_is_a_share() -> None:
    assert scored(capacity=4)["capacity"] == 15_000
    assert scored(capacity=4, state=State({1: 1}))["capacity"] == 11_250
    assert scored(capacity=3, state=State({1: 2}))["capacity"] == 5_000


@pytest.mark.parametrize(
    ("turns", "points"), [(0, 10_000), (-1, 5_000), (-2, 0), (-400, 0), (400, 10_000), (-1.5, 2_500)]
)
def test_fairness_never_leaves_its_weight(turns: float, points: int) -> None:
    """The only one in the running earns the whole turn before it is scored."""
    assert scored(state=State({}, {1: int(turns * CREDIT_ONE)}))["fairness"] == points


def test_a_turn_is_shared_paid_and_given_back() -> None:
    snapshot = Snapshot(1, (candidate(1), candidate(2), candidate(3)))
    decision = decide(default_ruleset(), snapshot, request(), State())
    first = decision.ranked[0].id
    assert sum(decision.credits.values()) == 0
    assert sorted(decision.credits.values())[0] == decision.credits[first]
    assert returned_credit(decision.credits[first]) == pytest.approx(CREDIT_ONE / 3, abs=1)
    assert returned_credit(CREDIT_LIMIT) == CREDIT_LIMIT
    assert decide(default_ruleset(), snapshot, request(), State({}, decision.credits)).ranked[0].id != first


def test_only_those_in_the_running_collect_turns() -> None:
    people = (candidate(1, level="Platinum"), candidate(2, level="Gold"), candidate(3, level="bronze"))
    decision = decide(default_ruleset(), Snapshot(1, people), request(), State({}, {3: 9 * CREDIT_ONE}))
    assert set(decision.credits) == {1, 2}
    assert decision.ranked[-1].id == 3


def test_a_turn_can_decide_between_those_who_are_close() -> None:
    people = (candidate(1, level="Platinum"), candidate(2, level="Gold"))
    rules, snapshot, state = default_ruleset(), Snapshot(1, people), State()
    firsts = []
    for number in range(200):
        decision = decide(rules, snapshot, request(seed=number), state)
        firsts.append(decision.ranked[0].id)
        state = State({}, dict(state.credit) | decision.credits)
    assert firsts[0] == 1
    assert abs(firsts.count(1) - firsts.count(2)) <= 3


def fluid_difference(
    rules: RuleSet, weights: list[int], seed: int, decisions: int, pool: str | None = None
) -> float:
    """The largest gap between offers got and offers due, over a run in which who is eligible keeps changing."""
    chance = random.Random(seed)
    people = tuple(candidate(number, capacity=weight) for number, weight in enumerate(weights, start=1))
    engine, ids = Reference(rules, Snapshot(1, people)), [one.id for one in people]
    due, got, credit, worst = dict.fromkeys(ids, 0.0), dict.fromkeys(ids, 0), dict.fromkeys(ids, 0), 0.0
    for number in range(decisions):
        eligible = set(chance.sample(ids, chance.randint(1, 8)))
        asked = request(seed=number, excluded=frozenset(ids) - eligible)
        state = State({}, credit) if pool is None else State(pools={pool: credit})
        decision = engine.decide(asked, engine.shortlist(asked), state)
        assert set(decision.credits) == eligible
        total = sum(weights[i - 1] for i in eligible)
        for i in eligible:
            due[i] += weights[i - 1] / total
        got[decision.ranked[0].id] += 1
        credit |= decision.credits
        worst = max(worst, *(abs(got[i] - due[i]) for i in eligible))
    assert min(got.values()) > decisions / 200
    return worst


def test_turns_stay_within_one_and_a_half_of_the_fluid_share() -> None:
    assert fluid_difference(default_ruleset(), [10] * 20, seed=1, decisions=5_000) <= 1.5


def test_turns_by_capacity_stay_within_one_and_a_half_of_the_fluid_share() -> None:
    form = default_ruleset().to_json()
    score = form["score"] | {"fairness": {"weight": 10, "share": "capacity"}}  # type: ignore[operator]
    chance = random.Random(3)
    weights = [chance.randint(1, 10) for _ in range(20)]
    assert fluid_difference(rule_set(score=score), weights, seed=2, decisions=2_500) <= 1.5


def test_turns_hold_without_a_weight_too() -> None:
    """With no points for fairness the tie-break by credit still takes turns among equals."""
    form = default_ruleset().to_json()
    score = form["score"] | {"fairness": {"weight": 0}}  # type: ignore[operator]
    assert fluid_difference(rule_set(score=score), [10] * 12, seed=5, decisions=1_000) <= 1.5


def test_turns_of_a_pool_hold_whatever_the_scores() -> None:
    """Its members differ in level, so by score one would get everything."""
    form = rule_set().to_json() | {"schema": "interline.rule-set/2"}
    pool = {"kind": "pool", "name": "all", "order": "turns"}
    row = {"id": "p", "when": {}, "who": {"authorised": ["pumps"]}, "effect": pool}
    rules = RuleSet.parse(form | {"rules": [row]})
    assert fluid_difference(rules, [10] * 15, seed=7, decisions=1_500, pool="all") <= 1.5


def test_nobody_floods_after_a_holiday() -> None:
    """Away for 300 decisions, one comes back to its share of what follows, not to what it missed."""
    people = tuple(candidate(number) for number in range(1, 6))
    engine, credit, got = Reference(default_ruleset(), Snapshot(1, people)), dict[int, int](), []
    for number in range(400):
        away = frozenset({5}) if number < 300 else frozenset[int]()
        asked = request(seed=number, excluded=away)
        decision = engine.decide(asked, engine.shortlist(asked), State({}, credit))
        credit |= decision.credits
        got.append(decision.ranked[0].id)
    assert got[:300].count(5) == 0
    assert abs(got[300:].count(5) - 20) <= 2
    assert got[300:310].count(5) <= 3

"""What each effect does, in which order they take a request from each other, and what a decision says of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from rules import (
    ALL_GATES,
    CREDIT_ONE,
    EFFECTS,
    ELIGIBLE,
    PLAIN,
    Candidate,
    Decision,
    Handling,
    Plan,
    Reference,
    Request,
    RuleSet,
    RuleSetError,
    Snapshot,
    State,
    cap_window,
    decide,
    explain,
    one_short,
    returned_credit,
    run_examples,
)
from tests.rules.test_second_form import VALIDATOR, second
from tests.rules.worlds import OFFICE, candidate, gates_of, request

Row = dict[str, Any]


def row(own: str, kind: str, who: Row | None = None, when: Row | None = None, /, **terms: object) -> Row:
    return {"id": own, "when": when or {}, "who": who or {}, "effect": {"kind": kind, **terms}}


def tagged(*tags: str) -> Row:
    return {"tags": list(tags)}


PEOPLE = (
    candidate(1, tags=frozenset({"a"}), level="Platinum"),
    candidate(2, tags=frozenset({"b"}), level="Gold"),
    candidate(3, tags=frozenset({"c"}), level="silver", accounts=frozenset({"acme"})),
)


@dataclass(frozen=True, slots=True)
class Made(Decision):
    """A decision with the gate that stopped each candidate."""

    stopped: bytes = b""


def decided(
    *rows: Row,
    people: tuple[Candidate, ...] = PEOPLE,
    state: State | None = None,
    asked: Request | None = None,
    **parts: object,
) -> Made:
    """A decision, after every candidate's explanation and the compiled engine have agreed with it."""
    form = second(*rows, **parts)
    VALIDATOR.validate(form)
    rules, snapshot = RuleSet.parse(form), Snapshot(1, people)
    VALIDATOR.validate(rules.to_json())
    assert RuleSet.parse(rules.to_json()) == rules
    asked, state = asked or request(), state or State()
    decision = decide(rules, snapshot, asked, state)
    near = one_short(rules, snapshot, asked, state)
    stopped = gates_of(rules, snapshot, asked, state)
    plan = Plan(rules, snapshot)
    shortlist = plan.shortlist(asked)
    assert plan.decide(asked, shortlist, state) == decision
    assert plan.gates(asked, shortlist, state) == stopped
    for byte, one in zip(stopped, snapshot.candidates, strict=True):
        why = explain(rules, snapshot, asked, state, one.id)
        assert why.eligible is (byte == ELIGIBLE)
        if one.id not in asked.excluded:
            assert why.first_failing == (ALL_GATES[byte - 1] if byte else None)
            assert near.get(one.id) == (why.failing[0] if len(why.failing) == 1 else None)
    assert decision.counts[-1][1] == stopped.count(ELIGIBLE) == decision.eligible
    return Made(*(getattr(decision, one.name) for one in fields(decision)), stopped)


def order(decision: Made) -> list[int]:
    return [one.id for one in decision.ranked]


def gates(decision: Made) -> list[str]:
    return [ALL_GATES[byte - 1] if byte else "" for byte in decision.stopped]


def test_without_such_rows_nothing_is_said() -> None:
    decision = decided()
    assert (order(decision), decision.handling) == ([1, 2, 3], PLAIN)
    assert PLAIN.to_json() == {}


# Exclusive ------------------------------------------------------------------------------------------------------------


def test_a_hard_exclusivity_is_theirs_alone_even_when_none_can_take_it() -> None:
    alone = row("x", "exclusive", tagged("b"), hard=True)
    decision = decided(alone)
    assert (order(decision), gates(decision)) == ([2], ["exclusive", "", "exclusive"])
    assert decision.handling.exclusive == ("x",)
    assert decided(alone, state=State({2: 99})).ranked == ()


def test_a_soft_exclusivity_is_passed_over_when_none_of_its_own_is_left() -> None:
    first = row("x", "exclusive", tagged("b"), hard=False)
    assert order(decided(first)) == [2]
    passed_over = decided(first, state=State({2: 99}))
    assert (order(passed_over), passed_over.handling) == ([1, 3], PLAIN)


def test_two_hard_exclusivities_share_and_a_soft_one_narrows_within() -> None:
    hard = [row("x", "exclusive", tagged("b"), hard=True), row("y", "exclusive", tagged("c"), hard=True)]
    assert order(decided(*hard)) == [2, 3]
    soft = row("z", "exclusive", tagged("c", "a"), hard=False)
    decision = decided(*hard, soft)
    assert (order(decision), decision.handling.exclusive) == ([3], ("x", "y", "z"))


# Claims and house -----------------------------------------------------------------------------------------------------


def test_a_named_account_goes_before_house_and_exclusivity() -> None:
    rows = (row("h", "house", rep="Ana"), row("x", "exclusive", tagged("a"), hard=True))
    acme = request(account="acme")
    for policy in ("soft", "hard"):
        decision = decided(*rows, asked=acme, claims={"named_account": policy})
        assert (order(decision), decision.handling.claim) == ([3], "named_account")
        assert gates(decision) == ["claimed", "claimed", ""]
    assert decided(*rows, asked=acme).handling.house == "h"
    assert decided(*rows, claims={"named_account": "hard"}).handling.house == "h"


def test_a_soft_claim_is_passed_over_and_a_hard_one_is_not() -> None:
    full, acme = State({3: 99}), request(account="acme")
    assert order(decided(asked=acme, state=full, claims={"named_account": "soft"})) == [1, 2]
    assert order(decided(asked=acme, state=full, claims={"named_account": "hard"})) == []


def test_an_existing_relationship_comes_after_a_named_account() -> None:
    both = {"named_account": "soft", "relationship": "soft"}
    asked = request(account="acme", relationships=frozenset({1}))
    assert order(decided(asked=asked, claims=both)) == [3]
    assert order(decided(asked=replace(asked, account=None), claims=both)) == [1]


def test_a_claim_opens_no_gate() -> None:
    decision = decided(
        row("e", "exclude", tagged("c")), asked=request(account="acme"), claims={"named_account": "hard"}
    )
    assert gates(decision) == ["claimed", "claimed", "excludes"]


def test_house_keeps_it_for_a_rep_before_exclusivity() -> None:
    decision = decided(row("x", "exclusive", tagged("a"), hard=True), row("h", "house", rep="Ana"))
    assert (decision.ranked, decision.handling) == ((), Handling(house="h", rep="Ana"))
    assert gates(decision) == ["house"] * 3
    assert decision.credits == {}


# Cap, pool, distributor ----------------------------------------------------------------------------------------------


def test_a_cap_counts_what_its_row_gave_in_the_period() -> None:
    cap = row("k", "cap", tagged("a", "b"), most=2, per="month")
    taken = State(taken={"k": {1: 2, 2: 1}, "other": {2: 9}})
    assert gates(decided(cap, state=taken)) == ["cap", "", ""]
    why = explain(RuleSet.parse(second(cap)), Snapshot(1, PEOPLE), request(), taken, 1)
    facts = next(one.facts for one in why.gates if one.gate == "cap")
    assert facts["caps"] == [{"row": "k", "taken": 2, "most": 2, "per": "month"}]


@pytest.mark.parametrize(
    ("per", "first", "following"),
    [
        ("day", (2026, 12, 31), (2027, 1, 1)),
        ("week", (2026, 12, 28), (2027, 1, 4)),
        ("month", (2026, 12, 1), (2027, 1, 1)),
        ("quarter", (2026, 10, 1), (2027, 1, 1)),
        ("year", (2026, 1, 1), (2027, 1, 1)),
    ],
)
def test_the_period_of_a_cap(per: str, first: tuple[int, int, int], following: tuple[int, int, int]) -> None:
    moment = datetime(2026, 12, 31, 23, 59, tzinfo=UTC)
    assert cap_window(per, moment) == (datetime(*first, tzinfo=UTC), datetime(*following, tzinfo=UTC))


def test_a_pool_takes_turns_of_its_own() -> None:
    pool = row("p", "pool", tagged("b", "c"), name="south", order="turns")
    state, firsts = State({}, {2: 3 * CREDIT_ONE}), []
    for number in range(20):
        decision = decided(pool, state=state, asked=request(seed=number))
        assert (decision.handling.pool, decision.handling.pool_name) == ("p", "south")
        assert gates(decision) == ["pool", "", ""]
        firsts.append(order(decision)[0])
        state = replace(state, pools={"south": decision.credits})
    assert Counter(firsts) == {2: 10, 3: 10}  # a gold and a silver one, and 2's own credit is not the pool's


def test_a_pool_with_nobody_left_is_passed_over() -> None:
    pools = [
        row("p", "pool", tagged("b"), name="one", order="score"),
        row("q", "pool", tagged("c"), name="two", order="score"),
    ]
    assert decided(*pools, state=State({2: 99})).handling.pool == "q"
    assert order(decided(*pools, state=State({2: 99, 3: 99}))) == [1]


SUPPLIERS = (
    candidate(1, company_id=10, distributor_of=frozenset({30, 40})),
    candidate(2, company_id=20, distributor_of=frozenset({50}), level="Platinum"),
    candidate(3, company_id=30, level="silver"),
    candidate(4, company_id=40, level="Gold"),
    candidate(5, company_id=50, product_lines=frozenset()),
)


def test_it_goes_to_a_distributor_who_has_somebody_to_pass_it_to() -> None:
    decision = decided(row("v", "via_distributor"), people=SUPPLIERS)
    assert order(decision) == [1]  # 2 supplies only one who may not sell it
    assert gates(decision)[1:] == ["distributor"] * 3 + ["authorised"]
    assert (decision.handling.via, decision.handling.distributors) == ("v", (1,))
    assert decision.handling.onward == (4, 3)  # best first


def test_a_distributor_row_says_which_distributors() -> None:
    people = (*SUPPLIERS[:4], replace(SUPPLIERS[4], product_lines=frozenset({"pumps"})))
    assert order(decided(row("v", "via_distributor"), people=people)) == [2, 1]
    assert order(decided(row("v", "via_distributor", {"level": ["platinum"]}), people=people)) == [2]


# Deadline, parallel offers, co-selling --------------------------------------------------------------------------------


def test_a_deadline_counts_for_those_it_means_and_reaches_the_gate() -> None:
    hour = row("d", "deadline", tagged("a"), answer_within_minutes=30, cap_minutes=60)
    night = request(as_of=datetime(2026, 11, 23, 20, tzinfo=UTC))
    people = (replace(PEOPLE[0], calendar=OFFICE), replace(PEOPLE[1], calendar=OFFICE))
    decision = decided(hour, people=people, asked=night)
    assert gates(decision) == ["opens", ""]
    assert decision.handling.deadline is None
    rules = RuleSet.parse(second(hour))
    assert decided(hour).handling.deadline == "d"
    assert rules.offer_by("d").cap_minutes == 60
    assert rules.offer_by(None) == rules.offer


def test_parallel_offers_pay_one_turn_together() -> None:
    decision = decided(row("n", "parallel_offers", most=2), score=equal_score())
    assert decision.handling.parallel == 2
    assert sum(decision.credits.values()) == 0
    paid = [CREDIT_ONE // 3 - decision.credits[i] for i in order(decision)]
    assert paid[:2] == pytest.approx([CREDIT_ONE // 2] * 2, abs=1)
    assert paid[2] == pytest.approx(0, abs=1)
    assert returned_credit(decision.credits[order(decision)[0]], 2) == pytest.approx(CREDIT_ONE // 3, abs=1)
    assert decided(row("n", "parallel_offers", most=9)).handling.parallel == 3


def equal_score() -> dict[str, Any]:
    """Only turns count."""
    none = {"weight": 0}
    return {
        "level": none | {"points": {}},
        "distance": none | {"full_km": 0, "zero_km": 1},
        "capacity": none,
        "fairness": {"weight": 10},
    }


def test_a_rep_sells_with_whoever_is_first() -> None:
    rows = (row("s", "co_sell", tagged("b"), rep="Ben"), row("t", "co_sell", rep="Cy"))
    decision = decided(*rows)
    assert (decision.handling.co_sell, decision.handling.rep, order(decision)[0]) == ("t", "Cy", 1)
    assert decided(*rows, state=State({1: 99})).handling.rep == "Ben"
    assert decided(*rows, state=State({1: 99, 2: 99, 3: 99})).handling == PLAIN


# Fallback -------------------------------------------------------------------------------------------------------------


def test_a_fallback_waives_rules_but_never_gates() -> None:
    nobody = row("r", "require", {"level": ["Unheard of"]})
    last = row("f", "fallback", tagged("b", "c"))
    decision = decided(nobody, last)
    assert (order(decision), decision.handling.fallback) == ([2, 3], "f")
    assert gates(decision) == ["requires", "", ""]
    assert decided(nobody, last, state=State({2: 99, 3: 99})).ranked == ()
    why = explain(RuleSet.parse(second(nobody, last)), Snapshot(1, PEOPLE), request(), State(), 2)
    assert next(one.facts for one in why.gates if one.gate == "requires")["waived"] == "f"


def test_fallbacks_are_tried_in_order_and_a_rep_takes_what_is_left() -> None:
    nobody = row("x", "exclusive", {"level": ["Unheard of"]}, hard=True)
    rows = (nobody, row("f", "fallback", tagged("b")), row("g", "fallback", rep="Dee"))
    assert decided(*rows).handling.fallback == "f"
    kept = decided(*rows, state=State({2: 99}))
    assert (kept.ranked, kept.handling.fallback, kept.handling.rep) == ((), "g", "Dee")
    assert decided(*rows[1:]).handling == PLAIN  # somebody is left


def test_the_house_needs_no_fallback() -> None:
    decision = decided(row("h", "house", rep="Ana"), row("f", "fallback", tagged("a")))
    assert (decision.ranked, decision.handling.fallback) == ((), None)


# Bands and order ------------------------------------------------------------------------------------------------------


def banded(**more: object) -> dict[str, Any]:
    score = second()["score"]
    return (
        score | {"bands": [{"name": "near", "who": tagged("c")}, {"name": "far", "who": tagged("b")}]} | more
    )


def test_a_band_comes_before_any_score() -> None:
    decision = decided(score=banded())
    assert [(one.id, one.band) for one in decision.ranked] == [(3, "near"), (2, "far"), (1, None)]
    assert set(decision.credits) == {3}  # only its band was in the running


def test_load_balance_goes_by_the_part_that_is_taken() -> None:
    state = State({1: 1, 2: 2, 3: 2})
    people = (PEOPLE[0], replace(PEOPLE[1], capacity=40), PEOPLE[2])
    assert order(decided(score=banded(bands=[], order="load"), state=state, people=people)) == [2, 1, 3]


def test_turns_before_score_share_among_all_alike() -> None:
    state, firsts = State(), Counter[int]()
    for number in range(30):
        decision = decided(score=banded(bands=[], order="turns"), state=state, asked=request(seed=number))
        firsts[order(decision)[0]] += 1
        state = State({}, decision.credits)
    assert firsts == {1: 10, 2: 10, 3: 10}


# The form -------------------------------------------------------------------------------------------------------------

WRONG = [
    (row("w", "exclusive", tagged("a")), "rules[0].effect.hard", "missing"),
    (row("w", "exclusive", hard=True), "rules[0].who", "everybody"),
    (row("w", "pool", name="x", order="score"), "rules[0].who", "everybody"),
    (row("w", "pool", tagged("a"), name="x", order="luck"), "rules[0].effect.order", "one of"),
    (row("w", "cap", most=-1, per="day"), "rules[0].effect.most", "from 0"),
    (row("w", "cap", most=10**40, per="day"), "rules[0].effect.most", "from 0"),
    (row("w", "cap", most=1, per="hour"), "rules[0].effect.per", "one of"),
    (row("w", "house", tagged("a"), rep="Ana"), "rules[0].who", "does not depend"),
    (row("w", "house"), "rules[0].effect.rep", "missing"),
    (row("w", "fallback"), "rules[0].effect", "either"),
    (row("w", "fallback", tagged("a"), rep="Ana"), "rules[0].effect", "either"),
    (row("w", "parallel_offers", most=1), "rules[0].effect.most", "from 2"),
    (
        row("w", "deadline", answer_within_minutes=9, cap_minutes=8),
        "rules[0].effect.cap_minutes",
        "less than",
    ),
    (row("w", "co_sell", rep="Ana", most=1), "rules[0].effect.most", "not known"),
]


@pytest.mark.parametrize(("bad", "path", "cure"), WRONG)
def test_an_effect_that_makes_no_sense_is_refused(bad: Row, path: str, cure: str) -> None:
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(second(bad))
    assert (caught.value.path, cure in str(caught.value)) == (path, True)


def test_the_first_form_refuses_later_effects_by_name() -> None:
    for kind, effect in EFFECTS.items():
        old = second(row("w", kind, tagged())) | {"schema": "interline.rule-set/1"}
        old["rules"][0]["who"] = {"level": ["gold"]}
        del old["attributes"]
        if effect.since > 1:
            with pytest.raises(RuleSetError, match="not in this version"):
                RuleSet.parse(old)


def test_the_hash_of_a_decision_covers_its_handling() -> None:
    one, two = (decided(row("s", "co_sell", rep=rep)).result_hash for rep in ("Ana", "Ben"))
    assert one != two


def test_a_state_with_pools_and_caps_is_stored_and_read_back() -> None:
    state = State({1: 2}, {2: -5}, {"k": {1: 3, 9: 1}, "none": {1: 0}}, {"south": {1: -7}})
    stored = state.only([1, 2]).to_json()
    assert stored["taken"] == {"k": {"1": 3}}
    assert State.from_json(stored).to_json() == stored
    assert State({1: 2}).to_json() == {"load": {"1": 2}, "credit": {}}


def test_an_example_may_use_every_fact() -> None:
    example = {
        "name": "A named account",
        "request": {"as_of": "2026-11-23T09:47:00Z", "account": "acme"},
        "candidates": [{"name": "other", "level": "Platinum"}, {"name": "its-own", "accounts": ["acme"]}],
        "expect": {"order": ["its-own"], "gates": {"other": "claimed"}},
    }
    rules = RuleSet.parse(second(examples=[example], claims={"named_account": "soft", "relationship": "off"}))
    assert [one.passed for one in run_examples(rules)] == [True]


def test_one_engine_answers_like_a_fresh_one() -> None:
    rules = RuleSet.parse(second(row("x", "exclusive", tagged("b"), hard=False)))
    snapshot = Snapshot(1, PEOPLE)
    engine = Reference(rules, snapshot)
    for state in (State(), State({2: 99}), State()):
        assert engine.decide(request(), engine.shortlist(request()), state) == decide(
            rules, snapshot, request(), state
        )

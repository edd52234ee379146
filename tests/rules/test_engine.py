"""What must hold for any request, snapshot, state and rule set; and that the worlds drawn are worth it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rules import (
    ALL_GATES,
    CREDIT_LIMIT,
    ELIGIBLE,
    EXCLUDED,
    Candidate,
    Reference,
    Request,
    RuleSet,
    Snapshot,
    State,
    Stored,
    canonical_json,
    decide,
    default_ruleset,
    explain,
    one_short,
    replay,
)
from tests.rules.processes import said_by_every_process
from tests.rules.worlds import (
    candidate,
    candidates,
    gates_of,
    later_rule_sets,
    request,
    requests,
    row,
    rule_sets,
    snapshots,
    states,
)

any_rules = st.one_of(rule_sets(), later_rule_sets())
worlds = given(any_rules, snapshots(), requests(), states)
enough = settings(max_examples=120, deadline=None)


@enough
@given(any_rules, snapshots(), requests(), states, st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_come_changes_nothing(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, random: object
) -> None:
    shuffled = list(snapshot.candidates)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert decide(rules, replace(snapshot, candidates=tuple(shuffled)), asked, state) == decide(
        rules, snapshot, asked, state
    )


@enough
@given(any_rules, snapshots(), requests(), states, candidates(100))
def test_one_more_who_cannot_take_it_changes_nothing_for_the_others(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, more: Candidate
) -> None:
    more = replace(more, active=False)
    before = decide(rules, snapshot, asked, state)
    after = decide(rules, Snapshot(1, (*snapshot.candidates, more)), asked, state)
    assert (after.ranked, after.credits) == (before.ranked, before.credits)
    stopped = gates_of(rules, Snapshot(1, (*snapshot.candidates, more)), asked, state)
    assert stopped[:-1] == gates_of(rules, snapshot, asked, state)


@enough
@given(
    rule_sets(),
    snapshots(),
    requests(),
    states,
    st.sampled_from(["lines", "programmes", "rows", "load", "excluded"]),
)
def test_tightening_never_lets_anybody_in(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, what: str
) -> None:
    before = {one.id for one in decide(rules, snapshot, asked, state).ranked}
    if (
        what == "lines" and asked.product_lines
    ):  # without lines any certificate of a programme will do, so start with one
        asked = replace(asked, product_lines=(*asked.product_lines, "valves"))
    elif what == "programmes":
        asked = replace(asked, certifications=(*asked.certifications, "SBE"))
    elif what == "rows":
        extra = row(99, "require", {}, {"level": ["gold"]})
        rules = RuleSet.parse(rules.to_json() | {"rules": [*rules.to_json()["rules"], extra]})  # type: ignore[misc]
    elif what == "load":
        state = replace(state, load={one.id: state.load.get(one.id, 0) + 1 for one in snapshot.candidates})
    else:
        asked = replace(asked, excluded=asked.excluded | {1, 2})
    assert {one.id for one in decide(rules, snapshot, asked, state).ranked} <= before


@enough
@worlds
def test_every_byte_is_the_first_gate_that_the_explanation_names(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State
) -> None:
    engine = Reference(rules, snapshot)
    shortlist = engine.shortlist(asked)
    decision, gates = engine.decide(asked, shortlist, state), engine.gates(asked, shortlist, state)
    near = one_short(rules, snapshot, asked, state)
    for byte, one in zip(gates, snapshot.candidates, strict=True):
        why = explain(rules, snapshot, asked, state, one.id, engine)
        assert why.eligible is (byte == ELIGIBLE)
        assert why.excluded is (byte == EXCLUDED)
        if byte not in (ELIGIBLE, EXCLUDED):
            assert why.first_failing == ALL_GATES[byte - 1]
        assert near.get(one.id) == (why.failing[0] if why.one_short else None)
        if why.eligible:
            assert why.standing.ranked == decision.ranked[why.standing.rank - 1]
    assert len(decision.ranked) == decision.eligible == decision.counts[-1][1] == gates.count(ELIGIBLE)


@enough
@given(rule_sets(), snapshots(), requests(), states)
def test_scores_are_sums_of_bounded_terms_in_order(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State
) -> None:
    decision = decide(rules, snapshot, asked, state)
    score = rules.score
    most = {
        "level": score.level.weight,
        "distance": score.distance.weight,
        "capacity": score.capacity.weight,
        "fairness": score.fairness.weight,
    }
    for one in decision.ranked:
        assert one.score == sum(value for _name, value in one.terms)
        for name, value in one.terms:
            assert type(value) is int
            if name in most:
                assert 0 <= value <= most[name] * 1_000
    assert [-one.score for one in decision.ranked] == sorted(-one.score for one in decision.ranked)
    assert set(decision.credits) <= {one.id for one in decision.ranked}
    assert all(abs(credit) <= CREDIT_LIMIT for credit in decision.credits.values())


@enough
@worlds
def test_what_a_decision_stores_is_enough_to_replay_it(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State
) -> None:
    engine = Reference(rules, snapshot)
    shortlist = engine.shortlist(asked)
    decision = engine.decide(asked, shortlist, state)
    stored = Stored(
        Request.from_json(asked.to_json()),
        State.from_json(state.only(shortlist.ids).to_json()),
        decision.result_hash,
        rules.hash,
    )
    again = replay(RuleSet.parse(rules.to_json()), snapshot, stored)
    assert again.same
    assert again.decision == decision
    assert replay(rules, snapshot, replace(stored, result_hash=engine.first_hash(asked, state))).same
    assert not replay(rules, snapshot, replace(stored, result_hash="0" * 64)).same
    assert not replay(rules, snapshot, replace(stored, result_hash="2:" + "0" * 64)).same
    assert not replay(rules, snapshot, replace(stored, ruleset_hash="0" * 64)).same_rules


def test_the_worlds_are_contested() -> None:
    """Of the worlds drawn above enough have a choice to make, and every gate stops somebody somewhere."""
    seen: Counter[str] = Counter()

    @settings(max_examples=700, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @worlds
    def draw(rules: RuleSet, snapshot: Snapshot, asked: Request, state: State) -> None:
        decision = decide(rules, snapshot, asked, state)
        seen["all"] += 1
        seen["some"] += bool(decision.ranked)
        seen["contested"] += len(decision.ranked) > 1
        seen["turns"] += len(decision.credits) > 1
        for byte in set(gates_of(rules, snapshot, asked, state)) - {ELIGIBLE, EXCLUDED}:
            seen[ALL_GATES[byte - 1]] += 1
        if decision.ranked:
            first = decision.ranked[0].id
            other = decide(rules, snapshot, replace(asked, excluded=asked.excluded | {first}), state)
            seen["next"] += bool(other.ranked)

    draw()
    assert seen["some"] > seen["all"] * 0.4, seen
    assert seen["contested"] > seen["all"] * 0.2, seen
    assert seen["turns"] > seen["all"] * 0.1, seen
    assert seen["next"] > seen["all"] * 0.2, seen
    assert all(seen[gate] for gate in ALL_GATES), seen


_SCRIPT = """
from tests.rules.worlds import candidate, request
from rules import Snapshot, State, decide, default_ruleset
people = tuple(candidate(i, level=["Gold", "silver", None][i % 3], lat=48 + i / 100, lon=14.3) for i in range(1, 40))
print(decide(default_ruleset(), Snapshot(1, people), request(), State({3: 4}, {5: 1 << 31})).result_hash)
"""


def test_the_answer_does_not_depend_on_the_process() -> None:
    assert said_by_every_process(_SCRIPT)


def test_a_stored_request_says_nothing_about_a_person() -> None:
    text = canonical_json(request(excluded=frozenset({1 << 62})).to_json())
    assert text == canonical_json(
        Request.from_json(request(excluded=frozenset({1 << 62})).to_json()).to_json()
    )
    assert '"4611686018427387904"' in text
    assert set(request().to_json()) == {
        *("id", "place", "product_lines", "certifications", "amount_minor", "currency", "language"),
        *("industry", "source", "as_of", "seed", "excluded"),
    }


def test_equal_scores_fall_to_the_nearer_one_and_no_distance_comes_last() -> None:
    """All three are too far for any points, so only the tie-break tells them apart."""
    people = (candidate(1), candidate(2, lat=40.0, lon=0.0), candidate(3, lat=41.0, lon=0.0))
    for seed in range(10):
        ranked = decide(default_ruleset(), Snapshot(1, people), request(seed=seed), State()).ranked
        assert [one.id for one in ranked] == [3, 2, 1]
        assert len({one.score for one in ranked}) == 1


def test_ties_fall_by_seed_not_by_age() -> None:
    snapshot = Snapshot(1, tuple(candidate(number) for number in range(1, 9)))
    firsts = {
        decide(default_ruleset(), snapshot, request(seed=seed), State()).ranked[0].id for seed in range(40)
    }
    assert len(firsts) > 4

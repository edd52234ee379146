"""The compiled engine says what the reference says, byte for byte, in worlds with a choice to make."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rules import (
    ALL_GATES,
    CREDIT_ONE,
    ELIGIBLE,
    EXCLUDED,
    FORMS,
    GATES,
    RANKED_MOST,
    Candidate,
    Certification,
    Place,
    Plan,
    Rates,
    Reference,
    Request,
    RuleSet,
    Snapshot,
    State,
    Territory,
    default_ruleset,
    explain,
    one_short,
)
from tests.rules import seeded
from tests.rules.processes import said_by_every_process
from tests.rules.test_second_form import ATTRIBUTES, BLOCK
from tests.rules.worlds import (
    NOON,
    OFFICE,
    TODAY,
    candidate,
    candidates,
    request,
    requests,
    row,
    rule_set,
    snapshots,
    states,
)

# Rows of the second form: every kind of test on either side, negated too, what depends on request and load included.
WHENS = [
    *({}, {"country": ["AT"]}, {"country": {"not": ["AT"]}}, {"product_lines": ["valves", "pumps"]}),
    *(
        {"product_lines": {"not": ["valves"]}},
        {"postal_prefix": ["40", "1"]},
        {"postal_prefix": {"not": ["4"]}},
    ),
    {"amount": [{"currency": "EUR", "below": 100}, {"currency": "EUR", "from": 10_000}]},
    *({"inside": [BLOCK]}, {"inside": {"not": [{"lat": 48.3, "lon": 14.3, "radius_m": 5_000}]}}),
    *({"segment": ["key"], "country": ["AT"]}, {"relationship": True}, {"open_now": False}),
    *({"custom": {"employees": {"from": 10}}}, {"custom": {"tender": True}, "language": ["de"]}),
]
WHOS = [
    *(
        {"level": ["GOLD"]},
        {"level": {"not": ["gold"]}},
        {"certification": ["SBE"]},
        {"country": {"not": ["DE"]}},
    ),
    *({"capacity": {"from": 4}}, {"distance": {"below": 50}}, {"distance": {"below": 50}, "country": ["AT"]}),
    *({"open_now": True}, {"tags": ["new"]}, {"tags": {"not": ["new"]}}, {"authorised": ["valves"]}),
    *(
        {"performance": {"win_rate": {"from": 200}}},
        {"certified_at": {"ATEX": ["Expert"]}},
        {"custom": {"vip": True}},
    ),
    {"custom": {"founded": [{"below": 1990}, {"from": 2020}]}},
]
_effects = st.sampled_from(
    [{"kind": "require"}, {"kind": "exclude"}] + [{"kind": "boost", "points": n} for n in (-30, 1, 30)]
)
_validity = st.sampled_from(
    [
        *({}, {}, {}, {"valid_from": str(TODAY)}, {"valid_to": str(TODAY - timedelta(days=1))}),
        {"valid_from": str(TODAY + timedelta(days=1))},
    ]
)


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    rows = [
        {
            "id": f"row-{number}",
            "when": draw(st.sampled_from(WHENS)),
            "who": draw(st.sampled_from(WHOS)),
            "effect": draw(_effects),
            **draw(_validity),
        }
        for number in range(draw(st.integers(0, 5)))
    ]
    form = default_ruleset().to_json() | {"schema": FORMS[1], "attributes": ATTRIBUTES}
    form["score"]["fairness"]["share"] = draw(st.sampled_from(["equal", "capacity"]))  # type: ignore[index]
    return RuleSet.parse(form | {"rules": rows, "examples": []})


@st.composite
def worldly(draw: st.DrawFn) -> Snapshot:
    """Candidates with facts of the second form, under ids that do not follow their place."""
    small = draw(snapshots())
    ids = draw(st.permutations(range(1, 13)))
    facts = {
        "level": st.sampled_from([None, "Gold", "gold"]),
        "tags": st.sampled_from([None, frozenset(), frozenset({"new"})]),
        "figures": st.sampled_from([{}, {"win_rate": 100}, {"win_rate": 300}]),
        "custom": st.sampled_from([{}, {"vip": True, "founded": 1980}, {"vip": False, "founded": 2000}]),
    }
    people = tuple(
        replace(one, id=number, **{name: draw(values) for name, values in facts.items()})
        for one, number in zip(small.candidates, ids, strict=False)
    )
    return replace(small, candidates=people)


@st.composite
def questions(draw: st.DrawFn) -> Request:
    return replace(
        draw(requests()),
        as_of=NOON
        + draw(st.sampled_from([timedelta(), timedelta(days=-1, hours=7), timedelta(days=1, hours=13)])),
        segment=draw(st.sampled_from([None, "key"])),
        open_now=draw(st.sampled_from([None, True, False])),
        relationships=draw(st.sampled_from([None, frozenset(), frozenset({5})])),
        custom=draw(st.sampled_from([{}, {"employees": 9, "tender": True}, {"employees": 10}])),
    )


worlds = given(rule_sets(), worldly(), st.lists(questions(), min_size=1, max_size=4), states)
enough = settings(max_examples=120, deadline=None)


def same(plan: Plan, reference: Reference, asked: Request, state: State) -> int:
    """Shortlist, gates and decision of both are equal; how many were eligible."""
    ours, theirs = plan.shortlist(asked), reference.shortlist(asked)
    assert ours.ids == theirs.ids
    assert plan.gates(asked, ours, state) == reference.gates(asked, theirs, state)
    decided, wanted = plan.decide(asked, ours, state), reference.decide(asked, theirs, state)
    assert tuple(decided.ranked) == wanted.ranked
    assert (decided.eligible, decided.counts) == (wanted.eligible, wanted.counts)
    assert (decided.credits, decided.handling) == (wanted.credits, wanted.handling)
    assert decided.result_hash == wanted.result_hash
    return decided.eligible


@enough
@worlds
def test_a_plan_answers_as_the_reference_does(
    rules: RuleSet, snapshot: Snapshot, asked: list[Request], state: State
) -> None:
    plan, reference = Plan(rules, snapshot), Reference(rules, snapshot)
    for one in asked:
        same(plan, reference, one, state)


def test_these_worlds_are_contested() -> None:
    """Enough of them have a choice to make, after a refusal too, and every gate stops somebody."""
    seen: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @worlds
    def draw(rules: RuleSet, snapshot: Snapshot, asked: list[Request], state: State) -> None:
        plan = Plan(rules, snapshot)
        shortlist = plan.shortlist(asked[0])
        decision = plan.decide(asked[0], shortlist, state)
        seen["all"] += 1
        seen["some"] += bool(decision.ranked)
        seen["contested"] += decision.eligible > 1
        seen["turns"] += len(decision.credits) > 1
        for byte in set(plan.gates(asked[0], shortlist, state)) - {ELIGIBLE, EXCLUDED}:
            seen[ALL_GATES[byte - 1]] += 1
        if decision.ranked:
            again = replace(asked[0], excluded=asked[0].excluded | {decision.ranked[0].id})
            seen["next"] += bool(plan.decide(again, plan.shortlist(again), state).ranked)

    draw()
    assert seen["some"] > seen["all"] * 0.4, seen
    assert seen["contested"] > seen["all"] * 0.2, seen
    assert seen["turns"] > seen["all"] * 0.1, seen
    assert seen["next"] > seen["all"] * 0.2, seen
    assert all(seen[gate] for gate in ("excludes", "requires", *GATES)), seen


def test_twenty_thousand_partners_and_five_hundred_rows() -> None:
    world, rules = seeded.world(20_000, most_lines=16), seeded.rule_set(500)
    plan, reference = Plan(rules, world.snapshot), Reference(rules, world.snapshot)
    eligible = []
    for asked in world.requests(150):
        eligible.append(same(plan, reference, asked, seeded.state_for(plan.shortlist(asked).ids, asked.id)))
    assert sum(1 for n in eligible if n > 1) > 75, "contested"
    assert max(eligible) > RANKED_MOST, "more than a decision names"


# What the reference's own tests show, of the plan ---------------------------------------------------------------------


@enough
@given(rule_sets(), worldly(), questions(), states, st.randoms(use_true_random=False))
def test_the_order_in_which_candidates_come_changes_nothing(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, random: random.Random
) -> None:
    shuffled = list(snapshot.candidates)
    random.shuffle(shuffled)
    plan, other = Plan(rules, snapshot), Plan(rules, replace(snapshot, candidates=tuple(shuffled)))
    assert plan.decide(asked, plan.shortlist(asked), state) == other.decide(
        asked, other.shortlist(asked), state
    )


@enough
@given(rule_sets(), worldly(), questions(), states, candidates(100))
def test_one_more_who_cannot_take_it_changes_nothing_for_the_others(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, more: Candidate
) -> None:
    plan = Plan(rules, snapshot)
    other = Plan(rules, replace(snapshot, candidates=(*snapshot.candidates, replace(more, active=False))))
    before, after = (one.decide(asked, one.shortlist(asked), state) for one in (plan, other))
    assert (after.ranked, after.credits) == (before.ranked, before.credits)
    stopped = other.gates(asked, other.shortlist(asked), state)
    assert stopped[:-1] == plan.gates(asked, plan.shortlist(asked), state)


@enough
@given(
    rule_sets(), worldly(), questions(), states, st.sampled_from(["programmes", "rows", "load", "excluded"])
)
def test_tightening_never_lets_anybody_in(
    rules: RuleSet, snapshot: Snapshot, asked: Request, state: State, what: str
) -> None:
    def eligible() -> set[int]:
        plan = Plan(rules, snapshot)
        return {one.id for one in plan.decide(asked, plan.shortlist(asked), state).ranked}

    before = eligible()
    if what == "programmes":
        asked = replace(asked, certifications=(*asked.certifications, "SBE"))
    elif what == "rows":
        extra = {"id": "row-99", "when": {}, "who": {"level": ["gold"]}, "effect": {"kind": "require"}}
        rules = RuleSet.parse(rules.to_json() | {"rules": [*rules.to_json()["rules"], extra]})  # type: ignore[misc]
    elif what == "load":
        rules = replace(rules, rules=tuple(one for one in rules.rules if "capacity" not in str(one.who)))
        before = eligible()
        state = replace(state, load={one.id: state.load.get(one.id, 0) + 1 for one in snapshot.candidates})
    else:
        asked = replace(asked, excluded=asked.excluded | {1, 2})
    assert eligible() <= before


@settings(max_examples=40, deadline=None)
@worlds
def test_the_matrix_knows_everything_that_stops_anybody(
    rules: RuleSet, snapshot: Snapshot, asked: list[Request], state: State
) -> None:
    plan = Plan(rules, snapshot).changed(snapshot.version, snapshot.candidates[:2])
    for one in asked:
        matrix = plan.matrix(one, state)
        gates = plan.gates(one, plan.shortlist(one), state)
        first: Counter[str] = Counter(
            ALL_GATES[byte - 1] for byte in gates if byte not in (ELIGIBLE, EXCLUDED)
        )
        assert +Counter(matrix.first_stops()) == first
        assert matrix.one_short() == one_short(rules, snapshot, one, state)
        for candidate_ in snapshot.candidates:
            why = explain(rules, snapshot, one, state, candidate_.id, plan)
            stopping = matrix.stopping(candidate_.id)
            assert stopping is not None
            assert tuple(dict.fromkeys(line.gate for line in stopping)) == why.failing
            for gate, fact in (("excludes", "hit"), ("requires", "unmet")):
                facts = why.gates[ALL_GATES.index(gate)].facts
                assert [line.asks for line in stopping if line.gate == gate] == facts[fact]
    assert plan.matrix(asked[0], state).stopping(999) is None


def test_an_explanation_may_ask_the_plan() -> None:
    snapshot = Snapshot(1, tuple(candidate(n, capacity=n % 3) for n in range(1, 9)))
    plan = Plan(default_ruleset(), snapshot)
    for one in snapshot.candidates:
        ours = explain(default_ruleset(), snapshot, request(), State(), one.id, plan)
        assert ours == explain(default_ruleset(), snapshot, request(), State(), one.id)


_SCRIPT = """
from tests.rules.seeded import rule_set, state_for, world
from rules import Plan, Stored, replay
one, rules = world(400), rule_set(60)
plan = Plan(rules, one.snapshot)
for asked in one.requests(12):
    shortlist = plan.shortlist(asked)
    state = state_for(shortlist.ids, asked.id)
    decision = plan.decide(asked, shortlist, state)
    assert replay(rules, one.snapshot, Stored(asked, state, decision.result_hash, rules.hash)).same
    print(decision.eligible, decision.result_hash)
"""


def test_the_answer_does_not_depend_on_the_process_and_replays() -> None:
    assert said_by_every_process(_SCRIPT)


# Changes --------------------------------------------------------------------------------------------------------------


@enough
@given(
    rule_sets(),
    worldly(),
    worldly(),
    st.lists(questions(), min_size=1, max_size=3),
    states,
    st.sets(st.integers(1, 12), max_size=3),
    st.integers(1, 4),
)
def test_a_changed_plan_is_the_one_compiled_afresh(
    rules: RuleSet,
    snapshot: Snapshot,
    later: Snapshot,
    asked: list[Request],
    state: State,
    removed: set[int],
    step: int,
) -> None:
    """Replaced, added and removed in any order, whatever days were asked for before; the plan before stays what it was."""
    first = plan = Plan(rules, snapshot)
    now = snapshot
    for one in asked[1:]:
        plan.shortlist(one)
    for version, start in enumerate(range(0, len(later.candidates), step), start=100):
        changed = later.candidates[start : start + step]
        now = now.with_changes(version, changed, removed)
        plan = plan.changed(version, changed, tuple(removed))
        assert plan.snapshot == now == replace(now, candidates=now.candidates[::-1])
        for one in asked:
            same(plan, Reference(rules, now), one, state)
    for one in asked:
        same(first, Reference(rules, snapshot), one, state)


def test_a_plan_follows_a_snapshot_read_as_a_whole() -> None:
    """A few who differ, went or came; then many; then other exchange rates."""
    world, rules = seeded.world(400), seeded.rule_set(20)
    plan, people = Plan(rules, world.snapshot), world.snapshot.candidates
    strangers = tuple(replace(one, id=one.id + 1_000) for one in seeded.world(30, seed=5).snapshot.candidates)
    snapshots = [
        Snapshot(2, (*people[3:], replace(people[1], capacity=50), strangers[0])),
        Snapshot(3, (*people[:300], *strangers)),
        Snapshot(4, people[:300], Rates("EUR")),
    ]
    for snapshot in snapshots:
        plan = plan.followed_by(snapshot)
        assert plan.snapshot == snapshot
        for asked in world.requests(15):
            same(
                plan, Reference(rules, snapshot), asked, seeded.state_for(plan.shortlist(asked).ids, asked.id)
            )


def test_a_plan_without_room_left_is_compiled_anew() -> None:
    world, rules = seeded.world(300), seeded.rule_set(20)
    plan, now = Plan(rules, world.snapshot), world.snapshot
    pool = seeded.world(300, seed=9).snapshot.candidates
    for version in range(2, 14):
        changed = pool[(version * 50) % 300 :][:50]
        now = now.with_changes(version, changed)
        plan = plan.changed(version, changed)
    for asked in world.requests(20):
        same(plan, Reference(rules, now), asked, seeded.state_for(plan.shortlist(asked).ids, asked.id))


# Edges ----------------------------------------------------------------------------------------------------------------

CENTRES = [(48.3, 14.3), (0.0, 0.0), (-17.7, 179.95), (89.9, 10.0), (-90.0, 0.0)]
CIRCLES = [(lat, lon, km) for lat, lon in CENTRES for km in (0.0, 0.3, 5.0, 111.2)] + [
    *((10.0, -179.99, 900.0), (60.0, 0.0, 5_000.0), (0.0, 0.0, 20_100.0), (30.0, 40.0, 19_990.0)),
    (-89.5, 77.0, 60.0),
]
SPOTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180)) | st.tuples(
    st.sampled_from([0.0, 48.3, 48.302698, -17.7, 90.0, -90.0, 89.99]),
    st.sampled_from([0.0, 14.3, 179.95, -179.95, 180.0, -180.0, 10.0]),
)


@settings(max_examples=300, deadline=None)
@given(SPOTS)
def test_a_grid_finds_the_circles_that_cover_a_place(spot: tuple[float, float]) -> None:
    """Round the poles, across the antimeridian, over half the earth and of no size at all."""
    people = tuple(
        candidate(n, territories=(Territory("circle", lat=lat, lon=lon, radius_km=km),))
        for n, (lat, lon, km) in enumerate(CIRCLES, start=1)
    )
    rules, snapshot = default_ruleset(), Snapshot(1, people)
    asked = request(place=Place(lat=spot[0], lon=spot[1]))
    assert Plan(rules, snapshot).shortlist(asked).ids == Reference(rules, snapshot).shortlist(asked).ids


@settings(max_examples=200, deadline=None)
@given(st.lists(SPOTS, min_size=2, max_size=30), SPOTS)
def test_distances_are_those_of_the_reference(
    spots: list[tuple[float, float]], place: tuple[float, float]
) -> None:
    people = tuple(candidate(n, lat=lat, lon=lon) for n, (lat, lon) in enumerate(spots, start=1))
    rules, snapshot = default_ruleset(), Snapshot(1, people)
    same(
        Plan(rules, snapshot),
        Reference(rules, snapshot),
        request(place=Place("AT", lat=place[0], lon=place[1])),
        State(),
    )


@pytest.mark.parametrize(
    "state",
    [
        State({}, {1: (1 << 63) - 1, 2: -(1 << 62) - 1, 3: CREDIT_ONE}),
        State({1: (1 << 63) - 1}, {2: 5 * CREDIT_ONE, 3: -5 * CREDIT_ONE}),
        State(),
    ],
)
def test_numbers_of_any_size(state: State) -> None:
    people = tuple(candidate(n, capacity=1 << 40) for n in range(1, 5))
    form = default_ruleset().to_json()
    form["score"]["fairness"]["share"] = "capacity"  # type: ignore[index]
    for rules in (default_ruleset(), RuleSet.parse(form)):
        same(Plan(rules, Snapshot(1, people)), Reference(rules, Snapshot(1, people)), request(), state)


def test_many_equals_fall_to_the_seeded_hash() -> None:
    people = tuple(candidate(n) for n in range(1, 400))
    for rules in (default_ruleset(), rule_set(row(1, "boost", {}, {"country": ["AT"]}, points=3))):
        plan, reference = Plan(rules, Snapshot(1, people)), Reference(rules, Snapshot(1, people))
        for seed in range(5):
            same(plan, reference, request(seed=seed), State({}, {7: 5, 8: 5}))


def test_one_plan_answers_for_many_days_and_hours() -> None:
    """Certificates begin and expire, calendars open and close, in whatever order days are asked for."""
    people = tuple(
        candidate(
            n,
            calendar=OFFICE,
            certifications=(
                Certification("ATEX", None, TODAY + timedelta(days=n - 6), TODAY + timedelta(days=n), None),
                Certification("SBE", None, TODAY + timedelta(days=n - 3), None, None),
            ),
        )
        for n in range(-6, 7)
        if n
    )
    people = tuple(replace(one, id=one.id + 10) for one in people)
    rules = rule_set(row(1, "require", {}, {"certification": ["SBE"]}))
    plan, reference = Plan(rules, Snapshot(1, people)), Reference(rules, Snapshot(1, people))
    eligible = [
        same(plan, reference, request(as_of=NOON + timedelta(days=day, hours=hour)), State())
        for day in (0, 3, -2, 1, 0, 14, -30, 5)
        for hour in range(-12, 12, 3)
    ]
    assert len(set(eligible)) > 3

"""A plan of rules that do more than require, exclude and boost answers as the reference does, changed or compiled."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rules import FORMS, Candidate, Plan, Reference, Request, RuleSet, Snapshot, State, default_ruleset
from tests.rules import seeded
from tests.rules.test_plan import same
from tests.rules.worlds import later_rule_sets, requests, snapshots, states

SEEN: Sequence[dict[str, object]] = [
    {"id": "more-1", "when": {}, "who": {}, "effect": {"kind": "fallback", "rep": "Cid"}},
    {"id": "more-2", "when": {}, "who": {"country": ["AT", "DE"]}, "effect": {"kind": "fallback"}},
    {"id": "more-3", "when": {}, "who": {}, "effect": {"kind": "co_sell", "rep": "Ben"}},
    {
        "id": "more-4",
        "when": {"country": ["AT"]},
        "who": {},
        "effect": {"kind": "parallel_offers", "most": 2},
    },
    {
        "id": "more-5",
        "when": {},
        "who": {"tags": {"not": ["b"]}},
        "effect": {"kind": "deadline", "answer_within_minutes": 5, "cap_minutes": 60},
    },
]


@st.composite
def rule_sets(draw: st.DrawFn) -> RuleSet:
    """Of every effect, also those that seldom have anything to say."""
    form = draw(later_rule_sets()).to_json()
    more = draw(st.lists(st.sampled_from(SEEN), max_size=3, unique_by=lambda one: str(one["id"])))
    return RuleSet.parse(form | {"rules": [*form["rules"], *more]})  # type: ignore[misc]


worlds = given(rule_sets(), snapshots(), st.lists(requests(), min_size=1, max_size=3), states)
enough = settings(max_examples=120, deadline=None)


@enough
@worlds
def test_it_answers_as_the_reference_does(
    rules: RuleSet, snapshot: Snapshot, asked: list[Request], state: State
) -> None:
    plan, reference = Plan(rules, snapshot), Reference(rules, snapshot)
    for one in asked:
        same(plan, reference, one, state)


def test_these_worlds_use_every_effect() -> None:
    """Enough decisions are claimed, kept, narrowed, passed on and given back by rows, and some have a choice."""
    seen: Counter[str] = Counter()

    @settings(max_examples=400, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @worlds
    def draw(rules: RuleSet, snapshot: Snapshot, asked: list[Request], state: State) -> None:
        plan = Plan(rules, snapshot)
        decision = plan.decide(asked[0], plan.shortlist(asked[0]), state)
        seen.update(["all", *decision.handling.to_json()])
        seen["later"] += not rules.plain
        seen["contested"] += decision.eligible > 1
        seen.update(
            gate
            for (gate, left), before in zip(decision.counts[1:], decision.counts, strict=False)
            if left < before[1]
        )

    draw()
    assert seen["later"] > seen["all"] * 0.9, seen
    assert seen["contested"] > seen["all"] * 0.10, seen["contested"]
    for said in (
        "claim",
        "house",
        "exclusive",
        "pool",
        "via",
        "fallback",
        "co_sell",
        "parallel",
        "deadline",
        "cap",
    ):
        assert seen[said] >= 2, (said, seen)


@enough
@given(
    rule_sets(),
    snapshots(),
    snapshots(),
    st.lists(requests(), min_size=1, max_size=3),
    states,
    st.sets(st.integers(1, 12), max_size=3),
    st.integers(1, 4),
)
def test_changing_it_is_compiling_it_anew(
    rules: RuleSet,
    snapshot: Snapshot,
    later: Snapshot,
    asked: list[Request],
    state: State,
    removed: set[int],
    step: int,
) -> None:
    """Claims follow those who come, go and change; the plan before stays what it was."""
    first = plan = Plan(rules, snapshot)
    now = snapshot
    for version, start in enumerate(range(0, len(later.candidates), step), start=100):
        changed = [_elsewhere(one) for one in later.candidates[start : start + step]]
        now = now.with_changes(version, changed, removed)
        plan = plan.changed(version, changed, tuple(removed))
        for one in asked:
            same(plan, Reference(rules, now), one, state)
    for one in asked:
        same(first, Reference(rules, snapshot), one, state)


def _elsewhere(one: Candidate) -> Candidate:
    """With another's account and company."""
    return replace(
        one, company_id=one.company_id + 1, accounts=frozenset() if one.accounts else frozenset({"acme"})
    )


EFFECTS: Sequence[dict[str, object]] = [
    {"kind": "house", "rep": "Ana"},
    {"kind": "exclusive", "hard": False},
    {"kind": "cap", "most": 2, "per": "month"},
    {"kind": "pool", "name": "south", "order": "turns"},
    {"kind": "deadline", "answer_within_minutes": 5, "cap_minutes": 60},
    {"kind": "parallel_offers", "most": 3},
    {"kind": "co_sell", "rep": "Ben"},
    {"kind": "fallback"},
]


def test_twenty_thousand_partners_and_rows_of_every_effect() -> None:
    world = seeded.world(20_000, most_lines=16)
    rows: list[dict[str, object]] = []
    for number, line in enumerate(seeded.LINES * 8):
        effect = EFFECTS[number % len(EFFECTS)]
        who = {} if effect["kind"] in ("house", "parallel_offers") else {"level": ["Gold", "Platinum"]}
        when = {"product_lines": [line], "language": [seeded.LANGUAGES[number // len(EFFECTS) % 10]]}
        rows.append({"id": f"row-{number}", "when": when, "who": who, "effect": effect})
    form = default_ruleset().to_json() | {"schema": FORMS[1], "rules": rows, "examples": []}
    rules = RuleSet.parse(form | {"claims": {"named_account": "hard", "relationship": "soft"}})
    plan, reference = Plan(rules, world.snapshot), Reference(rules, world.snapshot)
    said: Counter[str] = Counter()
    for asked in world.requests(60):
        known = replace(asked, relationships=frozenset({asked.id * 3}))
        found = plan.shortlist(known)
        state = seeded.state_for(found.ids, asked.id)
        said["eligible"] += same(plan, reference, known, state)
        said.update(list(plan.decide(known, found, state).handling.to_json()))
    assert said["eligible"] > 60 and said["house"] and said["exclusive"] and said["deadline"], said

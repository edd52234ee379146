"""What is found in a draft is what trying every request and candidate finds; every example shows what it is for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rules import ALL_GATES, ELIGIBLE, Asked, Row, RuleSet, Snapshot, State, decide
from rules.verify import Finding, Report, boxes, search, space, terms, verify
from rules.verify.examples import Example
from tests.rules.drafts import (
    all_candidates,
    applies,
    drafts,
    meets,
    refused,
    refused_by,
)
from tests.rules.processes import said_by_every_process
from tests.rules.test_second_form import second
from tests.rules.worlds import TODAY, candidate, gates_of, request, row, rule_set, snapshots

enough = settings(max_examples=50, deadline=None)
NOBODY = Snapshot(1, ())


def found(report: Report, code: str) -> list[Finding]:
    return [one for one in report.findings if one.code == code]


def rows_of(report: Report, code: str) -> set[str]:
    return {one.row for one in found(report, code)}


def alone(rules: RuleSet, witness: object) -> str | None:
    """The gate that stops the candidate of an example; None when it is eligible."""
    gates = gates_of(rules, Snapshot(1, (witness.candidate,)), witness.request, State())  # type: ignore[attr-defined]
    return None if gates[0] == ELIGIBLE else ALL_GATES[gates[0] - 1]


def without(rules: RuleSet, names: Iterable[str]) -> RuleSet:
    left = set(names)
    return replace(rules, rules=tuple(one for one in rules.rules if one.id not in left))


def firing(rules: RuleSet) -> list[Row]:
    return [one for one in rules.rules if applies(one).any()]


def brute_shadowed(rules: RuleSet) -> set[str]:
    """The last rows first: those that refuse nobody whom the rest does not refuse, then boosts of nobody left."""
    alive = [one for one in firing(rules) if one.effect != "boost"]
    gone = set()
    for one in reversed(list(alive)):
        others = [other for other in alive if other is not one]
        if not (refused(one) & ~refused_by(others)).any():
            alive = others
            gone.add(one.id)
    taken = refused_by(alive)
    for one in firing(rules):
        if one.effect == "boost" and (
            not one.points or not (np.outer(applies(one), meets(one)) & ~taken).any()
        ):
            gone.add(one.id)
    return gone


@enough
@given(drafts())
def test_rows_are_shadowed_exactly_when_no_request_and_candidate_can_tell(rules: RuleSet) -> None:
    report = verify(rules, NOBODY, TODAY)
    assert not report.unchecked
    assert rows_of(report, "shadowed") == brute_shadowed(rules)
    assert report.counts["shadowed"] == len(found(report, "shadowed"))


@enough
@given(drafts())
def test_rows_never_fire_exactly_when_no_request_from_today_on_meets_them(rules: RuleSet) -> None:
    report = verify(rules, NOBODY, TODAY)
    assert rows_of(report, "never_fires") == {one.id for one in rules.rules} - {
        one.id for one in firing(rules)
    }


def brute_conflicts(rules: RuleSet) -> set[tuple[str, str, str]]:
    pairs = set()
    rows = firing(rules)
    for at, one in enumerate(rows):
        for other_at, other in enumerate(rows):
            if other_at == at or not (applies(one) & applies(other)).any():
                continue
            kinds = (one.effect, other.effect)
            if kinds == ("require", "require") and at < other_at and not (meets(one) & meets(other)).any():
                pairs.add(("disjoint_requires", one.id, other.id))
            if kinds == ("require", "exclude") and not (meets(one) & ~meets(other)).any():
                pairs.add(("requires_excluded", one.id, other.id))
            opposite = one.points * other.points < 0 and one.who == other.who
            if kinds == ("boost", "boost") and at < other_at and opposite:
                pairs.add(("opposite_boosts", one.id, other.id))
    return pairs


@enough
@given(drafts())
def test_conflicts_are_the_pairs_that_contradict_each_other_for_some_request(rules: RuleSet) -> None:
    report = verify(rules, NOBODY, TODAY)
    pairs = {(one.reason, one.row, one.others[0]) for one in found(report, "conflict")}
    assert pairs == brute_conflicts(rules)
    assert report.counts["conflict"] == len(pairs)


@enough
@given(drafts(), snapshots())
def test_a_who_is_unmet_when_nobody_who_can_be_routed_to_meets_it(rules: RuleSet, snapshot: Snapshot) -> None:
    report = verify(rules, snapshot, TODAY)
    able = [one for one in snapshot.candidates if one.active and one.agreement_accepted]
    unmet = {
        one.id
        for one in firing(rules)
        if one.who and not any(one.meets(c, Asked(request()), 0) for c in able)
    }
    assert rows_of(report, "who_unmet") == unmet
    for one in found(report, "who_unmet"):
        assert one.witness is not None
        if one.reason == "blocks":
            gates = gates_of(rules, snapshot, one.witness.request, State())
            assert ELIGIBLE not in gates
            (blocking,) = [other for other in rules.rules if other.id == one.row]
            assert blocking.effect == "require" and blocking.applies(Asked(one.witness.request))


@enough
@given(drafts())
def test_every_example_shows_what_it_is_for(rules: RuleSet) -> None:
    by_id = {one.id: one for one in rules.rules}
    for one in verify(rules, NOBODY, TODAY).findings:
        own = by_id[one.row]
        if one.code == "never_fires":
            assert one.witness is None or not own.applies(Asked(one.witness.request))
            assert one.reason != "expired" or one.witness is not None
            continue
        assert one.exact and one.witness is not None
        assert own.applies(Asked(one.witness.request))
        if one.code == "shadowed" and one.others:
            # Another gate may be named, but nobody comes or goes.
            assert (alone(rules, one.witness) is None) is (
                alone(without(rules, [one.row]), one.witness) is None
            )
            only = replace(rules, rules=(own,))
            assert alone(only, one.witness) == {"require": "requires", "exclude": "excludes"}.get(own.effect)
            # The rows it is put down to refuse by themselves.
            few = replace(rules, rules=tuple(by_id[other] for other in one.others))
            assert alone(few, one.witness) is not None
        elif one.reason in ("disjoint_requires", "requires_excluded"):
            other = by_id[one.others[0]]
            assert alone(replace(rules, rules=(own,)), one.witness) is None
            assert alone(replace(rules, rules=(own, other)), one.witness) in ("requires", "excludes")
            pair = replace(rules, rules=(own, other))
            gates = gates_of(pair, Snapshot(1, all_candidates()), one.witness.request, State())
            assert ELIGIBLE not in gates
        elif one.reason == "opposite_boosts":
            pair = replace(rules, rules=(own, by_id[one.others[0]]))
            decision = decide(pair, Snapshot(1, (one.witness.candidate,)), one.witness.request, State())  # type: ignore[arg-type]
            points = own.points + by_id[one.others[0]].points
            assert dict(decision.ranked[0].terms)["boost"] == points * 1000


@enough
@given(drafts())
def test_a_hole_is_a_request_and_a_candidate_that_only_this_row_refuses(rules: RuleSet) -> None:
    cut = space.Space(rules.rules, TODAY)
    refusing = [
        [cut.box(n)] if one.effect == "exclude" else cut.outside(n) if one.effect == "require" else []
        for n, one in enumerate(rules.rules)
    ]
    flat = [(n, box) for n, own in enumerate(refusing) for box in own if not box.empty]
    index = boxes.Index(cut, [box for _n, box in flat])
    for n, box in flat:
        among = sum(1 << at for at, (other, _box) in enumerate(flat) if other != n)
        hole = search.Search(index, box, among).hole()
        if hole is None:
            continue
        example = Example(cut, hole)
        asked, one = example.request(), example.candidate()
        own, others = rules.rules[n], [other for other in rules.rules if other.id != rules.rules[n].id]
        assert own.applies(Asked(asked)) and own.meets(one, Asked(asked), 0) is (own.effect == "exclude")
        assert (
            alone(
                replace(rules, rules=tuple(others)), type("Shown", (), {"request": asked, "candidate": one})
            )
            is None
        )


@enough
@given(
    drafts(),
    st.sets(st.sampled_from(sorted(set(terms.FORMS) - {"when.days"} | {"when.postal_prefix"})), min_size=1),
)
def test_of_what_is_not_understood_only_the_certain_is_said(rules: RuleSet, hidden: set[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(terms, "FORMS", {**terms.FORMS, **dict.fromkeys(hidden, "opaque")})
        report = verify(rules, NOBODY, TODAY)
    assert rows_of(report, "never_fires") <= {one.id for one in rules.rules} - {
        one.id for one in firing(rules)
    }
    refusing = [one for one in rules.rules if one.effect != "boost"]
    left = [one for one in refusing if one.id not in rows_of(report, "shadowed")]
    assert (refused_by(refusing) == refused_by(left)).all()
    for one in rules.rules:
        said = {term.path for term in terms.terms(one)}
        assert (one.id in report.opaque) is bool(said & hidden)


def test_the_drafts_are_worth_it() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=600, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(drafts())
    def draw(rules: RuleSet) -> None:
        seen["drafts"] += 1
        kinds = set()
        for one in verify(rules, NOBODY, TODAY).findings:
            kinds.add(one.reason)
            if one.code == "shadowed":
                kinds.add(f"by {min(len(one.others), 2)}")
        seen.update(kinds)

    draw()
    for reason, share in {
        "covered": 0.2,
        "by 2": 0.03,
        "disjoint_requires": 0.02,
        "requires_excluded": 0.03,
        "opposite_boosts": 0.01,
        "expired": 0.2,
        "contradiction": 0.01,
        "no_points": 0.1,
    }.items():
        assert seen[reason] >= share * seen["drafts"], (reason, seen)


GOLD_IN_AT = row(1, "require", {"country": ["AT"]}, {"level": ["gold"]})


def test_three_rows_together_may_cover_a_fourth() -> None:
    rules = rule_set(
        row(
            1,
            "exclude",
            {"country": ["AT"], "amount": {"currency": "EUR", "below": 100}},
            {"level": ["gold"]},
        ),
        row(2, "exclude", {"country": ["AT"]}, {"level": ["silver"], "country": ["DE"]}),
        row(
            3,
            "exclude",
            {"country": ["AT", "DE"], "amount": {"currency": "EUR", "from": 50}},
            {"level": ["gold"]},
        ),
        row(
            4,
            "exclude",
            {"country": ["AT"], "amount": {"currency": "EUR", "from": 0}},
            {"level": ["gold", "silver"], "country": ["DE"]},
        ),
    )
    (only,) = found(verify(rules, NOBODY, TODAY), "shadowed")
    assert (only.row, only.others) == ("row-4", ("row-1", "row-2", "row-3"))


def test_a_requirement_makes_an_exclusion_of_others_superfluous() -> None:
    rules = rule_set(GOLD_IN_AT, row(2, "exclude", {"subdivision": ["AT-4"]}, {"level": ["bronze"]}))
    (only,) = found(verify(rules, NOBODY, TODAY), "shadowed")
    assert (only.row, only.reason, only.others) == ("row-2", "covered", ("row-1",))


def test_the_first_row_that_decides_leaves_later_ones_nothing() -> None:
    desk = {"kind": "deadline", "answer_within_minutes": 60, "cap_minutes": 120}
    rules = RuleSet.parse(
        second(
            row(1, "house", {"country": ["AT"]}, {}) | {"effect": {"kind": "house", "rep": "Ana"}},
            row(2, "house", {"subdivision": ["AT-4"]}, {}) | {"effect": {"kind": "house", "rep": "Ben"}},
            row(3, "deadline", {}, {"level": ["gold"]}) | {"effect": desk},
            row(4, "deadline", {"country": ["AT"]}, {"level": ["gold", "silver"]}) | {"effect": desk},
            row(5, "deadline", {}, {"level": ["gold"], "country": ["AT"]}) | {"effect": desk},
            row(6, "boost", {}, {"level": ["gold"]}, points=5),
            row(7, "exclude", {}, {"level": ["gold"]}),
            row(8, "fallback", {"country": ["AT"]}, {}) | {"effect": {"kind": "fallback", "rep": "Ana"}},
            row(9, "fallback", {"country": ["AT"]}, {"level": ["gold"]}) | {"effect": {"kind": "fallback"}},
        )
    )
    said = {one.row: (one.reason, one.others) for one in found(verify(rules, NOBODY, TODAY), "shadowed")}
    # A fallback waives the exclusion, so the boost may count after all.
    assert said == {
        "row-2": ("earlier_row", ("row-1",)),
        "row-5": ("earlier_row", ("row-3",)),
        "row-9": ("earlier_row", ("row-8",)),
    }


def test_of_twins_the_later_one_is_named() -> None:
    rules = rule_set(GOLD_IN_AT, GOLD_IN_AT | {"id": "twin"})
    assert [one.row for one in found(verify(rules, NOBODY, TODAY), "shadowed")] == ["twin"]


def test_a_region_of_another_country_is_a_contradiction_in_that_cell() -> None:
    rules = rule_set(row(1, "exclude", {"country": ["AT"], "subdivision": ["DE-BY"]}, {"level": ["gold"]}))
    (only,) = verify(rules, NOBODY, TODAY).findings
    assert (only.code, only.reason, only.cell) == ("never_fires", "contradiction", "when.subdivision")


def test_values_that_do_not_exist_keep_a_row_from_firing() -> None:
    rules = rule_set(
        row(1, "exclude", {"product_lines": ["pumpz"]}, {"level": ["gold"]}),
        row(2, "exclude", {"product_lines": ["pumpz", "pumps"]}, {"level": ["gold"]}),
    )
    report = verify(rules, Snapshot(1, (candidate(level="gold"),)), TODAY, {"when.product_lines": ["pumps"]})
    (only,) = report.findings
    assert (only.row, only.reason, only.cell) == ("row-1", "unknown_values", "when.product_lines")


def test_a_name_survives_what_does_not_concern_it_and_nothing_else() -> None:
    silver = row(2, "require", {"subdivision": ["AT-4"]}, {"level": ["silver"]})
    twin = GOLD_IN_AT | {"id": "twin"}
    names = {one.name for one in verify(rule_set(GOLD_IN_AT, twin, silver), NOBODY, TODAY).findings}
    assert len(names) == 6, names  # two conflicts, one twin, three unmet
    more = row(9, "boost", {"language": ["de"]}, {"country": ["DE"]}, points=5)
    later = rule_set(more, GOLD_IN_AT, twin | {"note": "reworded"}, silver)
    again = {one.name for one in verify(later, NOBODY, TODAY + timedelta(days=30)).findings}
    assert len(again) == 7 and names < again
    changed = rule_set(GOLD_IN_AT, twin, silver | {"who": {"level": ["bronze"]}})
    kept = names & {one.name for one in verify(changed, NOBODY, TODAY).findings}
    assert kept == {name for name in names if "row-2" not in name}


def test_a_search_without_end_is_given_up_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MOST_STEPS", 1)
    rules = rule_set(
        row(1, "exclude", {"country": ["AT"]}, {"level": ["gold"]}),
        row(2, "exclude", {"country": ["AT", "DE"]}, {"level": ["gold", "silver"]}),
    )
    report = verify(rules, NOBODY, TODAY)
    assert report.unchecked == ("row-2",)
    assert rows_of(report, "shadowed") == {"row-1"}  # one look is enough for this


_SCRIPT = """
from tests.rules.drafts import drafts, all_candidates
from tests.rules.worlds import TODAY, row, rule_set
from rules import Snapshot
from rules.verify import verify
rows = [row(n, ["require", "exclude", "boost"][n % 3], {"country": [["AT", "DE", "FR"][n % 3], "IT"],
    "product_lines": [f"line-{n % 4}", f"line-{n % 7}x"], "postal_prefix": [str(n % 5), str(n % 11) + "0"]},
    {"level": [["gold", "silver"][n % 2]], "certification": ["ATEX", f"P{n % 3}"]},
    **({"points": 5 - n % 9} if n % 3 == 2 else {})) for n in range(60)]
report = verify(rule_set(*rows), Snapshot(1, all_candidates()), TODAY)
for one in report.findings:
    print(one.name, one.cell, one.others, one.exact, one.witness and one.witness.request.to_json())
"""


def test_the_findings_do_not_depend_on_the_process() -> None:
    assert "shadowed" in said_by_every_process(_SCRIPT)

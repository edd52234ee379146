"""A rehearsal says what deciding everything twice says, from fewer decisions, and loses nothing on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import islice

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rules import FORMS, Asked, Plan, Reference, RuleSet, Snapshot, State, cap_window, decide, default_ruleset
from rules.rehearsal import (
    STEP,
    Effect,
    Engines,
    Move,
    Past,
    Progress,
    changed_rows,
    rehearse_rules,
    rehearse_sequence,
)
from tests.rules.worlds import (
    NOON,
    candidate,
    later_rule_sets,
    request,
    requests,
    row,
    rule_set,
    rule_sets,
    snapshots,
    states,
)

enough = settings(max_examples=30, deadline=None)


@st.composite
def pasts(draw: st.DrawFn) -> tuple[Past, ...]:
    """A history within three days; some places are free again soon."""
    made = []
    for number in range(1, draw(st.sampled_from([1, 2, 6, 9, 12, 15])) + 1):
        asked = draw(requests())
        at = NOON + timedelta(hours=draw(st.integers(0, 72)))
        hours = draw(st.sampled_from([None, 1, 30]))
        freed = None if hours is None else at + timedelta(hours=hours)
        made.append(Past(replace(asked, id=number, as_of=at), draw(states), freed))
    return tuple(made)


@st.composite
def versions(draw: st.DrawFn) -> tuple[RuleSet, RuleSet]:
    """A rule set and a draft of it: rows added, left out, changed, put in another order, or the score changed."""
    before = draw(later_rule_sets() if draw(st.integers(0, 3)) == 3 else rule_sets())
    form = before.to_json()
    rows = list(form["rules"])  # type: ignore[call-overload]
    how = draw(
        st.sampled_from(
            ["add", "add", "add", "drop", "drop", "change", "change", "order", "score", "nothing"]
        )
    )
    if how == "add" or not rows:
        more = draw(rule_sets() if form["schema"] == FORMS[0] else later_rule_sets()).to_json()["rules"]
        rows += [one | {"id": f"more-{n}"} for n, one in enumerate(more)]  # type: ignore[call-overload]
    elif how == "drop":
        rows = rows[: draw(st.integers(0, len(rows) - 1))]
    elif how == "change":
        rows[0] = rows[0] | {"when": {"country": ["AT"]}, "id": "renamed", "note": "reworded"}
    elif how == "order":
        rows.reverse()
    score = form["score"] | ({"capacity": {"weight": 90}} if how == "score" else {})  # type: ignore[operator]
    return before, RuleSet.parse(form | {"rules": rows, "score": score, "version": 2})


def last(run: object) -> Effect:
    *_rest, progress = run  # type: ignore[misc]
    assert isinstance(progress, Progress) and progress.done == progress.total == progress.effect.done
    return progress.effect


def first(rules: RuleSet, snapshot: Snapshot, one: Past, state: State) -> int | str | None:
    decision = decide(rules, snapshot, one.request, state)
    return decision.ranked[0].id if decision.ranked else decision.handling.rep


engines = pytest.mark.parametrize("engine", [Reference, Plan])


@engines
@enough
@given(versions(), snapshots(), pasts())
def test_the_rule_effect_is_that_of_deciding_everything_twice(
    engine: Engines, drafts: tuple[RuleSet, RuleSet], snapshot: Snapshot, past: tuple[Past, ...]
) -> None:
    effect = last(rehearse_rules(*drafts, snapshot, past, engine))
    expected = []
    for one in sorted(past, key=lambda one: (one.request.as_of, one.request.id)):
        pair = [first(rules, snapshot, one, one.state) for rules in drafts]
        if pair[0] != pair[1]:
            expected.append(Move(one.request.id, *pair))
    assert effect.moves == expected


def plain_loop(
    rules: RuleSet, snapshot: Snapshot, past: tuple[Past, ...], start: State
) -> dict[int, int | str | None]:
    """Route one after the other; who is offered each request. Everything is counted anew for each of them."""
    by_id = {one.id: one for one in snapshot.candidates}
    credit, pools = dict(start.credit), {pool: dict(held) for pool, held in start.pools.items()}
    found: dict[int, int | str | None] = {}
    offered: list[tuple[Past, int]] = []
    loads: dict[int, int] = {}  # of whom it was offered to, then
    for one in sorted(past, key=lambda one: (one.request.as_of, one.request.id)):
        now = one.request.as_of
        load = Counter(start.load)
        load.update(to for other, to in offered if other.freed is None or other.freed > now)
        taken: dict[str, Counter[int]] = {}
        for cap in (each for each in rules.rules if each.effect == "cap"):
            begun, _end = cap_window(cap.terms.per, now)
            taken[cap.id] = Counter(
                to
                for other, to in offered
                if other.request.as_of >= begun
                and cap.applies(Asked(other.request))
                and cap.meets(by_id[to], Asked(other.request), loads[other.request.id])
            )
        decision = decide(rules, snapshot, one.request, State(load, credit, taken, pools))
        found[one.request.id] = decision.handling.rep
        if decision.ranked:
            to = found[one.request.id] = decision.ranked[0].id
            loads[one.request.id] = load[to]
            offered.append((one, to))
            pool = decision.handling.pool_name
            (credit if pool is None else pools.setdefault(pool, {})).update(decision.credits)
    return found


@engines
@enough
@given(versions(), snapshots(), pasts(), states)
def test_the_full_effect_is_that_of_two_plain_loops(
    engine: Engines,
    drafts: tuple[RuleSet, RuleSet],
    snapshot: Snapshot,
    past: tuple[Past, ...],
    start: State,
) -> None:
    effect = last(rehearse_sequence(*drafts, snapshot, past, start, engine))
    before, after = (plain_loop(rules, snapshot, past, start) for rules in drafts)
    assert {one.request_id: (one.before, one.after) for one in effect.moves} == {
        number: (before[number], after[number]) for number in before if before[number] != after[number]
    }


@enough
@given(versions(), snapshots(), pasts(), states)
def test_what_some_gain_others_lose(
    drafts: tuple[RuleSet, RuleSet], snapshot: Snapshot, past: tuple[Past, ...], start: State
) -> None:
    effect = last(rehearse_sequence(*drafts, snapshot, past, start))
    amounts = {one.request.id: one.request for one in past}
    moved: Counter[str] = Counter()
    for one in effect.moves:
        asked = amounts[one.request_id]
        moved[asked.currency or ""] += asked.amount_minor or 0
    for flows in (effect.locations, effect.companies):
        assert sum(flow.gained for flow in flows.values()) == len(effect.moves)
        assert sum(flow.lost for flow in flows.values()) == len(effect.moves)
        for side in ("gained_minor", "lost_minor"):
            total: Counter[str] = Counter()
            for flow in flows.values():
                total.update(getattr(flow, side))
            assert total == moved
    for shifts in (effect.regions, effect.bands):
        assert sum(shift.moved for shift in shifts.values()) == len(effect.moves)
        assert sum(shift.routable for shift in shifts.values()) == effect.routable
        assert sum(shift.unroutable for shift in shifts.values()) == effect.unroutable
        total = Counter()
        for shift in shifts.values():
            total.update(shift.moved_minor)
        assert total == moved
    lines = sum(max(1, len(amounts[one.request_id].product_lines)) for one in effect.moves)
    assert sum(shift.moved for shift in effect.lines.values()) == lines


def test_the_histories_are_worth_it() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, database=None, phases=[Phase.generate], derandomize=True)
    @given(versions(), snapshots(), pasts(), states)
    def draw(
        drafts: tuple[RuleSet, RuleSet], snapshot: Snapshot, past: tuple[Past, ...], start: State
    ) -> None:
        rules = last(rehearse_rules(*drafts, snapshot, past))
        full = last(rehearse_sequence(*drafts, snapshot, past, start))
        seen["all"] += 1
        seen["moved"] += bool(rules.moves)
        seen["moved in sequence"] += bool(full.moves)
        seen["routable"] += bool(full.routable)
        seen["unroutable"] += bool(full.unroutable)
        seen["spared"] += 0 < rules.decided < len(past)
        seen["spared in sequence"] += 0 < full.decided < len(past)
        # Moves of requests that no changed row touches: state has gone another way.
        touched = {one.request_id for one in rules.moves}
        seen["cascade"] += any(one.request_id not in touched for one in full.moves)

    draw()
    for what in ("moved", "moved in sequence", "spared", "spared in sequence", "unroutable"):
        assert seen[what] >= 0.05 * seen["all"], (what, seen)
    for what in ("routable", "cascade"):
        assert seen[what] >= 0.01 * seen["all"], (what, seen)


GOLD = row(1, "boost", {"country": ["AT"]}, {"level": ["gold"]}, points=500)
TWO = Snapshot(1, (candidate(1, level="Gold", company_id=7), candidate(2, company_id=8)))


def history(count: int) -> tuple[Past, ...]:
    return tuple(
        Past(request(id=n, as_of=NOON + timedelta(minutes=n)), freed=NOON + timedelta(minutes=n))
        for n in range(1, count + 1)
    )


def test_it_tells_how_far_it_is_and_may_be_left() -> None:
    past = history(2 * STEP + 1)
    lowered = rule_set(GOLD | {"effect": {"kind": "boost", "points": -500}})
    run = rehearse_rules(rule_set(GOLD), lowered, TWO, past)
    seen = list(islice(run, 2))
    assert [one.done for one in seen] == [0, STEP]
    assert len(seen[-1].effect.moves) == seen[-1].effect.done == STEP
    run.close()
    assert len(seen[-1].effect.moves) == STEP
    whole = list(rehearse_rules(rule_set(GOLD), lowered, TWO, past))
    assert [one.done for one in whole] == [0, STEP, 2 * STEP, 2 * STEP + 1]
    assert list(rehearse_sequence(rule_set(), rule_set(), TWO, (), State())) == [Progress(0, 0, Effect())]


def test_gains_and_losses_are_by_location_company_region_line_and_band() -> None:
    lowered = rule_set(GOLD | {"effect": {"kind": "boost", "points": -500}})
    effect = last(rehearse_rules(rule_set(GOLD), lowered, TWO, history(3)))
    assert effect.moves == [Move(n, 1, 2) for n in (1, 2, 3)]
    assert effect.locations[1].lost == effect.companies[8].gained == 3
    assert effect.companies[7].lost_minor == effect.locations[2].gained_minor == {"EUR": 3_750_000}
    assert effect.regions["AT-4"].moved == effect.lines["pumps"].moved == 3
    ((band, shift),) = effect.bands.items()
    assert band is not None and (band.low, band.high) == (10_000, 25_000) and shift.moved == 3


def test_names_notes_and_order_change_nothing() -> None:
    silver = row(2, "exclude", {}, {"level": ["silver"]})
    before = rule_set(GOLD, silver)
    after = rule_set(silver | {"id": "other"}, GOLD | {"note": "why"}, version=9, name="Draft")
    assert changed_rows(before, after) == []
    effect = last(rehearse_rules(before, after, TWO, history(5)))
    assert (effect.decided, effect.moves) == (0, [])
    assert default_ruleset().rules == ()


@engines
def test_a_place_taken_before_is_free_again_when_it_was(engine: Engines) -> None:
    """One location with one place: what comes before that place is free finds nobody, what comes after it does."""
    snapshot = Snapshot(1, (candidate(1, capacity=1),))
    rules, shut = rule_set(), rule_set(row(1, "require", {}, {"certification": ["none-such"]}))
    past = [
        Past(request(id=n, as_of=NOON + timedelta(hours=n)), freed=NOON + timedelta(hours=n)) for n in (1, 3)
    ]
    start, held = State({1: 1}), [(NOON + timedelta(hours=2), 1)]
    assert last(rehearse_sequence(rules, shut, snapshot, past, start, engine, held)).moves == [
        Move(3, 1, None)
    ]
    assert last(rehearse_sequence(rules, shut, snapshot, past, start, engine)).moves == []

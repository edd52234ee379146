"""Shrunk figures by hand, what they do to a score, and that a frozen table is what a decision reads."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import Count, Figures, Performance, Reference, RuleSet, Snapshot, State, decide, freeze, shrunk
from tests.rules.test_second_form import second
from tests.rules.worlds import candidate, request

COUNTS = (
    Count(1, "key", 10, 5, 10, 300),
    Count(1, "mass", 10, 1, 10, 900),
    Count(2, "mass", 80, 14, 60, 6_000),
)


def test_a_rate_is_drawn_towards_the_next_larger_group() -> None:
    table = freeze(COUNTS, version=3)
    assert table.overall == Figures(100, 20, 200_000, 80, 90)
    # (6 won + 20 leads at the rate of all) of 20 + 20; 1,200 minutes and 20 answers of 90
    assert table.of(1, None) == Figures(20, 6, (6 * 10**6 + 20 * 200_000) // 40, 20, (1_200 + 20 * 90) // 40)
    # and the segment towards the partner: 5 of 10, as if 10 more at 25 %
    assert table.of(1, "key") == Figures(10, 5, (5 * 10**6 + 10 * 250_000) // 20, 10, (300 + 10 * 75) // 20)
    assert table.of(1, "unheard of") == table.of(1, None)
    assert table.of(9, "key") == table.overall  # a newcomer is taken as average


def test_nothing_is_known_of_nothing() -> None:
    assert freeze((), version=1) == Performance(1)
    assert shrunk(0, 0, 7, 0) == 7


@given(
    st.lists(
        st.builds(
            lambda i, segment, wins, lost, minutes: Count(
                i, segment, wins + lost, wins, wins + lost, minutes
            ),
            st.integers(1, 3),
            st.sampled_from([None, "a", "b"]),
            st.integers(0, 50),
            st.integers(0, 50),
            st.integers(0, 10**6),
        ),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_rates_are_bounded_between_their_groups_and_know_no_order(counts: list[Count], chance: Any) -> None:
    table = freeze(counts, 1)
    shuffled = list(counts)
    chance.shuffle(shuffled)
    assert freeze(shuffled, 1).hash == table.hash
    for figures in table.locations.values():
        raw = Fraction(figures.wins * 10**6, figures.n) if figures.n else Fraction(table.overall.win)
        low, high = sorted((raw, Fraction(table.overall.win)))
        assert low - 1 <= figures.win <= high
        assert 0 <= figures.win <= 10**6


def scored(table: Performance | None, **terms: object) -> dict[int, dict[str, int]]:
    form = second(examples=[])
    rules = RuleSet.parse(form | {"score": form["score"] | terms})
    snapshot = Snapshot(1, (candidate(1), candidate(2), candidate(9)), performance=table)
    return {one.id: dict(one.terms) for one in decide(rules, snapshot, request(), State()).ranked}


def test_the_terms_are_straight_lines_in_whole_thousandths() -> None:
    table = freeze(COUNTS, 1)
    speed = {"weight": 10, "full_minutes": 60, "zero_minutes": 120}
    terms = scored(table, win_rate={"weight": 15, "full": 500}, answer_speed=speed)
    assert table.of(1, None).win == 250_000
    assert terms[1]["win_rate"] == 7_500
    assert terms[1]["answer_speed"] == 10_000 * (120 - 75) // 60
    assert terms[9]["win_rate"] == 15_000 * 200_000 // 500_000
    assert all(type(value) is int for one in terms.values() for value in one.values())
    assert scored(table, win_rate={"weight": 15, "full": 100})[1]["win_rate"] == 15_000


def test_without_a_table_the_terms_say_nothing() -> None:
    assert "win_rate" not in scored(None, win_rate={"weight": 15, "full": 500})[1]
    assert (
        scored(freeze((), 1), answer_speed={"weight": 10, "full_minutes": 1, "zero_minutes": 2})[1][
            "answer_speed"
        ]
        == 0
    )


def test_a_segment_has_figures_of_its_own() -> None:
    form = second(examples=[])
    rules = RuleSet.parse(form | {"score": form["score"] | {"win_rate": {"weight": 10, "full": 1_000}}})
    engine = Reference(rules, Snapshot(1, (candidate(1),), performance=freeze(COUNTS, 1)))
    asked = request(segment="key")
    terms = dict(engine.decide(asked, engine.shortlist(asked), State()).ranked[0].terms)
    assert terms["win_rate"] == 10_000 * 375_000 // 10**6


@pytest.mark.parametrize(
    ("term", "path"),
    [
        ({"win_rate": {"weight": 10, "full": 0}}, "score.win_rate.full"),
        (
            {"answer_speed": {"weight": 1, "full_minutes": 5, "zero_minutes": 5}},
            "score.answer_speed.zero_minutes",
        ),
        ({"bands": [{"name": "x", "who": {}}, {"name": "x", "who": {}}]}, "score.bands[1].name"),
        ({"order": "luck"}, "score.order"),
    ],
)
def test_terms_that_make_no_sense_are_refused(term: dict[str, Any], path: str) -> None:
    form = second(examples=[])
    with pytest.raises(Exception, match=path.replace("[", r"\[").replace("]", r"\]")):
        RuleSet.parse(form | {"score": form["score"] | term})

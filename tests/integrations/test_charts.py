"""Charts: same numbers in picture and table, everything escaped, strange values drawn without failing."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from integrations import charts
from integrations.charts import Bar, Dumbbell, Series, nice_steps

EVIL = '<script>alert("x")</script>&'


def parsed(chart: charts.Chart) -> ElementTree.Element:
    """The picture as XML: it must be well formed."""
    return ElementTree.fromstring(str(chart.svg))  # noqa: S314 - our own output


def test_bars_show_value_before_and_table():
    chart = charts.bars(
        "Won", [Bar("Vienna", 296, 310), Bar("Styria", 88, None)], ("Region", "now", "before")
    )
    root = parsed(chart)
    assert root.get("role") == "img"
    assert chart.rows == [("Vienna", "296", "310"), ("Styria", "88", "")]
    assert len(chart.legend) == 2
    widths = [float(r.get("width", "0")) for r in root.iter("rect")]
    assert widths[0] > widths[1] * 3


def test_every_text_is_escaped_and_links_make_a_group():
    made = [
        charts.bars(EVIL, [Bar(EVIL, 1, url=EVIL)], (EVIL, EVIL, EVIL), unit=EVIL),
        charts.dumbbells(EVIL, [Dumbbell(EVIL, 1, 9, EVIL)], 6, EVIL, (EVIL, EVIL, EVIL)),
        charts.dot_strip(EVIL, [1, 2], (EVIL, EVIL), 6, EVIL, 2),
        charts.lines(EVIL, [EVIL], [Series(EVIL, [1])], EVIL),
    ]
    for chart in made:
        parsed(chart)
        assert "<script" not in chart.svg
    assert parsed(made[0]).get("role") == "group"


def test_a_missed_promise_is_amber_and_numbered():
    chart = charts.dumbbells(
        "t", [Dumbbell("a", 2, 5), Dumbbell("b", 3, 7.8)], 6, "promise 6 h", ("Partner", "median", "slow")
    )
    assert chart.svg.count("swarn") == 1
    assert ">7.8</text>" in chart.svg


def test_every_answer_is_one_dot_and_counted_once():
    values = [0.4, 1.1, 1.1, 5.2, 8.0]
    chart = charts.dot_strip("t", values, ("Hours", "Answers"), 6, "promise", 1)
    assert len(list(parsed(chart).iter("circle"))) == 6
    assert sum(int(r[1]) for r in chart.rows) == 6


def test_a_gap_breaks_the_line_and_stays_empty_in_the_table():
    chart = charts.lines("t", ["a", "b", "c", "d"], [Series("won", [1, 2, None, 4])], "Week")
    assert chart.svg.count('class="line') == 2
    assert chart.rows[2] == ["c", ""]


@pytest.mark.parametrize("make", [
    lambda: charts.bars("t", [], ("a", "b", "c")),
    lambda: charts.bars("t", [Bar("x", 0, 0)], ("a", "b", "c")),
    lambda: charts.dumbbells("t", [], 6, "p", ("a", "b", "c")),
    lambda: charts.dot_strip("t", [], ("a", "b")),
    lambda: charts.lines("t", [], [Series("s", [])], "h"),
])  # fmt: skip
def test_nothing_to_show_is_still_a_picture(make):
    parsed(make())


@given(st.floats(1e-6, 1e12))
def test_steps_are_few_rise_and_reach_the_top(top):
    steps = nice_steps(top)
    assert 2 <= len(steps) <= 7
    assert steps[0] == 0
    assert steps[-1] >= top * 0.99
    assert steps == sorted(steps)

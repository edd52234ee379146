"""The table of axes: each kind of test, and that parser, schema and reference know the same axes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import (
    FORMS,
    SCHEMAS,
    WHEN,
    WHO,
    Asked,
    Certification,
    Is,
    OneOf,
    Place,
    Prefixes,
    Within,
    complement,
    merged,
)
from tests.rules.worlds import TODAY, candidate, request

A = frozenset({"a"})
TESTS = [
    (OneOf(A), frozenset({"a", "b"}), True),
    (OneOf(A), frozenset({"b"}), False),
    (OneOf(A), frozenset(), False),
    (OneOf(A, True), frozenset({"b"}), True),
    (OneOf(A, True), frozenset({"a", "b"}), False),
    (OneOf(A, True), frozenset(), True),
    (Prefixes(frozenset({"40"})), "4020", True),
    (Prefixes(frozenset({"40"})), "4", False),
    (Prefixes(frozenset({"40"}), True), "1010", True),
    (Within(((10, 20), (30, None))), 10, True),
    (Within(((10, 20), (30, None))), 20, False),
    (Within(((10, 20), (30, None))), 99, True),
    (Within(((None, 0),)), -1, True),
    (Is(True), True, True),
    (Is(False), False, True),
    (Is(True), False, False),
]


@pytest.mark.parametrize(("test", "fact", "held"), TESTS)
def test_what_a_test_says_of_a_fact(
    test: OneOf | Prefixes | Within | Is, fact: frozenset[str] | str | int | bool, held: bool
) -> None:
    assert test.holds(fact) is held
    assert not test.holds(None)  # what is unknown meets no test, negated or not


@pytest.mark.parametrize("form", [1, 2])
def test_schema_and_parser_follow_the_table(form: int) -> None:
    row = SCHEMAS[FORMS[form - 1]]["properties"]["rules"]["items"]["properties"]
    assert set(row["when"]["properties"]) == {axis.name for axis in WHEN.values() if axis.since <= form}
    assert set(row["who"]["properties"]) == {axis.name for axis in WHO.values() if axis.since <= form}


KINDS = {"set": frozenset, "prefix": str, "interval": int, "flag": bool, "geo": tuple, "custom": int}


def test_every_axis_reads_a_fact_of_its_kind() -> None:
    asked = Asked(
        request(segment="key", account="acme", relationships=frozenset({5}), open_now=True, custom={"EUR": 7})
    )
    held = (Certification("EUR", "Gold", TODAY),)
    one = candidate(
        level="Gold",
        country="AT",
        lat=48.0,
        lon=14.0,
        tags=frozenset(),
        figures={"EUR": 1},
        custom={"EUR": 7},
        certifications=held,
    )
    for axis in WHEN.values():
        assert isinstance(asked.fact(axis.name, "EUR"), KINDS[axis.kind]), axis.name
    for who in WHO.values():
        assert isinstance(who.fact(one, asked, 0, "EUR"), KINDS[who.kind]), who.name


def test_what_nobody_has_said_is_unknown() -> None:
    """Facts that came with the second form: as the portal asks today, no test on them holds."""
    bare = Asked(request(place=Place(), amount_minor=None))
    for name in ("inside", "segment", "named_account", "relationship", "open_now", "custom", "amount"):
        assert bare.fact(name, "EUR") is None
    for name in ("tags", "distance", "performance", "custom"):
        assert WHO[name].fact(candidate(), bare, 0, "win_rate") is None


SPANS = st.lists(
    st.tuples(st.none() | st.integers(-9, 9), st.none() | st.integers(-9, 9)).filter(
        lambda span: None in span or span[0] < span[1]  # type: ignore[operator]
    ),
    max_size=4,
)


@given(SPANS, st.integers(-12, 12))
def test_spans_merged_and_turned_around_hold_the_same_and_the_opposite(
    spans: list[tuple[int | None, int | None]], number: int
) -> None:
    held = any(Within((span,)).holds(number) for span in spans)
    rising = merged(spans)
    assert Within(rising).holds(number) is held
    assert Within(complement(rising)).holds(number) is not held
    assert all(
        high is not None and low is not None and high < low for (_, high), (low, _) in pairwise(rising)
    )

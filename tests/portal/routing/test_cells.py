"""Cells as people write them: what is written is read back as it was, and what cannot be read says what to do."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.routing.rulesets.cells import CellFault, Vocabulary, read, written
from portal.routing.rulesets.columns import Column, columns, effects
from rules import WHEN, WHO

WORDS = Vocabulary(
    {
        "when.country": {"AT": "Austria", "CZ": "Czechia"},
        "when.product_lines": {"HX": "Heat exchangers, HX", "SENTINEL": "Sentinel pumps"},
        "who.level": {"gold": "Gold", "silver": "Silver"},
    },
    frozenset({"when.country", "when.product_lines", "who.level"}),
)
ANY, MONEY = Column("when.source", "set"), Column("when.amount", "interval", "money")
INTERVAL, FLAG = Column("who.capacity", "interval"), Column("who.open_now", "flag")
KEYED = Column("who.certified_at", "set", "keyed")
EFFECT = Column("effect", "effect")

words = (
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12)
    .map(str.strip)
    .filter(bool)
)
lists = st.lists(words, min_size=1, max_size=4, unique=True)
limits = st.one_of(
    st.fixed_dictionaries({"from": st.integers(0, 10**9), "below": st.none()}),
    st.fixed_dictionaries({"from": st.none(), "below": st.integers(1, 10**9)}),
    st.tuples(st.integers(0, 10**6), st.integers(1, 10**6)).map(lambda p: {"from": p[0], "below": sum(p)}),
)
spans = limits | st.lists(limits, min_size=2, max_size=3)


def there_and_back(column: Column, value: Any) -> None:
    for words_ in (None, WORDS):
        assert read(column, written(column, value, words_), WORDS) == value


@given(lists)
def test_words_are_read_as_written(value: list[str]) -> None:
    there_and_back(ANY, value)
    there_and_back(ANY, {"not": value})


@given(spans)
def test_intervals_and_money_are_read_as_written(value: Any) -> None:
    there_and_back(INTERVAL, value)
    money = [{"currency": "EUR", **one} for one in (value if isinstance(value, list) else [value])]
    there_and_back(MONEY, money if isinstance(value, list) else money[0])


def test_flags_keys_days_and_effects_are_read_as_written() -> None:
    there_and_back(FLAG, True)
    there_and_back(FLAG, False)
    there_and_back(KEYED, {"ATEX": ["gold"], "ISO": {"not": ["2"]}})
    there_and_back(Column("valid_from", "day"), "2026-12-01")
    for kind, names in effects().items():
        there_and_back(EFFECT, {"kind": kind} | {name: sample(schema) for name, schema in names.items()})


def sample(schema: Any) -> Any:
    """Something that the schema of an effect's part allows."""
    schema = schema.get("anyOf", [schema])[0]
    if "enum" in schema:
        return schema["enum"][0]
    return {"string": "12", "boolean": True, "integer": 20}[schema["type"]]


@pytest.mark.parametrize(
    ("column", "typed", "value"),
    [
        (Column("when.country", "set"), "austria, cz", ["AT", "CZ"]),
        (Column("when.country", "set"), "≠ AT", {"not": ["AT"]}),
        (Column("when.product_lines", "set"), '"Heat exchangers, HX"; Sentinel pumps', ["HX", "SENTINEL"]),
        (Column("when.postal_prefix", "prefix"), "40, a-10", ["40", "A10"]),
        (MONEY, "eur >= 50,000", {"currency": "EUR", "from": 50_000, "below": None}),
        (MONEY, "EUR 10'000..20 000", {"currency": "EUR", "from": 10_000, "below": 20_000}),
        (INTERVAL, "< 5", {"from": None, "below": 5}),
        (EFFECT, "Boost +20", {"kind": "boost", "points": 20}),
        (EFFECT, "boost −5", {"kind": "boost", "points": -5}),
        (Column("valid_to", "day"), "1.12.2026", "2026-12-01"),
        (Column("id", "name"), "Gold in Linz!", "gold-in-linz"),
        (ANY, "any", None),
        (ANY, "  ", None),
    ],
)
def test_what_people_type_is_understood(column: Column, typed: str, value: Any) -> None:
    assert read(column, typed, WORDS) == value


@pytest.mark.parametrize(
    ("column", "typed", "message", "suggestion"),
    [
        (Column("who.level", "set"), "Golt", "There is no “Golt”. Did you mean Gold?", "gold"),
        (Column("who.level", "set"), "Xylophone", "Choose one of the list", ""),
        (MONEY, "EUR ≥ 25.000,-", "Did you mean 25000?", "EUR ≥ 25000"),
        (MONEY, "50000", "currency first", "EUR 50000"),
        (MONEY, "EUR 20 to 10", "more than the first", ""),
        (INTERVAL, "12", "Write ≥ 10", "≥ 12"),
        (INTERVAL, "< many", "is not a whole number", ""),
        (FLAG, "perhaps", "yes or no", ""),
        (KEYED, "ATEX", "colon", ""),
        (EFFECT, "boots 20", "There is no effect “boots”", "boost 20"),
        (EFFECT, "boost", "how much", ""),
        (EFFECT, "require 3", "Nothing stands after", ""),
        (EFFECT, "", "Choose what the row does: require, exclude, boost", ""),
        (Column("valid_to", "day"), "31.2.2026", "Write the day", ""),
        (ANY, "[1, 2", "begins like JSON", ""),
    ],
)
def test_what_cannot_be_read_says_what_to_do(
    column: Column, typed: str, message: str, suggestion: str
) -> None:
    with pytest.raises(CellFault) as fault:
        read(column, typed, WORDS)
    assert message in fault.value.message and fault.value.suggestion == suggestion


@given(st.text(max_size=40), st.sampled_from(columns()))
def test_nothing_that_is_typed_breaks_it(typed: str, column: Column) -> None:
    with suppress(CellFault):
        json.dumps(read(column, typed, WORDS))


def test_the_columns_follow_the_engines_axes() -> None:
    assert {one.key for one in columns() if one.axis} == {
        *(f"when.{name}" for name in WHEN), *(f"who.{name}" for name in WHO),
    }  # fmt: skip

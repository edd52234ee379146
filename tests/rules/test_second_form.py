"""The second form of rule sets: every predicate, its faults with place and cure, and the schema that says the same."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import (
    FORMS,
    SCHEMAS,
    Calendar,
    Certification,
    Place,
    Rate,
    Rates,
    Request,
    RuleSet,
    RuleSetError,
    Snapshot,
    State,
    decide,
    default_ruleset,
)
from tests.rules.test_ruleset import JUNK, change, places
from tests.rules.worlds import NOON, OFFICE, SUNDAYS, TODAY, candidate, request

Form = dict[str, Any]
VALIDATOR = jsonschema.Draft202012Validator(SCHEMAS[FORMS[1]])
BLOCK = {"type": "Polygon", "coordinates": [[[14, 48], [15, 48], [15, 49], [14, 49], [14, 48]]]}
ATTRIBUTES = {
    "when": {
        "employees": {"type": "number"},
        "rate": {"type": "number", "decimals": 2},
        "sector": {"type": "words", "values": ["mill", "mine"]},
        "tender": {"type": "flag"},
        "due": {"type": "day"},
    },
    "who": {"vip": {"type": "flag"}, "founded": {"type": "number"}},
}


def second(*rows: Form, **parts: object) -> Form:
    """A rule set of the second form with these rows."""
    base: Form = {"schema": FORMS[1], "attributes": ATTRIBUTES, "rules": list(rows)}
    return copy.deepcopy(default_ruleset().to_json() | base | parts)


def whole() -> Form:
    """One that uses every predicate."""
    when = {
        "country": {"not": ["DE"]},
        "subdivision": ["AT-4"],
        "postal_prefix": ["40"],
        "inside": [{"lat": 48.3, "lon": 14.3, "radius_m": 5_000}, BLOCK],
        "amount": [
            {"currency": "EUR", "below": 100},
            {"currency": "EUR", "from": 10_000, "below": 20_000},
        ],
        "segment": ["key"],
        "named_account": ["acme"],
        "relationship": True,
        "open_now": False,
        "custom": {"employees": {"from": 10}, "rate": {"below": 0.07}, "sector": ["mill"], "tender": True},
    }
    who = {
        "level": ["Gold"],
        "certification": ["ATEX"],
        "certified_at": {"ATEX": ["Expert"]},
        "authorised": ["pumps"],
        "tags": {"not": ["new"]},
        "capacity": {"from": 2},
        "distance": {"below": 50},
        "open_now": True,
        "performance": {"win_rate": {"from": 200}},
        "distributor_of": ["77"],
        "custom": {"vip": True, "founded": [{"below": 1990}, {"from": 2020}]},
    }
    rows = [
        {"id": "r1", "when": when, "who": who, "effect": {"kind": "boost", "points": 5}},
        {
            "id": "r2",
            "when": {"custom": {"due": {"from": "2026-11-01", "below": "2026-12-01"}}},
            "who": {"tags": ["new"]},
            "effect": {"kind": "exclude"},
        },
    ]
    example = {
        "name": "Everything at once",
        "request": {
            "as_of": "2026-11-23T09:47:00Z",
            "segment": "key",
            "account": "acme",
            "open_now": True,
            "relationships": ["5"],
            "custom": {"employees": 12, "sector": ["mill"], "due": {"day": "2026-11-05"}},
        },
        "candidates": [
            {"name": "new", "tags": ["new"], "figures": {"win_rate": 300}, "custom": {"vip": True}},
            {"name": "old", "tags": [], "accounts": ["acme"], "distributor_of": ["5"]},
        ],
        "expect": {"order": ["old"], "gates": {"new": "excludes"}},
    }
    return second(*rows, examples=[example])


WRONG_FORM = [
    (change("rules.0.when.segment", []), "rules[0].when.segment", "1 to"),
    (change("rules.0.when.country", {"not": []}), "rules[0].when.country.not", "1 to"),
    (change("rules.0.when.country", {"nor": ["AT"]}), "rules[0].when.country.not", "missing"),
    (change("rules.0.when.relationship", "yes"), "rules[0].when.relationship", "true or false"),
    (change("rules.0.when.relationship", None), "rules[0].when.relationship", "true or false"),
    (change("rules.0.when.inside.0.radius_m", 2.5), "rules[0].when.inside[0].radius_m", "whole number"),
    (change("rules.0.when.inside.0.lat", 91), "rules[0].when.inside[0].lat", "from -90"),
    (change("rules.0.when.inside.1.type", "Point"), "rules[0].when.inside[1].type", "one of"),
    (change("rules.0.when.inside.1.coordinates", []), "rules[0].when.inside[1].coordinates", "1 to"),
    (change("rules.0.who.performance", {"luck": {"from": 1}}), "rules[0].who.performance.luck", "one of"),
    (change("rules.0.who.distance.below", 50.5), "rules[0].who.distance.below", "whole number"),
    (change("rules.0.who.distance.below", 10**30), "rules[0].who.distance.below", "from 0"),
    (change("rules.0.who.distributor_of", ["seven"]), "rules[0].who.distributor_of[0]", "match"),
    (change("attributes.when.rate.decimals", 9), "attributes.when.rate.decimals", "from 0 to 6"),
    (change("attributes.when.rate.type", "float"), "attributes.when.rate.type", "one of"),
]
WRONG_SENSE = [
    (change("rules.0.when.country", ["ZZ"]), "rules[0].when.country[0]", "no country"),
    (change("rules.0.when.subdivision", ["DE-BY"]), "rules[0].when.subdivision", ""),
    (change("rules.0.when.subdivision", ["ZZ-1"]), "rules[0].when.subdivision[0]", "no country"),
    (change("rules.0.when.segment", ["pumрs"]), "rules[0].when.segment[0]", "Cyrillic and Latin"),
    (change("rules.0.when.segment", ["ke\u200by"]), "rules[0].when.segment[0]", "cannot be seen"),
    (change("rules.0.when.segment", ["ｋey"]), "rules[0].when.segment[0]", "only look like 'key'"),
    (change("rules.0.when.amount.0.currency", "EUX"), "rules[0].when.amount[0].currency", "no currency"),
    (change("rules.0.when.amount.0.currency", "USD"), "rules[0].when.amount", "one currency"),
    (change("rules.0.when.amount.1.below", 5), "rules[0].when.amount[1].below", "more than from"),
    (change("rules.0.when.custom.colour", ["red"]), "rules[0].when.custom.colour", "not declared"),
    (
        change("rules.0.when.custom.sector", ["farm"]),
        "rules[0].when.custom.sector[0]",
        "not one of its values",
    ),
    (change("rules.0.when.custom.rate.below", 0.075), "rules[0].when.custom.rate.below", "2 decimals"),
    (change("rules.0.when.custom.tender", ["x"]), "rules[0].when.custom.tender", "true or false"),
    (
        change("rules.1.when.custom.due.below", "2026-10-01"),
        "rules[1].when.custom.due.below",
        "more than from",
    ),
    (change("rules.1.when.custom.due.below", "2026-02-30"), "rules[1].when.custom.due.below", "date"),
    (
        change("rules.0.when.inside.1.coordinates.0.4", [14, 49]),
        "rules[0].when.inside[1].coordinates[0]",
        "ends",
    ),
    (change("rules.0.who.distance", {}), "rules[0].who.distance.from", "missing"),
    (change("attributes.when.employees.values", ["1"]), "attributes.when.employees.values", "words alone"),
]
WRONG_SENSE = [entry if entry[2] != "ends" else (*entry[:2], "end where it begins") for entry in WRONG_SENSE]
WRONG_SENSE[1] = (
    change("rules.0.when.country", ["DE"]),
    "rules[0].when.subdivision",
    "none of the countries DE",
)


@pytest.mark.parametrize(("wrong", "path", "cure"), WRONG_FORM + WRONG_SENSE)
def test_a_fault_names_row_and_cell(wrong: Callable[[Form], None], path: str, cure: str) -> None:
    bad = whole()
    wrong(bad)
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    found = {fault.path: str(fault) for fault in caught.value.faults}
    assert cure in found[path]


@pytest.mark.parametrize("wrong", [entry[0] for entry in WRONG_FORM])
def test_the_schema_refuses_the_same(wrong: Callable[[Form], None]) -> None:
    bad = whole()
    wrong(bad)
    assert not VALIDATOR.is_valid(bad)


def test_a_good_form_is_good_for_both_and_comes_back_the_same() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
    VALIDATOR.validate(whole())
    parsed = RuleSet.parse(whole())
    VALIDATOR.validate(parsed.to_json())
    again = RuleSet.parse(json.loads(json.dumps(parsed.to_json())))
    assert again == parsed
    assert again.hash == parsed.hash


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(places(whole())), JUNK)
def test_whatever_the_schema_refuses_the_parser_refuses(path: tuple[object, ...], junk: object) -> None:
    bad = whole()
    target: Any = bad
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = copy.deepcopy(junk)
    if VALIDATOR.is_valid(bad):
        return  # the parser may still refuse it, for sense
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    assert all(fault.path and str(fault) for fault in caught.value.faults)


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 10**400, -(10**400)], ids=repr)
def test_numbers_beyond_all_bounds_are_refused_wherever_they_stand(number: float) -> None:
    for path in places(whole()):
        bad = whole()
        target: Any = bad
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = number
        with pytest.raises(RuleSetError):
            RuleSet.parse(bad)


@pytest.mark.parametrize("key", ["segment", "custom"])
def test_the_first_form_knows_nothing_of_the_second(key: str) -> None:
    old = whole() | {"schema": FORMS[0], "rules": []}
    del old["attributes"]
    with pytest.raises(RuleSetError, match="not in this version"):
        RuleSet.parse(old)
    old["examples"] = []
    assert RuleSet.parse(old).to_json()["schema"] == FORMS[0]
    with pytest.raises(RuleSetError, match="not in this version"):
        RuleSet.parse(old | {"attributes": {}})


# What each predicate means --------------------------------------------------------------------------------------------

RATES = Rates("EUR", (Rate("USD", 1_100_000_000, date(2026, 11, 1)), Rate("JPY", 160 * 10**9, TODAY, TODAY)))
LINZ = Place("AT", "AT-4", "4020", "Linz", 48.3069, 14.2858)
WHEN_HELD: list[tuple[dict[str, object], dict[str, object], bool]] = [
    ({"country": {"not": ["DE"]}}, {}, True),
    ({"country": {"not": ["AT", "DE"]}}, {}, False),
    ({"country": {"not": ["DE"]}}, {"place": Place()}, False),
    ({"postal_prefix": {"not": ["41"]}}, {}, True),
    ({"inside": [{"lat": 48.3, "lon": 14.3, "radius_m": 1_500}]}, {}, True),
    ({"inside": [{"lat": 48.3, "lon": 14.3, "radius_m": 1_000}]}, {}, False),
    ({"inside": {"not": [{"lat": 48.3, "lon": 14.3, "radius_m": 1_000}]}}, {}, True),
    ({"inside": [BLOCK]}, {}, True),
    ({"inside": [BLOCK]}, {"place": Place("AT")}, False),
    ({"inside": {"not": [BLOCK]}}, {"place": Place("AT")}, False),
    ({"segment": ["key"]}, {"segment": "key"}, True),
    ({"segment": ["key"]}, {}, False),
    ({"named_account": ["acme"]}, {"account": "acme"}, True),
    ({"relationship": True}, {"relationships": frozenset({1})}, True),
    ({"relationship": False}, {"relationships": frozenset()}, True),
    ({"relationship": False}, {}, False),
    ({"open_now": False}, {"open_now": False}, True),
    ({"amount": {"currency": "EUR", "from": 12_500}}, {}, True),
    ({"amount": {"currency": "USD", "from": 13_750}}, {}, True),
    ({"amount": {"currency": "USD", "below": 13_750}}, {}, False),
    ({"amount": {"currency": "JPY", "from": 2_000_000, "below": 2_000_001}}, {}, True),
    ({"amount": {"currency": "CHF", "from": 0}}, {}, False),
    ({"amount": [{"currency": "EUR", "below": 5}, {"currency": "EUR", "from": 12_500}]}, {}, True),
    ({"custom": {"employees": {"from": 10, "below": 20}}}, {"custom": {"employees": 19}}, True),
    ({"custom": {"employees": {"from": 10, "below": 20}}}, {"custom": {"employees": 20}}, False),
    ({"custom": {"employees": {"from": 10}}}, {}, False),
    ({"custom": {"rate": {"below": 0.07}}}, {"custom": {"rate": 6}}, True),
    ({"custom": {"rate": {"below": 0.07}}}, {"custom": {"rate": 7}}, False),
    ({"custom": {"sector": ["mill"]}}, {"custom": {"sector": frozenset({"mill", "mine"})}}, True),
    ({"custom": {"sector": {"not": ["mill"]}}}, {"custom": {"sector": "mine"}}, True),
    ({"custom": {"tender": True}}, {"custom": {"tender": True}}, True),
    ({"custom": {"due": {"from": "2026-11-05"}}}, {"custom": {"due": date(2026, 11, 5)}}, True),
    ({"custom": {"due": {"below": "2026-11-05"}}}, {"custom": {"due": date(2026, 11, 5)}}, False),
]


@pytest.mark.parametrize(("when", "facts", "held"), WHEN_HELD)
def test_a_row_acts_when_its_request_is_such(
    when: dict[str, object], facts: dict[str, object], held: bool
) -> None:
    form = second({"id": "r", "when": when, "who": {"country": ["AT"]}, "effect": {"kind": "exclude"}})
    snapshot = Snapshot(1, (candidate(country="AT"),), RATES)
    decision = decide(RuleSet.parse(form), snapshot, request(**facts), State())
    assert bool(decision.ranked) is not held


EXPERT = (Certification("ATEX", "Expert", date(2020, 1, 1)),)
HERE = {"lat": 48.31, "lon": 14.29}
WHO_MET: list[tuple[dict[str, object], dict[str, object], bool]] = [
    ({"certified_at": {"ATEX": ["expert"]}}, {"certifications": EXPERT}, True),
    ({"certified_at": {"ATEX": ["basic"]}}, {"certifications": EXPERT}, False),
    ({"certified_at": {"ATEX": ["expert"]}}, {}, False),
    ({"authorised": ["valves"]}, {}, True),
    ({"authorised": ["belts"]}, {}, False),
    ({"tags": ["new"]}, {"tags": frozenset({"new"})}, True),
    ({"tags": {"not": ["new"]}}, {"tags": frozenset()}, True),
    ({"tags": {"not": ["new"]}}, {}, False),
    ({"capacity": {"from": 9}}, {}, True),
    ({"capacity": {"from": 10}}, {}, False),
    ({"distance": {"below": 1}}, HERE, True),
    ({"distance": {"from": 1}}, HERE, False),
    ({"distance": {"below": 20_000}}, {}, False),
    ({"open_now": True}, {"calendar": OFFICE}, True),
    ({"open_now": False}, {"calendar": SUNDAYS}, True),
    ({"performance": {"win_rate": {"from": 200}}}, {"figures": {"win_rate": 200}}, True),
    ({"performance": {"win_rate": {"from": 200}}}, {}, False),
    ({"distributor_of": ["77"]}, {"distributor_of": frozenset({77})}, True),
    ({"custom": {"vip": True, "founded": {"below": 1990}}}, {"custom": {"vip": True, "founded": 1950}}, True),
    ({"custom": {"vip": True, "founded": {"below": 1990}}}, {"custom": {"vip": True}}, False),
]


@pytest.mark.parametrize(("who", "facts", "met"), WHO_MET)
def test_a_row_takes_those_who_are_such(who: dict[str, object], facts: dict[str, object], met: bool) -> None:
    form = second({"id": "r", "when": {}, "who": who, "effect": {"kind": "exclude"}})
    long_open = {"answer_within_minutes": 60, "cap_minutes": 20_000}
    rules = RuleSet.parse(form | {"offer": long_open})
    at_three = request(as_of=datetime(2026, 11, 23, 14, tzinfo=UTC))
    decision = decide(rules, Snapshot(1, (candidate(**facts),)), at_three, State({1: 1}))
    assert bool(decision.ranked) is not met


def test_open_now_is_the_minute_itself() -> None:
    form = second({"id": "r", "when": {}, "who": {"open_now": True}, "effect": {"kind": "require"}})
    later = Calendar("UTC", (((721, 1440),),) * 7)
    assert not decide(
        RuleSet.parse(form), Snapshot(1, (candidate(calendar=later),)), request(), State()
    ).ranked
    assert decide(
        RuleSet.parse(form),
        Snapshot(1, (candidate(calendar=later),)),
        request(as_of=NOON.replace(minute=1)),
        State(),
    ).ranked


def test_a_request_with_all_facts_is_stored_and_read_back() -> None:
    full = request(
        segment="key",
        account="acme",
        relationships=frozenset({1 << 62}),
        open_now=False,
        custom={"a": 1, "b": True, "c": "x", "d": frozenset({"y", "x"}), "e": TODAY},
    )
    assert Request.from_json(json.loads(json.dumps(full.to_json()))) == full
    assert full.to_json()["relationships"] == [str(1 << 62)]


@pytest.mark.parametrize(
    ("amount", "given", "wanted", "day", "expected"),
    [
        (1_000, "EUR", "EUR", date(1990, 1, 1), 1_000),
        (1_000, "EUR", "USD", TODAY, 1_100),
        (1_101, "USD", "EUR", TODAY, 1_000),
        (1_000, "EUR", "JPY", TODAY, 1_600),
        (160, "JPY", "USD", TODAY, 110),
        (1_000, "EUR", "USD", date(2026, 10, 31), None),
        (1_000, "EUR", "JPY", date(2026, 11, 24), None),
        (1_000, "EUR", "CHF", TODAY, None),
    ],
)
def test_money_is_converted_by_the_rate_of_the_day(
    amount: int, given: str, wanted: str, day: date, expected: int | None
) -> None:
    assert RATES.convert(amount, given, wanted, day) == expected

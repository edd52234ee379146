"""Rule sets: read, refused with path, value and cure, hashed; the schema refuses nothing the parser lets pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import (
    SCHEMA,
    AmountBand,
    NotInThisVersion,
    RuleError,
    RuleSet,
    RuleSetError,
    amount_band,
    default_ruleset,
    minor_per_major,
    run_examples,
)

Form = dict[str, Any]
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def form() -> Form:
    """A rule set that uses every part of the form."""
    rows = [
        {
            "id": "r1",
            "when": {
                "country": ["AT"],
                "subdivision": ["AT-4"],
                "postal_prefix": ["40"],
                "product_lines": ["pumps"],
                "amount": {"currency": "EUR", "from": 10_000, "below": 50_000},
                "language": ["de"],
                "industry": ["paper"],
                "source": ["web"],
            },
            "who": {"level": ["Gold"], "certification": ["ATEX"], "country": ["AT"]},
            "effect": {"kind": "boost", "points": 5},
            "valid_from": "2026-01-01",
            "valid_to": "2026-12-31",
            "note": "Paper mills.",
        },
        {"id": "r2", "when": {}, "who": {"level": ["Registered"]}, "effect": {"kind": "exclude"}},
        {"id": "r3", "when": {"country": ["CZ"]}, "who": {"country": ["CZ"]}, "effect": {"kind": "require"}},
    ]
    return copy.deepcopy(default_ruleset().to_json()) | {"rules": rows}


def change(path: str, value: object) -> Callable[[Form], None]:
    def apply(target: Any) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in steps:
            target = target[step]
        target[last] = value

    return apply


def drop(path: str) -> Callable[[Form], None]:
    def apply(target: Any) -> None:
        *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        for step in steps:
            target = target[step]
        del target[last]

    return apply


# (what is done to a good form, where the fault must be found, a word of the cure)
WRONG_FORM = [
    (drop("name"), "name", "missing"),
    (drop("score"), "score", "missing"),
    (drop("score.level.points"), "score.level.points", "missing"),
    (drop("rules.0.effect"), "rules[0].effect", "missing"),
    (change("schema", "interline.rule-set/9"), "schema", "one of"),
    (change("surprise", 1), "surprise", "not known"),
    (change("version", 0), "version", "from 1"),
    (change("version", True), "version", "whole number"),
    (change("version", 10**30), "version", "from 1"),
    (change("name", " blanks "), "name", "blanks"),
    (change("name", ""), "name", "blanks"),
    (change("gates", []), "gates", "fixed order"),
    (change("gates", "active"), "gates", "list"),
    (change("score", None), "score", "object"),
    (change("score.level", None), "score.level", "object"),
    (change("score.fairness", 5), "score.fairness", "object"),
    (change("score.level.weight", -1), "score.level.weight", "from 0"),
    (change("score.level.weight", 40.5), "score.level.weight", "whole number"),
    (change("score.level.points", None), "score.level.points", "object"),
    (change("score.level.points.gold", 101), "score.level.points.gold", "from 0 to 100"),
    (change("score.win_rate", {"weight": 15}), "score.win_rate", "not in this version"),
    (change("score.fairness.share", "luck"), "score.fairness.share", "one of"),
    (change("offer.cap_minutes", 0), "offer.cap_minutes", "from 1"),
    (change("offer.reminder_at", 1.5), "offer.reminder_at", "0.99"),
    (change("amount_bands.0.edges", []), "amount_bands[0].edges", "1 to 50"),
    (change("amount_bands.0.currency", "euro"), "amount_bands[0].currency", "match"),
    (change("rules", {}), "rules", "list"),
    (change("rules.0.id", "No Blanks"), "rules[0].id", "match"),
    (change("rules.0.when.country", ["Austria"]), "rules[0].when.country[0]", "match"),
    (change("rules.0.when.country", ["ΑΤ"]), "rules[0].when.country[0]", "match"),  # Greek capitals
    (change("rules.0.when.country", []), "rules[0].when.country", "1 to"),
    (change("rules.0.when.country", ["AT", "AT"]), "rules[0].when.country[1]", "twice"),
    (change("rules.0.when.country", None), "rules[0].when.country", "list"),
    (change("rules.0.when.segment", ["big"]), "rules[0].when.segment", "not in this version"),
    (change("rules.0.when.colour", ["red"]), "rules[0].when.colour", "not known"),
    (change("rules.0.when.amount", {"currency": "EUR", "from": -1}), "rules[0].when.amount.from", "from 0"),
    (change("rules.0.who.tags", ["a"]), "rules[0].who.tags", "not in this version"),
    (change("rules.0.effect", {"kind": "exclusive"}), "rules[0].effect.kind", "not in this version"),
    (change("rules.0.effect", {"kind": "explode"}), "rules[0].effect.kind", "one of"),
    (change("rules.0.effect", {"kind": "boost"}), "rules[0].effect.points", "missing"),
    (change("rules.1.effect", {"kind": "exclude", "points": 1}), "rules[1].effect.points", "not known"),
    (change("rules.0.valid_from", "yesterday"), "rules[0].valid_from", "date"),
    (change("rules.0.valid_from", "2026-W01-1"), "rules[0].valid_from", "date"),
    (
        change("examples.0.expect", {"gates": {"gold-in-wels": "luck"}}),
        "examples[0].expect.gates.gold-in-wels",
        "one of",
    ),
    (change("examples.0.candidates", []), "examples[0].candidates", "1 to"),
    (change("examples.0.request.as_of", 5), "examples[0].request.as_of", "time"),
]
# What a schema cannot say, only the parser knows.
WRONG_SENSE = [
    (change("score.distance.zero_km", 10), "score.distance.zero_km", "more than full_km"),
    (change("score.level.points.GOLD", 5), "score.level.points.GOLD", "but for case"),
    (change("amount_bands.0.edges", [10, 10]), "amount_bands[0].edges", "rise"),
    (change("amount_bands.1.currency", "*"), "amount_bands[1].currency", "already"),
    (change("rules.1.id", "r1"), "rules[1].id", "earlier row"),
    (change("rules.0.valid_to", "2025-12-31"), "rules[0].valid_to", "before"),
    (change("rules.0.valid_to", "2026-02-30"), "rules[0].valid_to", "date"),
    (change("rules.1.who", {}), "rules[1].who", "everybody"),
    (change("rules.0.when.amount", {"currency": "EUR"}), "rules[0].when.amount.from", "missing"),
    (change("rules.0.when.amount.below", 10_000), "rules[0].when.amount.below", "more than from"),
    (change("examples.0.expect.order", ["stranger"]), "examples[0].expect.order", "none of"),
    (change("examples.0.expect", {}), "examples[0].expect", "order or gates"),
    (change("examples.0.candidates.1.name", "silver-next-door"), "examples[0].candidates[1].name", "twice"),
    (change("examples.0.request.as_of", "2026-11-23T09:47:00"), "examples[0].request.as_of", "time"),
]


@pytest.mark.parametrize(("wrong", "path", "cure"), WRONG_FORM + WRONG_SENSE)
def test_a_fault_is_named_with_path_and_cure(wrong: Callable[[Form], None], path: str, cure: str) -> None:
    bad = form()
    wrong(bad)
    with pytest.raises(RuleError) as caught:
        RuleSet.parse(bad)
    assert isinstance(caught.value, RuleSetError)
    assert caught.value.path == path
    assert cure in str(caught.value)
    assert caught.value.faults[0].to_json()["path"] == path


@pytest.mark.parametrize("wrong", [entry[0] for entry in WRONG_FORM])
def test_the_schema_refuses_the_same(wrong: Callable[[Form], None]) -> None:
    bad = form()
    wrong(bad)
    assert not VALIDATOR.is_valid(bad)


@pytest.mark.parametrize("wrong", [entry[0] for entry in WRONG_SENSE])
def test_what_only_the_parser_can_know(wrong: Callable[[Form], None]) -> None:
    bad = form()
    wrong(bad)
    assert VALIDATOR.is_valid(bad)


def test_a_good_form_is_good_for_both_and_keeps_its_hash() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(form())
    parsed = RuleSet.parse(form())
    VALIDATOR.validate(parsed.to_json())
    assert RuleSet.parse(parsed.to_json()) == parsed
    assert RuleSet.loads(json.dumps(form())).hash == parsed.hash


def test_the_hash_knows_meaning_not_spelling() -> None:
    turned = dict(reversed(form().items()))
    turned["rules"][1] |= {"valid_from": None, "note": ""}
    assert RuleSet.parse(turned).hash == RuleSet.parse(form()).hash
    turned["rules"][1]["who"]["level"] = ["gold"]
    assert RuleSet.parse(turned).hash != RuleSet.parse(form()).hash


def test_all_faults_come_at_once_but_no_more_than_a_page() -> None:
    bad = form()
    bad["rules"] = [
        {"id": f"r{number}", "when": {}, "who": {}, "effect": {"kind": "?"}} for number in range(5_000)
    ]
    bad["offer"]["cap_minutes"] = "soon"
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    assert len(caught.value.faults) == 100
    assert caught.value.faults[0].path == "offer.cap_minutes"


def test_a_number_too_long_to_print_is_refused_like_any_other() -> None:
    for junk in (10**5_000, [10**5_000], {"x": 10**5_000}):
        bad = form() | {"version": junk}
        with pytest.raises(RuleSetError, match="version"):
            RuleSet.parse(bad)


def test_large_rule_sets_are_read() -> None:
    big = form()
    row = {
        "when": {"postal_prefix": [f"{n:04}" for n in range(10_000)]},
        "effect": {"kind": "boost", "points": 1},
    }
    big["rules"] = [row | {"id": "wide", "who": {"level": ["gold"]}}]
    big["rules"] += [big["rules"][0] | {"id": f"r{n}", "when": {"country": ["AT"]}} for n in range(4_999)]
    assert len(RuleSet.parse(big).rules) == 5_000
    big["rules"].append(big["rules"][1] | {"id": "one-more"})
    with pytest.raises(RuleSetError, match="0 to 5000"):
        RuleSet.parse(big)


@pytest.mark.parametrize(
    "text", ["", "[", '{"name": "a", "name": "b"}', "[" * 100_000, "1" * 5_000, "null", "[]"]
)
def test_text_that_is_no_rule_set(text: str) -> None:
    with pytest.raises(RuleSetError):
        RuleSet.loads(text)


def test_later_effects_are_refused_not_ignored() -> None:
    bad = form()
    bad["rules"][0]["effect"] = {"kind": "cap", "most": 3}
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    assert isinstance(caught.value.faults[0], NotInThisVersion)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        return found + [inner for key, one in value.items() for inner in places(one, (*path, key))]
    if isinstance(value, list):
        return found + [inner for index, one in enumerate(value) for inner in places(one, (*path, index))]
    return found


PLACES = places(form())
JUNK = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            -1,
            10**400,
            0.5,
            float("nan"),
            float("inf"),
            "",
            " ",
            "AT",
            "\x00",
            "a" * 3_000,
            "*",
        ),
        *([], [None], ["x"], {}, {"kind": "boost"}, {"x": 1}, [[]], "2026-13-01"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(PLACES), JUNK)
def test_whatever_the_schema_refuses_the_parser_refuses(path: tuple[object, ...], junk: object) -> None:
    bad = form()
    target: Any = bad
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = copy.deepcopy(junk)
    if VALIDATOR.is_valid(bad):
        return  # the parser may still refuse it, for sense
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    assert all(fault.path and str(fault) for fault in caught.value.faults)


def test_the_examples_of_the_first_rule_set_hold() -> None:
    results = run_examples(default_ruleset())
    assert len(results) >= 3
    assert [result for result in results if not result.passed] == []


def test_an_example_that_fails_says_what_came_out() -> None:
    changed = form()
    changed["examples"][0]["expect"] = {"order": ["silver-next-door"], "gates": {"gold-in-wels": "opens"}}
    (result, *_rest) = run_examples(RuleSet.parse(changed))
    assert not result.passed
    assert result.order[0] == "gold-in-wels"
    assert result.gates == (("gold-in-wels", "opens", None),)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "band"),
    [
        (0, "EUR", AmountBand(None, 5_000, "EUR")),
        (499_999, "EUR", AmountBand(None, 5_000, "EUR")),
        (500_000, "EUR", AmountBand(5_000, 10_000, "EUR")),
        (10**12, "USD", AmountBand(1_000_000, None, "USD")),
        (600_000, "JPY", AmountBand(500_000, 1_000_000, "JPY")),
        (5_000_000, "KWD", AmountBand(5_000, 10_000, "KWD")),
        (None, "EUR", None),
        (5, None, None),
    ],
)
def test_the_band_a_partner_sees(
    amount_minor: int | None, currency: str | None, band: AmountBand | None
) -> None:
    assert amount_band(default_ruleset().amount_bands, amount_minor, currency) == band


def test_no_edges_no_band() -> None:
    assert amount_band((), 5, "EUR") is None
    assert [minor_per_major(code) for code in ("EUR", "JPY", "BHD", None)] == [100, 1, 1000, 100]

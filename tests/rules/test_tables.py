"""Decision tables: cells as text, hit policies, lowering to rows, faults with row and cell, and DMN's own cases."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules import (
    WHEN,
    WHO,
    CellTextError,
    Declared,
    Plan,
    Reference,
    RuleSet,
    RuleSetError,
    Snapshot,
    State,
    cell_text,
    decide,
    parse_cell,
    row_facts,
    run_table_examples,
)
from rules.cellform import Vocabulary, read_in_column
from rules.cells import Within
from rules.reading import Node
from tests.rules.dmn import Case, cases
from tests.rules.test_ruleset import change
from tests.rules.test_second_form import VALIDATOR, second
from tests.rules.worlds import candidate, request

Form = dict[str, Any]


def table(*rows: list[object], policy: str = "F", **parts: object) -> Form:
    """Country and amount of the request, tags of the partner."""
    return {
        "id": "regions",
        "hit_policy": policy,
        "columns": [
            {"side": "when", "axis": "country"},
            {"side": "when", "axis": "amount", "key": "EUR"},
            {"side": "who", "axis": "tags"},
        ],
        "effect": {"kind": "require"},
        "rows": [{"cells": cells} for cells in rows],
        **parts,
    }


AT, SMALL, LARGE = ["AT"], {"to": 10_000}, {"above": 10_000}
REGIONS = table([AT, LARGE, ["big"]], [AT, None, ["small"]], [None, None, ["any"]])
PEOPLE = tuple(candidate(n, tags=frozenset({tag})) for n, tag in enumerate(("big", "small", "any"), start=1))


def winners(form: Form, **facts: object) -> list[int]:
    """Who is left, by the reference and by the compiled engine."""
    rules = RuleSet.parse(second(tables=[form], examples=[]))
    snapshot, asked = Snapshot(1, PEOPLE), request(**facts)
    decision = decide(rules, snapshot, asked, State())
    plan = Plan(rules, snapshot)
    assert plan.decide(asked, plan.shortlist(asked), State()) == decision
    return sorted(one.id for one in decision.ranked)


# Hit policies ---------------------------------------------------------------------------------------------------------


def test_the_first_row_that_holds_acts() -> None:
    assert winners(REGIONS) == [1]  # 12,500 euros
    assert winners(REGIONS, amount_minor=1_000_000) == [2]  # 10,000 is not above 10,000
    assert winners(REGIONS, amount_minor=1_000_001) == [1]
    assert winners(REGIONS, place=request().place.__class__("DE")) == [3]


def test_collected_rows_all_act() -> None:
    assert winners(REGIONS | {"hit_policy": "C"}) == []  # three requires that nobody meets at once
    assert winners(table([AT, None, ["big"]], [AT, None, {"not": ["small"]}], policy="C")) == [1]


def test_of_a_unique_table_that_is_not_none_acts_and_the_decision_says_so() -> None:
    unique = table([AT, LARGE, ["big"]], [AT, None, ["small"]], policy="U")
    assert winners(unique) == [1, 2, 3]
    rules = RuleSet.parse(second(tables=[unique], examples=[]))
    undecided = Reference(rules, Snapshot(1, PEOPLE)).decide(
        request(), Reference(rules, Snapshot(1, PEOPLE)).shortlist(request()), State()
    )
    assert undecided.handling.undecided == ("regions",)
    assert winners(unique, amount_minor=5) == [2]


def test_rows_count_from_one_and_stand_after_those_alone() -> None:
    alone = {"id": "alone", "when": {}, "who": {"level": ["gold"]}, "effect": {"kind": "boost", "points": 1}}
    rules = RuleSet.parse(second(alone, tables=[REGIONS], examples=[]))
    assert [row.id for row in rules.rules] == ["alone", "regions.1", "regions.2", "regions.3"]
    assert [row["id"] for row in rules.to_json()["rules"]] == ["alone"]  # type: ignore[attr-defined]


def test_a_row_may_have_an_effect_and_days_of_its_own() -> None:
    rows = [{"cells": [AT, None, ["big"]], "effect": {"kind": "exclude"}, "valid_to": "2026-11-22"}]
    rows += [{"cells": [AT, None, ["small"]], "effect": {"kind": "exclude"}}]
    assert winners(table() | {"rows": rows}) == [
        1,
        3,
    ]  # the first row's days are over, so the second is the first


# The form -------------------------------------------------------------------------------------------------------------


def whole() -> Form:
    examples = [
        {"name": "a large one", "request": request().to_json(), "rows": [1]},
        {"name": "one from anywhere", "request": {"as_of": "2026-11-23T09:47:00Z"}, "rows": [3]},
    ]
    return second(tables=[REGIONS | {"examples": examples, "name": "Who serves which region"}], examples=[])


def test_a_table_is_good_for_schema_and_parser_and_comes_back_the_same() -> None:
    VALIDATOR.validate(whole())
    rules = RuleSet.parse(whole())
    VALIDATOR.validate(rules.to_json())
    assert RuleSet.parse(rules.to_json()) == rules
    assert RuleSet.parse(rules.to_json()).hash == rules.hash


def test_the_examples_of_a_table_are_run() -> None:
    assert [one.passed for one in run_table_examples(RuleSet.parse(whole()))] == [True, True]
    wrong = whole()
    wrong["tables"][0]["examples"][0]["rows"] = [2]
    result = run_table_examples(RuleSet.parse(wrong))[0]
    assert (result.passed, result.expected, result.rows) == (False, (2,), (1,))


WRONG = [
    (change("tables.0.hit_policy", "P"), "tables[0].hit_policy", "one of: U, F, C"),
    (change("tables.0.columns", []), "tables[0].columns", "1 to"),
    (change("tables.0.columns.0.axis", "colour"), "tables[0].columns[0].axis", "one of"),
    (change("tables.0.columns.1", {"side": "when", "axis": "amount"}), "tables[0].columns[1].key", "missing"),
    (change("tables.0.columns.1.key", "euro"), "tables[0].columns[1].key", "match"),
    (change("tables.0.columns.0.key", "x"), "tables[0].columns[0].key", "no keys"),
    (change("tables.0.columns.1", {"side": "when", "axis": "country"}), "tables[0].columns[1]", "already"),
    (change("tables.0.rows.1.cells", [None]), "tables[0].rows[1].cells", "each of the 3 columns"),
    (change("tables.0.rows.1.cells.0", ["ZZ"]), "tables[0].rows[1].cells[0][0]", "no country"),
    (change("tables.0.rows.1.cells.0", "AT"), "tables[0].rows[1].cells[0]", "list"),
    (
        change("tables.0.rows.0.cells.1", {"from": 5, "to": 4}),
        "tables[0].rows[0].cells[1].to",
        "more than from",
    ),
    (
        change("tables.0.rows.0.cells.1", {"from": 5, "above": 4}),
        "tables[0].rows[0].cells[1].above",
        "keep one",
    ),
    (change("tables.0.rows.0.cells.1", {"to": 10**40}), "tables[0].rows[0].cells[1].to", "from 0"),
    (change("tables.0.rows.0.cells.2", None), "tables[0].rows[0].cells", "everybody"),
    (change("tables.0.rows.0.valid_to", "2026-02-30"), "tables[0].rows[0].valid_to", "date"),
    (change("tables.0.effect", None), "tables[0].rows[0].effect", "give the row an effect"),
    (change("tables.0.examples.0.rows", [4]), "tables[0].examples[0].rows[0]", "from 1 to 3"),
]


@pytest.mark.parametrize(("wrong", "path", "cure"), WRONG)
def test_a_fault_names_table_row_and_cell(wrong: Callable[[Form], None], path: str, cure: str) -> None:
    bad = whole()
    wrong(bad)
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(bad)
    assert any(fault.path == path and cure in str(fault) for fault in caught.value.faults)


def test_large_tables_are_read_and_all_their_faults_found_up_to_a_page() -> None:
    big = table(*([["AT", "DE"], {"from": n}, ["a"]] for n in range(5_000)), policy="C")
    assert len(RuleSet.parse(second(tables=[big], examples=[])).rules) == 5_000
    for row in big["rows"]:
        row["cells"] = [["ZZ"], {"from": 1, "below": 1}, ["pum\u0440s"]]
    with pytest.raises(RuleSetError) as caught:
        RuleSet.parse(second(tables=[big], examples=[]))
    assert len(caught.value.faults) == 100
    assert caught.value.faults[3].path == "tables[0].rows[1].cells[0][0]"
    many = [table(*([AT, None, ["a"]] for _ in range(2_000)), id=f"t{n}", policy="C") for n in range(3)]
    with pytest.raises(RuleSetError, match="at most 5000 together"):
        RuleSet.parse(second(tables=many, examples=[]))


def test_a_row_tells_its_cells_as_data() -> None:
    rules = RuleSet.parse(whole())
    facts = row_facts(rules.rules[0], rules.words)
    assert (facts.table, facts.number, facts.effect) == ("regions", 1, {"kind": "require"})
    told = [(c.side, c.axis, c.key, c.operator, c.values) for c in (*facts.when, *facts.who)]
    assert told == [
        ("when", "country", "", "any_of", ["AT"]),
        ("when", "amount", "EUR", "within", [{"from": None, "below": None, "above": 10_000}]),
        ("who", "tags", "", "any_of", ["big"]),
    ]


# Cells as text --------------------------------------------------------------------------------------------------------

NUMBER, DAY, FLAG = Declared("n", "number", (), 2), Declared("d", "day"), Declared("f", "flag")
TEXTS = [
    ("country", None, "-", None),
    ("country", None, "", None),
    ("country", None, '"AT", "DE"', ["AT", "DE"]),
    ("country", None, "AT,DE", ["AT", "DE"]),
    ("country", None, "not(AT, DE)", {"not": ["AT", "DE"]}),
    ("industry", None, 'Oil and gas, "paper, wood"', ["Oil and gas", "paper, wood"]),
    ("industry", None, '"not(x)"', ["not(x)"]),
    ("postal_prefix", None, "40, 41", ["40", "41"]),
    ("relationship", None, "true", True),
    ("relationship", None, "not(true)", False),
    ("amount", None, ">= 10000", [{"from": 10_000}]),
    (
        "amount",
        None,
        "[1..5], (7..9), 12",
        [{"from": 1, "to": 5}, {"above": 7, "below": 9}, {"from": 12, "to": 12}],
    ),
    ("amount", None, "]1..5[", [{"above": 1, "below": 5}]),
    ("amount", None, "not(< 5, > 9)", {"not": [{"below": 5}, {"above": 9}]}),
    ("custom", NUMBER, "<= 0.07", [{"to": 0.07}]),
    ("custom", NUMBER, "-1.5", [{"from": -1.5, "to": -1.5}]),
    ("custom", DAY, '> date("2026-11-23")', [{"above": "2026-11-23"}]),
    ("custom", DAY, '@"2026-11-23"', [{"from": "2026-11-23", "to": "2026-11-23"}]),
    ("custom", FLAG, "false", False),
]


@pytest.mark.parametrize(("axis", "declared", "text", "value"), TEXTS)
def test_a_cell_is_read_from_text_and_written_back(
    axis: str, declared: Declared | None, text: str, value: object
) -> None:
    assert parse_cell(text, WHEN[axis], declared) == value
    assert parse_cell(cell_text(value), WHEN[axis], declared) == value


@pytest.mark.parametrize(
    ("axis", "text", "at"),
    [
        ("country", "AT DE", None),
        ("country", "AT,", "4"),
        ("country", "not(AT", "7"),
        ("country", "< AT", "1"),
        ("amount", "[1..", "5"),
        ("amount", "[1..5", "6"),
        ("amount", "ten", "1"),
        ("amount", "5 6", "3"),
        ("amount", "1 + 2", "3"),
        ("amount", '"5', "1"),
        ("relationship", "maybe", "1"),
        ("relationship", "not(true, false)", "1"),
        ("inside", "here", "1"),
    ],
)
def test_text_that_is_no_test_is_refused_at_its_place(axis: str, text: str, at: str | None) -> None:
    if at is None:  # two words without a comma are one word with a blank: no country, which the table says
        assert parse_cell(text, WHEN[axis]) == ["AT DE"]
        return
    with pytest.raises(CellTextError) as caught:
        parse_cell(text, WHEN[axis])
    assert caught.value.path == at


_numbers = st.integers(0, 30)
_spans = st.one_of(
    st.builds(lambda n: {"from": n, "to": n}, _numbers),
    st.builds(lambda key, n: {key: n}, st.sampled_from(["from", "above", "to", "below"]), _numbers),
    st.builds(
        lambda low, n, high, more: {low: n, high: n + more},
        st.sampled_from(["from", "above"]),
        _numbers,
        st.sampled_from(["to", "below"]),
        st.integers(2, 9),
    ),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_spans, min_size=1, max_size=4), st.booleans(), st.integers(-2, 45))
def test_spans_hold_what_their_signs_say(spans: list[dict[str, int]], negated: bool, number: int) -> None:
    """Text, stored value and test agree with the signs as Python compares."""
    compare = {
        "from": lambda limit: number >= limit,
        "above": lambda limit: number > limit,
        "to": lambda limit: number <= limit,
        "below": lambda limit: number < limit,
    }
    held = any(all(compare[key](limit) for key, limit in span.items()) for span in spans) is not negated
    value: object = {"not": spans} if negated else spans
    assert parse_cell(cell_text(value), WHO["capacity"]) == value
    node = Node(value)
    test = read_in_column(node, WHO["capacity"], "", None, Vocabulary())
    assert isinstance(test, Within)
    if node.faults:
        assert "leaves nothing out" in str(node.faults[0])
    else:
        assert test.holds(number) is held


# DMN's own cases ------------------------------------------------------------------------------------------------------

# Ours, in the shape of DMN 1.5: every part of a unary test we read, each hit policy, and what the cases must give.
SAMPLE = Path(__file__).parent / "samples"
# The DMN TCK (github.com/dmn-tck/tck, TestCases), where this machine has it.
TCK = Path(os.environ.get("DMN_TCK", SAMPLE))


def found_in(folder: Path) -> list[Case]:
    return [
        case
        for model in sorted(folder.rglob("*.dmn"))
        for tests in sorted(model.parent.glob("*test*.xml"))
        for case in cases(model, tests)
    ]


@pytest.mark.parametrize("folder", sorted({SAMPLE, TCK}))
def test_the_cases_of_dmn_tables_come_out_as_written(folder: Path) -> None:
    found = found_in(folder)
    assert [case for case in found if case.found != case.expected] == []
    policies = Counter(case.policy for case in found)
    assert min(policies[policy] for policy in "UFC") >= 3


def test_the_sample_has_numbers_words_flags_and_days() -> None:
    names = {case.name.split("/")[2] for case in found_in(SAMPLE)}
    assert names == {"Discount", "Team", "Notices", "Fee"}
    fees = [case.found for case in found_in(SAMPLE) if case.name.endswith("Fee")]
    assert fees[0] == Decimal(30)

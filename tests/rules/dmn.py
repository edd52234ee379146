"""Decision tables of DMN files and the cases of the DMN TCK, translated into ours: for tests alone.

A table is taken when its inputs are facts of the case (inputs, or results of other decisions), its cells unary tests over
constants, its outputs constants, and its hit policy one of ours. Everything else in those files is another language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from xml.etree import ElementTree as ET

from rules import CellTextError, Request, RuleSet, RuleSetError, parse_cell, run_table_examples
from rules.axes import WHEN
from rules.cellform import Declared
from tests.rules.test_second_form import second
from tests.rules.worlds import NOON

Value = str | Decimal | bool | date | None
POLICIES = {"UNIQUE": "U", "FIRST": "F", "COLLECT": "C", None: "U"}
TYPES = {"string": "words", "number": "number", "boolean": "flag", "date": "day"}
DECIMALS = 6
_CONSTANT = re.compile(r'(?:"[^"]*"|\bdate\s*\(|\b(?:not|true|false)\b|[^A-Za-z])*')
_LITERAL = re.compile(r'"([^"]*)"|(-?\d+(?:\.\d+)?)|(true|false)')


@dataclass(frozen=True)
class Case:
    """One result a table must give: `found` are the outputs of the rows that act, `expected` what the file says."""

    name: str
    policy: str
    found: object
    expected: object


def _tag(node: ET.Element) -> str:
    return node.tag.rpartition("}")[2]


def _all(node: ET.Element, tag: str) -> list[ET.Element]:
    return [one for one in node.iter() if _tag(one) == tag]


def _text(node: ET.Element) -> str:
    found = _all(node, "text")
    return (found[0].text or "").strip() if found else ""


def literal(text: str) -> Value:
    """A constant of FEEL; ValueError for any other expression."""
    match = _LITERAL.fullmatch(text.strip())
    if match is None:
        raise ValueError(text)
    if match[1] is not None:
        return match[1]
    return Decimal(match[2]) if match[2] else match[3] == "true"


def _value(node: ET.Element) -> object:
    """A value of a test case: a scalar, a list of values, or components by name."""
    for child in node:
        if _tag(child) == "value":
            return _scalar(child)
        if _tag(child) == "list":
            return [_value(item) for item in child]
    components = [child for child in node if _tag(child) == "component"]
    return {child.get("name"): _value(child) for child in components} if components else None


def _scalar(node: ET.Element) -> Value:
    kind = next((value for key, value in node.attrib.items() if key.endswith("}type")), "xsd:string")
    text = (node.text or "").strip()
    if any(key.endswith("}nil") for key in node.attrib):
        return None
    kind = kind.rpartition(":")[2]
    if kind in ("decimal", "double", "integer", "int", "long"):
        return Decimal(text)
    if kind == "boolean":
        return text == "true"
    if kind == "date" and text[:1].isdigit():
        return date.fromisoformat(text)
    return text


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    yield name, value
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from _flat(f"{name}.{part}", inner)


def _declared(value: object) -> str | None:
    kinds = {bool: "flag", str: "words", Decimal: "number", date: "day"}
    return kinds.get(type(value))


def _json(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value.scaleb(DECIMALS))
    return {"day": value.isoformat()} if isinstance(value, date) else value


def cases(model: Path, tests: Path) -> Iterator[Case]:
    """Every case of one DMN file that a table of ours can answer."""
    tables = {
        decision.get("name", ""): table
        for decision in _all(ET.parse(model).getroot(), "decision")  # noqa: S314
        for table in decision
        if _tag(table) == "decisionTable"
    }
    for case in _all(ET.parse(tests).getroot(), "testCase"):  # noqa: S314
        facts: dict[str, object] = {}
        expected: dict[str, object] = {}
        for node in case:
            if _tag(node) == "inputNode":
                facts.update(_flat(node.get("name", ""), _value(node)))
            if _tag(node) == "resultNode":
                expected[node.get("name", "")] = next(
                    (_value(one) for one in node if _tag(one) == "expected"), None
                )
        for name, wanted in expected.items():
            if name in tables:
                known = {**{key: value for key, value in expected.items() if key != name}, **facts}
                answer = _answer(tables[name], known)
                if answer is not None:
                    policy, found = answer
                    yield Case(f"{model.stem}/{case.get('id')}/{name}", policy, found, wanted)


def _answer(table: ET.Element, facts: Mapping[str, object]) -> tuple[str, object] | None:
    """The policy and the outputs of the rows that act; None for what is not ours."""
    policy = POLICIES.get(table.get("hitPolicy"))
    inputs = [_text(one) for one in table if _tag(one) == "input"]
    types = [_declared(facts.get(name)) for name in inputs]
    if policy is None or None in types:
        return None
    names = [f"in{number}" for number in range(len(inputs))]
    declared = {
        name: {"type": kind} | ({"decimals": DECIMALS} if kind == "number" else {})
        for name, kind in zip(names, types, strict=True)
    }
    outputs = [one.get("name") for one in table if _tag(one) == "output"]
    try:
        rows, results = [], []
        for rule in (one for one in table if _tag(one) == "rule"):
            texts = [_text(one) for one in rule if _tag(one) == "inputEntry"]
            if not all(_CONSTANT.fullmatch(text) for text in texts):
                return None  # a variable, which we would take for a word
            cells = [
                parse_cell(
                    text, WHEN["custom"], Declared(name, kind, (), DECIMALS if kind == "number" else 0)
                )  # type: ignore[arg-type]
                for text, name, kind in zip(texts, names, types, strict=True)
            ]
            rows.append({"cells": cells})
            results.append([literal(_text(one)) for one in rule if _tag(one) == "outputEntry"])
        found = [results[number - 1] for number in _acting(policy, names, declared, rows, inputs, facts)]
    except (CellTextError, RuleSetError, ValueError, InvalidOperation):
        return None
    values = [one[0] if len(outputs) == 1 else dict(zip(outputs, one, strict=True)) for one in found]
    return policy, _outcome(policy, table.get("aggregation"), values)


def _acting(
    policy: str,
    names: list[str],
    declared: object,
    rows: object,
    inputs: list[str],
    facts: Mapping[str, object],
) -> tuple[int, ...]:
    """The rows that act, by a rule set of ours with this one table and one example."""
    custom = {name: _json(facts[said]) for name, said in zip(names, inputs, strict=True)}
    asked = Request.from_json({"as_of": NOON.isoformat(), "custom": custom}).to_json()
    table = {
        "id": "table",
        "hit_policy": policy,
        "columns": [{"side": "when", "axis": "custom", "key": name} for name in names],
        "effect": {"kind": "house", "rep": "any"},
        "rows": rows,
        "examples": [{"name": "case", "request": asked, "rows": []}],
    }
    rules = RuleSet.parse(second(attributes={"when": declared}, tables=[table], examples=[]))
    (result,) = run_table_examples(rules)
    return result.rows


def _outcome(policy: str, aggregation: str | None, values: list[object]) -> object:
    if policy != "C":
        return values[0] if values else None
    if aggregation == "COUNT":
        return Decimal(len(values))
    numbers = [one for one in values if isinstance(one, Decimal)]
    if aggregation == "SUM":
        return sum(numbers, Decimal(0))
    if aggregation in ("MIN", "MAX"):
        return (min if aggregation == "MIN" else max)(numbers)
    return values

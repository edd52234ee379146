"""The JSON Schemas (2020-12) of the rule set forms "interline.rule-set/1" and "interline.rule-set/2".

Built from the same constants the parser uses. The parser checks more than a schema can say: ids that repeat, days
that run backwards, edges that do not rise, names an example does not
know. What the schema refuses, the parser refuses too.
"""

from __future__ import annotations

from collections.abc import Mapping
from re import Pattern
from typing import Any

from .axes import MAX_AMOUNT, MAX_COUNT, MAX_KM, WHEN, WHO, Axis
from .cellform import (
    MAX_ATTRIBUTES,
    MAX_DECIMALS,
    MAX_SHAPES,
    MAX_SPANS,
    MAX_VALUES,
    SPAN_KEYS,
    SPAN_KEYS_LATER,
    TYPES,
    Vocabulary,
)
from .effects import EFFECTS, MAX_MINUTES, ORDERS, Key, effects_of
from .examples import EXCLUDED_NAME, LATER_KEYS, MAX_CANDIDATES, MAX_EXAMPLES
from .model import ALL_GATES, FIGURES, GATES, LATER_FIELDS, MAX_WORDS, PLACE_FIELDS, TERRITORY_KINDS
from .reading import COUNTRY, CURRENCY, MAX_INT, NAME, TEXT
from .rows import MAX_ROWS
from .ruleset import CLAIM_POLICIES, CLAIMS, FORMS
from .score import MAX_BANDS, MAX_WEIGHT, PER_MILLE, SHARES
from .shapes import MAX_POINTS, MAX_RADIUS_M, MAX_RINGS
from .tables.form import (
    MAX_COLUMNS,
    MAX_TABLE_EXAMPLES,
    MAX_TABLE_ROWS,
    MAX_TABLES,
    POLICIES,
)

Schema = dict[str, Any]


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    """An object with exactly these keys."""
    properties = required | (optional or {})
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


def _integer(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _number(least: float, most: float) -> Schema:
    return {"type": "number", "minimum": least, "maximum": most}


def _text(pattern: Pattern[str] | None = None, most: int = 200) -> Schema:
    """Text without control characters and without blanks around it, or of one pattern."""
    regex = rf"^(?:{pattern.pattern})$" if pattern else r"^\S(?:[^\u0000-\u001f\u007f]*\S)?$"
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": regex}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _list(items: Schema, most: int, least: int = 0, unique: bool = False) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most} | (
        {"uniqueItems": True} if unique else {}
    )


_DAY = {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$", "format": "date"}
_MOMENT = {"type": "string", "format": "date-time", "minLength": 1}
_ID: Schema = {"anyOf": [{"type": "string", "pattern": "^[0-9]{1,19}$"}, _integer(0, MAX_INT - 1)]}
_NOTE = {"anyOf": [{"const": ""}, _text(most=2_000)]}
_CUSTOM_LIMIT = {"anyOf": [_number(-MAX_COUNT, MAX_COUNT), _DAY]}
_WEIGHT = _integer(0, MAX_WEIGHT)
_DEGREES = {"lat": _or_null(_number(-90, 90)), "lon": _or_null(_number(-180, 180))}


_CIRCLE = {"lat": _number(-90, 90), "lon": _number(-180, 180), "radius_m": _integer(1, MAX_RADIUS_M)}
_POSITION = {
    "type": "array",
    "prefixItems": [_number(-180, 180), _number(-90, 90)],
    "items": False,
    "minItems": 2,
    "maxItems": 2,
}
_RING = _list(_POSITION, MAX_POINTS + 1, 4)
_SHAPE = {
    "anyOf": [
        _object(_CIRCLE),
        _object({"type": {"const": "Polygon"}, "coordinates": _list(_RING, MAX_RINGS, 1)}),
    ]
}


def _cells(axes: Mapping[str, Axis], form: int) -> Schema:
    """Every axis of one side that the form knows, as its cells are written."""
    return {name: _cell(axes[name], form) for name in Vocabulary(form).names(axes)}


def _cell(axis: Axis, form: int) -> Schema:
    if axis.writing == "money":
        limit = _or_null(_integer(0, axis.most))
        keys = SPAN_KEYS if form == 1 else SPAN_KEYS + SPAN_KEYS_LATER
        span = _object({"currency": _text(axis.pattern)}, dict.fromkeys(keys, limit))
        return _or_null(span) if form == 1 else _or_null(_one_or_all(span))
    if axis.writing == "custom":
        anything = {"anyOf": [{"type": "boolean"}, _words(TEXT), _spans(_CUSTOM_LIMIT)]}
        return {
            "type": "object",
            "propertyNames": _text(NAME, 64),
            "additionalProperties": anything,
            "minProperties": 1,
        }
    if axis.writing == "keyed":
        names = {"propertyNames": {"enum": list(axis.keys)}} if axis.keys else {}
        return {"type": "object", "additionalProperties": _test(axis, form), "minProperties": 1} | names
    return _test(axis, form)


def _test(axis: Axis, form: int) -> Schema:
    if axis.kind == "flag":
        return {"type": "boolean"}
    if axis.kind == "interval":
        return _spans(_integer(0, axis.most))
    if axis.kind == "geo":
        return _or_not(_list(_SHAPE, MAX_SHAPES, 1))
    words = _words(axis.pattern)
    return words if form > 1 else words["anyOf"][0]


def _words(pattern: Pattern[str]) -> Schema:
    return _or_not(_list(_text(None if pattern is TEXT else pattern), MAX_VALUES, 1, True))


def _or_not(schema: Schema) -> Schema:
    return {"anyOf": [schema, _object({"not": schema})]}


def _one_or_all(span: Schema) -> Schema:
    return {"anyOf": [span, _list(span, MAX_SPANS, 1)]}


def _spans(limit: Schema) -> Schema:
    return _or_not(_one_or_all(_object({}, dict.fromkeys(SPAN_KEYS + SPAN_KEYS_LATER, _or_null(limit)))))


def _score(form: int) -> Schema:
    points: Schema = {
        "type": "object",
        "propertyNames": _text(most=80),
        "additionalProperties": _integer(0, 100),
    }
    level = _object(
        {"weight": _WEIGHT, "points": points},
        {"default": _integer(0, 100)},
    )
    return _object(
        {
            "level": level,
            "distance": _object(
                {"weight": _WEIGHT, "full_km": _integer(0, MAX_KM), "zero_km": _integer(1, MAX_KM)}
            ),
            "capacity": _object({"weight": _WEIGHT}),
            "fairness": _object({"weight": _WEIGHT}, {"share": {"enum": list(SHARES)}}),
        },
        _later_score() if form > 1 else {},
    )


def _later_score() -> Schema:
    minutes = _integer(0, MAX_MINUTES)
    speed = {"weight": _WEIGHT, "full_minutes": minutes, "zero_minutes": _integer(1, MAX_MINUTES)}
    band = _object({"name": _text(NAME, 64), "who": _object({}, _cells(WHO, 2))})
    return {
        "win_rate": _or_null(_object({"weight": _WEIGHT, "full": _integer(1, PER_MILLE)})),
        "answer_speed": _or_null(_object(speed)),
        "order": _or_null({"enum": list(ORDERS)}),
        "bands": _or_null(_list(band, MAX_BANDS)),
    }


def _effect(kind: str) -> Schema:
    keys = EFFECTS[kind].keys
    needed = {name: _parameter(key) for name, key in keys.items() if not key.optional}
    return _object(
        {"kind": {"const": kind}} | needed, {n: _parameter(k) for n, k in keys.items() if k.optional}
    )


def _parameter(key: Key) -> Schema:
    if key.kind == "integer":
        return _integer(key.least, key.most)
    if key.kind == "flag":
        return {"type": "boolean"}
    if key.kind == "choice":
        return {"enum": list(key.options)}
    text = _text(NAME, 64) if key.kind == "name" else _text(most=key.most)
    return _or_null(text) if key.optional else text


def _row(form: int) -> Schema:
    effects = [_effect(kind) for kind in effects_of(form)]
    return _object(
        {
            "id": _text(NAME, 64),
            "when": _object({}, _cells(WHEN, form)),
            "who": _object({}, _cells(WHO, form)),
            "effect": {"oneOf": effects},
        },
        {"valid_from": _or_null(_DAY), "valid_to": _or_null(_DAY), "note": _NOTE},
    )


_ATTRIBUTE = {
    "anyOf": [
        {"type": ["string", "boolean"]},
        _integer(-MAX_INT, MAX_INT - 1),
        _object({"day": _or_null(_DAY)}),
        _list({"type": "string"}, MAX_WORDS),
    ]
}
_CUSTOM = _or_null({"type": "object", "additionalProperties": _ATTRIBUTE})
_LATER_REQUEST = {
    "segment": {"type": ["string", "null"]},
    "account": {"type": ["string", "null"]},
    "relationships": _or_null(_list(_ID, MAX_WORDS)),
    "open_now": {"type": ["boolean", "null"]},
    "custom": _CUSTOM,
}
_LATER_CANDIDATE = {
    "tags": _or_null(_list(_text(), 100, unique=True)),
    "accounts": _list(_text(), 100, unique=True),
    "distributor_of": _or_null(_list(_ID, MAX_WORDS)),
    "figures": _or_null(_object({}, dict.fromkeys(FIGURES, _integer(0, 10**9)))),
    "custom": _CUSTOM,
}
assert set(_LATER_REQUEST) == set(LATER_FIELDS) and set(_LATER_CANDIDATE) == set(LATER_KEYS)


def _example(form: int) -> Schema:
    text = _or_null(_text())
    loose = {
        "type": ["string", "null"]
    }  # a request is taken as it was stored; only a rule set's own words are checked
    place = _object({}, dict.fromkeys(PLACE_FIELDS, loose) | _DEGREES)
    words = _list({"type": "string"}, MAX_WORDS)
    request = _object(
        {"as_of": _MOMENT},
        {
            "id": _or_null(_ID),
            "place": _or_null(place),
            "product_lines": words,
            "certifications": words,
            "amount_minor": _or_null(_integer(0, MAX_INT - 1)),
            **dict.fromkeys(("currency", "language", "industry", "source"), loose),
            "seed": _or_null(_ID),
            "excluded": _list(_ID, MAX_WORDS),
            **(_LATER_REQUEST if form > 1 else {}),
        },
    )
    territory = _object(
        {"kind": {"enum": list(TERRITORY_KINDS)}},
        {"country": _or_null(_text(COUNTRY)), "code": text, "radius_km": _or_null(_number(0, MAX_KM))}
        | _DEGREES,
    )
    certification = _object(
        {"programme": _text()},
        {"level": text, "issued": _or_null(_DAY), "expires": _or_null(_DAY), "product_line": text},
    )
    candidate = _object(
        {"name": _text(NAME, 64)},
        {
            "active": {"type": "boolean"},
            "agreement_accepted": {"type": "boolean"},
            "level": text,
            "country": _or_null(_text(COUNTRY)),
            "territories": _or_null(_list(territory, 100)),
            "certifications": _list(certification, 100),
            "product_lines": _list(_text(), 100, unique=True),
            "capacity": _integer(0, 10**6),
            "load": _integer(0, 10**6),
        }
        | _DEGREES
        | (_LATER_CANDIDATE if form > 1 else {}),
    )
    gate = {"enum": [*ALL_GATES, EXCLUDED_NAME]}
    expect = _object(
        {},
        {
            "order": _or_null(_list(_text(NAME, 64), MAX_CANDIDATES, unique=True)),
            "gates": _or_null({"type": "object", "additionalProperties": gate}),
        },
    )
    return _object(
        {
            "name": _text(),
            "request": request,
            "candidates": _list(candidate, MAX_CANDIDATES, 1),
            "expect": expect,
        }
    )


_CLAIMS = _object({}, {claim: {"enum": list(CLAIM_POLICIES)} for claim in CLAIMS})


def _attributes() -> Schema:
    declared = _object(
        {"type": {"enum": list(TYPES)}}, {"values": _or_null(_list(_text(), MAX_VALUES, unique=True))}
    )
    declared["properties"]["decimals"] = _or_null(_integer(0, MAX_DECIMALS))
    side: Schema = {"type": "object", "propertyNames": _text(NAME, 64), "additionalProperties": declared}
    side["maxProperties"] = MAX_ATTRIBUTES
    return _or_null(_object({}, {"when": _or_null(side), "who": _or_null(side)}))


def _table() -> Schema:
    """A decision table; which test a cell may hold depends on its column, so here it may be any."""
    when, who = (list(Vocabulary(2).names(axes)) for axes in (WHEN, WHO))
    column = _object(
        {"side": {"enum": ["when", "who"]}, "axis": {"enum": sorted({*when, *who})}},
        {"key": _or_null(_text())},
    )
    tests = {"anyOf": [_test(axis, 2) for axis in (*WHEN.values(), *WHO.values()) if axis.writing == "plain"]}
    test = {
        "anyOf": [
            tests,
            {"type": "boolean"},
            _words(TEXT),
            _spans(_CUSTOM_LIMIT),
            _spans(_integer(0, MAX_AMOUNT)),
        ]
    }
    effect = _or_null({"oneOf": [_effect(kind) for kind in effects_of(2)]})
    validity = {"valid_from": _or_null(_DAY), "valid_to": _or_null(_DAY), "note": _NOTE}
    row = _object({"cells": _list(_or_null(test), MAX_COLUMNS)}, {"effect": effect} | validity)
    request = _example(2)["properties"]["request"]
    numbers = _list(_integer(1, MAX_TABLE_ROWS), MAX_TABLE_ROWS)
    example = _object({"name": _text(), "request": request, "rows": numbers})
    return _object(
        {
            "id": _text(NAME, 50),
            "hit_policy": {"enum": list(POLICIES)},
            "columns": _list(column, MAX_COLUMNS, 1),
            "rows": _list(row, MAX_TABLE_ROWS),
        },
        {
            "name": {"anyOf": [{"const": ""}, _or_null(_text())]},
            "effect": effect,
            "examples": _list(example, MAX_TABLE_EXAMPLES),
        },
    )


def _whole(form: int) -> Schema:
    edges = _list(_integer(1, 10**15), 50, 1)
    bands = _object({"currency": {"anyOf": [{"const": "*"}, _text(CURRENCY)]}, "edges": edges})
    offer = _object(
        {"answer_within_minutes": _integer(1, MAX_MINUTES), "cap_minutes": _integer(1, MAX_MINUTES)},
        {"reminder_at": _number(0.01, 0.99)},
    )
    return _object(
        {
            "schema": {"const": FORMS[form - 1]},
            "name": _text(),
            "version": _integer(1, 2**31 - 1),
            "gates": {"const": list(GATES)},
            "score": _score(form),
            "offer": offer,
        },
        {
            "note": _NOTE,
            "amount_bands": _list(bands, 200),
            "rules": _list(_row(form), MAX_ROWS),
            "examples": _list(_example(form), MAX_EXAMPLES),
            **(
                {
                    "attributes": _attributes(),
                    "claims": _or_null(_CLAIMS),
                    "tables": _or_null(_list(_table(), MAX_TABLES)),
                }
                if form > 1
                else {}
            ),
        },
    )


SCHEMAS: dict[str, Schema] = {
    name: {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:interline:rule-set:{form}",
        "title": f"Interline rule set, form {form}",
        **_whole(form),
    }
    for form, name in enumerate(FORMS, start=1)
}
SCHEMA = SCHEMAS[FORMS[0]]

"""The JSON Schema (2020-12) of the rule set form "interline.rule-set/1".

Built from the same constants the parser uses. The parser checks more than a schema can say: ids that repeat, days
that run backwards, edges that do not rise, names an example does not
know. What the schema refuses, the parser refuses too.
"""

from __future__ import annotations

from re import Pattern
from typing import Any

from .examples import EXCLUDED_NAME, MAX_CANDIDATES, MAX_EXAMPLES
from .model import ALL_GATES, GATES, MAX_WORDS, PLACE_FIELDS, TERRITORY_KINDS
from .reading import COUNTRY, CURRENCY, MAX_INT, NAME
from .rows import MAX_AMOUNT, MAX_BOOST, MAX_ROWS, MAX_VALUES, WHEN, WHO
from .ruleset import FORM, MAX_KM, MAX_MINUTES, MAX_WEIGHT, SHARES

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
_WEIGHT = _integer(0, MAX_WEIGHT)
_DEGREES = {"lat": _or_null(_number(-90, 90)), "lon": _or_null(_number(-180, 180))}


def _cells(predicates: dict[str, Pattern[str]]) -> Schema:
    return {
        name: _list(_pattern_text(name, pattern), MAX_VALUES, 1, True) for name, pattern in predicates.items()
    }


def _pattern_text(name: str, pattern: Pattern[str]) -> Schema:
    return _text(pattern if name in ("country", "subdivision", "postal_prefix") else None)


def _score() -> Schema:
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
        }
    )


def _row() -> Schema:
    limit = _or_null(_integer(0, MAX_AMOUNT))
    amount = _object({"currency": _text(CURRENCY)}, {"from": limit, "below": limit})
    effects = [
        _object({"kind": {"const": "require"}}),
        _object({"kind": {"const": "exclude"}}),
        _object({"kind": {"const": "boost"}, "points": _integer(-MAX_BOOST, MAX_BOOST)}),
    ]
    return _object(
        {
            "id": _text(NAME, 64),
            "when": _object({}, _cells(WHEN) | {"amount": _or_null(amount)}),
            "who": _object({}, _cells(WHO)),
            "effect": {"oneOf": effects},
        },
        {"valid_from": _or_null(_DAY), "valid_to": _or_null(_DAY), "note": _NOTE},
    )


def _example() -> Schema:
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
        | _DEGREES,
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


def _whole() -> Schema:
    edges = _list(_integer(1, 10**15), 50, 1)
    bands = _object({"currency": {"anyOf": [{"const": "*"}, _text(CURRENCY)]}, "edges": edges})
    offer = _object(
        {"answer_within_minutes": _integer(1, MAX_MINUTES), "cap_minutes": _integer(1, MAX_MINUTES)},
        {"reminder_at": _number(0.01, 0.99)},
    )
    return _object(
        {
            "schema": {"const": FORM},
            "name": _text(),
            "version": _integer(1, 2**31 - 1),
            "gates": {"const": list(GATES)},
            "score": _score(),
            "offer": offer,
        },
        {
            "note": _NOTE,
            "amount_bands": _list(bands, 200),
            "rules": _list(_row(), MAX_ROWS),
            "examples": _list(_example(), MAX_EXAMPLES),
        },
    )


SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "urn:interline:rule-set:1",
    "title": "Interline rule set, version 1",
    **_whole(),
}

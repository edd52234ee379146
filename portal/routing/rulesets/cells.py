"""Cells as people write them: one line of text for each, read into the JSON form of a rule set and written back.

    set, prefix     AT, CZ              not AT, CZ         a value with a comma stands in quotes: "Oil, gas"
    interval        >= 50,000           < 10,000           10 to 20 (20 not included)       several: 1 to 2; >= 5
    money           EUR >= 50,000       with the currency in front
    flag            yes                 no
    keyed, custom   name: test; name: test
    anything else   as JSON

Numbers are read as the reader's language writes them; words as codes or as names, in whatever case.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from portal.routing.rulesets.columns import Column, effects
from portal.web.formatting import fmt
from portal.web.forms import plain_number, read_day
from portal.web.i18n import _, tr

Words = Mapping[str, str]  # code -> name
_QUOTED = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,;"]*))\s*(?:[,;]|$)')
_RANGE = re.compile(r"(.+?)\s*(?:\.\.|–|\bto\b|\bbis\b)\s*<?\s*(.+)", re.IGNORECASE)
_LEAST = re.compile(r"(?:>=|≥|from |ab )\s*(.+)", re.IGNORECASE)
_BELOW = re.compile(r"(?:<|below |under |unter )\s*([^=].*)", re.IGNORECASE)
_CURRENCY = re.compile(r"([A-Za-z]{3})\b\s*(.+)")
_CENTS = re.compile(r"(.*\d)\s*[.,](?:-+|–|00)")
EFFECT_WORDS: Mapping[str, Any] = {
    "require": _("require"),
    "exclude": _("exclude"),
    "boost": _("boost"),
    "exclusive": _("exclusive"),
    "cap": _("cap"),
    "pool": _("pool"),
    "deadline": _("deadline"),
    "house": _("house"),
    "fallback": _("fallback"),
}
# Codes that people know better than they would like to read the names.
SHORT = ("when.country", "who.country", "when.language")
YES, NO = _("yes"), _("no")
NOT = _("not")


class CellFault(ValueError):
    """A cell that cannot be read: what is wrong and the cure in one sentence, and what may have been meant."""

    def __init__(self, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.message, self.suggestion = message, suggestion


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Names of codes by column; in those of `closed` nothing else may stand."""

    words: Mapping[str, Words] = field(default_factory=dict)
    closed: frozenset[str] = frozenset()

    def name(self, key: str, code: str) -> str:
        """A code's name; itself when it has none."""
        return self.words.get(key, {}).get(code, code)


# -- writing -----------------------------------------------------------------------------------------------------------


def written(column: Column, value: Any, vocabulary: Vocabulary | None = None) -> str:
    """A row's value as the text of its cell; '' for none. With a vocabulary as a page shows it: names for codes, and
    thousands as the reader groups them."""
    number = fmt.num if vocabulary else str
    if value is None or value == "":
        return ""
    if column.kind == "effect":
        return _written_effect(value)
    if column.kind in ("day", "text", "name"):
        return str(value)
    if vocabulary and column.key not in SHORT:
        value = _named(value, vocabulary.words.get(column.key, {}))
    return _written_test(value, number)


def _named(value: Any, words: Words) -> Any:
    """Names instead of codes, where a name means one code."""
    if isinstance(value, dict) and set(value) == {"not"}:
        return {"not": _named(value["not"], words)}
    if not isinstance(value, list):
        return value
    names = list(words.values())
    return [
        words[one] if isinstance(one, str) and names.count(words.get(one, "")) == 1 else one for one in value
    ]


def _written_test(value: Any, number: Callable[[Any], str]) -> str:
    if isinstance(value, bool):
        return tr(YES if value else NO)
    if isinstance(value, list):
        if value and all(isinstance(one, str) for one in value):
            return ", ".join(map(_quoted, value))
        if value and all(_is_span(one) for one in value):
            return "; ".join(_written_span(one, number) for one in value)
    if isinstance(value, dict):
        if _is_span(value):
            return _written_span(value, number)
        if set(value) == {"not"}:
            return f"{tr(NOT)} {_written_test(value['not'], number)}"
        if value and not any(key in value for key in ("type", "lat", "coordinates")):
            return "; ".join(f"{key}: {_written_test(test, number)}" for key, test in value.items())
    return json.dumps(value, ensure_ascii=False)


def _quoted(word: str) -> str:
    plain = word == word.strip() and word[:1] not in "[{" and word.casefold() not in _none()
    if not plain or re.search(r'[,;":]', word) or _negated(word)[0]:
        doubled = word.replace('"', '""')
        return f'"{doubled}"'
    return word


def _is_span(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and set(value) <= {"currency", "from", "below"}


def _written_span(span: Mapping[str, Any], number: Callable[[Any], str]) -> str:
    low, high = span.get("from"), span.get("below")
    if low is not None and high is not None:
        said = f"{_limit(low, number)} {tr(_('to'))} {_limit(high, number)}"
    else:
        said = f"< {_limit(high, number)}" if low is None else f"≥ {_limit(low, number)}"
    return f"{span['currency']} {said}" if "currency" in span else said


def _limit(value: Any, number: Callable[[Any], str]) -> str:
    return number(value) if isinstance(value, int | float) else str(value)


def _written_effect(effect: Mapping[str, Any]) -> str:
    kind = str(effect.get("kind"))
    word = tr(EFFECT_WORDS.get(kind, kind))
    rest = {key: value for key, value in effect.items() if key != "kind" and value is not None}
    if not rest:
        return word
    if len(effects().get(kind, ())) == 1:
        return f"{word} {_given_text(next(iter(rest.values())))}"
    return word + " " + ", ".join(f"{key}={_given_text(value)}" for key, value in rest.items())


def _given_text(value: Any) -> str:
    if isinstance(value, bool):
        return tr(YES if value else NO)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# -- reading -----------------------------------------------------------------------------------------------------------


def read(column: Column, text: str, vocabulary: Vocabulary) -> Any:
    """The value that a cell says; None for an empty one. CellFault otherwise."""
    text = text.strip()
    if column.kind == "effect":
        return _read_effect(text)
    if not text or text.casefold() in _none():
        return "" if column.kind == "text" else None
    if column.kind == "day":
        return _read_day(text)
    if column.kind == "name":
        return re.sub(r"[^a-z0-9._-]+", "-", text.casefold()).strip("-._")[:64] or None
    if column.kind == "text":
        return text
    if text[:1] in "[{":
        return _json(text)
    if column.writing == "money":
        return _one_or_all([_read_money(part) for part in _parts(text)])
    if column.writing in ("keyed", "custom"):
        return _read_keyed(column, text, vocabulary)
    return _read_test(column.kind, column.key, text, vocabulary)


def _none() -> tuple[str, ...]:
    """What people write for nothing."""
    return "any", tr(_("any")).casefold()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CellFault(tr(_("This begins like JSON and is none. Mend it, or write plain words."))) from error


def _parts(text: str) -> list[str]:
    return [part for part in (one.strip() for one in text.split(";")) if part]


def _one_or_all(found: list[Any]) -> Any:
    return found[0] if len(found) == 1 else found


def _read_keyed(column: Column, text: str, vocabulary: Vocabulary) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in _parts(text):
        key, colon, test = part.partition(":")
        if not colon or not test.strip():
            raise CellFault(tr(_("Write a name, a colon and what it must be, for example ATEX: gold")))
        kind = column.kind if column.kind != "custom" else _kind_of(test.strip())
        found[key.strip()] = _read_test(kind, f"{column.key}.{key.strip()}", test.strip(), vocabulary)
    return found


def _kind_of(text: str) -> str:
    """What a test of a custom attribute is, by how it is written."""
    if text.casefold() in _yes_or_no():
        return "flag"
    return "interval" if re.match(r"[<>≥]|\d[\d.,' ]*\s*(to|bis|\.\.)", text) else "set"


def _read_test(kind: str, key: str, text: str, vocabulary: Vocabulary) -> Any:
    if kind == "flag":
        said = _yes_or_no().get(text.casefold())
        if said is None:
            raise CellFault(tr(_("Write yes or no")))
        return said
    if kind == "interval":
        return _one_or_all([_read_span(part) for part in _parts(text)])
    negated, rest = _negated(text)
    words = [_word(kind, key, word, vocabulary) for word in _split(rest)]
    if not words:
        raise CellFault(tr(_("Name at least one value after “not”")))
    unique = list(dict.fromkeys(words))
    return {"not": unique} if negated else unique


def _yes_or_no() -> dict[str, bool]:
    return {
        "yes": True,
        "no": False,
        "true": True,
        "false": False,
        tr(YES).casefold(): True,
        tr(NO).casefold(): False,
    }


def _negated(text: str) -> tuple[bool, str]:
    for word in ("not", tr(NOT)):
        if text.casefold().startswith(f"{word.casefold()} "):
            return True, text[len(word) :].strip()
    for sign in ("≠", "<>", "!"):
        if text.startswith(sign):
            return True, text[len(sign) :].strip()
    return False, text


def _split(text: str) -> list[str]:
    """Words between commas or semicolons; a word in quotes may hold them."""
    found, at = [], 0
    while at < len(text):
        match = _QUOTED.match(text, at)
        if match is None:
            raise CellFault(tr(_("Close the quotes, and put a comma between values")))
        at = match.end()
        word = match[1].replace('""', '"') if match[1] is not None else match[2].strip()
        if word:
            found.append(word)
        if match.end() == match.start():
            break
    return found


def _word(kind: str, key: str, typed: str, vocabulary: Vocabulary) -> str:
    """A value by its code or its name; what is near it is suggested where nothing else may stand."""
    words = vocabulary.words.get(key, {})
    if typed in words:
        return typed
    folded = typed.casefold()
    for code, name in words.items():
        if folded in (code.casefold(), name.casefold()):
            return code
    if kind == "prefix":
        return re.sub(r"[\s-]", "", typed).upper()
    if key not in vocabulary.closed:
        return typed
    known = {name.casefold(): code for code, name in words.items()} | {
        code.casefold(): code for code in words
    }
    near = get_close_matches(folded, known, n=1, cutoff=0.6)
    values = {"value": typed, "near": vocabulary.name(key, known[near[0]]) if near else ""}
    if near:
        message = _("There is no “${value}”. Did you mean ${near}?", mapping=values)
        raise CellFault(tr(message), _quoted(known[near[0]]))
    raise CellFault(tr(_("There is no “${value}”. Choose one of the list.", mapping=values)))


def _read_span(text: str) -> dict[str, Any]:
    for pattern in (_LEAST, _BELOW, _RANGE):
        match = pattern.fullmatch(text)
        if match:
            low = None if pattern is _BELOW else _number(match[1])
            high = None if pattern is _LEAST else _number(match[1] if pattern is _BELOW else match[2])
            if low is not None and high is not None and type(low) is type(high) and high <= low:
                raise CellFault(tr(_("The second must be more than the first")))
            return {"from": low, "below": high}
    raise CellFault(
        tr(_("Write ≥ 10, < 20, or 10 to 20")), f"≥ {text}" if plain_number(text).isdigit() else ""
    )


def _number(text: str) -> Any:
    """A whole number, or a day where a day is compared."""
    bare = plain_number(text.strip())
    if bare.removeprefix("-").isdigit():
        return int(bare)
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text.strip()):
        return text.strip()
    cents = _CENTS.fullmatch(text.strip())
    whole = re.sub(r"[.,' ]", "", cents[1]) if cents else ""
    if whole.isdigit():
        message = _(
            "Write thousands with a comma or not at all, and no cents. Did you mean ${near}?",
            mapping={"near": whole},
        )
        raise CellFault(tr(message), text.replace(text.strip(), whole))
    raise CellFault(tr(_("“${value}” is not a whole number", mapping={"value": text.strip()})))


def _read_money(text: str) -> dict[str, Any]:
    match = _CURRENCY.match(text)
    if match is None or match[1].casefold() in ("bis", "und"):
        raise CellFault(tr(_("Write the currency first, for example EUR ≥ 50000")), f"EUR {text}")
    currency = match[1].upper()
    try:
        return {"currency": currency, **_read_span(match[2].strip())}
    except CellFault as fault:
        rest = fault.suggestion
        if rest and not re.match(r"[<≥>]", rest):
            sign = re.match(r"\s*(>=|≥|<)", match[2])
            rest = f"{sign[1] if sign else '≥'} {rest}"
        raise CellFault(fault.message, f"{currency} {rest}" if rest else "") from fault


def _read_day(text: str) -> str:
    try:
        return read_day(text).isoformat()
    except ValueError:
        raise CellFault(tr(_("Write the day as 2026-11-23"))) from None


def _read_effect(text: str) -> dict[str, Any]:
    if not text:
        raise CellFault(tr(_("Choose what the row does: ${effects}", mapping={"effects": effect_list()})))
    word, _space, rest = text.partition(" ")
    kinds = {kind.casefold(): kind for kind in effects()}
    kinds |= {tr(said).casefold(): kind for kind, said in EFFECT_WORDS.items() if kind in effects()}
    kind = kinds.get(word.strip(",:").casefold())
    if kind is None:
        near = get_close_matches(word.casefold(), kinds, n=1)
        message = _(
            "There is no effect “${value}”. Choose one of: ${effects}",
            mapping={"value": word, "effects": effect_list()},
        )
        raise CellFault(tr(message), f"{near[0]} {rest}".strip() if near else "")
    return {"kind": kind, **_read_given(kind, rest.strip())}


def effect_list() -> str:
    """The effects there are, in the reader's words."""
    return ", ".join(tr(EFFECT_WORDS.get(kind, kind)) for kind in effects())


def _read_given(kind: str, text: str) -> dict[str, Any]:
    """What stands after the kind: one value, or name=value pairs."""
    names = effects()[kind]
    if not names:
        if text:
            raise CellFault(tr(_("Nothing stands after this effect")))
        return {}
    if not text:
        if len(names) == 1 and not any("anyOf" in schema for schema in names.values()):
            raise CellFault(
                tr(
                    _(
                        "Write how much, for example ${word} 20",
                        mapping={"word": tr(EFFECT_WORDS.get(kind, kind))},
                    )
                )
            )
        return {}
    if len(names) == 1 and "=" not in text:
        name = next(iter(names))
        return {name: _scalar(text, names[name])}
    found: dict[str, Any] = {}
    for part in re.split(r",\s*(?=[a-z_]+\s*=)", text):
        name, equals, value = part.partition("=")
        if not equals or name.strip() not in names:
            raise CellFault(
                tr(_("Write ${names}, each with = and its value", mapping={"names": ", ".join(names)}))
            )
        found[name.strip()] = _scalar(value.strip(), names[name.strip()])
    return found


def _scalar(text: str, schema: Mapping[str, Any]) -> Any:
    """What an effect is given, as its schema wants it; what does not fit is for the engine to refuse."""
    schema = schema.get("anyOf", [schema])[0]
    if schema.get("type") == "string" or "enum" in schema:
        return text
    if schema.get("type") == "boolean":
        return _yes_or_no().get(text.casefold(), text)
    bare = plain_number(text.removeprefix("+").replace("−", "-"))
    if bare.removeprefix("-").isdigit():
        return int(bare)
    try:
        return json.loads(text)
    except ValueError:
        return text

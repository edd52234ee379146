"""Unary tests as people write them in a cell, read into the JSON values that a table stores, and written back.

    -                               anything
    "AT", "DE"  or  AT, DE          one of these words
    5    < 5    <= 5    > 5    >= 5    [1..5]    [1..5)    (1..5]    ]1..5[
    date("2026-11-23")              a day, alone or wherever a number may stand
    true    false
    not(...)                        none of these

This is the part of FEEL (DMN 1.5, section 7.3, unary tests) that says something about one fact. Text is read when a
table is edited; what is stored, and what runs, are the values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from ..axes import Axis
from ..cellform import Declared
from ..errors import RuleError

MAX_TEXT = 100_000

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<day>(?:date\s*\(\s*"[^"]*"\s*\))|@"[^"]*")
      | (?P<number>-?(?:\d+(?:\.\d+)?|\.\d+)(?![\w-]|\.(?!\.)))
      | (?P<sign>\.\.|<=|>=|[<>=(),\[\]])
      | (?P<word>[^\s"<>=(),\[\]]+(?:[ ]+[^\s"<>=(),\[\]]+)*)
    )""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")


class CellTextError(RuleError):
    """Text of a cell that is no unary test; `path` is the place in the text, counted from 1."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    if len(text) > MAX_TEXT:
        raise CellTextError("1", text, f"must be at most {MAX_TEXT} characters")
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise CellTextError(
                str(at + 1), text[at : at + 20], "cannot be read; words with signs need quotes"
            )
        found.append(_Token(match.lastgroup, match.group(match.lastgroup), match.start(match.lastgroup) + 1))
        at = match.end()
    return found


class _Reader:
    """Reads one cell; `words`: bare words and numbers are words, not limits."""

    def __init__(self, text: str, words: bool) -> None:
        self.text, self.words, self.tokens, self.at = text, words, _tokens(text), 0

    def peek(self) -> _Token:
        if self.at < len(self.tokens):
            return self.tokens[self.at]
        return _Token("end", "", len(self.text) + 1)

    def take(self) -> _Token:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, *signs: str) -> str:
        token = self.take()
        if token.text not in signs or token.kind == "string":
            raise self.error(token, f"must be {' or '.join(signs)}")
        return token.text

    def error(self, token: _Token, cure: str) -> CellTextError:
        return CellTextError(str(token.at), token.text or "the end", cure)

    def tests(self) -> tuple[list[object], bool]:
        """The tests and whether they are negated; nothing may follow."""
        negated = False
        if self.peek().text == "not" and self.tokens[self.at + 1 : self.at + 2] != []:
            negated = self.tokens[self.at + 1].text == "("
        if negated:
            self.at += 2
        found = [self.test()]
        while self.peek().text == "," and self.peek().kind == "sign":
            self.at += 1
            found.append(self.test())
        if negated:
            self.expect(")")
        if self.peek().kind != "end":
            raise self.error(self.peek(), "stands after the test; separate tests by commas")
        return found, negated

    def test(self) -> object:
        """A word, or a span as {"from" | "above", "below" | "to"}."""
        token = self.peek()
        if token.kind == "sign" and not self.words:
            return self.comparison() if token.text in ("<", "<=", ">", ">=", "=") else self.range()
        if token.kind == "sign" and token.text == "=":
            self.at += 1
        value = self.value()
        return value if self.words else {"from": value, "to": value}

    def comparison(self) -> dict[str, object]:
        sign = self.take().text
        value = self.value()
        if sign == "=":
            return {"from": value, "to": value}
        return {{"<": "below", "<=": "to", ">": "above", ">=": "from"}[sign]: value}

    def range(self) -> dict[str, object]:
        opening = self.expect("[", "(", "]")
        low = self.value()
        self.expect("..")
        high = self.value()
        closing = self.expect("]", ")", "[")
        return {"from" if opening == "[" else "above": low, "to" if closing == "]" else "below": high}

    def value(self) -> object:
        token = self.take()
        if token.kind == "string" and self.words:
            return _ESCAPE.sub(r"\1", token.text[1:-1])
        if self.words and token.kind in ("word", "number"):
            return token.text.strip()
        if token.kind == "day" and not self.words:
            return token.text.split('"')[1]
        if token.kind == "number" and not self.words:
            exact = Decimal(token.text)
            return int(exact) if exact == exact.to_integral_value() else float(exact)
        raise self.error(token, "must be a word" if self.words else "must be a number or a date")


def parse_cell(text: str, axis: Axis, declared: Declared | None = None) -> object:
    """The JSON value of a cell's text in a column of this axis; None for `-`, and for an empty cell.

    Raises CellTextError for what is no unary test; whether its values fit the column is told when the table is read.
    """
    if text.strip() in ("", "-"):
        return None
    kind = {"words": "set", "flag": "flag"}.get(declared.type, "interval") if declared else axis.kind
    if kind == "geo":
        raise CellTextError("1", text, "cannot be typed: draw the area")
    reader = _Reader(text, words=kind in ("set", "prefix", "flag"))
    found, negated = reader.tests()
    if kind == "flag":
        return _flag(text, found, negated)
    return {"not": found} if negated else found


def _flag(text: str, found: list[object], negated: bool) -> object:
    values = {"true": True, "false": False}
    if any(word not in values for word in found):
        raise CellTextError("1", text, "must be true, false or -")
    kept = (
        {values[str(word)] for word in found}
        if not negated
        else {True, False} - {values[str(w)] for w in found}
    )
    if len(kept) == 2:
        return None
    if not kept:
        raise CellTextError("1", text, "can never hold")
    return kept.pop()


def cell_text(value: object) -> str:
    """The text of a stored cell, which reads back to the same value; shapes have none and give an empty text."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict) and "not" in value:
        inner = cell_text(value["not"])
        return f"not({inner})" if inner else ""
    parts = value if isinstance(value, (list, tuple)) else [value]
    texts = [_part_text(part) for part in parts]
    return ", ".join(texts) if all(texts) else ""


def _part_text(part: object) -> str:
    if isinstance(part, str):
        return '"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if not isinstance(part, dict) or "lat" in part or "type" in part:
        return ""
    low = next((key for key in ("from", "above") if part.get(key) is not None), None)
    high = next((key for key in ("to", "below") if part.get(key) is not None), None)
    if low is None:
        return f"{'<=' if high == 'to' else '<'} {_limit_text(part[high])}" if high else ""
    if high is None:
        return f"{'>=' if low == 'from' else '>'} {_limit_text(part[low])}"
    if part[low] == part[high] and (low, high) == ("from", "to"):
        return _limit_text(part[low])
    start, end = "[" if low == "from" else "(", "]" if high == "to" else ")"
    return f"{start}{_limit_text(part[low])}..{_limit_text(part[high])}{end}"


def _limit_text(value: object) -> str:
    if isinstance(value, str):
        return f'date("{value}")'
    # Not repr: a float may be written with an exponent, which a cell cannot.
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else str(value)

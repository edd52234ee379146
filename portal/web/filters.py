"""One filter of a list: read from the address, written back, told in words, turned into SQL.

A value that cannot be used raises BadParameter (field, value, cure), shown as a clean 400.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import and_

from portal.web.formatting import fmt, zone
from portal.web.forms import THOUSANDS, plain_number, read_day
from portal.web.i18n import _, tr

if TYPE_CHECKING:
    from portal.web.tables import Column

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9000, 1, 1)  # beyond, a zone or one day more overflows
MAX_TEXT = 200
"""Longest search or filter text."""

FilterKind = Literal["text", "choice", "date", "number"]


class BadParameter(ValueError):
    """A value of the address that cannot be used: `field`, `value`, `cure`; `label` is what readers call the field."""

    def __init__(self, field: str, value: str, cure: str, label: str = "") -> None:
        super().__init__(f"{field}={value[:80]!r}: {cure}")
        self.field, self.value, self.cure = field, value[:80], cure
        self.label = label

    @property
    def said(self) -> str:
        """The sentence for a page."""
        mapping = {"label": self.label or tr(_("This address")), "value": self.value, "cure": self.cure}
        return tr(_("${label}: “${value}” cannot be used; ${cure}.", mapping=mapping))


LABELS = {
    "sort": _("Sort"),
    "cols": _("Columns"),
    "view": _("Saved filter"),
    "q": _("Search"),
    "page": _("Page"),
    "per": _("Rows of a page"),
    "export": _("Export"),
    "tab": _("Tab"),
    "days": _("Period"),
    "col": _("Column"),
    "by": _("Rows"),
    "effect": _("Which effect"),
    "programme": _("Certification"),
    "ahead": _("Look ahead"),
}
"""What readers call the parameters that lists have beside their filters."""


def all_values(params: Any, key: str) -> list[str]:
    """Every value of a parameter, for a MultiDict as for a dict."""
    found = params.getall(key) if hasattr(params, "getall") else params.get(key, [])
    return [found] if isinstance(found, str) else list(found)


def whole_number(params: Any, key: str, default: int, low: int, high: int) -> int:
    """A whole number of the address, `default` when it says none."""
    text = (params.get(key) or "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise BadParameter(
            key,
            text,
            tr(_("give a whole number from ${a} to ${b}", mapping={"a": low, "b": high})),
            tr(LABELS[key]),
        )
    return int(text)


def keyed(options: Iterable[tuple[str, str]]) -> str:
    """'What (title), Customer (account)': each choice as the page calls it, and what the address takes for it."""
    named = ((key, tr(word)) for key, word in options)
    return ", ".join(key if key == word else f"{word} ({key})" for key, word in named)


def one_of(params: Any, key: str, allowed: Iterable[str], default: str = "") -> str:
    """A word of the address that must be one of `allowed`; `default` when it says none."""
    allowed, text = tuple(allowed), params.get(key) or ""
    if text and text not in allowed:
        cure = _("choose from: ${options}", mapping={"options": ", ".join(allowed)})
        raise BadParameter(key, text, tr(cure), tr(LABELS[key]))
    return text or default


def read_filter(column: Column, params: Any) -> Any:
    """Value of one filter or None. date and number are (low, high), choice a tuple, text a string."""
    if column.filter == "text":
        text = (params.get(column.key) or "").strip()
        if len(text) > MAX_TEXT:
            raise BadParameter(
                column.key,
                text,
                tr(_("use at most ${n} characters", mapping={"n": MAX_TEXT})),
                tr(column.label),
            )
        return text or None
    if column.filter == "choice":
        allowed = dict(column.options())
        chosen = tuple(v for v in all_values(params, column.key) if v)
        for value in chosen:
            if value not in allowed:
                options = keyed(list(allowed.items())[:20])
                cure = tr(_("choose from: ${options}", mapping={"options": options}))
                raise BadParameter(column.key, value, cure, tr(column.label))
        return chosen or None
    low, high = (_bound(column, params, end) for end in ("from", "to"))
    return None if low is None and high is None else (low, high)


def _bound(column: Column, params: Any, end: str) -> date | Decimal | None:
    name = f"{column.key}.{end}"
    text = (params.get(name) or "").strip()
    if not text:
        return None
    try:
        if column.filter == "date":
            day = read_day(text)
            if FIRST_DAY <= day <= LAST_DAY:
                return day
            raise ValueError(text)
        number = Decimal(plain_number(text))
        if number.is_finite() and abs(number) < Decimal(10) ** 15:
            return number
    except (ValueError, InvalidOperation):
        pass
    day_cure, number_cure = _("give a date as 2026-11-23"), _("give a number as 25000 or 0.5")
    label = tr((_("${column}, from") if end == "from" else _("${column}, to")) % {"column": tr(column.label)})
    raise BadParameter(name, text, tr(day_cure if column.filter == "date" else number_cure), label)


def filter_params(column: Column, value: Any) -> list[tuple[str, str]]:
    """The filter as parameters of an address."""
    if column.filter in ("date", "number"):
        return [
            (f"{column.key}.{end}", _bound_text(v))
            for end, v in zip(("from", "to"), value, strict=True)
            if v is not None
        ]
    return [(column.key, v) for v in ((value,) if isinstance(value, str) else value)]


def _bound_text(bound: date | Decimal) -> str:
    """As an address holds it; never three decimals, which many languages read as thousands."""
    return (
        f"{bound}0" if isinstance(bound, Decimal) and bound.as_tuple().exponent == -THOUSANDS else str(bound)
    )


def filter_words(column: Column, value: Any) -> str:
    """'Won, Lost', '1 Nov – 5 Nov', '≥ 25,000' for the chip."""
    if column.filter == "choice":
        words = dict(column.options())
        return ", ".join(tr(words[v]) for v in value)
    if isinstance(value, str):
        return value
    low, high = (fmt.day_text(v) if isinstance(v, date) else "" if v is None else fmt.num(v) for v in value)
    return f"{low} – {high}" if low and high else f"≥ {low}" if low else f"≤ {high}"


def filter_condition(column: Column, value: Any) -> Any:
    """SQL of one filter; days are days of the reader's zone when the column holds a moment."""
    if column.filter == "text":
        return column.expr.icontains(value, autoescape=True)
    if column.filter == "choice":
        return column.expr.in_(value)
    low, high = value
    if column.filter == "date" and column.kind == "when":
        low = None if low is None else _day_start(low)
        high = None if high is None else _day_start(high + timedelta(days=1))
        return and_(
            *([] if low is None else [column.expr >= low]), *([] if high is None else [column.expr < high])
        )
    return and_(
        *([] if low is None else [column.expr >= low]), *([] if high is None else [column.expr <= high])
    )


def _day_start(day: date) -> datetime:
    """First moment of a day in the reader's zone, as UTC."""
    return datetime.combine(day, time(), tzinfo=zone(fmt.zone_name)).astimezone(UTC)

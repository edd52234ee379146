"""The one list component: filter, sort, page, columns and CSV export, all of it in the address.

A room declares a ListSpec once, parses the request with it, applies the state to its select, and hands a Listing to the
macro `list_table`. A value that cannot be used raises BadParameter (field, value, cure), shown as a clean 400.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal
from urllib.parse import urlencode

from pyramid.response import Response
from sqlalchemy import Select, and_, func, or_, select

from portal.web.formatting import fmt, zone
from portal.web.i18n import tr
from portal.web.status import choices as status_choices
from portal.web.status import status_label

FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9000, 1, 1)  # beyond, a zone or one day more overflows
MAX_TEXT = 200
"""Longest search or filter text."""
MAX_PAGE = 10_000
"""Deeper pages are refused: filter instead."""
COUNT_LIMIT = 1000
"""Counts are exact up to here, then shown as '1,000+'."""
EXPORT_LIMIT = 100_000
"""Most rows of one export."""
PER_PAGE = (25, 50, 100, 200)
RESERVED = ("q", "sort", "page", "per", "cols", "export")

FilterKind = Literal["text", "choice", "date", "number"]
Kind = Literal["text", "number", "date", "when", "html", "money"]


class BadParameter(ValueError):
    """A value of the address that cannot be used: `field`, `value`, `cure`."""

    def __init__(self, field: str, value: str, cure: str) -> None:
        super().__init__(f"{field}={value[:80]!r}: {cure}")
        self.field, self.value, self.cure = field, value[:80], cure


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    expr: SQL expression used to sort and filter (sort=True/filter need it). kind: how the default cell shows the value
    ('status:<axis>' for a status word). value: takes the row, default is the attribute or item named key. href: takes the
    row, makes the cell a link. off: not shown until the reader picks it. own: drawn by the
    template's call block (mark those columns: asking the block for every cell is slow).
    """

    key: str
    label: str
    kind: str = "text"
    num: bool = False
    sort: bool = False
    filter: FilterKind | None = None
    choices: Sequence[tuple[str, str]] = ()
    expr: Any = None
    value: Callable[[Any], Any] | None = None
    href: Callable[[Any], str | None] | None = None
    off: bool = False
    own: bool = False

    def get(self, row: Any) -> Any:
        """The row's value of this column."""
        if self.value is not None:
            return self.value(row)
        return row[self.key] if isinstance(row, Mapping) else getattr(row, self.key, None)

    def options(self) -> Sequence[tuple[str, str]]:
        """Choices of the filter; those of a status axis need not be repeated."""
        return self.choices or (status_choices(self.axis) if self.axis else ())

    @property
    def axis(self) -> str | None:
        """Status axis of a 'status:...' column."""
        return self.kind.partition(":")[2] if self.kind.startswith("status:") else None

    def plain(self, row: Any) -> Any:
        """The value as an export shows it: status in words, times in the reader's zone."""
        value = self.get(row)
        if value is None:
            return ""
        if self.axis:
            return status_label(self.axis, value)
        if isinstance(value, datetime):
            return fmt.local(value).strftime("%Y-%m-%d %H:%M")
        return getattr(value, "value", value)


@dataclass(frozen=True, slots=True)
class ListState:
    """What the address says: q, filters (key -> text, values or (low, high)), sort key, direction, page, size, columns."""

    spec: ListSpec
    path: str = ""
    q: str = ""
    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: str = ""
    desc: bool = False
    page: int = 1
    per: int = 50
    cols: tuple[str, ...] = ()
    export: bool = False
    kept: tuple[tuple[str, str], ...] = ()

    def params(self) -> list[tuple[str, str]]:
        """The address's parameters, defaults left out."""
        out = list(self.kept)
        if self.q:
            out.append(("q", self.q))
        for key, value in self.filters.items():
            out += _filter_params(self.spec.column(key), value)
        sort = ("-" if self.desc else "") + self.sort
        if sort != self.spec.default_sort:
            out.append(("sort", sort))
        if self.per != self.spec.per_page:
            out.append(("per", str(self.per)))
        if self.cols != self.spec.default_cols:
            out.append(("cols", ",".join(self.cols)))
        if self.page > 1:
            out.append(("page", str(self.page)))
        if self.export:
            out.append(("export", "csv"))
        return out

    def url(self, **changes: Any) -> str:
        """Address of this list with changes; anything but the page itself starts at page 1. drop='key' removes a filter."""
        drop = changes.pop("drop", None)
        if drop is not None:
            changes["filters"] = {k: v for k, v in self.filters.items() if k != drop}
        if changes and "page" not in changes:
            changes["page"] = 1
        changes.setdefault("export", False)
        query = urlencode(replace(self, **changes).params())
        return f"{self.path}?{query}" if query else self.path or "?"

    def sort_url(self, column: Column) -> str:
        """Address that sorts by a column: ascending first, numbers and times descending first, then the other way."""
        if self.sort == column.key:
            return self.url(desc=not self.desc)
        return self.url(sort=column.key, desc=column.num or column.kind in ("date", "when"))

    def aria_sort(self, column: Column) -> str | None:
        """For the head cell."""
        return ("descending" if self.desc else "ascending") if self.sort == column.key else None

    @property
    def columns(self) -> list[Column]:
        """Shown columns in the spec's order."""
        return [c for c in self.spec.columns if c.key in self.cols]

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.page - 1) * self.per

    def words(self, column: Column) -> str:
        """A filter in force, in words for its chip: 'Won, Lost'."""
        return _filter_words(column, self.filters[column.key])


@dataclass(frozen=True)
class ListSpec:
    """A list's columns and defaults. search: SQL expressions that `q` looks into. tiebreak: unique expression that makes
    the order total. keep: further parameters that stay in every address (a tab, a side). name: of the export file."""

    columns: Sequence[Column]
    default_sort: str
    per_page: int = 50
    search: Sequence[Any] = ()
    tiebreak: Any = None
    keep: Sequence[str] = ()
    name: str = "list"
    search_label: str = ""

    def column(self, key: str) -> Column:
        """Column by key; KeyError is a programming error."""
        return next(c for c in self.columns if c.key == key)

    @property
    def default_cols(self) -> tuple[str, ...]:
        """Columns shown when the reader picked none."""
        return tuple(c.key for c in self.columns if not c.off)

    def parse(self, params: Any, path: str = "") -> ListState:
        """Request parameters to a state. Raises BadParameter; unknown parameters are ignored."""
        for key in params:
            for value in _all(params, key):
                if "\x00" in value or "\x00" in key:
                    raise BadParameter(
                        key.replace("\x00", ""), value.replace("\x00", ""), "remove the NUL character"
                    )
        sort = params.get("sort") or self.default_sort
        by, desc = sort.lstrip("-"), sort.startswith("-")
        sortable = [c.key for c in self.columns if c.sort]
        if by not in sortable:
            raise BadParameter("sort", sort, "sort by one of: " + ", ".join(sortable))
        cols = tuple(c for c in (params.get("cols") or "").split(",") if c) or self.default_cols
        known = {c.key for c in self.columns}
        for key in cols:
            if key not in known:
                raise BadParameter("cols", key, "choose columns from: " + ", ".join(sorted(known)))
        q = (params.get("q") or "").strip()
        if len(q) > MAX_TEXT:
            raise BadParameter("q", q, f"search for at most {MAX_TEXT} characters")
        return ListState(
            self, path, q, self._filters(params), by, desc,
            _whole(params, "page", 1, 1, MAX_PAGE), _whole(params, "per", self.per_page, 1, 200),
            cols, params.get("export") == "csv",
            tuple((k, v) for k in self.keep for v in _all(params, k) if v),
        )  # fmt: skip

    def _filters(self, params: Any) -> dict[str, Any]:
        found = {}
        for column in self.columns:
            value = _read_filter(column, params) if column.filter else None
            if value is not None:
                found[column.key] = value
        return found


@dataclass(frozen=True, slots=True)
class Listing:
    """What the macro shows: rows of this page and the count (COUNT_LIMIT + 1 means more)."""

    state: ListState
    rows: Sequence[Any]
    total: int
    noun: str = ""

    @property
    def first(self) -> int:
        """Number of the first row shown."""
        return self.state.offset + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """Number of the last row shown."""
        return self.state.offset + len(self.rows)

    @property
    def more(self) -> bool:
        """Whether a next page exists; beyond the exact count a full page suggests one."""
        return len(self.rows) == self.state.per if self.total > COUNT_LIMIT else self.last < self.total


def apply(query: Select[Any], state: ListState, limit: int | None = None) -> Select[Any]:
    """Filters, order and page on a select; an export takes EXPORT_LIMIT rows from the start."""
    query = filtered(query, state)
    column = state.spec.column(state.sort)
    order = column.expr.desc().nulls_last() if state.desc else column.expr.asc().nulls_last()
    query = query.order_by(order, *([] if state.spec.tiebreak is None else [state.spec.tiebreak]))
    if state.export:
        return query.limit(EXPORT_LIMIT)
    return query.limit(limit or state.per).offset(state.offset)


def filtered(query: Select[Any], state: ListState) -> Select[Any]:
    """Only the filters and the search, for counts."""
    if state.q and state.spec.search:
        query = query.where(or_(*(e.icontains(state.q, autoescape=True) for e in state.spec.search)))
    for key, value in state.filters.items():
        query = query.where(_condition(state.spec.column(key), value))
    return query


def count(session: Any, query: Select[Any], state: ListState) -> int:
    """Rows that match, exact up to COUNT_LIMIT, COUNT_LIMIT + 1 for more."""
    inner = filtered(query, state).order_by(None).limit(COUNT_LIMIT + 1).subquery()
    return int(session.execute(select(func.count()).select_from(inner)).scalar_one())


def csv_response(state: ListState, rows: Iterable[Any]) -> Response:
    """The shown columns of the rows as a CSV file; cells that a spreadsheet would run are neutralised."""
    from integrations.tables import neutralise

    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([tr(c.label) for c in state.columns])
    writer.writerows([neutralise(str(c.plain(row))) for c in state.columns] for row in rows)
    response = Response(body=out.getvalue().encode("utf-8-sig"), content_type="text/csv", charset="utf-8")
    response.content_disposition = f'attachment; filename="{state.spec.name}.csv"'
    return response


def _all(params: Any, key: str) -> list[str]:
    """Every value of a parameter, for a MultiDict as for a dict."""
    found = params.getall(key) if hasattr(params, "getall") else params.get(key, [])
    return [found] if isinstance(found, str) else list(found)


def _whole(params: Any, key: str, default: int, low: int, high: int) -> int:
    text = (params.get(key) or "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
        raise BadParameter(key, text, f"give a whole number from {low} to {high}")
    return int(text)


def _read_filter(column: Column, params: Any) -> Any:
    """Value of one filter or None. date and number are (low, high), choice a tuple, text a string."""
    if column.filter == "text":
        text = (params.get(column.key) or "").strip()
        if len(text) > MAX_TEXT:
            raise BadParameter(column.key, text, f"at most {MAX_TEXT} characters")
        return text or None
    if column.filter == "choice":
        allowed = {value for value, _label in column.options()}
        chosen = tuple(v for v in _all(params, column.key) if v)
        for value in chosen:
            if value not in allowed:
                raise BadParameter(column.key, value, "choose from: " + ", ".join(sorted(allowed)[:20]))
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
            day = date.fromisoformat(text)
            if FIRST_DAY <= day <= LAST_DAY:
                return day
            raise ValueError(text)
        number = Decimal(text)
        if number.is_finite() and abs(number) < Decimal(10) ** 15:
            return number
    except (ValueError, InvalidOperation):
        pass
    cure = "give a date as 2026-11-23" if column.filter == "date" else "give a number as 25000 or 0.5"
    raise BadParameter(name, text, cure)


def _filter_params(column: Column, value: Any) -> list[tuple[str, str]]:
    if column.filter in ("date", "number"):
        return [
            (f"{column.key}.{end}", str(v))
            for end, v in zip(("from", "to"), value, strict=True)
            if v is not None
        ]
    return [(column.key, v) for v in ((value,) if isinstance(value, str) else value)]


def _filter_words(column: Column, value: Any) -> str:
    """'Won, Lost', '1 Nov – 5 Nov', '≥ 25,000' for the chip."""
    if column.filter == "choice":
        words = dict(column.options())
        return ", ".join(tr(words[v]) for v in value)
    if isinstance(value, str):
        return value
    low, high = (fmt.day_text(v) if isinstance(v, date) else "" if v is None else fmt.num(v) for v in value)
    return f"{low} – {high}" if low and high else f"≥ {low}" if low else f"≤ {high}"


def _condition(column: Column, value: Any) -> Any:
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

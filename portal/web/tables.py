"""The one list component: filter, sort, page, columns and export, all of it in the address.

A room declares a ListSpec once, parses the request with it, applies the state to its select, and hands a Listing to the
macro `list_table`. `filters` reads and applies one filter, `exports` writes the file. A value that cannot be used raises
BadParameter (field, value, cure), shown as a clean 400.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal
from urllib.parse import urlencode

from sqlalchemy import Integer, Select, Subquery, bindparam, func, literal_column, or_, select
from sqlalchemy.sql.operators import desc_op

from portal.web.filters import (
    LABELS,
    MAX_TEXT,
    BadParameter,
    FilterKind,
    all_values,
    filter_condition,
    filter_params,
    filter_words,
    keyed,
    one_of,
    read_filter,
    whole_number,
)
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.status import choices as status_choices
from portal.web.status import status_label

MAX_PAGE = 10_000
"""Deeper pages are refused: filter instead."""
COUNT_LIMIT = 1000
"""Counts are exact up to here, then shown as '1,000+'."""
EXPORT_LIMIT = 100_000
"""Most rows of one export; a last line says so when there were more."""
EXPORTS = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
ALL = "all"
"""view=all: the list as it is built, whatever the reader left it as."""
REMEMBER_COLS = {"remember": "cols"}
"""What the columns form adds to an address: its columns are kept for the reader. It leads to the address without."""

Kind = Literal["text", "number", "date", "when", "html", "money"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    expr: SQL expression used to sort and filter (sort=True/filter need it). kind: how the default cell shows the value
    ('status:<axis>' for a status word). value: takes the row, default is the attribute or item named key. href: takes the
    row, makes the cell a link. off: not shown until the reader picks it. own: drawn by the
    template's call block (mark those columns: asking the block for every cell is slow). draw: safe markup of a cell, in
    Python, for columns that most rows of most pages have. sheet: (label, value of a row) of the columns that stand for
    it in a file, where one cell of the page holds more than one value.
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
    draw: Callable[[Any], str] | None = None
    sheet: Sequence[tuple[str, Callable[[Any], Any]]] = ()

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
        value = self.typed(row)
        if isinstance(value, datetime):
            return value.strftime("%Y-%m-%d %H:%M")
        return "" if value is None else value

    def typed(self, row: Any) -> Any:
        """As plain, but times stay times: naive ones of the reader's zone, as spreadsheets have them."""
        value = self.get(row)
        if value is not None and self.axis:
            return status_label(self.axis, value)
        if isinstance(value, datetime):
            return fmt.local(value).replace(tzinfo=None, second=0, microsecond=0)
        return getattr(value, "value", value)

    @property
    def in_file(self) -> Sequence[tuple[str, Callable[[Any], Any]]]:
        """(label, value of a row) of each column of a file that stands for it."""
        return self.sheet or ((self.label, self.typed),)


@dataclass(frozen=True, slots=True)
class SavedView:
    """A saved filter as the list offers it; `query` is its address without the path."""

    id: int
    name: str
    query: str
    shared: bool = False
    own: bool = True


@dataclass(frozen=True, slots=True)
class Memory:
    """What a reader's list remembers: the name it is kept under, columns (None: as built), last query, saved filters."""

    name: str
    columns: tuple[str, ...] | None = None
    query: str = ""
    views: Sequence[SavedView] = ()
    default_id: int | None = None


@dataclass(frozen=True, slots=True)
class ListState:
    """What the address says: q, filters (key -> text, values or (low, high)), sort key, direction, page, size, columns
    in their order. export: csv, xlsx or nothing. view: the saved filter it came from. left_out: what of that filter
    could not be used any more, in words."""

    spec: ListSpec
    path: str = ""
    q: str = ""
    filters: Mapping[str, Any] = field(default_factory=dict)
    sort: str = ""
    desc: bool = False
    page: int = 1
    per: int = 50
    cols: tuple[str, ...] = ()
    export: str = ""
    kept: tuple[tuple[str, str], ...] = ()
    view: str = ""
    memory: Memory | None = field(default=None, compare=False)
    left_out: tuple[str, ...] = ()

    def params(self) -> list[tuple[str, str]]:
        """The address's parameters, defaults left out."""
        out = list(self.kept)
        if self.q:
            out.append(("q", self.q))
        for key, value in self.filters.items():
            out += filter_params(self.spec.column(key), value)
        sort = ("-" if self.desc else "") + self.sort
        if sort != self.spec.default_sort:
            out.append(("sort", sort))
        if self.per != self.spec.per_page:
            out.append(("per", str(self.per)))
        if self.cols != self.spec.default_cols or (self.memory and self.memory.columns):
            out.append(("cols", ",".join(self.cols)))
        if self.page > 1:
            out.append(("page", str(self.page)))
        if self.view and self.view != ALL:
            out.append(("view", self.view))
        if self.export:
            out.append(("export", self.export))
        return out

    def query(self) -> str:
        """What is remembered of it: filters, sort and size. The search is not, it may be somebody's name."""
        bare = replace(
            self, q="", page=1, cols=self.spec.default_cols, export="", kept=(), view="", memory=None
        )
        return urlencode(bare.params())

    def shown_query(self) -> str:
        """Filters and search alone: which rows an action on all pages means."""
        every = replace(self, page=1, per=self.spec.per_page, cols=self.spec.default_cols, export="", view="")
        return urlencode(replace(every, memory=None).params())

    def saved_query(self) -> str:
        """What a saved filter keeps: as query(), and the columns."""
        cols = "" if self.cols == self.spec.default_cols else urlencode({"cols": ",".join(self.cols)})
        return "&".join(part for part in (self.query(), cols) if part)

    def url(self, **changes: Any) -> str:
        """Address of this list with changes; anything but the page itself starts at page 1. drop='key' removes a filter."""
        drop = changes.pop("drop", None)
        if drop is not None:
            changes["filters"] = {k: v for k, v in self.filters.items() if k != drop}
        if changes and "page" not in changes:
            changes["page"] = 1
        changes.setdefault("export", "")
        query = urlencode(replace(self, **changes).params())
        if not query and self.memory is not None:
            query = f"view={ALL}"  # the bare address opens the list as it was left
        return f"{self.path}?{query}" if query else self.path or "?"

    def cols_url(self, cols: Sequence[str]) -> str:
        """Address that shows these columns, from now on where the list remembers; a link with columns alone does not."""
        url = self.url(cols=tuple(cols), page=self.page)
        return url if self.memory is None else f"{url}&{urlencode(REMEMBER_COLS)}"

    def view_url(self, view: SavedView) -> str:
        """Address that applies a saved filter."""
        return f"{self.path}?{urlencode([*self.kept, ('view', view.id)])}&{view.query}".rstrip("&")

    def moved(self, key: str, by: int) -> tuple[str, ...] | None:
        """The columns with one moved left or right; None at the end."""
        at = self.cols.index(key)
        if not 0 <= at + by < len(self.cols):
            return None
        cols = list(self.cols)
        cols.insert(at + by, cols.pop(at))
        return tuple(cols)

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
        """Shown columns in the reader's order."""
        return [self.spec.column(key) for key in self.cols]

    @property
    def offset(self) -> int:
        """Rows before this page."""
        return (self.page - 1) * self.per

    @property
    def place(self) -> dict[str, int]:
        """Values of PAGE."""
        return {"per": self.per, "skip": self.offset}

    def words(self, column: Column) -> str:
        """A filter in force, in words for its chip: 'Won, Lost'."""
        return filter_words(column, self.filters[column.key])


@dataclass(frozen=True)
class ListSpec:
    """A list's columns and defaults. search: SQL expressions that `q` looks into. tiebreak: unique expression that makes
    the order total. keep: further parameters that stay in every address (a tab, a side). tabs: values of `tab` that
    are lists of their own. name: of the export file."""

    columns: Sequence[Column]
    default_sort: str
    per_page: int = 50
    search: Sequence[Any] = ()
    tiebreak: Any = None
    keep: Sequence[str] = ()
    tabs: Sequence[str] = ()
    name: str = "list"
    search_label: str = ""

    def column(self, key: str) -> Column:
        """Column by key; KeyError is a programming error."""
        return next(c for c in self.columns if c.key == key)

    @property
    def default_cols(self) -> tuple[str, ...]:
        """Columns shown when the reader picked none."""
        return tuple(c.key for c in self.columns if not c.off)

    def parse(self, params: Any, path: str = "", memory: Memory | None = None) -> ListState:
        """Request parameters to a state. Raises BadParameter; unknown parameters are ignored."""
        for key in params:
            for value in all_values(params, key):
                if "\x00" in value or "\x00" in key:
                    name = key.replace("\x00", "")
                    raise BadParameter(name, value.replace("\x00", ""), tr(_("remove the NUL character")))
        sort = params.get("sort") or self.default_sort
        by, desc = sort.lstrip("-"), sort.startswith("-")
        sortable = {c.key: c.label for c in self.columns if c.sort}
        if by not in sortable:
            cure = _("sort by one of: ${options}", mapping={"options": keyed(sortable.items())})
            raise BadParameter("sort", sort, tr(cure), tr(LABELS["sort"]))
        named = dict.fromkeys(c for c in (params.get("cols") or "").split(",") if c)
        cols = tuple(named) or self.default_cols
        known = {c.key: c.label for c in self.columns}
        for key in cols:
            if key not in known:
                cure = _("choose columns from: ${options}", mapping={"options": keyed(known.items())})
                raise BadParameter("cols", key, tr(cure), tr(LABELS["cols"]))
        view = params.get("view") or ""
        if view not in ("", ALL) and not (view.isascii() and view.isdigit() and len(view) < 20):
            raise BadParameter("view", view, tr(_("choose a saved filter of this list")), tr(LABELS["view"]))
        export = one_of(params, "export", EXPORTS)
        if self.tabs:
            one_of(params, "tab", self.tabs)
        q = (params.get("q") or "").strip()
        if len(q) > MAX_TEXT:
            cure = _("search for at most ${n} characters", mapping={"n": MAX_TEXT})
            raise BadParameter("q", q, tr(cure), tr(LABELS["q"]))
        return ListState(
            self, path, q, self._filters(params), by, desc,
            whole_number(params, "page", 1, 1, MAX_PAGE), whole_number(params, "per", self.per_page, 1, 200),
            cols, export,
            tuple((k, v) for k in self.keep for v in all_values(params, k) if v), view, memory,
        )  # fmt: skip

    def _filters(self, params: Any) -> dict[str, Any]:
        found = {}
        for column in self.columns:
            value = read_filter(column, params) if column.filter else None
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
    def past_end(self) -> bool:
        """Whether the list ends before this page."""
        return not self.rows and self.state.page > 1 and self.total > 0

    @property
    def last_page(self) -> int | None:
        """Number of the last page; None beyond the exact count."""
        return None if self.total > COUNT_LIMIT else max(1, -(-self.total // self.state.per))

    @property
    def more(self) -> bool:
        """Whether a next page exists; beyond the exact count a full page suggests one."""
        return len(self.rows) == self.state.per if self.total > COUNT_LIMIT else self.last < self.total


PAGE = (bindparam("per", type_=Integer), bindparam("skip", type_=Integer))
"""Limit and offset where a statement is made once for all pages; ListState.place gives the values."""


def apply(query: Select[Any], state: ListState, limit: Any = None, offset: Any = None) -> Select[Any]:
    """Filters, order and page on a select; an export takes EXPORT_LIMIT rows from the start, and one to see if more.

    limit, offset: in place of the state's.
    """
    query = filtered(query, state)
    order = _order(state.spec.column(state.sort).expr, state.desc)
    query = query.order_by(order, *([] if state.spec.tiebreak is None else [state.spec.tiebreak]))
    if state.export:
        return query.limit(EXPORT_LIMIT + 1)
    return query.limit(state.per if limit is None else limit).offset(
        state.offset if offset is None else offset
    )


def _order(expr: Any, desc: bool) -> Any:
    """Empty values last; said only where there can be any, since no index is kept in that order."""
    order = expr.desc() if desc else expr.asc()
    return order.nulls_last() if getattr(expr, "nullable", True) else order


def cut(query: Select[Any], state: ListState, *place: Any) -> tuple[Subquery, list[Any]]:
    """The page as a subquery, and its order once more: what is joined to it is then read for its rows only."""
    key, tie = state.spec.column(state.sort).expr, state.spec.tiebreak
    page = apply(query.add_columns(key.label("sort_key")), state, *place).subquery("page")
    order = [_order(page.c.sort_key, state.desc)]
    if tie is not None:
        column = page.corresponding_column(getattr(tie, "element", tie))
        order.append(column.desc() if getattr(tie, "modifier", None) is desc_op else column)
    return page, order


class Statements:
    """Statements of a list's pages, each made once: what is sorted and filtered by makes them, values are bound when
    asked. Making one costs as much as answering it; those with a search in them are made anew."""

    MOST = 256

    def __init__(self) -> None:
        self._made: dict[Any, Select[Any]] = {}

    def of(self, state: ListState, kind: Any, make: Callable[..., Select[Any]]) -> Select[Any]:
        """The page's statement, to be executed with `state.place`: made by `make(*PAGE)` and kept, or by `make()`."""
        if state.q or state.export:
            return make()
        key = (kind, state.sort, state.desc, tuple(state.filters.items()), fmt.zone_name)
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= self.MOST:
                self._made.clear()
            found = self._made[key] = make(*PAGE)
        return found


def filtered(query: Select[Any], state: ListState) -> Select[Any]:
    """Only the filters and the search, for counts."""
    if state.q and state.spec.search:
        query = query.where(or_(*(e.icontains(state.q, autoescape=True) for e in state.spec.search)))
    for key, value in state.filters.items():
        query = query.where(filter_condition(state.spec.column(key), value))
    return query


def counting(query: Select[Any], state: ListState) -> Select[Any]:
    """The statement that counts the rows that match, up to one more than COUNT_LIMIT."""
    bare = filtered(query, state).with_only_columns(literal_column("1"), maintain_column_froms=True)
    return select(func.count()).select_from(bare.order_by(None).limit(COUNT_LIMIT + 1).subquery())


def count(
    session: Any,
    query: Select[Any],
    state: ListState,
    shown: int | None = None,
    values: Mapping[str, Any] | None = None,
) -> int:
    """Rows that match, exact up to COUNT_LIMIT, COUNT_LIMIT + 1 for more; not asked for when the `shown` rows of
    this page say it. query: the list's, or (with the `values` it is asked with) a statement that `counting` made."""
    if shown is not None and shown < state.per and (shown or state.page == 1):
        return min(state.offset + shown, COUNT_LIMIT + 1)
    if values is None:
        return int(session.execute(counting(query, state)).scalar_one())
    return int(session.read(query, values).scalar_one())

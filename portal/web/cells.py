"""Draws the rows of a list: in Python rather than in a template, because a list page spends most of its time here."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from markupsafe import Markup, escape
from pyramid.threadlocal import get_current_request

from portal.web.formatting import Formatter, formatter
from portal.web.i18n import _, localizer, tr
from portal.web.status import status
from portal.web.tables import Column, Listing, ListState

_SELECT = _("Select")
SPECIAL = re.compile("[&<>\"']")
MOST_BARS = 512
_bars: dict[Any, Markup] = {}


def bar(draw: Callable[[ListState, bool], Markup], state: ListState, columns: bool) -> Markup:
    """The filters, columns and saved filters of a list in this state, drawn by the template's macro and kept: half of
    what a list page costs. Not with a search in it, which may be somebody's name."""
    if state.q:
        return draw(state, columns)
    spec, memory = state.spec, state.memory
    key = (
        *(
            localizer().locale_name,
            spec.name,
            state.path,
            columns,
            state.cols,
            state.kept,
            tuple(state.params()),
        ),
        memory and (memory.name, memory.columns, tuple(memory.views), memory.default_id),
        tuple(tuple(c.options()) for c in spec.columns if c.filter == "choice"),
        tuple(c.key for c in spec.columns),
    )
    found = _bars.get(key)
    if found is None:
        if len(_bars) >= MOST_BARS:
            _bars.clear()
        found = _bars[key] = draw(state, columns)
    return found


def drawer(column: Column, fmt: Formatter) -> Callable[[Any], str]:
    """How the default look of this column's values is drawn, as safe markup, '' for nothing: chosen once for all rows."""
    axis, kind, key, value_of = column.axis, column.kind, column.key, column.value
    shown: Callable[[Any], str] = _word
    if axis is not None:
        shown = partial(status, axis, plain=True)
    elif kind in ("when", "date", "number"):
        shown = {"when": fmt.when, "date": fmt.date, "number": fmt.num}[kind]

    def draw(row: Any) -> str:
        value = value_of(row) if value_of is not None else row[key] if type(row) is dict else column.get(row)
        return "" if value is None or value == "" else shown(value)

    return draw


def _word(value: Any) -> str:
    said = getattr(value, "value", value)
    # Most words need no escaping, and asking is cheaper than doing it.
    return said if type(said) is str and not SPECIAL.search(said) else escape(said)


def body(
    listing: Listing,
    caller: Callable[[Column, Any], str] | None = None,
    select: bool = False,
    selected: Callable[[Any], bool] | None = None,
) -> Markup:
    """All <tr> of a page. caller draws the columns marked `own` (all, when none is marked); '' from it means default."""
    request = get_current_request()
    fmt = getattr(request, "fmt", None) or formatter(request)
    columns = listing.state.columns
    marked = any(c.own for c in columns)
    frames = [
        (
            c,
            f'<td class="{"num " if c.num else ""}{"" if n else "first"}" data-l="{escape(tr(c.label))}">',
            caller if caller is not None and (c.own or not marked) else None,
            drawer(c, fmt),
        )
        for n, c in enumerate(columns)
    ]
    out: list[str] = []
    for row in listing.rows:
        out.append('<tr data-row class="sel">' if selected is not None and selected(row) else "<tr data-row>")
        if select:
            name = f"{tr(_SELECT)} {columns[0].plain(row)}"
            value = row["id"] if isinstance(row, dict) else row.id
            out.append(
                f'<td class="chk"><input type="checkbox" name="id" value="{escape(value)}" aria-label="{escape(name)}"></td>'
            )
        for column, frame, ask, default in frames:
            drawn = column.draw(row) if column.draw is not None else ""
            if ask is not None:
                drawn = str(ask(column, row)).strip()
            if not drawn:
                drawn = default(row)
                url = column.href(row) if column.href is not None else None
                if url:
                    drawn = f'<a class="q" href="{escape(url)}">{drawn}</a>'
            out += (frame, drawn, "</td>")
        out.append("</tr>\n")
    return Markup("".join(out))  # nosec

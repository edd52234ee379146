"""Draws the rows of a list: in Python rather than in a template, because a list page spends most of its time here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from markupsafe import Markup, escape
from pyramid.threadlocal import get_current_request

from portal.web.formatting import Formatter, formatter
from portal.web.i18n import _, tr
from portal.web.status import status
from portal.web.tables import Column, Listing

_SELECT = _("Select")


def cell(column: Column, row: Any, fmt: Formatter) -> str:
    """The default look of a value, as safe markup; '' for nothing."""
    value = column.get(row)
    if value is None or value == "":
        return ""
    if column.axis:
        return status(column.axis, value, plain=True)
    if column.kind == "when":
        return fmt.when(value)
    if column.kind == "date":
        return fmt.date(value)
    return escape(fmt.num(value) if column.kind == "number" else getattr(value, "value", value))


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
            caller is not None and (c.own or not marked),
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
        for column, frame, ask in frames:
            drawn = str(caller(column, row)).strip() if ask and caller is not None else ""
            if not drawn:
                drawn = cell(column, row, fmt)
                url = column.href(row) if column.href is not None else None
                if url:
                    drawn = f'<a class="q" href="{escape(url)}">{drawn}</a>'
            out += (frame, drawn, "</td>")
        out.append("</tr>\n")
    return Markup("".join(out))

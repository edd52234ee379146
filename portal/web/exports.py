"""What a list shows, as a file: CSV or a spreadsheet, read in pages and written before the answer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pyramid.response import FileIter, Response
from sqlalchemy import Select

from portal.web import tables
from portal.web.downloads import SANDBOX
from portal.web.formatting import fmt
from portal.web.i18n import _, tr

EXPORT_CHUNK = 1000
"""Rows of an export read at a time."""
IN_MEMORY = 2 * 1024 * 1024
"""Larger exports are spooled to a file that is gone with the answer."""


def stream(
    session: Any, query: Select[Any], fill: Callable[[Sequence[Any]], Iterable[Any]] | None = None
) -> Iterator[Any]:
    """Rows of an export, EXPORT_CHUNK at a time; `fill` names what a page's rows name (rows in, rows out)."""
    found = session.execute(query, execution_options={"yield_per": EXPORT_CHUNK})
    for part in found.partitions():
        yield from fill(part) if fill else part


def export_response(state: tables.ListState, rows: Iterable[Any]) -> Response:
    """The shown columns of the rows as the file asked for; written before the answer, while the transaction is open."""
    from integrations.tables import write_sheet

    capped = _Capped(rows)
    more = tr(
        _(
            "Only the first ${n} rows: filter the list to get the others.",
            mapping={"n": fmt.num(tables.EXPORT_LIMIT)},
        )
    )
    columns = [one for c in state.columns for one in c.in_file]
    names = [tr(label) for label, _value in columns]
    cells = ([value(row) for _label, value in columns] for row in capped)
    file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed with the answer
    write_sheet(
        file,
        state.export or "csv",
        names,
        cells,
        last=lambda: more if capped.more else "",
        decimal_comma=fmt.decimal_comma,
    )
    size = file.tell()
    file.seek(0)
    response = Response(content_type=tables.EXPORTS[state.export or "csv"], app_iter=FileIter(file))
    if state.export != "xlsx":
        response.charset = "utf-8"
    response.content_length = size
    response.headers["Content-Security-Policy"] = SANDBOX
    response.content_disposition = f'attachment; filename="{state.spec.name}.{state.export or "csv"}"'
    return response


class _Capped:
    """At most tables.EXPORT_LIMIT of the rows; `more` says afterwards whether there were others."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self.rows, self.more = rows, False

    def __iter__(self) -> Iterator[Any]:
        for n, row in enumerate(self.rows):
            if n >= tables.EXPORT_LIMIT:
                self.more = True
                return
            yield row

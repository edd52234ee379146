"""CSV (RFC 4180, UTF-8 with a byte order mark) and XLSX out: cells that a spreadsheet would run are made harmless.

A cell that begins with = + - @ TAB CR LF (or the full-width forms of the signs) gets an apostrophe in front, which
spreadsheets show as nothing. A plain number such as -12.50 stays a number. `restored` takes the apostrophe off again,
so that a file we wrote, corrected by a person and read back, says what it said before.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import IO, Any

RUN_BY_SPREADSHEETS = "=+-@\t\r\n＝＋－＠"
MARK = "'"
REASON = "reason"
_NUMBER = re.compile(r"[+-]?\d{1,15}([.,]\d{1,15})?")
_MARKED = re.compile(f"{MARK}+[{re.escape(RUN_BY_SPREADSHEETS)}]")


def neutralise(text: str) -> str:
    """`text` as a cell that no spreadsheet runs; plain numbers and harmless text unchanged.

    A text that already looks like a neutralised one gets another apostrophe, so that `restored` is exact.
    """
    if not text or text[0].isalnum():
        return text
    if text[0] in RUN_BY_SPREADSHEETS:
        return text if _NUMBER.fullmatch(text) else MARK + text
    return MARK + text if _MARKED.match(text) else text


def restored(text: str) -> str:
    """What a cell said before `neutralise`."""
    return text[1:] if text[:1] == MARK and _MARKED.match(text) else text


def cell_text(value: Any) -> str:
    """A value of a row as the text of a cell: nothing is empty, lists and objects are JSON, the rest as written."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | list | tuple | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def write_csv(out: IO[str], names: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write a header and `rows` to a text stream opened with newline=""; how many rows were written."""
    writer = csv.writer(out)
    writer.writerow([neutralise(name) for name in names])
    count = 0
    for row in rows:
        writer.writerow([neutralise(cell_text(row.get(name))) for name in names])
        count += 1
    return count


def write_wrong_rows(out: IO[str], rows: Iterable[tuple[Mapping[str, Any], str]]) -> int:
    """Write (row, reason) pairs: the columns as they stood in the file, then `reason` as the last one.

    Correct the cells, keep or drop the last column, and the same mapping reads the file again. How many were written.
    """
    kept = list(rows)
    names = list(dict.fromkeys(name for row, _ in kept for name in row if name != REASON))
    return write_csv(out, [*names, REASON], ({**row, REASON: reason} for row, reason in kept))


# -- sheets of typed cells ---------------------------------------------------------------------------------------------

TIME, DAY = "yyyy-mm-dd hh:mm", "yyyy-mm-dd"
MAX_CELL = 32_767  # characters of a cell (ECMA-376; Excel refuses a file with more)


def write_sheet(
    out: IO[bytes],
    kind: str,
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    last: Callable[[], str] = str,
    *,
    decimal_comma: bool = False,
) -> None:
    """Write a header and rows of typed cells to a binary stream as `kind` (csv or xlsx), row by row.

    Times are naive. `last` is asked when all rows are out; what it answers stands alone in a line beneath them.
    decimal_comma: CSV as the spreadsheets of such countries take it, 12,5 and 23.11.2026, semicolons between the cells;
    else 12.5 and 2026-11-23.
    """
    if kind == "xlsx":
        _xlsx(out, names, rows, last)
    else:
        _csv(out, names, rows, last, decimal_comma)


def _csv(
    out: IO[bytes],
    names: Sequence[str],
    rows: Iterable[Sequence[Any]],
    last: Callable[[], str],
    decimal_comma: bool,
) -> None:
    text = io.TextIOWrapper(out, encoding="utf-8-sig", newline="", write_through=True)
    writer = csv.writer(text, delimiter=";" if decimal_comma else ",")
    as_text = _with_comma if decimal_comma else _as_text
    writer.writerow([neutralise(name) for name in names])
    for row in rows:
        writer.writerow([neutralise(as_text(value)) for value in row])
    said = last()
    if said:
        writer.writerow([said])
    text.detach()


def _as_text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M")
    return "" if value is None else str(value)


def _with_comma(value: Any) -> str:
    if isinstance(value, date):  # a datetime too
        return value.strftime("%d.%m.%Y %H:%M" if isinstance(value, datetime) else "%d.%m.%Y")
    return str(value).replace(".", ",") if isinstance(value, float | Decimal) else _as_text(value)


def _xlsx(
    out: IO[bytes], names: Sequence[str], rows: Iterable[Sequence[Any]], last: Callable[[], str]
) -> None:
    import xlsxwriter  # a tenth of a second, and few processes ever write one

    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
    }
    book = xlsxwriter.Workbook(out, options)
    sheet = book.add_worksheet()
    head, moment, day = (
        book.add_format(look) for look in ({"bold": True}, {"num_format": TIME}, {"num_format": DAY})
    )
    # The mark that Excel itself sets for a text typed after an apostrophe: it stays a text when the cell is edited.
    quoted = book.add_format({"quote_prefix": True})
    for column, name in enumerate(names):
        sheet.write_string(0, column, name, head)
    sheet.freeze_panes(1, 0)
    number = 0
    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row):
            if value is None or value == "":
                continue
            if isinstance(value, datetime):
                sheet.write_datetime(number, column, value, moment)
            elif isinstance(value, date):
                sheet.write_datetime(number, column, value, day)
            elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                sheet.write_number(number, column, value)
            else:
                text = str(value)[:MAX_CELL]
                sheet.write_string(number, column, text, quoted if text[0] in RUN_BY_SPREADSHEETS else None)
    said = last()
    if said:
        sheet.write_string(number + 1, 0, said)
    book.close()

"""CSV out (RFC 4180, UTF-8 with a byte order mark): cells that a spreadsheet would run are made harmless.

A cell that begins with = + - @ TAB CR LF (or the full-width forms of the signs) gets an apostrophe in front, which
spreadsheets show as nothing. A plain number such as -12.50 stays a number. `restored` takes the apostrophe off again,
so that a file we wrote, corrected by a person and read back, says what it said before.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
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

"""Rows of the first sheet of an XLSX file (ECMA-376 part 1): the values as text, days as 2026-11-23; nothing is run.

Only what a table needs is read: shared and inline strings, numbers, booleans, days by their format. A formula gives the
value that was stored with it.
"""

import io
import re
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import IO

from lxml import etree

from integrations.tables.reading import DEFAULT_LIMITS, EXTRA, Limits, Row, TableError
from integrations.tables.writing import restored

NS = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
# Formats of days and times that have a number of their own (18.8.30).
DAY_FORMATS = {*range(14, 23), *range(45, 48)}
EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - cells know no zone
SHEET = re.compile(r"xl/worksheets/sheet(\d+)\.xml")
CURE = "Save it again as XLSX, or as CSV UTF-8."


def is_sheet(content: bytes) -> bool:
    """Whether these are the bytes of a zipped file, as XLSX is."""
    return content[:4] == b"PK\x03\x04"


def sheet_rows(content: bytes, limits: Limits = DEFAULT_LIMITS) -> Iterator[Row]:
    """(number, {column: text}) as `table` gives them; the header is the first row that is not empty."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(one.file_size for one in packed.infolist()) > limits.size:
                raise TableError(f"The file holds more than {limits.size} bytes.", "Split it.")
            yield from _rows(packed, limits)
    except (zipfile.BadZipFile, KeyError, etree.XMLSyntaxError, ValueError, NotImplementedError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(f"The spreadsheet cannot be read ({type(error).__name__}).", CURE) from error


def _rows(packed: zipfile.ZipFile, limits: Limits) -> Iterator[Row]:
    numbers = sorted(int(found[1]) for name in packed.namelist() if (found := SHEET.fullmatch(name)))
    if not numbers:
        raise TableError("There is no sheet in the file.", CURE)
    texts, days = _texts(packed), _days(packed)
    names: list[str] | None = None
    with packed.open(f"xl/worksheets/sheet{numbers[0]}.xml") as file:
        for count, element in enumerate(_elements(file, "row"), 1):
            if count > limits.rows:
                raise TableError(f"There are more than {limits.rows} rows.", "Split the file.", count)
            number = int(element.get("r") or count)
            cells = _cells(element, texts, days, limits)
            element.clear()
            if not any(cells):
                continue
            if names is None:
                names = _header(cells, number)
                continue
            row = dict.fromkeys(names, "") | dict(zip(names, cells, strict=False))
            if any(cells[len(names) :]):
                row[EXTRA] = " | ".join(cells[len(names) :])
            yield number, row


def _elements(file: IO[bytes], name: str) -> Iterator[etree._Element]:
    for _event, element in etree.iterparse(
        file, tag=f"{NS}{name}", resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    ):
        yield element


def _texts(packed: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in packed.namelist():
        return []
    with packed.open("xl/sharedStrings.xml") as file:
        return ["".join(part.text or "" for part in one.iter(f"{NS}t")) for one in _elements(file, "si")]


def _days(packed: zipfile.ZipFile) -> list[bool]:
    """Of each cell style whether it shows a day."""
    if "xl/styles.xml" not in packed.namelist():
        return []
    with packed.open("xl/styles.xml") as file:
        root = etree.parse(
            file, etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        ).getroot()
    own = {
        int(one.get("numFmtId") or 0)
        for one in root.iter(f"{NS}numFmt")
        if re.search("[ymd]", re.sub(r'"[^"]*"|\[[^\]]*\]', "", one.get("formatCode") or "").lower())
    }
    styles = root.find(f"{NS}cellXfs")
    formats = [] if styles is None else [int(one.get("numFmtId") or 0) for one in styles]
    return [one in DAY_FORMATS or one in own for one in formats]


def _cells(row: etree._Element, texts: list[str], days: list[bool], limits: Limits) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{NS}c"):
        at = _column(cell.get("r") or "", len(cells))
        if at >= limits.columns:
            raise TableError(
                f"There are more than {limits.columns} columns.", "Leave out what is not needed."
            )
        cells += [""] * (at - len(cells))
        cells.append(_text(cell, texts, days)[: limits.cell])
    return cells


def _column(reference: str, default: int) -> int:
    """0 for A1, 27 for AB3."""
    letters = re.match("[A-Z]{1,3}", reference)
    if letters is None:
        return default
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _text(cell: etree._Element, texts: list[str], days: list[bool]) -> str:
    kind = cell.get("t") or "n"
    if kind == "inlineStr":
        return restored("".join(part.text or "" for part in cell.iter(f"{NS}t"))).strip()
    value = (cell.findtext(f"{NS}v") or "").strip()
    if kind == "s":
        return restored(texts[int(value)]).strip() if value else ""
    if kind == "n" and value:
        style = int(cell.get("s") or 0)
        number = float(value)
        if style < len(days) and days[style]:
            moment = EPOCH + timedelta(days=number)
            return moment.date().isoformat() if number == int(number) else moment.isoformat(" ", "minutes")
        return str(int(number)) if number == int(number) else value
    return restored(value)


def _header(cells: list[str], number: int) -> list[str]:
    twice = sorted({name for name in cells if name and cells.count(name) > 1})
    if twice:
        raise TableError(
            f"Two columns are called {twice[0]!r}.", "Give every column a name of its own.", number
        )
    return [name or f"column {position}" for position, name in enumerate(cells, 1)]

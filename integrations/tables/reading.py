"""Files in, plain or gzipped, as a stream of rows: CSV (any of , ; TAB |) and JSON (an array, or one object a line).

A row is (number, {column: value}). In CSV the number is the spreadsheet's: the header is row 1, the first record row 2,
whatever line breaks its cells hold, and empty records count. In JSON the first object is row 1. CSV values are text,
JSON values are as written. Whatever cannot be read is a TableError that says where and what to do.
"""

import codecs
import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Literal

from integrations.tables.writing import restored

Format = Literal["auto", "csv", "json"]
Row = tuple[int, dict[str, Any]]

# Cells beyond the last column of the header are kept under this name, so that nobody imports a shifted row unknowingly.
EXTRA = "(beyond the last column)"
DELIMITERS = ",;\t|"
SAMPLE = 64 * 1024
# Tried in this order; cp1252 leaves five bytes undefined, so that it can still refuse what is no text.
ENCODINGS = ("utf-8-sig", "cp1252")
_GZIP = b"\x1f\x8b"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SKIP = " \t\r\n,"


class TableError(ValueError):
    """A file that cannot be read as a table: what is wrong, the row it was found at (None: the whole), and the cure."""

    def __init__(self, message: str, cure: str, row: int | None = None) -> None:
        where = "" if row is None else f"Row {row}: "
        super().__init__(f"{where}{message} {cure}")
        self.message, self.cure, self.row = message, cure, row


@dataclass(frozen=True, slots=True)
class Limits:
    """What is refused: bytes after unpacking, rows, columns, characters in a cell."""

    size: int = 500 * 1024 * 1024
    rows: int = 5_000_000
    columns: int = 1_000
    cell: int = 1_000_000


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file turned out to be; `delimiter` is None for JSON."""

    format: Literal["csv", "json"]
    encoding: str
    delimiter: str | None


DEFAULT_LIMITS = Limits()


def table(
    content: bytes,
    *,
    format: Format = "auto",
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Iterator[Row]:
    """The rows of a file, one at a time. TableError at the first thing that cannot be read."""
    found = sniffed(content, format=format, encoding=encoding, delimiter=delimiter, limits=limits)
    rows = _csv_rows(content, found, limits) if found.format == "csv" else _json_rows(content, found, limits)
    for count, row in enumerate(rows, 1):
        if count > limits.rows:
            raise TableError(f"There are more than {limits.rows} rows.", "Split the file.", row[0])
        yield row


def sniffed(
    content: bytes,
    *,
    format: Format = "auto",
    encoding: str | None = None,
    delimiter: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Sniffed:
    """Encoding (the whole file is decoded once, so that it is certain), format and delimiter of a file."""
    encoding = _encoding(content, encoding, limits)
    with _opened(content, limits) as raw:
        sample = codecs.getincrementaldecoder(encoding)("replace").decode(raw.read(SAMPLE))
    if not sample.strip():
        raise TableError("The file is empty.", "Choose a file with a header and at least one row.")
    if "\0" in sample:
        raise TableError(
            "The file is not text.", "Save it as CSV or JSON first (a spreadsheet: Save as, CSV UTF-8)."
        )
    if format == "auto":
        format = "json" if sample.lstrip()[0] in "[{" else "csv"
    return Sniffed(format, encoding, (delimiter or _delimiter(sample)) if format == "csv" else None)


def _opened(content: bytes, limits: Limits) -> "_Capped":
    raw = io.BytesIO(content)
    return _Capped(gzip.GzipFile(fileobj=raw) if content[:2] == _GZIP else raw, limits.size)


class _Capped(io.RawIOBase):
    """Reads `inner` up to `most` bytes; a damaged archive or one byte more is a TableError, not a full memory."""

    def __init__(self, inner: IO[bytes] | gzip.GzipFile, most: int) -> None:
        self.inner, self.left, self.most = inner, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self.inner.read(len(buffer))
        except (OSError, EOFError, zlib.error) as error:
            raise TableError(
                f"The gzip file is damaged ({error}).", "Make it again, or give it unpacked."
            ) from error
        self.left -= len(data)
        if self.left < 0:
            raise TableError(f"The file holds more than {self.most} bytes.", "Split it.")
        buffer[: len(data)] = data
        return len(data)


def _encoding(content: bytes, declared: str | None, limits: Limits) -> str:
    """The declared encoding, else the first that decodes every byte."""
    if declared is None and content[:2] in _UTF16:
        declared = "utf-16"
    candidates = (declared,) if declared else ENCODINGS
    problems = []
    for name in candidates:
        try:
            decoder = codecs.getincrementaldecoder(
                "utf-8-sig" if name.lower() in ("utf-8", "utf8") else name
            )()
        except LookupError as error:
            raise TableError(f"There is no encoding {name!r}.", "Use utf-8 or cp1252.") from error
        position = 0
        try:
            with _opened(content, limits) as raw:
                while data := raw.read(1 << 20):
                    decoder.decode(data)
                    position += len(data)
                decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            byte = error.object[error.start : error.start + 1].hex()
            problems.append(f"byte {byte} near position {position + error.start} is not {name}")
            continue
        return "utf-8-sig" if name.lower() in ("utf-8", "utf8") else name
    raise TableError(f"The text cannot be read: {'; '.join(problems)}.", "Save the file as UTF-8.")


def _delimiter(sample: str) -> str:
    """The delimiter that splits the header into most columns; quoted text does not count."""
    header: list[str] = []
    quoted = False
    for character in sample:
        quoted ^= character == '"'
        if character in "\r\n" and not quoted and header:
            break
        if not quoted and character not in "\r\n":
            header.append(character)
    return max(DELIMITERS, key=lambda candidate: (header.count(candidate), -DELIMITERS.index(candidate)))


def _csv_rows(content: bytes, found: Sniffed, limits: Limits) -> Iterator[Row]:
    csv.field_size_limit(limits.cell)
    with _opened(content, limits) as raw:
        text = io.TextIOWrapper(io.BufferedReader(raw), encoding=found.encoding, newline="")
        reader = csv.reader(text, delimiter=found.delimiter or ",", strict=True)
        number, names = 0, None
        try:
            for cells in reader:
                number += 1
                if not any(cells):
                    continue
                if names is None:
                    names = _header([cell.strip() for cell in cells], number, limits)
                    continue
                yield number, _csv_row(names, cells)
        except csv.Error as error:
            cure = 'Put a cell that holds the delimiter, a quote or a line break in quotes, and double its quotes: "".'
            raise TableError(f"Not a CSV record ({error}).", cure, number + 1) from error


def _header(names: list[str], number: int, limits: Limits) -> list[str]:
    while names and not names[-1]:
        names.pop()
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise TableError(
            f"Two columns are called {twice[0]!r}.", "Give every column a name of its own.", number
        )
    if len(names) > limits.columns:
        raise TableError(
            f"There are more than {limits.columns} columns.", "Leave out what is not needed.", number
        )
    return [restored(name) or f"column {position}" for position, name in enumerate(names, 1)]


def _csv_row(names: list[str], cells: list[str]) -> dict[str, Any]:
    cells = [restored(cell) for cell in cells]
    row: dict[str, Any] = dict.fromkeys(names, "")
    row.update(zip(names, cells, strict=False))
    if any(cell.strip() for cell in cells[len(names) :]):
        row[EXTRA] = " | ".join(cells[len(names) :])
    return row


def _json_rows(content: bytes, found: Sniffed, limits: Limits) -> Iterator[Row]:
    """Objects of an array or of lines, decoded one by one: the text is in memory, the objects are not."""
    with _opened(content, limits) as raw:
        text = io.TextIOWrapper(io.BufferedReader(raw), encoding=found.encoding).read()
    decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_decimal)
    position, number = 0, 0
    array = text.lstrip()[:1] == "["
    if array:
        position = text.index("[") + 1
    while True:
        while position < len(text) and text[position] in _SKIP:
            position += 1
        if position >= len(text) or (array and text[position] == "]"):
            if array and not text[position:].strip().startswith("]"):
                raise TableError("The array has no end.", "The file was cut off; make it again.", number)
            return
        number += 1
        value, position = _json_value(decoder, text, position, number)
        if not isinstance(value, dict):
            raise TableError(
                "Not an object.", 'Every row must be an object such as {"name": "Example"}.', number
            )
        if len(value) > limits.columns:
            raise TableError(f"There are more than {limits.columns} fields.", "Leave some out.", number)
        yield number, value


def _json_value(decoder: json.JSONDecoder, text: str, position: int, number: int) -> tuple[Any, int]:
    try:
        return decoder.raw_decode(text, position)
    except (json.JSONDecodeError, ValueError) as error:
        message = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        line = text.count("\n", 0, getattr(error, "pos", position)) + 1
        raise TableError(
            f"Not JSON ({message}, line {line}).", "Give an array of objects, or one a line.", number
        ) from error
    except RecursionError as error:
        raise TableError(
            "The JSON is nested too deeply.", "Give an array of plain objects.", number
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


def _decimal(text: str) -> float:
    """A float; one beyond its range is refused instead of becoming infinite."""
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"the number {text[:20]} is too large")
    return value

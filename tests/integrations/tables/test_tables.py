"""Tables in and out: every delimiter, encoding and quirk of real files, and cells that no spreadsheet runs."""

import csv
import gzip
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from integrations.tables import (
    EXTRA,
    Limits,
    TableError,
    neutralise,
    restored,
    sniffed,
    table,
    write_csv,
    write_wrong_rows,
)
from integrations.tables.writing import _NUMBER, RUN_BY_SPREADSHEETS
from tests.conftest import shared_file


def rows(text: str | bytes, **given):
    return list(table(text.encode() if isinstance(text, str) else text, **given))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found_in_the_header_outside_quotes(delimiter):
    content = f'"a,;b"{delimiter}c\r\n1{delimiter}2\r\n'
    assert rows(content) == [(2, {"a,;b": "1", "c": "2"})]


def test_byte_order_mark_and_line_breaks_in_cells():
    content = b"\xef\xbb\xbf" + b'ref,message\r\n1,"one\ntwo ""quoted"""\r\n\r\n2,last'
    assert rows(content) == [
        (2, {"ref": "1", "message": 'one\ntwo "quoted"'}),
        (4, {"ref": "2", "message": "last"}),
    ]


@pytest.mark.parametrize(
    ("encoding", "found"), [("utf-8", "utf-8-sig"), ("cp1252", "cp1252"), ("utf-16", "utf-16")]
)
def test_encodings_are_found(encoding, found):
    content = "name\nZürich €\n".encode(encoding)
    assert sniffed(content).encoding == found
    assert rows(content) == [(2, {"name": "Zürich €"})]


def test_gzip_reads_the_same():
    assert rows(gzip.compress(b"a,b\n1,2\n")) == rows("a,b\n1,2\n")


def test_a_short_row_is_filled_and_a_long_one_keeps_its_extra_cells():
    assert rows("a,b\n1\n1,2,3\n1,2,\n") == [
        (2, {"a": "1", "b": ""}),
        (3, {"a": "1", "b": "2", EXTRA: "3"}),
        (4, {"a": "1", "b": "2"}),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"a,a\n1,2\n", "Two columns"),
        (b'a,b\n1,"open', "Not a CSV record"),
        (b"a\n\x81\n", "cannot be read"),
        (b"PK\x03\x04\x00\x00,x\n", "not text"),
        (gzip.compress(b"a\n1\n", mtime=0)[:-9], "damaged"),
        (b'[{"a": 1}', "no end"),
        (b'[{"a": 1}, 2]', "Not an object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1e999}', "too large"),
        (b'[{"a": ' + b"[" * 100_000, "nested"),
    ],
)
def test_what_cannot_be_read_says_why_and_what_to_do(content, words):
    with pytest.raises(TableError, match=words) as caught:
        rows(content)
    assert caught.value.cure


def test_limits_hold_for_what_is_inside_an_archive():
    bomb = gzip.compress(b"a\n" + b"0" * 2_000_000)
    with pytest.raises(TableError, match="more than 1000000 bytes"):
        rows(bomb, limits=Limits(size=1_000_000))
    with pytest.raises(TableError, match="more than 2 rows"):
        rows("a\n1\n2\n3\n", limits=Limits(rows=2))


@pytest.mark.parametrize("text", ['[{"a": 1, "b": [2]}, {"a": null}]', '{"a": 1, "b": [2]}\n{"a": null}\n'])
def test_json_as_array_and_as_lines(text):
    assert rows(text) == [(1, {"a": 1, "b": [2]}), (2, {"a": None})]


@pytest.mark.parametrize("number", ["-12.50", "+3", "-1,5", "12"])
def test_numbers_stay_numbers(number):
    assert neutralise(number) == number


@pytest.mark.parametrize("cell", ["=1+1", "+43 732 1234", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "＝1", "-1-1"])
def test_cells_a_spreadsheet_would_run_are_neutralised(cell):
    assert neutralise(cell) == f"'{cell}"


@given(st.text())
@example("'=1")
@example("'' @x")
def test_neutralised_is_harmless_and_comes_back_exactly(text):
    safe = neutralise(text)
    assert safe[:1] not in RUN_BY_SPREADSHEETS or not safe or _NUMBER.fullmatch(safe)
    assert restored(safe) == text


def test_wrong_rows_end_with_their_reason_and_can_be_read_again():
    out = io.StringIO(newline="")
    given = {"ref": "1", "phone": "+1 410 555 0118", "places": [1, 2]}
    assert write_wrong_rows(out, [(given, "phone: too long.")]) == 1
    header, cells = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert header == ["ref", "phone", "places", "reason"]
    assert cells[1].startswith("'+")
    ((_, back),) = rows(out.getvalue())
    assert back == {"ref": "1", "phone": "+1 410 555 0118", "places": "[1, 2]", "reason": "phone: too long."}
    again = io.StringIO(newline="")
    write_wrong_rows(again, [(back, "still")])
    assert again.getvalue().splitlines()[0] == "ref,phone,places,reason"


def test_write_csv_counts():
    out = io.StringIO(newline="")
    assert write_csv(out, ["a"], [{"a": None}, {"a": True}, {"b": 1}]) == 2 + 1
    assert json.loads(out.getvalue().splitlines()[2]) is True


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("leads/maryland_requests.csv.gz", 2082),
        ("partners/maryland_mbe_snapshot2.json.gz", 1000),
        ("leads/maven_sales_pipeline.csv.gz", 8800),
        ("leads/olist_mql_to_2018-03.csv.gz", 5345),
        ("partners/olist_sellers_except_south.csv.gz", 2427),
        ("incidents/uci_servicenow_first890_excel.csv.gz", 5998),
    ],
)
def test_real_files_have_the_rows_they_should(name, count):
    assert len(rows(shared_file(name).read_bytes())) == count

"""Rows as files: what is written is read back, and of a file with bad rows the good ones are taken, the others returned."""

import csv
import io
from typing import Any

import pytest

from integrations.tables import TableError, table, write_sheet
from integrations.tables.sheets import is_sheet, sheet_rows
from portal.routing.rulesets import actions
from tests.portal.routing.test_pages import ANNA, INGRID, ROWS, draft
from tests.portal.visitors import visitor
from tests.world import World


def stored(world: World, version: int) -> list[Any]:
    with world.system() as session:
        return list(actions.find(session, version).body["rules"])


def give(
    world: World, version: int, content: bytes, name: str = "rows.csv", mode: str = "instead", **more: Any
) -> Any:
    form = visitor(world, INGRID).get(f"/rules/{version}/file").forms
    found = next(f for f in form.values() if f.action.endswith("/file"))
    found["file"] = (name, content)
    found["mode"] = mode
    return found.submit(**more)


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_what_goes_out_comes_in_again(world: World, kind: str) -> None:
    version, empty = draft(world), draft(world, rows=[])
    answer = visitor(world, ANNA).get(f"/rules/{version}/rows.{kind}")
    assert is_sheet(answer.body) is (kind == "xlsx")
    page = give(world, empty, answer.body, f"rows.{kind}")
    assert "2 rows were taken." in page
    assert stored(world, empty) == stored(world, version)


def test_good_rows_are_taken_and_bad_ones_returned_with_reasons(world: World) -> None:
    version = draft(world, rows=[])
    lines = (
        "Country,Level,Effect,Name,To\nAT,Gold,exclude,fine,\nAT,Golt,exclude,typo,\n,,require,everybody,\n"
        "CZ,Silver,boost 3,fine,\nCZ,Silver,boost 99999,much,31.2.2026\n"
    )
    page = give(world, version, lines.encode())
    assert "One row was taken." in page and "4 could not be read." in page
    assert [row["id"] for row in stored(world, version)] == ["fine"]
    form = next(f for f in page.forms.values() if f.action == "/rules/wrong")
    rows = list(csv.DictReader(io.StringIO(form.submit().body.decode("utf-8-sig"))))
    assert [row["Name"] for row in rows] == ["typo", "fine", "much", "everybody"] or len(rows) == 4
    reasons = {(row["Name"], row["Country"]): row["reason"] for row in rows}
    assert (
        "Did you mean Gold?" in reasons["typo", "AT"]
        and "Another row is called fine" in reasons["fine", "CZ"]
    )
    assert "would mean everybody" in reasons["everybody", ""] and "Write the day" in reasons["much", "CZ"]


def test_a_mended_file_goes_in_after_the_others(world: World) -> None:
    version = draft(world)
    page = give(world, version, b"Level;Effect;reason\nGold;exclude;was Golt\n", mode="after")
    assert "One row was taken." in page
    assert [row["id"] for row in stored(world, version)] == [*(row["id"] for row in ROWS), "row-3"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"Level;Colour\nGold;red\n", "There is no column “Colour”"),
        (b"", "empty"),
        (b"Level,Effect\n", "no rows"),
        (b"PK\x03\x04 but no sheet", "cannot be read"),
    ],
)
def test_a_file_that_is_none_is_refused_whole(world: World, content: bytes, why: str) -> None:
    version = draft(world)
    assert why in give(world, version, content, status=422)
    assert [row["id"] for row in stored(world, version)] == [row["id"] for row in ROWS]


def test_a_german_reader_has_german_heads(world: World) -> None:
    version, empty = draft(world), draft(world, rows=[])
    with world.system() as session:
        from sqlalchemy import text

        session.execute(text("update people set language = 'de'"))
    body = visitor(world, INGRID).get(f"/rules/{version}/rows.csv").body
    assert "Produktlinie" in body.decode() and "verlangt" in body.decode()
    give(world, empty, body)
    assert stored(world, empty) == stored(world, version)


def test_a_sheet_is_read_as_its_table(world: World) -> None:
    import datetime as dt

    out = io.BytesIO()
    rows = [["a", 1, None, dt.date(2026, 11, 23)], ["=b", 2.5, "x", None]]
    write_sheet(out, "xlsx", ["text", "number", "gap", "day"], rows)
    assert list(sheet_rows(out.getvalue())) == [
        (2, {"text": "a", "number": "1", "gap": "", "day": "2026-11-23"}),
        (3, {"text": "=b", "number": "2.5", "gap": "x", "day": ""}),
    ]
    with pytest.raises(TableError):
        list(sheet_rows(out.getvalue()[:400]))
    with pytest.raises(TableError):
        list(table(out.getvalue()))

"""Coverage: partners by region and line today and when certificates end, gaps, and what a draft does to it."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.portal.leads.test_search import INGRID, KATRIN, leads
from tests.portal.routing.test_pages import draft
from tests.portal.visitors import visitor
from tests.world import DANUBIA, TRAUN, World

AT4 = "Oberösterreich"
NOBODY = {
    "id": "none",
    "when": {"subdivision": ["AT-4"]},
    "who": {"level": ["platinum"]},
    "effect": {"kind": "require"},
}


def cells(world: World, query: str = "") -> dict[tuple[str, str], list[str]]:
    """(region, line) -> the other columns of the file."""
    got = visitor(world, INGRID).get(f"/decisions/coverage?view=all&export=csv&{query}").text
    rows = [line.split(",") for line in got.lstrip("\ufeff").splitlines()[1:]]
    return {(row[0], row[1]): row[2:] for row in rows}


def changed(world: World, sql: str, **values: Any) -> None:
    with world.system() as session:
        session.execute(text(sql), values)
        session.execute(text("update directory_versions set version = version + 1"))


def test_every_region_with_every_line(world: World) -> None:
    found = cells(world)
    assert len(found) == 9 * 2
    assert found[AT4, "Heat exchangers HX"][:5] == ["3", "3", "3", "3", "Enough"]


def test_a_certificate_that_ends_is_a_gap_to_come_and_names_who_leaves(world: World) -> None:
    leads(world, 2)  # which ask for ATEX
    for name, end in ((DANUBIA, "2026-12-15"), (TRAUN, "2027-01-10")):
        changed(world, "update certifications set expires = cast(:e as date) where company_id = :c",
                e=end, c=world.company(name))  # fmt: skip
    row = cells(world)[AT4, "Heat exchangers HX"]
    assert row[:4] == ["3", "2", "1", "1"] and row[4] == "Too few soon"
    assert TRAUN in row[5] and "ATEX" in row[5]
    assert cells(world, "programme=none")[AT4, "Heat exchangers HX"][:4] == ["3"] * 4
    assert cells(world, "least=1")[AT4, "Heat exchangers HX"][4] == "Enough"
    assert cells(world, "least=4")[AT4, "Heat exchangers HX"][4] == "Too few today"
    page = visitor(world, INGRID).get("/decisions/coverage?view=all")
    assert "9 more within 90 days" in page and "Heat exchangers HX: with ATEX explosion protection" in page


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("line=HX", 9),
        ("country=AT", 18),
        ("kind=now", 0),
        ("kind=enough", 18),
        ("sort=-d90", 18),
        ("sort=region", 18),
    ],
)
def test_it_is_a_list(world: World, query: str, n: int) -> None:
    page = visitor(world, INGRID).get(f"/decisions/coverage?view=all&{query}")
    assert len(page.html.select("#list tbody tr")) == n
    assert len(cells(world, query)) == n


@pytest.mark.parametrize("wrong", ["least=0", "least=x", "least=51", "programme=nonsense", "ahead=31"])
def test_what_cannot_be_asked_is_refused(world: World, wrong: str) -> None:
    assert visitor(world, INGRID).get(f"/decisions/coverage?{wrong}", status=400)


def test_maps_stand_side_by_side(world: World) -> None:
    page = visitor(world, INGRID).get("/decisions/coverage?view=all&ahead=30")
    assert [h.text for h in page.html.select(".cols2 h3")] == ["Today", "In 30 days"]
    assert f"{AT4} 3" in page


def test_publishing_says_what_a_draft_does_to_coverage(world: World) -> None:
    same = draft(world, rows=[], examples=[])
    assert "Every region keeps its partners" in visitor(world, INGRID).get(f"/rules/{same}/publishing")
    version = draft(world, rows=[NOBODY], examples=[])
    page = visitor(world, INGRID).get(f"/rules/{version}/publishing")
    said = " ".join(page.html.find("main").get_text(" ").split())
    assert f"{AT4} Heat exchangers HX 3 0" in said and "With this rule set" in said


def test_who_reads_it(world: World) -> None:
    for email in (KATRIN, "tomas@halden.example"):
        visitor(world, email).get("/decisions/coverage", status=404)

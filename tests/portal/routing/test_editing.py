"""The grid as a plain form: rows changed, added, moved, removed; every fault at its cell and nothing typed lost."""

from typing import Any

import pytest

from portal.routing.rulesets import actions
from tests.portal.routing.test_pages import ANNA, INGRID, ROWS, draft
from tests.portal.visitors import visitor
from tests.world import World


def grid(client: Any, version: int, query: str = "") -> Any:
    return client.get(f"/rules/{version}/edit{query}").forms["sheet"]


def stored(world: World, version: int) -> list[Any]:
    with world.system() as session:
        return list(actions.find(session, version).body["rules"])


def test_a_cell_is_changed_and_what_is_not_shown_stays(world: World) -> None:
    version = draft(world)
    client = visitor(world, INGRID)
    form = grid(client, version)
    assert form["0.when.amount"].value == "EUR ≥ 50,000" and form["0.who.level"].value == "Gold"
    assert form["0.when.subdivision"].value == "Oberösterreich"
    form["0.who.level"] = "silver, Gold"
    form["1.effect"] = "exclude"
    page = form.submit("do", value="save").follow()
    assert "Saved." in page
    first, second = stored(world, version)
    assert first["who"] == {"level": ["gold", "silver"], "certification": ["ATEX"]}
    assert first["when"] == {**ROWS[0]["when"], "amount": {"currency": "EUR", "from": 50_000, "below": None}}
    assert second["effect"] == {"kind": "exclude"} and [first["id"], second["id"]] == [
        "atex-upper-austria",
        "near",
    ]


def test_a_row_is_added_in_the_last_line(world: World) -> None:
    version = draft(world, rows=[])
    client = visitor(world, INGRID)
    form = grid(client, version)
    form["0.when.country"], form["0.who.level"], form["0.effect"] = "Austria", "Gold", "boost 7"
    form.submit("do", value="save").follow()
    assert stored(world, version) == [
        {"id": "row-1", "when": {"country": ["AT"]}, "who": {"level": ["gold"]}, "note": "",
         "effect": {"kind": "boost", "points": 7}, "valid_from": None, "valid_to": None},
    ]  # fmt: skip


def test_every_fault_stands_at_its_cell_and_what_was_typed_is_kept(world: World) -> None:
    version = draft(world)
    client = visitor(world, INGRID)
    form = grid(client, version)
    form["0.when.amount"], form["0.who.level"] = "EUR ≥ 25.000,-", "Golt"
    form["1.valid_from"], form["1.note"] = "soon", "kept as typed"
    page = form.submit("do", value="save", status=422)
    kept = page.forms["sheet"]
    assert kept["0.when.amount"].value == "EUR ≥ 25.000,-" and kept["1.note"].value == "kept as typed"
    wrong = [node["id"] for node in page.html.select("input[aria-invalid=true]")]
    assert wrong == ["c-0-when.amount", "c-0-who.level", "c-1-valid_from"]
    assert "Did you mean Gold?" in page.html.find(id="e-0").get_text()
    assert "3 cells need a change" in page and 'href="#c-1-valid_from"' in page
    assert stored(world, version)[0]["who"]["level"] == ["gold"], "nothing is saved while a cell is wrong"


@pytest.mark.parametrize(
    ("cells", "at", "message"),
    [
        ({"0.who.level": "", "0.who.certification": ""}, "c-0-who.level", "would mean everybody"),
        ({"0.valid_to": "2026-11-01"}, "c-0-valid_to", "before the first"),
        ({"1.id": "atex-upper-austria"}, "c-1-id", "Another row is called atex-upper-austria"),
        ({"1.effect": "boost 99999"}, "c-1-effect", "must be from -1000 to 1000"),
    ],
)
def test_what_only_the_engine_sees_stands_at_its_cell_too(
    world: World, cells: dict[str, str], at: str, message: str
) -> None:
    version = draft(world)
    form = grid(visitor(world, INGRID), version)
    for name, value in cells.items():
        form[name] = value
    page = form.submit("do", value="save", status=422)
    assert [node["id"] for node in page.html.select("input[aria-invalid=true]")] == [at]
    assert message in page


def test_rows_move_are_added_and_removed_without_a_script(world: World) -> None:
    version = draft(world)
    client = visitor(world, INGRID)
    moved = grid(client, version).submit("do", value="down:0")
    assert "Not saved yet." in moved and [r["id"] for r in stored(world, version)] == [
        "atex-upper-austria",
        "near",
    ]
    form = moved.forms["sheet"]
    form.submit("do", value="save").follow()
    assert [r["id"] for r in stored(world, version)] == ["near", "atex-upper-austria"]
    added = grid(client, version).submit("do", value="add:0").forms["sheet"]
    keys = [field.value for field in added.fields["row"]]
    added[f"{keys[1]}.who.country"], added[f"{keys[1]}.effect"] = "CZ", "exclude"
    added.submit("do", value="save").follow()
    assert [r["id"] for r in stored(world, version)] == ["near", "row-3", "atex-upper-austria"]
    grid(client, version).submit("do", value="remove:1").forms["sheet"].submit("do", value="save").follow()
    assert [r["id"] for r in stored(world, version)] == ["near", "atex-upper-austria"]


def test_a_second_editor_is_told_and_keeps_what_was_typed(world: World) -> None:
    version = draft(world)
    client = visitor(world, INGRID)
    mine, other = grid(client, version), grid(client, version)
    other["0.note"] = "first"
    other.submit("do", value="save").follow()
    mine["0.note"] = "second"
    page = mine.submit("do", value="save", status=409)
    assert "Ingrid Hall changed it" in page and page.forms["sheet"]["0.note"].value == "second"
    assert stored(world, version)[0]["note"] == "first"


def test_only_drafts_are_edited_and_only_by_channel_managers(world: World) -> None:
    version = draft(world)
    visitor(world, ANNA).get(f"/rules/{version}/edit", status=404)
    visitor(world, "lukas@danubia.example").get(f"/rules/{version}/edit", status=404)
    assert "never changes" in visitor(world, INGRID).get("/rules/1/edit", status=409)


def test_typing_is_checked_by_what_will_save_it(world: World) -> None:
    version = draft(world)
    client = visitor(world, INGRID)
    form = grid(client, version)
    form["0.who.level"] = "Golt"
    sent = form.submit_fields()
    answer = client.post(f"/rules/{version}/check", sent).json
    assert [(f["row"], f["column"], f["suggestion"]) for f in answer["faults"]] == [
        ("0", "who.level", "gold")
    ]
    assert "Partners" not in answer["readings"] and "get" in answer["readings"]["1"] and not answer["sound"]
    form["0.who.level"] = "Gold"
    answer = client.post(f"/rules/{version}/check", form.submit_fields()).json
    assert (
        answer["faults"] == []
        and answer["said"] == "Everything can be read"
        and "Passes" in answer["examples"]
    )
    form["0.when.subdivision"] = form["0.when.product_lines"] = form["0.when.amount"] = form[
        "0.valid_from"
    ] = ""
    answer = client.post(f"/rules/{version}/check", form.submit_fields()).json
    assert answer["said"] == "3 examples fail" and "Fails" in answer["examples"]
    assert stored(world, version)[0]["who"]["level"] == ["gold"]


def test_a_column_is_asked_for(world: World) -> None:
    version = draft(world, rows=[])
    client = visitor(world, INGRID)
    assert "0.when.industry" not in grid(client, version).fields
    form = grid(client, version, "?col=when.industry")
    form["0.when.industry"], form["0.who.level"], form["0.effect"] = "Paper", "Gold", "exclude"
    form.submit("do", value="save").follow()
    assert stored(world, version)[0]["when"] == {"industry": ["Paper"]}
    assert grid(client, version)["0.when.industry"].value == "Paper", "a column that is used is shown"


def test_thousands_of_rows_come_in_pages(world: World) -> None:
    rows = [
        {"id": f"r{n}", "when": {}, "who": {"level": ["gold"]}, "effect": {"kind": "boost", "points": 1}}
        for n in range(250)
    ]
    version = draft(world, rows=rows)
    client = visitor(world, INGRID)
    form = grid(client, version, "?from=100")
    assert form["0.id"].value == "r100" and len(form.fields["row"]) == 101
    form["0.note"] = "changed"
    form.submit("do", value="save").follow()
    saved = stored(world, version)
    assert [r["id"] for r in saved] == [r["id"] for r in rows]
    assert [r["id"] for r in saved if r["note"]] == ["r100"]

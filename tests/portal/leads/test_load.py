"""Load and fairness: offers, answers, room, turns that were due, and the win rate with its n."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.portal.leads.test_search import INGRID, KATRIN, leads, written
from tests.portal.visitors import visitor
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World


def sheet(world: World, query: str = "") -> dict[str, dict[str, str]]:
    """Name -> column -> value of the file with all columns."""
    cols = "partner,offers,accepted,declined,expired,waiting,used,due,ahead,hours,win_rate,closed"
    got = visitor(world, INGRID).get(f"/decisions/load?view=all&export=csv&cols={cols}&{query}").text
    head, *rows = [line.split(",") for line in got.lstrip("\ufeff").splitlines()]
    return {row[0]: dict(zip(cols.split(","), row, strict=True)) for row in rows} if head else {}


def changed(world: World, sql: str, **values: Any) -> None:
    with world.system() as session:
        session.execute(text(sql), values)


def test_offers_room_and_turns(world: World) -> None:
    leads(world, 6)
    written(world)
    rows = sheet(world)
    assert set(rows) == {DANUBIA, TRAUN, ALPENHYDRO}
    assert sum(int(row["offers"]) for row in rows.values()) == 6
    assert sum(float(row["due"] or 0) for row in rows.values()) == pytest.approx(6, abs=0.01)
    for row in rows.values():
        due, ahead = float(row["due"] or 0), float(row["ahead"] or 0)
        assert int(row["offers"]) - due == pytest.approx(ahead, abs=0.01)
        assert float(row["used"]) == int(row["offers"]) / 10 and row["waiting"] == row["offers"]
        assert row["win_rate"] == "" and row["hours"] == ""


def test_answers_their_time_and_the_win_rate_with_its_n(world: World) -> None:
    leads(world, 6)
    changed(world, "update offers set state = 'accepted', answered_at = offered_at + interval '3 hours'")
    changed(
        world,
        "update leads set stage = 'won' where number in (select min(lead_number) from offers group by company_id)",
    )
    changed(world, "update leads set stage = 'lost' where stage <> 'won'")
    rows = sheet(world)
    asked = {name: row for name, row in rows.items() if int(row["offers"])}
    assert asked
    for row in asked.values():
        assert row["accepted"] == row["closed"] == row["offers"] and float(row["hours"]) == 3
        assert float(row["win_rate"]) == pytest.approx(1 / int(row["offers"]), abs=0.001)
    page = visitor(world, INGRID).get("/decisions/load?view=all")
    assert (
        f"of {next(iter(asked.values()))['offers']}" in page
        and "Offers against the turns that were due" in page
    )
    changed(world, "update offers set state = 'declined' where company_id = :c", c=world.company(DANUBIA))
    assert sheet(world)[DANUBIA]["declined"] == asked.get(DANUBIA, {"offers": "0"})["offers"]


def test_an_assignment_by_hand_is_no_turn(world: World) -> None:
    leads(world, 3)
    written(world)
    before = {name: float(row["ahead"] or 0) for name, row in sheet(world).items()}
    changed(world, "update offers set decision_id = null")
    after = {name: float(row["ahead"] or 0) for name, row in sheet(world).items()}
    assert sum(before.values()) == pytest.approx(0, abs=0.01) and sum(after.values()) == pytest.approx(
        -3, abs=0.01
    )


def test_the_period_is_of_the_address(world: World) -> None:
    leads(world, 3)
    written(world)
    day = str(world.now.date())
    here = sheet(world, f"from={day}&to={day}")
    assert sum(int(row["offers"]) for row in here.values()) == 3
    gone = sheet(world, "from=2026-01-01&to=2026-11-22")
    assert sum(int(row["offers"]) for row in gone.values()) == 0
    assert all(row["due"] == "" for row in gone.values())
    for wrong in ("from=yesterday", "to=2026-13-01", "to=0001-01-01"):
        assert "give a date as 2026-11-23" in visitor(world, INGRID).get(
            f"/decisions/load?{wrong}", status=400
        )


def test_by_location_sorted_and_filtered(world: World) -> None:
    leads(world, 3)
    for query, n in (
        ("by=location", 3),
        ("partner=danubia", 1),
        ("offers.from=100", 0),
        ("sort=used", 3),
        ("sort=-due", 3),
    ):
        page = visitor(world, INGRID).get(f"/decisions/load?view=all&{query}")
        assert len(page.html.select("#list tbody tr")) == n, query
    assert "Ansfelden" in visitor(world, INGRID).get("/decisions/load?view=all&by=location")


def test_who_reads_it(world: World) -> None:
    for email in (KATRIN, "tomas@halden.example"):
        visitor(world, email).get("/decisions/load", status=404)

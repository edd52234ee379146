"""Rehearsals on pages: started, run by a worker, stopped, kept; what would move, for whom; what publishing says of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from portal.events import work
from portal.routing.rulesets import actions, rehearsals
from rules import RuleSet
from tests.portal.routing.test_commands import PLATINUM, leads
from tests.portal.routing.test_pages import ANNA, INGRID, OPERATOR, draft
from tests.portal.visitors import visitor
from tests.world import DANUBIA, World


def started(world: World, version: int, days: str = "90") -> Any:
    page = visitor(world, INGRID).get(f"/rules/{version}/rehearsals")
    form = next(f for f in page.forms.values() if f.action.endswith("/rehearsals"))
    form["days"] = days
    return form.submit(expect_errors=True)


def ran(world: World, version: int) -> str:
    at = str(started(world, version).location)
    run(world)
    return at


def run(world: World) -> None:
    with world.system() as session:
        session.execute(text("delete from work_items where kind <> 'rehearsal.run'"))
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1))


def said(page: Any) -> str:
    return " ".join(page.html.find("main").get_text(" ").split())


def test_a_rehearsal_is_started_run_and_kept(world: World) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    at = started(world, version).location
    waiting = visitor(world, INGRID).get(at)
    assert waiting.headers["Refresh"] == "2" and "It waits for a worker" in waiting
    assert waiting.html.find("progress") is not None
    run(world)
    page = visitor(world, INGRID).get(at)
    assert "Refresh" not in page.headers
    words = said(page)
    assert "3 of 3 leads would move, 3 would find no partner; EUR\u00a0252,000 changes hands." in page
    for word in (
        "Nobody any more",
        "Oberösterreich",
        DANUBIA,
        "By worth",
        "The rules alone",
        "Ingrid Hall",
    ):
        assert word in words, word
    assert len(page.html.select("#list tbody tr")) == 3
    for effect in ("rules", "full"):
        assert "L-" in visitor(world, INGRID).get(f"{at}?effect={effect}")
    listed = visitor(world, INGRID).get(f"/rules/{version}/rehearsals")
    assert "3 of 3 leads would move" in listed and "Done" in listed


def test_the_moves_are_a_list_with_filters_and_files(world: World) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    at = ran(world, version)
    client = visitor(world, INGRID)
    assert len(client.get(f"{at}?becomes=routable").html.select("#list tbody tr")) == 0
    assert len(client.get(f"{at}?before=danubia&view=all").html.select("#list tbody tr")) in (1, 2, 3)
    assert len(client.get(f"{at}?after=danubia").html.select("#list tbody tr")) == 0
    lines = client.get(f"{at}?export=csv&view=all").text.splitlines()
    assert len(lines) == 4 and "Would go to" in lines[0] and "Nobody" in lines[1]
    assert client.get(f"{at}?export=xlsx&view=all").body.startswith(b"PK")


def test_publishing_says_what_the_newest_rehearsal_found(world: World) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    client = visitor(world, INGRID)
    assert "It was never rehearsed" in client.get(f"/rules/{version}/publishing")
    ran(world, version)
    page = client.get(f"/rules/{version}/publishing")
    assert "3 of 3 leads would move" in page and "changed since" not in page
    with world.acting(INGRID) as session:
        found = actions.find(session, version)
        actions.save(session, version, found.revision, RuleSet.parse(found.body | {"note": "again"}))
    assert "The rule set has changed since: rehearse it again." in client.get(f"/rules/{version}/publishing")


def test_one_at_a_time_and_a_number_of_days(world: World) -> None:
    version = draft(world, rows=[], examples=[])
    for wrong in ("0", "401", "x", "", "-1", "1.5", "99999"):
        refused = started(world, version, wrong)
        assert refused.status_int == 422 and "Give a number of days from 1 to 400." in refused, wrong
    assert started(world, version).status_int == 303
    again = started(world, version)
    assert again.status_int == 409 and "is under way" in again


def test_what_waits_is_stopped_at_once(world: World) -> None:
    version = draft(world, rows=[], examples=[])
    page = started(world, version).follow()
    done = next(f for f in page.forms.values() if f.action.endswith("/stop")).submit().follow()
    assert "It was stopped." in done
    run(world)
    with world.system() as session:
        assert session.execute(text("select state from rehearsals")).scalar_one() == "stopped"
        assert (
            session.execute(text("select count(*) from work_items where kind = 'rehearsal.run'")).scalar_one()
            == 0
        )


def test_what_runs_is_stopped_and_keeps_what_it_has(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    at = started(world, version).location
    monkeypatch.setattr(rehearsals, "EVERY_S", 0.0)
    monkeypatch.setattr(rehearsals, "_state", lambda _session, _id: "stopping")
    run(world)
    with world.system() as session:
        row = session.execute(text("select * from rehearsals")).one()
    assert row.state == "stopped" and list(row.effects) == ["rules"] and row.ended_at is not None
    assert "It was stopped." in visitor(world, INGRID).get(at)


def test_what_fails_says_so_and_can_be_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    leads(world)
    version = draft(world, rows=[PLATINUM], examples=[])
    at = started(world, version).location
    with monkeypatch.context() as broken:
        broken.setattr(rehearsals.rehearsing, "material", lambda *_: 1 / 0)
        run(world)
    assert "It failed." in visitor(world, INGRID).get(at)
    with world.system() as session:
        session.execute(text("update work_items set run_at = app.clock(1), state = 'ready', lease = null"))
    run(world)
    assert "3 of 3 leads would move" in visitor(world, INGRID).get(at)


def test_who_reads_who_starts_and_what_is_not_there(world: World) -> None:
    version = draft(world, rows=[], examples=[])
    other = draft(world, rows=[], examples=[])
    at = started(world, version).location
    for email in (ANNA, OPERATOR):
        page = visitor(world, email).get(at)
        assert "/stop" not in page.text
        assert "Rehearse</button>" not in visitor(world, email).get(f"/rules/{version}/rehearsals")
    number = at.rpartition("/")[2]
    visitor(world, INGRID).get(f"/rules/{other}/rehearsals/{number}", status=404)
    visitor(world, INGRID).get(f"/rules/{version}/rehearsals/{2**63}", status=404)
    for email in ("tomas@halden.example", "lukas@danubia.example"):
        visitor(world, email).get(f"/rules/{version}/rehearsals", status=404)

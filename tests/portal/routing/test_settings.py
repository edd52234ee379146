"""Ranking and deadlines as a form: what is typed is saved, what the engine refuses stands at its field."""

from typing import Any

from portal.routing.rulesets import actions
from tests.portal.routing.test_pages import ANNA, INGRID, draft
from tests.portal.visitors import visitor
from tests.world import World


def form(world: World, version: int) -> Any:
    page = visitor(world, INGRID).get(f"/rules/{version}/settings")
    return next(f for f in page.forms.values() if f.action.endswith("/settings"))


def score(world: World, version: int) -> Any:
    with world.system() as session:
        return actions.find(session, version).body["score"]


def test_numbers_and_levels_are_changed(world: World) -> None:
    version = draft(world, examples=[])
    sent = form(world, version)
    assert sent["level"].value == "40" and "platinum 100" in sent["points"].value
    sent["level"], sent["points"], sent["full_km"], sent["zero_km"] = "50", "gold 80\nSilver 20", "5", "60"
    done = sent.submit().follow()
    assert "Saved." in done and "Percent for level silver" in done
    now = score(world, version)
    assert now["level"] == {"weight": 50, "points": {"gold": 80, "silver": 20}, "default": 0}
    assert now["distance"] == {"weight": 35, "full_km": 5, "zero_km": 60}


def test_what_the_engine_refuses_stands_at_its_field(world: World) -> None:
    version = draft(world)
    sent = form(world, version)
    sent["zero_km"], sent["cap"] = "3", "0"
    page = sent.submit(status=422)
    assert [one["id"] for one in page.html.select("[aria-invalid=true]")][-1] == "f-cap"
    assert next(f for f in page.forms.values() if f.action.endswith("/settings"))["zero_km"].value == "3"
    again = form(world, version)
    again["points"] = "gold ninety"
    assert "for example gold 90" in again.submit(status=422)
    assert score(world, version)["distance"]["zero_km"] == 150


def test_only_a_draft_and_only_by_who_edits(world: World) -> None:
    version = draft(world)
    visitor(world, ANNA).get(f"/rules/{version}/settings", status=404)
    visitor(world, INGRID).get("/rules/1/settings", status=409)

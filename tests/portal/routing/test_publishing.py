"""The page on which a rule set is published: what it shows, what it refuses, who acknowledged what."""

from typing import Any

from portal.routing.rulesets import actions
from tests.portal.leads.test_flow import intake
from tests.portal.routing.test_life import FAILS
from tests.portal.routing.test_pages import INGRID, draft
from tests.portal.visitors import visitor
from tests.world import World

PLATINUM = {"id": "top", "when": {"country": ["AT"]}, "who": {"level": ["platinum"]}, "effect": {"kind": "require"},
            "valid_from": "2026-11-23"}  # fmt: skip
TWICE = {"id": "twice", "when": {}, "who": {"level": ["gold"]}, "effect": {"kind": "boost", "points": 0}}


def form(world: World, version: int) -> Any:
    page = visitor(world, INGRID).get(f"/rules/{version}/publishing")
    return next(f for f in page.forms.values() if f.action.endswith("/publishing"))


def test_what_would_move_is_said_in_numbers(world: World) -> None:
    intake(world)
    intake(
        world,
        external_key="other",
        account={"name": "Another"},
        contact={"name": "A", "email": "a@b.example"},
    )
    version = draft(world, rows=[PLATINUM], examples=[])
    page = visitor(world, INGRID).get(f"/rules/{version}/publishing")
    said = " ".join(page.html.find("main").get_text(" ").split())
    assert "The last 2 leads" in said and "2 leads would go to somebody else" in said
    assert "2 would find no partner" in said and "Rows added 1" in said
    assert "Danubia Technik" in said


def test_findings_stand_there_and_are_acknowledged_with_a_name(world: World) -> None:
    version = draft(world, rows=[PLATINUM, TWICE], examples=[])
    page = visitor(world, INGRID).get(f"/rules/{version}/publishing")
    for title in ("Nobody meets row 1 top today", "Row 2 twice changes nothing", "No examples"):
        assert title in page, title
    refused = form(world, version).submit("do", value="publish", status=409)
    assert "3 findings are not acknowledged" in refused
    ticked = form(world, version)
    for box in ticked.fields["read"][:2]:
        box.checked = True
    kept = ticked.submit("do", value="note").follow()
    assert kept.text.count("Read by Ingrid Hall") == 2
    still = form(world, version).submit("do", value="publish", status=409)
    assert "One finding is not acknowledged" in still
    last = form(world, version)
    for box in last.fields["read"]:
        box.checked = True
    last.submit("do", value="publish").follow()
    with world.system() as session:
        assert actions.find(session, version).state == "published"


def test_what_is_ticked_survives_a_refusal(world: World) -> None:
    version = draft(world, rows=[PLATINUM, TWICE], examples=[])
    ticked = form(world, version)
    ticked.fields["read"][0].checked = True
    refused = ticked.submit("do", value="publish", status=409)
    again = next(f for f in refused.forms.values() if f.action.endswith("/publishing"))
    assert [box.checked for box in again.fields["read"]] == [True, False, False]


def test_an_example_that_fails_stops_it_whatever_is_ticked(world: World) -> None:
    version = draft(world, rows=[], examples=[FAILS])
    page = form(world, version).submit("do", value="publish", status=409)
    assert "One example fails: Nobody is eligible." in page and "Expected nobody, got one." in page


def test_a_moment_is_read_in_the_readers_zone(world: World) -> None:
    version = draft(world, rows=[])
    wrong = form(world, version)
    wrong["day"], wrong["time"] = "soon", "08:00"
    assert "Give the day as" in wrong.submit("do", value="schedule", status=422)
    right = form(world, version)
    right["day"], right["time"] = "2026-12-01", "08:00"
    done = right.submit("do", value="schedule").follow()
    assert "Scheduled" in done
    with world.system() as session:
        found = actions.find(session, version)
        assert found.state == "scheduled" and found.publish_at is not None
        assert found.publish_at.isoformat() == "2026-12-01T07:00:00+00:00", "Vienna is an hour ahead of UTC"

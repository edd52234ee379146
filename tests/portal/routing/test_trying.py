"""Trying a request: the draft and the one in force side by side, without anything being offered or written down."""

from typing import Any

from sqlalchemy import text

from tests.portal.leads.test_flow import intake
from tests.portal.routing.test_pages import ANNA, INGRID, draft
from tests.portal.visitors import visitor
from tests.world import World

NOT_GOLD = {
    "id": "no-gold",
    "when": {"country": ["AT"]},
    "who": {"level": ["gold"]},
    "effect": {"kind": "exclude"},
}


def words(page: Any) -> str:
    return " ".join(page.html.find("main").get_text(" ").split())


def test_a_past_lead_is_decided_by_both(world: World) -> None:
    lead = intake(world)
    version = draft(world, rows=[NOT_GOLD], examples=[])
    client = visitor(world, INGRID)
    page = client.get(f"/rules/{version}/try")
    form = next(f for f in page.forms.values() if "past" in f.fields)
    assert lead.number in page
    said = words(form.submit())
    assert "They decide differently" in said
    assert "Version 1, in force Danubia Technik gets it" in said and "Traun Pumpenservice gets it" in said
    assert (
        "Rows that applied 1 When a lead comes from Austria : partners at level Gold may not get it"
        in said.replace(" may not get it .", " may not get it")
    )


def test_a_typed_request_is_decided_and_nothing_is_kept(world: World) -> None:
    version = draft(world, rows=[NOT_GOLD], examples=[])

    def count() -> Any:
        with world.system() as session:
            query = "select (select count(*) from decisions), (select sum(open) from routing_states)"
            return tuple(session.execute(text(query)).one())

    before = count()
    page = visitor(world, ANNA).get(
        f"/rules/{version}/try?ask=1&country=AT&postal=4020&product_lines=HX&amount=60000"
    )
    said = words(page)
    assert "They decide differently" in said and "Cover the place" in said
    assert page.forms and page.html.find("input", {"name": "amount"})["value"] == "60000"
    nobody = visitor(world, ANNA).get(f"/rules/{version}/try?ask=1&country=CZ")
    assert "Both decide alike" in words(nobody) and "Nobody could take it." in words(nobody)
    assert count() == before


def test_what_cannot_be_asked_is_said_at_its_field(world: World) -> None:
    page = visitor(world, INGRID).get("/rules/1/try?ask=1&amount=lots&country=XX")
    assert "Write the amount as" in page and "Choose one of the list" in page
    for past in ("99999", "x", "9" * 30):
        visitor(world, INGRID).get(f"/rules/1/try?past={past}", status=404)
    visitor(world, "katrin@danubia.example").get("/rules/1/try", status=404)


def test_the_one_in_force_stands_alone(world: World) -> None:
    page = visitor(world, INGRID).get("/rules/1/try?ask=1&country=AT")
    assert words(page).count("Rows that applied") == 1

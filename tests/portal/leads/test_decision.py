"""The decision page: the vendor sees everybody and why, a partner its own line and nobody else's name or figures."""

from typing import Any

import pytest
from sqlalchemy import text

from tests.portal.leads.test_flow import intake, offers_of, run
from tests.portal.leads.test_views import EVA, KATRIN, MANAGER, SALES_REP, post
from tests.portal.visitors import visitor
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World


@pytest.fixture
def lead(world: World) -> Any:
    """Offered to Danubia Technik; Alpenhydro's certificate had ended."""
    with world.system() as session:
        company = {"c": world.company(ALPENHYDRO)}
        session.execute(
            text("update certifications set expires = '2026-10-31' where company_id = :c"), company
        )
    return intake(world)


def page(world: World, lead: Any, query: str = "", email: str = MANAGER) -> str:
    return str(visitor(world, email).get(f"/leads/{lead.number}/decision{query}").text)


@pytest.mark.parametrize("email", [MANAGER, SALES_REP, "operator@halden.example"])
def test_the_sentence_funnel_and_candidates(world: World, lead: Any, email: str) -> None:
    text_ = page(world, lead, email=email)
    assert "Danubia Technik got this lead: of the 2 partners that could take it, it is Gold and" in text_
    assert "1 lacks ATEX explosion protection that day" in text_ and "Cover Linz" in text_
    assert "Ranked lower" in text_ and "less for Silver" in text_


def test_why_not_another_partner(world: World, lead: Any) -> None:
    by_name = page(world, lead, "?q=alpen")
    assert "Alpenhydro was refused: not certified on the day." in by_name
    assert "ATEX explosion protection ended 31 Oct" in by_name and "It would have scored" in by_name
    by_id = page(world, lead, f"?why={world.location(TRAUN)}")
    assert "Traun Pumpenservice could take it, and ranked lower." in by_id
    assert "No partner of that day is called" in page(world, lead, "?q=Nobody")
    assert "Danubia Technik was chosen." in page(world, lead, "?q=Danubia")


def test_near_misses_and_refused_by_gate(world: World, lead: Any) -> None:
    assert ALPENHYDRO in page(world, lead, "?tab=short")
    assert "not certified on the day" in page(world, lead, "?tab=refused&gate=certified")
    assert "Nobody." in page(world, lead, "?tab=refused&gate=capacity")


def test_a_changed_directory_is_said_and_does_not_change_the_outcome(world: World, lead: Any) -> None:
    with world.system() as session:
        session.execute(text("update certifications set expires = null"))
    text_ = page(world, lead, "?q=alpenhydro")
    assert "partners have changed since" in text_
    assert "Alpenhydro was refused: not certified on the day." in text_ and "By today" in text_


def test_near_misses_are_those_of_todays_directory(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    assert ALPENHYDRO in app.get(f"/leads/{lead.number}/decision?tab=short").text
    with world.system() as session:
        session.execute(text("update certifications set expires = null"))
    rows = app.get(f"/leads/{lead.number}/decision?tab=short").html.select("#candidates table td")
    assert not any(ALPENHYDRO in row.get_text() for row in rows)


def test_earlier_decisions_stay_readable(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    offer = offers_of(world, lead.lead_id)[0]
    post(app, app.get("/offers"), f"/offers/{offer.id}/decline", {"reason": "too_far"}, status=303)
    run(world)
    latest = page(world, lead)
    assert (
        "1 had it already" in latest
        and "Traun Pumpenservice got this lead: it was the only partner" in latest
    )
    earlier = page(world, lead, f"?decision={offer.decision_id}")
    assert "Danubia Technik was offered this lead" in earlier
    assert "left out: it had this lead already" in page(world, lead, "?q=danubia")


def test_nobody_could_take_it(world: World) -> None:
    got = intake(world, place={"country": "JP", "city": "Osaka"})
    assert "Nobody could take this lead: of 3 partner locations, 3 work elsewhere." in page(world, got)


@pytest.mark.parametrize(
    "query", ["?decision=x", "?tab=x", "?gate=x", "?page=-1", "?why=99999999999999999999", "?q=%00"]
)
def test_addresses_that_cannot_be(world: World, lead: Any, query: str) -> None:
    visitor(world, MANAGER).get(f"/leads/{lead.number}/decision{query}", status=400)


def test_another_leads_decision_is_not_found(world: World, lead: Any) -> None:
    other = intake(world, contact={"name": "X", "email": "x@y.example"})
    decision = offers_of(world, other.lead_id)[0].decision_id
    visitor(world, MANAGER).get(f"/leads/{lead.number}/decision?decision={decision}", status=404)
    visitor(world, MANAGER).get(f"/leads/{lead.number}/decision?why=17", status=404)


def test_a_partner_sees_its_own_line_only(world: World, lead: Any) -> None:
    text_ = page(world, lead, "?q=Traun&tab=refused", KATRIN)
    assert "Your location was chosen: it is Gold and" in text_ and "Your score" in text_
    assert TRAUN not in text_ and ALPENHYDRO not in text_ and "Lenau" not in text_
    visitor(world, EVA).get(f"/leads/{lead.number}/decision", status=404)


def test_a_lead_by_hand_says_so_to_its_partner(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    at = app.get(f"/leads/{lead.number}")
    post(app, at, f"/leads/{lead.number}/withdraw", {"reason": "error"}, status=303)
    fields = {"location": str(world.location(TRAUN)), "why": "Knows the site"}
    post(app, at, f"/leads/{lead.number}/assign", fields, status=303)
    assert "You were chosen by hand." in page(world, lead, email=EVA)
    assert DANUBIA in page(world, lead)


def test_after_an_assignment_by_hand_the_page_says_so_first(world: World) -> None:
    got = intake(world, certifications=("ISO-NOBODY",))
    assert "Nobody could take this lead" in page(world, got)
    app = visitor(world, MANAGER)
    form = {"location": f"{TRAUN}, Traun", "why": "They know the site"}
    post(app, app.get(f"/leads/{got.number}"), f"/leads/{got.number}/assign", form, status=303)
    told = page(world, got)
    assert "assigned it by hand to Traun Pumpenservice; the rules had found nobody." in told
    assert "Ingrid" in told and "Nobody could take this lead" not in told

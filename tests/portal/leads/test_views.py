"""The lead page: each persona its own sight, what is posted from it, and what stays closed until acceptance."""

import re
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from tests.portal.leads.test_flow import intake, lead_of, offers_of, run
from tests.portal.pages import said
from tests.portal.visitors import visitor
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

MANAGER, SALES_REP = "ingrid@halden.example", "tomas@halden.example"
KATRIN, LUKAS, EVA = "katrin@danubia.example", "lukas@danubia.example", "sales@traun.example"
# What no partner may read before it accepts, nor after it has handed back.
SECRETS = (
    "Lenau Papier",
    "Eva Lenau",
    "eva@lenau.example",
    "+43 732 1",
    "Hafenstrasse",
    "84,000",
    "84000",
    "number 0660",
)


def secrets_in(text: str) -> list[str]:
    """Those that stand in a page; a long number is an id, which may hold any digits."""
    plain = re.sub(r"\d{12,}", "", text)
    return [secret for secret in SECRETS if secret in plain]


@pytest.fixture
def lead(world: World) -> Any:
    """A lead offered to Danubia Technik."""
    got = intake(world)
    assert offers_of(world, got.lead_id)[0].company_id == world.company(DANUBIA)
    return got


def post(app: TestApp, page: Any, path: str, fields: dict[str, Any] | None = None, **more: Any) -> Any:
    """Send a form of a page, with its CSRF token."""
    token = page.html.find("input", {"name": "csrf_token"})["value"]
    return app.post(path, {"csrf_token": token, **(fields or {})}, **more)


def url(lead: Any, rest: str = "") -> str:
    return f"/leads/{lead.number}{rest}"


def offer_url(world: World, lead: Any, what: str) -> str:
    return f"/offers/{offers_of(world, lead.lead_id)[-1].id}/{what}"


def accept(world: World, lead: Any, email: str = KATRIN) -> TestApp:
    app = visitor(world, email)
    post(app, app.get(url(lead)), offer_url(world, lead, "accept"), status=303)
    return app


@pytest.mark.parametrize(
    "email", [MANAGER, SALES_REP, "anna@halden.example", "operator@halden.example", KATRIN, LUKAS]
)
def test_who_may_see_the_lead_sees_it(world: World, lead: Any, email: str) -> None:
    page = visitor(world, email).get(url(lead))
    assert lead.number in page.text and "Danubia Technik" in page.text


@pytest.mark.parametrize("email", [EVA, "sales@alpenhydro.example"])
def test_a_foreign_lead_and_an_unknown_one_are_the_same_to_a_partner(
    world: World, lead: Any, email: str
) -> None:
    app = visitor(world, email)
    foreign, unknown = app.get(url(lead), status=404), app.get("/leads/L-99999", status=404)
    assert said(foreign) == said(unknown)
    for rest in ("/decision", "/edit", "/duplicate"):
        assert said(app.get(url(lead, rest), status=404)) == said(unknown)


@pytest.mark.parametrize("path", ["/leads/new", "/leads/queue", "/leads/L-10001/edit"])
def test_the_vendors_pages_do_not_exist_for_a_partner(world: World, lead: Any, path: str) -> None:
    visitor(world, KATRIN).get(path, status=404)


def test_only_managers_have_the_queue(world: World) -> None:
    visitor(world, MANAGER).get("/leads/queue", status=200)
    visitor(world, SALES_REP).get("/leads/queue", status=404)


def test_nothing_of_the_customer_before_acceptance_all_after_nothing_after_hand_back(
    world: World, lead: Any
) -> None:
    app = visitor(world, KATRIN)
    pages = ("/", "/offers", "/leads", url(lead), url(lead, "/decision"))
    before = [app.get(path).text for path in pages]
    assert not [(path, s) for path, text in zip(pages, before, strict=True) for s in secrets_in(text)]
    assert (
        "EUR\u00a050,000 to 100,000" in before[3] and "4020 Linz" in before[3] and "Pump service" in before[3]
    )

    accept(world, lead)
    after = app.get(url(lead)).text
    assert not [
        s for s in ("Lenau Papier", "Eva Lenau", "+43 732 1", "Hafenstrasse", "84,000") if s not in after
    ]
    assert "number 0660" not in after  # the raw request stays the vendor's

    page = app.get(url(lead))
    post(app, page, url(lead, "/hand-back"), {"reason": "no_capacity"}, status=303)
    for path in pages[:3]:
        assert not secrets_in(app.get(path).text)
    handed = app.get(url(lead)).text
    assert not secrets_in(handed)
    assert "no capacity" in handed


def test_accepting_opens_the_lead_and_says_so(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    answer = post(app, app.get("/offers"), offer_url(world, lead, "accept"), status=303)
    page = answer.follow()
    assert "Contact is open." in page.text and "Eva Lenau" in page.text
    again = post(app, page, offer_url(world, lead, "accept"), status=409)
    assert "already been accepted" in again.text


def test_opening_the_offer_is_told_once(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    app.get(url(lead))
    app.get(url(lead))
    page = visitor(world, MANAGER).get(url(lead)).text
    assert page.count("opened the offer") == 1


def test_declining_asks_one_reason_and_hands_on(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    page = app.get("/offers")
    assert "No capacity" in page.text and "<details" in page.text  # in place, without a script
    missing = post(app, page, offer_url(world, lead, "decline"), {"reason": "other"}, status=422)
    assert "few words" in missing.text
    answer = post(app, page, offer_url(world, lead, "decline"), {"reason": "too_far"}, status=303)
    assert "You declined" in answer.follow().text
    run(world)
    assert len(offers_of(world, lead.lead_id)) == 2
    told = visitor(world, MANAGER).get(url(lead)).text
    assert "declined: too far" in told and "Katrin Moser, Danubia Technik" in told
    mine = app.get(url(lead)).text
    assert "You declined it" in mine and ALPENHYDRO not in mine and TRAUN not in mine


def test_a_foreign_offer_cannot_be_answered(world: World, lead: Any) -> None:
    app = visitor(world, EVA)
    page = app.get("/offers")
    for what in ("accept", "decline"):
        post(app, page, offer_url(world, lead, what), {"reason": "too_far"}, status=404)
    post(app, page, "/offers/9999999999999999999/accept", status=404)
    assert lead_of(world, lead.lead_id).assignment == "offered"


def test_without_a_csrf_token_nothing_is_done(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    app.post(offer_url(world, lead, "accept"), status=400)
    assert lead_of(world, lead.lead_id).assignment == "offered"


def test_notes_of_one_company_stay_there_and_words_to_all_arrive(world: World, lead: Any) -> None:
    app = visitor(world, KATRIN)
    page = app.get(url(lead))
    post(app, page, url(lead, "/comment"), {"text": "We know the mill.", "audience": "own"}, status=303)
    post(app, page, url(lead, "/comment"), {"text": "Which zone is it?", "audience": "all"}, status=303)
    mine = app.get(url(lead)).text
    assert "Only Danubia Technik sees this" in mine and "We know the mill." in mine
    theirs = visitor(world, MANAGER).get(url(lead)).text
    assert "Which zone is it?" in theirs and "We know the mill." not in theirs
    empty = post(app, page, url(lead, "/comment"), {"text": "  "}, status=422)
    assert "Nothing was changed" in empty.text


def test_the_holder_moves_it_on_to_won(world: World, lead: Any) -> None:
    app = accept(world, lead)
    page = app.get(url(lead))
    post(app, page, url(lead, "/step"), {"step": "Call Eva", "on": "2026-11-30"}, status=303)
    assert "Next step, Mon 30 Nov: Call Eva" in app.get(url(lead)).text
    for stage in ("working", "qualified", "proposed"):
        post(app, page, url(lead, "/stage"), {"to": stage}, status=303)
    wrong = post(
        app, page, url(lead, "/stage"), {"to": "won", "won_amount": "much", "won_on": ""}, status=422
    )
    assert 'value="much"' in wrong.text and "25,000.50" in wrong.text
    post(
        app,
        page,
        url(lead, "/stage"),
        {"to": "won", "won_amount": "83,500", "won_on": "2026-11-23"},
        status=303,
    )
    found = lead_of(world, lead.lead_id)
    assert (found.stage, float(found.won_amount)) == ("won", 83500.0)
    assert "Won: EUR\u00a083,500 on 23 Nov." in app.get(url(lead)).text
    refused = post(app, page, url(lead, "/stage"), {"to": "working"}, status=409)
    assert "cannot become working" in refused.text


def test_a_day_that_is_none_comes_back_filled_in(world: World, lead: Any) -> None:
    app = accept(world, lead)
    answer = post(app, app.get(url(lead)), url(lead, "/step"), {"step": "Call Eva", "on": "soon"}, status=422)
    assert 'value="Call Eva"' in answer.text
    assert lead_of(world, lead.lead_id).next_step is None


def test_a_manager_withdraws_and_assigns_by_hand(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    page = app.get(url(lead))
    post(app, page, url(lead, "/withdraw"), {"reason": "nonsense"}, status=422)
    post(app, page, url(lead, "/withdraw"), {"reason": "customer_asked"}, status=303)
    assert lead_of(world, lead.lead_id).assignment == "pulled_back"
    page = app.get(url(lead))
    assert "Assign by hand" in page.text
    form = {"location": "Nobody, Nowhere", "why": "They know the site"}
    wrong = post(app, page, url(lead, "/assign"), form, status=422)
    assert "Nobody, Nowhere" in wrong.text and 'value="They know the site"' in wrong.text
    post(app, page, url(lead, "/assign"), {"location": f"{TRAUN}, Traun", "why": ""}, status=422)
    good = {"location": f"{TRAUN}, Traun", "why": "They know the site"}
    post(app, page, url(lead, "/assign"), good, status=303)
    assert offers_of(world, lead.lead_id)[-1].company_id == world.company(TRAUN)
    told = app.get(url(lead)).text
    assert "assigned the lead by hand to Traun Pumpenservice" in told and "They know the site" in told
    late = post(app, page, url(lead, "/assign"), good, status=409)
    assert "Withdraw it first" in late.text


def test_a_sales_rep_sees_but_does_not_assign(world: World, lead: Any) -> None:
    app = visitor(world, SALES_REP)
    page = app.get(url(lead))
    assert "/withdraw" not in page.text
    post(app, page, url(lead, "/withdraw"), {"reason": "error"}, status=404)


def test_editing_keeps_what_was_typed_and_changes_only_own_fields(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    page = app.get(url(lead, "/edit"))
    form = page.forms[next(k for k, f in page.forms.items() if f.action == url(lead, "/edit"))]
    form["title"], form["amount"] = "", "12000"
    again = form.submit(status=422)
    assert 'value="12000"' in again.text
    form = page.forms[next(k for k, f in page.forms.items() if f.action == url(lead, "/edit"))]
    form["title"], form["amount"] = "Pumps for the mill", "12,000"
    form.submit(status=303)
    found = lead_of(world, lead.lead_id)
    assert (found.title, float(found.amount), found.city) == ("Pumps for the mill", 12000.0, "Linz")
    assert "changed worth, title" in app.get(url(lead)).text


def edit_form_of(app: TestApp, lead: Any) -> Any:
    """The edit page's form."""
    page = app.get(url(lead, "/edit"))
    return page.forms[next(k for k, f in page.forms.items() if f.action == url(lead, "/edit"))]


def test_a_customer_is_corrected_and_only_vendor_and_holder_are_told(world: World, lead: Any) -> None:
    app, partner = visitor(world, SALES_REP), visitor(world, KATRIN)
    form = edit_form_of(app, lead)
    form["account"], form["email"], form["street"] = (
        "Lenau Papier AG",
        "Eva@lenau-ag.example",
        "Hafenstrasse 9",
    )
    form.submit(status=303)
    told = app.get(url(lead)).text
    assert "changed company, e-mail, street" in told and "Lenau Papier AG" in told
    assert "changed company" not in partner.get(url(lead)).text
    with world.system() as session:
        data = session.execute(
            text("select data from events where type = 'lead.customer_corrected'")
        ).scalar()
        kept = session.execute(
            text("select name_key, email_key from accounts a join contacts c on c.account_id = a.id")
        )
        assert kept.one().email_key == "eva@lenau-ag.example"
    assert data == {"fields": ["account", "email", "street"]}
    accept(world, lead)
    assert "Eva@lenau-ag.example" in partner.get(url(lead)).text


def test_a_place_that_moved_gets_its_own_region(world: World, lead: Any) -> None:
    app = visitor(world, MANAGER)
    form = edit_form_of(app, lead)
    assert form["subdivision"].value == "AT-4"
    form["postal"], form["city"] = "1010", "Wien"
    form.submit(status=303)
    found = lead_of(world, lead.lead_id)
    assert (found.city, found.subdivision) == ("Wien", "AT-9")


def test_the_raw_request_is_the_vendors_alone(world: World, lead: Any) -> None:
    assert "private number 0660" in visitor(world, MANAGER).get(url(lead)).text
    app = accept(world, lead)
    assert "number 0660" not in app.get(url(lead)).text


def test_a_repeat_waits_until_a_person_decides(world: World, lead: Any) -> None:
    second = intake(world)
    assert second.outcome == "suspected_duplicate"
    app = visitor(world, MANAGER)
    assert second.number in app.get("/leads/queue").text
    undecided = app.get(url(second)).text
    assert "Assign by hand" not in undecided and "How it was decided" not in undecided
    page = app.get(url(second, "/duplicate"))
    assert lead.number in page.text and page.text.count("Lenau Papier") >= 2
    post(app, page, url(second, "/duplicate"), {"is": "duplicate"}, status=303)
    assert lead_of(world, second.lead_id).stage == "duplicate"
    assert f"Open the original, {lead.number}" in app.get(url(second)).text
    app.get(url(lead, "/duplicate"), status=404)
    third = intake(world)
    page = app.get(url(third, "/duplicate"))
    post(app, page, url(third, "/duplicate"), {"is": "own"}, status=303)
    assert lead_of(world, third.lead_id).assignment == "offered"


def test_words_typed_by_people_are_never_markup(world: World) -> None:
    got = intake(world, need="<script>alert(1)</script>", title="<b>x</b>")
    for email in (MANAGER, KATRIN):
        for path in (url(got), "/leads", "/", "/offers" if email == KATRIN else "/leads/queue"):
            text = visitor(world, email).get(path).text
            assert "<script>alert(1)" not in text and "<b>x</b>" not in text

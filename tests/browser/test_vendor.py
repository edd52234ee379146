"""The vendor's people walk through their pages."""

import pytest

from tests.browser.stage import MANAGER, OPERATOR, PASSWORD, Stage
from tests.world import ALPENHYDRO, DANUBIA

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


def test_a_channel_manager_signs_in_and_out_through_the_form(walk, width: int) -> None:
    w = walk(width)
    page = w.go("/leads", "sign-in")
    page.get_by_label("Work e-mail").fill(MANAGER)
    page.get_by_label("Password").fill("not this one at all")
    w.expected += 1
    w.press("Sign in")
    assert "not right" in w.text()
    w.look("sign-in-refused")
    page.get_by_label("Password").fill(PASSWORD)
    w.press("Sign in")
    assert "/leads" in page.url, "back to where they wanted to go"
    page.locator("summary.who").click()
    w.press("Sign out")
    assert "signed out" in w.flash()
    w.look("signed-out")
    assert "/sign-in" in w.go("/leads").url


def test_the_list_of_leads_sorts_filters_and_searches(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    page = w.go("/", "home-manager")
    page = w.go("/leads", "leads")
    if width > 1000:
        page.get_by_role("link", name="Worth", exact=True).click()
        page.wait_for_url("**sort=*worth*")
        w.look("leads-sorted")
    page.locator("summary.chip", has_text="Stage").first.click()
    page.get_by_label("Won", exact=True).check()
    page.locator("details[open]").get_by_role("button", name="Apply").click()
    page.wait_for_url("**stage=won*")
    numbers = page.locator("tbody tr").all_inner_texts()
    assert numbers and all("Won" in row for row in numbers)
    w.look("leads-filtered")
    w.go("/leads?q=nothing+is+called+so", "leads-nothing-found")


def test_a_lead_of_unknown_worth_has_its_title_beneath_its_customer(walk, stage: Stage, width: int) -> None:
    stage.lead(amount=None, currency=None, title="Worth is not known")
    page = walk(width, MANAGER).go("/leads?q=Worth+is+not+known", "leads-no-worth")
    title, customer = (page.locator(f"tbody tr td >> nth={n}").bounding_box() for n in (0, 1))
    assert (
        title["y"] >= customer["y"] + customer["height"] - 1 if width < 1000 else title["y"] == customer["y"]
    )


def test_a_new_lead_is_refused_then_offered_and_explained(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    page = w.go("/leads/new", "lead-new")
    page.get_by_label("What is it about?").fill(f"Spare impellers {width}")
    page.get_by_label("E-mail").fill("no address")
    w.expected += 1
    w.press("Save and offer")
    assert f"Spare impellers {width}" == page.get_by_label("What is it about?").input_value(), (
        "nothing typed is lost"
    )
    assert page.locator("[aria-invalid=true]").count() >= 2
    w.look("lead-new-refused")
    page.get_by_label("E-mail").fill(f"max{width}@zipf.example")
    page.get_by_label("Company", exact=True).fill(f"Brauerei Zipf {width}")
    page.get_by_label("Postcode").fill("4020")
    page.get_by_label("Town").fill("Linz")
    page.get_by_label("Country").select_option("AT")
    page.get_by_label("Sentinel pumps").check()
    page.get_by_label("Worth").fill("12500")
    w.press("Save and offer")
    assert f"It is offered to {DANUBIA}" in w.flash()
    w.look("lead-offered")
    page.get_by_role("link", name="How it was decided").last.click()
    page.get_by_label("Type any of the").fill(ALPENHYDRO)
    w.look("decision")
    w.press("Ask")
    page.locator("#why").get_by_text("authorised", exact=False).first.wait_for()
    w.look("decision-why-not")


def test_what_waits_is_assigned_by_hand(walk, stage: Stage, width: int) -> None:
    made = stage.unroutable()
    w = walk(width, MANAGER)
    page = w.go("/leads/queue", "queue")
    page.locator(f"a[href='/leads/{made.number}#assign']").click()
    page.get_by_label("Partner", exact=True).fill(f"{ALPENHYDRO}, Salzburg")
    page.get_by_label("Reason", exact=True).fill("They know the customer")
    w.look("lead-unroutable")
    w.press("Offer it")
    assert "Offered" in w.flash()
    w.look("lead-assigned")
    repeat = stage.repeat()
    w.go(f"/leads/{repeat.number}", "lead-repeat")
    page = w.go(f"/leads/{repeat.number}/duplicate", "duplicate")
    ends = page.locator("table.pairs tr > :last-child").evaluate_all(
        "cells => cells.map(cell => cell.getBoundingClientRect().right)"
    )
    assert ends and max(ends) <= width, "both leads are in sight, on a phone too"
    w.press("Yes, close it as a repeat")
    assert "closed as a repeat" in w.flash()


def test_a_held_lead_is_followed_edited_and_taken_back(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    w.go(f"/leads/{stage.settled['won'].number}", "lead-won-vendor")
    made = stage.settled["working"]
    page = w.go(f"/leads/{made.number}", "lead-working-vendor")
    assert "offer by Friday" in w.text() and "margin" not in w.text(), "the partner's own notes stay with it"
    w.go(f"/leads/{made.number}/edit", "lead-edit")
    page.get_by_label("Need").fill(f"Service of {width} pumps")
    w.press("Save")
    assert "Saved" in w.flash()


def test_the_operator_has_a_home(walk, width: int) -> None:
    w = walk(width, OPERATOR)
    w.go("/", "home-operator")
    w.go("/leads/queue")


@pytest.mark.parametrize("email", ["tomas@halden.example", "anna@halden.example"])
def test_who_sells_and_who_cares_for_partners_read_what_they_may(walk, width: int, email: str) -> None:
    w = walk(width, email)
    w.go("/", "home-" + email.partition("@")[0])
    page = w.go("/leads")
    page.goto(page.locator("tbody tr a").first.get_attribute("href"))
    w.look("lead-" + email.partition("@")[0])
    w.go("/partners")
    w.go("/me", "me")
    w.go("/help/lists")


def test_strangers_meet_clean_pages(walk, width: int) -> None:
    w = walk(width)
    w.go("/forgotten", "forgotten")
    w.go("/help")


def test_what_is_not_there_says_so(walk, width: int) -> None:
    w = walk(width, MANAGER)
    answer = w.page.goto("/leads/L-999999")
    assert answer.status == 404
    w.said.clear()  # Chromium reports the 404 itself
    w.look("not-found")

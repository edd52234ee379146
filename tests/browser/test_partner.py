"""A partner's people answer offers, work leads and keep their company's page."""

import pytest

from tests.browser.stage import ADMINISTRATOR, SELLER, Stage

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


def test_sales_declines_with_a_reason(walk, stage: Stage, width: int) -> None:
    made = stage.lead()
    w = walk(width, SELLER)
    w.go("/", "home-sales")
    page = w.go("/offers", "offers")
    card = page.locator(f"article[aria-labelledby='o-{made.number}']")
    card.locator("summary").click()
    w.look("offers-declining")
    card.get_by_role("button", name="No capacity").click()
    assert f"You declined {made.number}" in w.flash()
    w.look("offers-declined")
    w.go("/offers?tab=missed", "offers-missed")
    w.go("/offers?tab=accepted", "offers-accepted")
    w.go(f"/leads/{made.number}", "lead-past")


def test_sales_accepts_and_works_a_lead(walk, stage: Stage, width: int) -> None:
    made = stage.lead()
    w = walk(width, SELLER)
    page = w.go(f"/leads/{made.number}", "lead-before")
    hidden = (made.customer, "Eva Lenau", "lenau.example", "Hafenstraße", "84,0")
    whole = page.content()
    assert not [secret for secret in hidden if secret in whole], "withheld until accepted"
    w.press("Accept lead")
    assert f"You accepted {made.number}" in w.flash()
    assert not [secret for secret in hidden if secret not in page.content()], "open after accepting"
    assert "0660 1234567" not in page.content(), "the raw request stays with the vendor"
    w.look("lead-accepted")
    page.get_by_label("Write a note or a question").fill(f"For us alone {width}")
    page.get_by_role("radio", name="Only", exact=False).check()
    w.press("Post")
    assert "Only your company" in w.flash()
    page.get_by_label("What happens next").fill("Visit the plant")
    page.get_by_label("By when", exact=True).fill("2026-11-30")
    w.press("Plan it")
    w.press("Working")
    assert "Moved" in w.flash()
    w.look("lead-working")
    w.go(f"/leads/{made.number}/decision", "decision-own-line")
    w.go("/leads", "our-leads")
    page = w.go(f"/leads/{made.number}")
    page.locator("summary", has_text="Hand back").locator("visible=true").first.click()
    w.look("lead-handing-back")
    w.press("Dates do not fit") if page.get_by_role("button", name="Dates do not fit").count() else w.press(
        "No capacity"
    )
    assert "Handed back" in w.flash()
    w.look("lead-handed-back")
    vendor = walk(width, "ingrid@halden.example")
    vendor.go(f"/leads/{made.number}", "lead-handed-back-vendor")
    assert f"For us alone {width}" not in vendor.page.content()


def test_an_administrator_keeps_the_company(walk, stage: Stage, width: int) -> None:
    w = walk(width, ADMINISTRATOR)
    w.go("/", "home-administrator")
    page = w.go("/company", "company")
    w.go("/company/edit", "company-edit")
    page.get_by_label("Phone").fill("+43 732 999")
    w.press("Save")
    assert "Saved" in w.flash()
    w.go("/company/people", "company-people")
    w.go("/company/people/new", "company-person-new")
    w.go(f"/company/people/{stage.world.people[SELLER]}/remove", "company-person-remove")
    w.go("/company/agreement", "company-agreement")
    location = f"/company/locations/{stage.world.location('Danubia Technik')}"
    w.go(location, "company-location")
    w.go(location + "/calendar", "company-calendar")


def test_a_mail_link_answers_without_a_password(walk, stage: Stage, width: int) -> None:
    made, other = stage.lead(), stage.lead()
    w = walk(width)
    page = w.go(stage.link(made), "link")
    assert made.customer not in page.content()
    w.press("Accept")
    assert "Accepted" in w.text()
    w.look("link-accepted")
    w.go(stage.link(other))
    page.locator("summary", has_text="Decline").click()
    w.look("link-declining")
    w.press("Too far away") if page.get_by_role("button", name="Too far away").count() else w.press(
        "No capacity"
    )
    w.look("link-declined")
    answer = page.goto("/o/" + "x" * 43)
    assert answer.status == 404
    w.said.clear()
    w.look("link-gone")

"""Without a mouse, and without scripts."""

import pytest

from tests.browser.stage import MANAGER, PASSWORD, SELLER, Stage
from tests.world import DANUBIA

pytestmark = pytest.mark.browser


def test_tab_leads_over_the_skip_link_to_accept(walk, stage: Stage) -> None:
    made = stage.lead()
    w = walk(1280, SELLER)
    page = w.go(f"/leads/{made.number}")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator("a.skip").bounding_box()["y"] >= 0, "the skip link shows when it has the focus"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").strip() == "Accept lead":
            break
    page.keyboard.press("Enter")
    page.wait_for_selector("#flash .alert")
    assert f"You accepted {made.number}" in w.flash()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_whole_way_of_a_lead_without_scripts(walk, stage: Stage, width: int) -> None:
    w = walk(width, script=False)
    page = w.go("/leads/new", "sign-in")
    page.get_by_label("Work e-mail").fill(MANAGER)
    page.get_by_label("Password").fill(PASSWORD)
    w.press("Sign in")
    page.get_by_label("What is it about?").fill(f"Spare seals {width}")
    page.get_by_label("Company", exact=True).fill(f"Molkerei Enns {width}")
    page.get_by_label("Postcode").fill("4020")
    page.get_by_label("Town").fill("Linz")
    page.get_by_label("Country").select_option("AT")
    page.get_by_label("Sentinel pumps").check()
    w.press("Save and offer")
    assert f"It is offered to {DANUBIA}" in w.flash()
    w.look("lead-offered")
    number = page.url.rpartition("/")[2]
    page.goto("/leads")
    page.locator("summary.chip", has_text="Assignment").click()
    page.get_by_label("Offered", exact=True).check()
    page.locator("details[open]").get_by_role("button", name="Apply").click()
    assert number in w.text()
    seller = walk(width, SELLER, script=False)
    page = seller.go("/offers", "offers")
    page.get_by_role("button", name=f"Accept {number}").click()
    assert f"You accepted {number}" in seller.flash()
    page.get_by_label("Write a note or a question").fill("We call today.")
    page.get_by_role("group", name="Who reads it").get_by_text("Halden Pumps too").click()
    seller.press("Post")
    assert "We call today." in seller.text()
    seller.look("lead-working")
    seller.press("Working")
    page.locator("summary", has_text="Hand back").locator("visible=true").first.click()
    seller.press("No capacity")
    assert "Handed back" in seller.flash()
    w.go(f"/leads/{number}")
    assert "We call today." in w.text()

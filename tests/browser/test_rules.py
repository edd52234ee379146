"""A channel manager changes the rules: list, grid by keyboard and clipboard, findings, publishing, comparing."""

import pytest

from tests.browser.stage import MANAGER, Stage

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


def test_a_draft_is_written_like_in_a_spreadsheet(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    w.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = w.go("/rules", "rules")
    w.press("Begin a draft")
    page.wait_for_url("**/edit")
    w.look("rules-edit-empty")
    page.locator("#c-0-when\\.country").click()
    page.evaluate("text => navigator.clipboard.writeText(text)", "AT\tOberösterreich\nCZ\t")
    page.keyboard.press("Control+V")
    page.locator("tbody[data-r]").nth(2).wait_for()
    assert page.locator("#c-1-when\\.country").input_value() == "CZ"
    page.locator("#c-0-who\\.level").fill("Golt")
    page.locator("#e-0").get_by_text("Did you mean Gold?").wait_for()
    w.look("rules-edit-fault")
    page.locator("#e-0 button").click()
    page.locator("#e-0 button").wait_for(state="hidden")
    assert page.locator("#c-0-who\\.level").input_value() == "gold"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "c-1-who.level"
    page.keyboard.type("Silver")
    page.locator("#c-0-effect").fill("boost 5")
    page.keyboard.press("Enter")
    page.keyboard.type("boost 3")
    page.locator("#reading").get_by_text("get 3 points more").wait_for()
    page.locator("#sheet-said").get_by_text("Everything can be read").wait_for()
    w.look("rules-edit")
    page.keyboard.press("Escape")
    page.locator("#c-1-who\\.level").click()
    page.keyboard.press("Alt+ArrowUp")
    assert page.locator("tbody[data-r]").first.get_attribute("data-r") == "1"
    page.locator("#c-1-when\\.country").click()
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Control+C")
    assert page.evaluate("navigator.clipboard.readText()") == "CZ\nAT"
    page.locator("#c-0-effect").fill("boost 5")
    page.locator("#c-1-effect").fill("boost 3")
    w.press("Save")
    assert "Saved." in w.flash()
    page.get_by_role("link", name="Leave").click()
    w.look("rules-one")
    assert "Czechia" in page.locator("tbody tr").first.inner_text()
    for tab in ("Ranking and deadlines", "Examples", "History"):
        page.get_by_role("link", name=tab).first.click()
        w.look(f"rules-{tab.split()[0].lower()}")
    page.get_by_role("link", name="Compare").click()
    w.look("rules-compare")
    page.go_back()
    page.get_by_role("link", name="Try a request").click()
    page.get_by_role("button", name="Try it").first.click()
    w.look("rules-try")
    assert "in force" in w.text()
    page.go_back()
    page.go_back()
    w.go(page.url.partition("?")[0] + "/settings", "rules-settings")
    w.go(page.url.replace("/settings", "/file"), "rules-file")
    w.go(page.url.removesuffix("/file"))
    page.get_by_role("link", name="Publish").click()
    w.look("rules-publishing")


def test_the_grid_is_a_form_without_a_script(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER, script=False)
    page = w.go("/rules")
    w.press("Begin a draft")
    page.locator("#c-0-when\\.country").fill("Austria")
    page.locator("#c-0-who\\.level").fill("Golt")
    page.locator("#c-0-effect").fill("exclude")
    w.press("Save")
    assert "Did you mean Gold?" in w.text()
    w.look("rules-edit-refused")
    page.locator("#c-0-who\\.level").fill("Gold")
    w.press("Save")
    assert "Saved." in w.flash() and "When a lead comes from Austria" in w.text()

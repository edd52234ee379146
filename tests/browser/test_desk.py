"""A desk's tools in a real browser: the board by mouse and keys, saved filters, the keyboard map, parts that do not come."""

from typing import Any

import pytest

from portal.leads import actions
from tests.browser.stage import ADMINISTRATOR, MANAGER, SELLER, Stage

pytestmark = pytest.mark.browser


def column(page: Any, stage: str) -> str:
    return str(page.locator(f'[data-col="{stage}"]').inner_text())


@pytest.mark.parametrize("width", [1280, 390])
def test_the_board_and_its_states_look_right(walk, stage: Stage, width: int) -> None:
    stage.held()
    w = walk(width, SELLER)
    page = w.go("/leads/board", "board")
    if width == 390:
        assert page.locator(".col:visible").count() == 1, "a phone shows one column"
        page.locator(".board-nav a", has_text="Working").click()
        page.wait_for_selector(".col.on[data-col=working]")
        assert page.locator(".col:visible").get_attribute("data-col") == "working"
    w.go("/leads/board?q=nothing+like+this", "board-empty-filter")


def test_a_card_is_dragged_and_a_reason_is_asked_for(walk, stage: Stage) -> None:
    made = stage.held()
    w = walk(1280, SELLER)
    page = w.go("/leads/board")
    page.locator(f"#card-{made.number}").drag_to(page.locator("[data-col=working]"))
    page.wait_for_selector(f"[data-col=working] #card-{made.number}")
    assert f"{made.number} is now working." in w.flash()
    page.locator(f"#card-{made.number}").drag_to(page.locator("[data-col=lost]"))
    page.wait_for_selector("#ask-h")
    assert page.evaluate("document.activeElement.id") == "ask-h"
    w.look("board-asks")
    page.get_by_label("Price", exact=True).check()
    w.press("Move it")
    page.wait_for_selector(f"[data-col=lost] #card-{made.number}")


def test_a_drop_that_may_not_be_says_why(walk, stage: Stage) -> None:
    made = stage.held()
    w = walk(1280, SELLER)
    page = w.go("/leads/board")
    w.said.clear()
    page.locator(f"#card-{made.number}").drag_to(page.locator("[data-col=proposed]"))
    page.wait_for_selector("#board [role=alert]")
    assert "cannot become proposed" in page.locator("#board [role=alert]").inner_text()
    assert made.number in column(page, "new")
    w.said.clear()  # Chromium writes the refused request into the console


def test_the_board_by_keys_alone(walk, stage: Stage) -> None:
    made = stage.held()
    w = walk(1280, SELLER)
    page = w.go("/leads/board")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('[data-card]')")
    page.locator(f"#card-{made.number}").focus()
    page.keyboard.press("m")
    assert page.evaluate("document.activeElement.name") == "to"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"[data-col=working] #card-{made.number}")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_board_without_scripts(walk, stage: Stage, width: int) -> None:
    made = stage.held()
    w = walk(width, SELLER, script=False)
    page = w.go("/leads/board?col=new")
    card = page.locator(f"#card-{made.number}")
    card.locator("summary").click()
    card.get_by_label(f"Move {made.number} to").select_option("lost")
    card.get_by_role("button", name="Move", exact=True).click()
    page.get_by_label("Price", exact=True).check()
    w.press("Move it")
    assert f"{made.number} is now lost." in w.flash()


def test_a_filter_is_saved_from_the_list_and_used_again(walk, stage: Stage) -> None:
    w = walk(1280, MANAGER)
    page = w.go("/leads?assignment=offered")
    page.locator("summary", has_text="Saved filters").click()
    page.get_by_label("Save this filter as").fill("Out there")
    w.shoot("list-save-filter")
    page.locator(".save-f").get_by_role("button", name="Save").click()
    assert "The filter is saved." in w.flash()
    w.look("list-with-filter")
    w.go("/lists/leads", "filters")
    page.goto("/leads?view=all")
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("What further left").click()
    page.locator("thead th").first.filter(has_text="What").wait_for()
    page.goto("/leads?view=all")
    assert "What" in page.locator("thead th").first.inner_text(), "columns stay as they were chosen"
    page.locator("summary", has_text="Columns").click()
    page.get_by_role("link", name="As they were").click()
    page.locator("thead th").first.filter(has_text="Lead").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_map_lists_what_works_here_and_keys_spare_fields(walk, stage: Stage, width: int) -> None:
    stage.held()
    w = walk(width, SELLER)
    page = w.go("/leads")
    page.keyboard.press("?")
    shown = page.locator("#keys")
    assert shown.get_by_text("next row or card").is_visible()
    assert not shown.get_by_text("decline the offer").is_visible(), "no offer on this page"
    w.look("keys")
    page.keyboard.press("Escape")
    page.locator(".t-bar [name=q]").focus()
    page.keyboard.type("?jg")
    assert not shown.is_visible() and page.locator(".t-bar [name=q]").input_value() == "?jg"
    page.locator("h1").click()
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/leads/board*")
    w.go("/help/keyboard", "help-keyboard")


def test_keys_that_are_off_do_nothing(walk, stage: Stage) -> None:
    w = walk(1280, ADMINISTRATOR)
    page = w.go("/me", "me-keys")
    page.locator("form[action='/me/keys']").get_by_role("button").click()
    page.wait_for_load_state()
    page.goto("/leads")
    page.keyboard.press("?")
    page.keyboard.press("j")
    assert not page.locator("#keys").is_visible() and page.locator(".foc").count() == 0
    w.go("/me")
    page.locator("form[action='/me/keys']").get_by_role("button").click()


@pytest.mark.parametrize("kind", ["net", "server"])
def test_a_part_that_does_not_come_says_so_in_place(walk, stage: Stage, kind: str) -> None:
    w = walk(1280, MANAGER)
    page = w.go("/partners")
    page.locator(".t-bar [name=q]").fill("traun")
    answer = (
        (lambda route: route.abort())
        if kind == "net"
        else (lambda route: route.fulfill(status=500, body="x"))
    )
    page.route("**/partners?*", answer)
    page.keyboard.press("Enter")
    page.wait_for_selector(".failed")
    told = page.locator(".failed").inner_text()
    assert ("could not be reached" if kind == "net" else "on our side") in told
    assert page.locator(".t-bar [name=q]").input_value() == "traun", "nothing typed is lost"
    w.shoot(f"list-failed-{kind}")
    page.unroute("**/partners?*")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url("**q=traun**")
    page.locator("tr[data-row]:only-child").wait_for()
    assert page.locator(".failed").count() == 0
    w.said.clear()


def test_loading_shows_grey_rows_under_the_head(walk, stage: Stage) -> None:
    w = walk(1280, MANAGER)
    page = w.go("/partners")
    page.evaluate("document.querySelector('#list').classList.add('htmx-request')")
    page.locator(".t-body td a").first.wait_for(state="hidden")
    assert page.evaluate("getComputedStyle(document.querySelector('thead th')).visibility") == "visible"
    w.shoot("list-loading")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_change_is_proposed_and_decided(walk, stage: Stage, width: int) -> None:
    partner, vendor = walk(width, ADMINISTRATOR), walk(width, MANAGER)
    page = partner.go("/company", "company-own")
    page = partner.go("/company/propose/name", "propose-name")
    page.get_by_label("Name", exact=True).fill(f"Danubia Fluid {width}")
    page.get_by_label("Why").fill("We merged in May")
    partner.press("Propose it")
    partner.look("proposal-own")
    number = page.url.rpartition("/")[2]
    vendor.go("/proposals", "proposals")
    page = vendor.go(f"/proposals/{number}", "proposal")
    page.get_by_label("Reason").fill("Send us the register extract")
    vendor.press("Reject")
    vendor.look("proposal-decided")
    partner.go("/company/proposals", "proposals-own")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_closed_lead_has_no_clock_and_figures_stay_whole(walk, stage: Stage, width: int) -> None:
    made = stage.lead(amount=9_876_543_210)
    with stage.world.acting(SELLER) as session:
        actions.accept(session, made.offer_id or 0)
        actions.move(session, made.lead_id, "working")
        actions.plan_step(session, made.lead_id, "Ring the plant manager", stage.world.now.date())
    w = walk(width, SELLER)
    page = w.go(f"/leads/board?col=working&q={made.number}")
    card = page.locator(f"#card-{made.number}")
    assert "Ring the plant manager" in card.inner_text()
    for figure in card.locator("p").first.locator("> *").all():
        assert figure.evaluate(LINES) == 1, figure.inner_text()
    assert "Ring the plant manager" in w.go(f"/leads?q={made.number}&view=all").locator("#list").inner_text()
    with stage.world.acting(SELLER) as session:
        actions.move(session, made.lead_id, "lost", reason="price")
    card = w.go(f"/leads/board?col=lost&q={made.number}").locator(f"#card-{made.number}")
    assert "Ring the plant manager" not in card.inner_text() and card.locator(".step").count() == 0
    assert (
        "Ring the plant manager" not in w.go(f"/leads?q={made.number}&view=all").locator("#list").inner_text()
    )


def test_the_columns_of_a_phone_are_named_in_full(walk, stage: Stage) -> None:
    w = walk(390, SELLER)
    w.context.add_cookies([{"name": "language", "value": "de", "url": stage.url}])
    page = w.go("/leads/board")
    page.evaluate(
        "document.querySelector('.board-nav a:nth-child(4)').firstChild.data = 'Angebot abgegeben '"
    )
    cut = "ns => ns.filter(n => n.scrollWidth > n.clientWidth + 1).map(n => n.innerText)"
    assert page.locator(".board-nav > *").evaluate_all(cut) == []
    text = page.locator(".board-nav a:nth-child(4)").evaluate(WITHIN)
    assert text, "the words stand within their button"
    w.shoot("board-nav-german")


LINES = """n => { const r = document.createRange(); r.selectNodeContents(n);
    return new Set([...r.getClientRects()].map(x => Math.round(x.top))).size; }"""
WITHIN = """n => { const r = document.createRange(), box = n.getBoundingClientRect(); r.selectNodeContents(n);
    return [...r.getClientRects()].every(x => x.left >= box.left && x.right <= box.right && x.bottom <= box.bottom + 1); }"""


def test_a_filter_that_cannot_be_used_says_why_at_its_field(walk, stage: Stage) -> None:
    w = walk(1280, MANAGER)
    page = w.go("/leads")
    page.locator("summary", has_text="Worth").click()
    field = page.locator("[name='worth.from']")
    field.fill("abc")
    field.press("Enter")
    page.wait_for_selector(".failed")
    told = page.locator("details:has([name='worth.from']) .failed").inner_text()
    assert "give a number as 25000 or 0.5" in told and "our side" not in told and "could not be" not in told
    assert field.input_value() == "abc" and field.get_attribute("aria-invalid") == "true"
    w.shoot("filter-refused")
    field.fill("5")
    field.press("Enter")
    page.wait_for_url("**worth.from=5**")
    assert page.locator(".failed").count() == 0
    w.said.clear()


def test_a_move_sent_when_signed_out_is_given_back(walk, stage: Stage) -> None:
    made = stage.held()
    w = walk(1280, SELLER)
    page = w.go("/leads/board")
    w.context.clear_cookies()
    page.locator(f"#card-{made.number}").drag_to(page.locator("[data-col=working]"))
    page.get_by_text("You are signed out.").wait_for()
    w.shoot("signed-out")
    secret = stage.world.sessions[SELLER]
    w.context.add_cookies([{"name": "interline", "value": secret, "url": stage.url}])
    w.press("Send it again")
    page.get_by_text("older than your session").or_(page.get_by_text("is now working")).first.wait_for()
    w.shoot("token-old")
    if page.get_by_role("button", name="Send it again").count():
        w.press("Send it again")
    page.wait_for_selector(f"[data-col=working] #card-{made.number}")
    w.said.clear()


HEIGHTS = "rows => rows.map(row => Math.round((row.getBoundingClientRect().height - 21) / 21))"
"""Lines of each row of a list: what is left of its height without its padding and border."""


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("email", [MANAGER, SELLER])
def test_a_lead_of_the_list_takes_three_lines_of_a_phone(walk, stage: Stage, width: int, email: str) -> None:
    w = walk(width, email)
    page = w.go("/leads?view=all", f"list-of-{email.partition('@')[0]}")
    lines = page.locator("#list tbody tr").evaluate_all(HEIGHTS)
    assert lines and max(lines) <= (3 if width < 600 else 1), lines
    assert page.locator("#list tbody tr").first.inner_text().count("84,0") == 1, "worth stands there"

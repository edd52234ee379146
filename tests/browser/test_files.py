"""Files on the lead page in a browser: added with and without script, shown to whom they are for, taken away."""

import re
from functools import partial
from pathlib import Path

import pytest

from portal.leads import actions
from tests.browser.stage import MANAGER, SELLER, Stage

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 60
PLAN = {
    "name": "Plan of the pump room, ground floor, as built 2019.pdf",
    "mimeType": "x/y",
    "buffer": b"%PDF-1.7 plan",
}
PHOTO = {"name": "Photo.png", "mimeType": "image/png", "buffer": PNG}
REFUSED = "<main><h1>Too large</h1><p data-said><b>The server's own words.</b></p><p>Nothing was changed.</p></main>"
PROGRAM = {"name": "setup.exe", "mimeType": "application/pdf", "buffer": b"MZ program"}


def add(w, path: str, files: list, who: str | None = None) -> None:
    page = w.go(path)
    page.get_by_label("Add files").set_input_files(files)
    if who:
        page.get_by_label("Who may see them").select_option(label=who)
    page.locator("#files").get_by_role("button", name="Add", exact=True).click()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_files_are_added_opened_and_removed(walk, stage: Stage, width: int, script: bool) -> None:
    made = stage.lead()
    path, w = f"/leads/{made.number}", walk(width, MANAGER, script)
    add(w, path, [PLAN, PHOTO, PROGRAM], "Whoever holds the lead, from acceptance")
    w.page.wait_for_selector("#flash .alert")
    assert "2 files added." in w.flash() and "setup.exe: Programs and scripts are not taken." in w.flash()
    w.look("files-manager")
    w.page.locator("#files").get_by_label(re.compile("Remove Photo")).click()
    w.press("Remove for everybody")
    w.page.wait_for_selector("#flash .alert")
    assert "Removed." in w.flash() and "Photo.png" not in w.page.locator("#files").inner_text()

    partner = walk(width, SELLER, script)
    page = partner.go(path, "files-offer")
    assert "One file opens when you accept." in page.locator("#files").inner_text()
    with stage.world.acting(SELLER) as session:
        actions.accept(session, made.offer_id or 0)
    add(partner, path, [PHOTO])
    page.wait_for_selector("#flash .alert")
    partner.look("files-holder")
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("Plan of the pump room")).first.click()
    assert download.value.suggested_filename == PLAN["name"]


def test_a_refused_file_is_told_where_it_was_chosen(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    w.expected += 1
    add(w, f"/leads/{stage.settled['working'].number}", [PROGRAM])
    told = w.page.locator("#files [role=status]")
    told.wait_for(state="visible")
    assert "setup.exe: Programs and scripts are not taken." in told.inner_text()
    w.look("files-refused")


def test_a_successor_reads_what_was_before(walk, stage: Stage, width: int) -> None:
    made = stage.held()
    with stage.world.acting(SELLER) as session:
        actions.move(session, made.lead_id, "working")
        actions.comment(session, made.lead_id, "canary", to_all=True)
        actions.hand_back(session, made.lead_id, "no_capacity")
    stage.run_work()
    with stage.world.acting(MANAGER) as session:
        actions.assign(session, made.lead_id, stage.world.location("Traun Pumpenservice"), "by hand")
    with stage.world.system() as session:
        from sqlalchemy import text

        offer = session.execute(
            text("select offer_id from leads where id = :i"), {"i": made.lead_id}
        ).scalar_one()
    with stage.world.acting("sales@traun.example") as session:
        actions.accept(session, offer)
    w = walk(width, "sales@traun.example")
    page = w.go(f"/leads/{made.number}", "before-you")
    assert "An earlier partner" in page.locator("#before").inner_text() and "canary" not in w.text()


def test_files_sent_after_the_session_has_ended_are_told_in_place(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    page = w.go(f"/leads/{stage.settled['working'].number}")
    page.get_by_label("Add files").set_input_files([PHOTO | {"buffer": PNG + str(width).encode()}])
    w.context.clear_cookies()
    add_button = page.locator("#files").get_by_role("button", name="Add", exact=True)
    add_button.click()
    told = page.locator("#files [role=status]")
    told.wait_for(state="visible")
    assert "You are signed out." in told.inner_text() and "in a new tab" in told.inner_text()
    assert add_button.is_enabled() and page.locator("#files progress").is_hidden()
    assert page.evaluate("document.querySelector('#files input[type=file]').files.length") == 1
    w.look("files-signed-out")
    value = stage.world.sessions[MANAGER]  # signed in again in another tab: the same form goes through
    w.context.add_cookies([{"name": "interline", "value": value, "url": stage.url}])
    for answer in ({"status": 200, "body": "<p>a gateway's page</p>"}, {"status": 200, "body": "{}"}, None):
        page.route("**/files", partial(given, answer))
        add_button.click()
        page.get_by_text("The files could not be sent.").wait_for()
        assert add_button.is_enabled() and page.locator("#files progress").is_hidden()
        page.unroute("**/files")
    add_button.click()
    page.get_by_text("One file added.").wait_for()
    w.said.clear()


def given(answer: dict | None, route) -> None:
    if answer:
        route.fulfill(**answer)
    else:
        route.abort("connectionreset")


def test_too_much_at_once_is_told_with_the_total(walk, stage: Stage, width: int, tmp_path: Path) -> None:
    w = walk(width, MANAGER)
    page = w.go(f"/leads/{stage.settled['working'].number}")
    assert "25 MB each and 32 MB at once" in page.locator("#file-h").inner_text()
    large = [tmp_path / "a.png", tmp_path / "b.png"]
    for file in large:
        file.write_bytes(PNG + b"\x00" * 20_000_000)
    page.get_by_label("Add files").set_input_files(large)
    page.locator("#files").get_by_role("button", name="Add", exact=True).click()
    told = page.locator("#files [role=status]")
    told.wait_for(state="visible")
    assert told.inner_text() == "Send at most 32 MB at once."
    page.evaluate(
        "document.querySelector('form[data-upload]').dataset.most = 1e9"
    )  # now the server says so itself
    w.said.clear()
    page.route("**/files", lambda route: route.fulfill(status=413, content_type="text/html", body=REFUSED))
    page.locator("#files").get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("The server's own words.").wait_for()
    assert told.inner_text() == "The server's own words."
    w.said.clear()

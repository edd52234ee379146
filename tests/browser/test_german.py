"""Pages with a row of buttons, in German: its words are longer, and no page may scroll sideways for them."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from portal.leads import actions
from tests.browser.stage import MANAGER, SELLER, Stage
from tests.browser.walker import WIDEST, Walker

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]
STAGES = ("new", "working", "qualified", "proposed", "nurture")


def speak(stage: Stage, language: str) -> None:
    """The language of everybody on the stage."""
    with stage.world.system() as session:
        session.execute(text("update people set language = :language"), {"language": language})


@pytest.fixture
def german(stage: Stage) -> Iterator[Stage]:
    """The stage with German readers; the other tests read English."""
    speak(stage, "de")
    yield stage
    speak(stage, "en")


def fits(w: Walker, name: str) -> None:
    """No sideways scroll, whichever menu is open, and no button beyond the edge of its card."""
    for menu in (None, *w.page.locator("main details.menu").all()):
        if menu is not None:
            menu.evaluate("node => { node.open = true }")
        wide = w.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= w.width, f"{name}: {wide} px wide at {w.width}: {w.page.evaluate(WIDEST, w.width)}"
        if menu is not None:
            menu.evaluate("node => { node.open = false }")
    assert w.page.evaluate(OUTSIDE) == [], name


OUTSIDE = """() => [...document.querySelectorAll('.wb-s .btn')]
    .filter(n => n.getBoundingClientRect().width
        && n.getBoundingClientRect().right > n.closest('.wb-s').getBoundingClientRect().right)
    .map(n => n.textContent)"""


def test_a_held_lead_fits_in_every_stage(walk, german: Stage, width: int) -> None:
    made = german.held()
    seller, vendor = walk(width, SELLER), walk(width, MANAGER)
    for to in STAGES:
        if to != "new":
            with german.world.acting(MANAGER) as session:
                actions.move(session, made.lead_id, to, **({"reason": "later"} if to == "nurture" else {}))
        for who, w in (("seller", seller), ("vendor", vendor)):
            page = w.go(f"/leads/{made.number}")
            assert page.locator("html").get_attribute("lang") == "de"
            fits(w, f"{who} {to}")
    assert page.get_by_label("Schreiben Sie eine Notiz oder eine Frage").evaluate(
        "node => node.scrollHeight <= node.clientHeight && node.scrollWidth <= node.clientWidth"
    )


def test_offers_and_the_queue_fit(walk, german: Stage, width: int) -> None:
    offered = german.lead()
    seller, vendor = walk(width, SELLER), walk(width, MANAGER)
    for w, path in (
        (seller, "/offers"),
        (seller, f"/leads/{offered.number}"),
        (seller, "/"),
        (vendor, f"/leads/{offered.number}"),
        (vendor, f"/leads/{german.settled['unroutable'].number}"),
        (vendor, f"/leads/{german.settled['repeat'].number}"),
        (vendor, "/"),
    ):
        w.go(path)
        fits(w, path)

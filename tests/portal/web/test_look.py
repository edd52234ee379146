"""The sample pages in a real browser: axe finds nothing, nothing scrolls sideways, keys and menus work, no CSP violation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from portal.web import jinja
from tests.portal.web import samples
from tests.portal.web.sheets import environment, reader

pytestmark = pytest.mark.browser
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CSP = (
    "default-src 'none'; script-src 'nonce-n0nce'; style-src 'self' 'nonce-n0nce'; img-src 'self' data:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
ENV = environment()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a network: every request is answered below."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def render(name: str, theme: str, language: str = "en") -> str:
    """A sample page."""
    source, values = samples.pages()[name]
    with reader(theme, language) as request:
        return ENV.from_string(source).render(request=request, **values())


def opened(
    browser: Any, name: str, theme: str, width: int, csp: bool = True, language: str = "en"
) -> tuple[Any, list[str]]:
    """The page in a new tab, and what its console complains about."""
    tab = browser.new_context(bypass_csp=not csp, viewport={"width": width, "height": 800}).new_page()
    said: list[str] = []
    tab.on("console", lambda m: said.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda e: said.append(str(e)))

    def answer(route: Any) -> None:
        path = urlsplit(route.request.url).path
        file = Path(jinja.STATIC) / path.removeprefix("/static/")
        if path.startswith("/static/") and file.is_file():
            route.fulfill(body=file.read_bytes(), content_type=TYPES.get(file.suffix, "text/plain"))
        elif path == "/" + name:
            route.fulfill(
                body=render(name, theme, language),
                content_type="text/html",
                headers={"Content-Security-Policy": CSP},
            )
        else:
            route.fulfill(status=204)

    tab.route("**/*", answer)
    tab.goto(f"http://interline.test/{name}")
    return tab, said


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", list(samples.pages()))
def test_nothing_scrolls_sideways_and_the_console_is_silent(browser, name, width, language):
    tab, said = opened(browser, name, "light", width, language=language)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for menu in tab.locator("details.menu").all():
        menu.evaluate("node => { node.open = true }")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, "an open menu widens the page"
        menu.evaluate("node => { node.open = false }")
    assert said == []
    tab.context.close()


@pytest.mark.parametrize(("theme", "width"), [("light", 390), ("dark", 1280)])
@pytest.mark.parametrize("name", list(samples.pages()))
def test_axe_finds_nothing(browser, name, theme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    tab, _said = opened(browser, name, theme, width, csp=False)
    tab.evaluate("document.querySelectorAll('details:not(.menu)').forEach(d => d.open = true)")
    found = axe.Axe().run(tab).response["violations"]
    assert [(v["id"], v["nodes"][0]["html"][:120]) for v in found] == []
    tab.context.close()


def test_keys_walk_the_offers_and_question_mark_explains(browser):
    tab, _said = opened(browser, "inbox", "light", 1280)
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    assert tab.evaluate("document.activeElement.getAttribute('aria-labelledby')") == "o-L-10486"
    tab.keyboard.press("d")
    assert tab.evaluate("document.activeElement.textContent") == "No capacity"
    tab.keyboard.press("?")
    assert tab.locator("#keys").is_visible()
    tab.keyboard.press("Escape")
    tab.keyboard.press("/")
    assert tab.evaluate("document.activeElement.id") == "q-top"
    tab.keyboard.type("?j")
    assert tab.input_value("#q-top") == "?j"
    tab.context.close()


def test_the_phone_menu_and_declining_need_no_script(browser):
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    tab = context.new_page()
    css = (jinja.STATIC / "css" / "interline.css").read_bytes()
    tab.route("**/*.css*", lambda route: route.fulfill(body=css, content_type="text/css"))
    tab.set_content(render("inbox", "light").replace('href="/static', 'href="http://interline.test/static'))
    tab.locator("details.m-menu > summary").click()
    assert tab.locator(".m-menu nav a").first.is_visible()
    tab.locator("details.m-menu > summary").click()
    tab.locator(".offer-why > summary").first.click()
    assert tab.get_by_role("button", name="No capacity").first.is_visible()
    context.close()


def test_appearance_changes_in_place(browser):
    tab, _said = opened(browser, "home", "light", 1280)
    tab.locator("details.menu > summary.who").click()
    tab.get_by_role("button", name="Dark").click()
    assert tab.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 20, 25)"
    tab.context.close()

"""One person at one width: goes through the site and looks at every page it comes to."""

import os
from pathlib import Path
from typing import Any

from tests.browser.stage import Stage

SHOTS = os.environ.get("SCREENSHOTS")
THEMES = {1280: "light", 390: "dark"}


class Walker:
    """A browser context with a person's session. `look(name)` judges the page that is open."""

    def __init__(
        self, browser: Any, stage: Stage, width: int, email: str | None, script: bool = True
    ) -> None:
        self.stage, self.width, self.script = stage, width, script
        self.theme = THEMES[width]
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            base_url=stage.url,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        cookies = {"theme": self.theme} | ({"interline": stage.world.sessions[email]} if email else {})
        self.context.add_cookies([{"name": k, "value": v, "url": stage.url} for k, v in cookies.items()])
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.expected = 0
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on(
            "response", lambda r: self.said.append(f"{r.status} {r.url}") if r.status >= 500 else None
        )

    def _hear(self, message: Any) -> None:
        # Chromium writes every refused form (409, 422) into the console; those a test causes on purpose are counted.
        if message.type not in ("error", "warning"):
            return
        if self.expected and "Failed to load resource" in message.text and "422" in message.text:
            self.expected -= 1
            return
        self.said.append(message.text)

    def go(self, path: str, name: str = "") -> Any:
        """Open an address of the site, and look at it when it has a name."""
        answer = self.page.goto(path)
        assert answer.status == 200, (path, answer.status)
        if name:
            self.look(name)
        return self.page

    def look(self, name: str) -> None:
        """Title, one h1, no sideways scroll, a silent console, and nothing that axe would object to."""
        page = self.page
        page.wait_for_load_state()
        assert page.title().strip(" ·"), f"{name}: no title"
        assert page.locator("h1").count() == 1, f"{name}: {page.locator('h1').count()} h1"
        self.shoot(name)
        if not self.script:
            return
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.width, (
            f"{name}: {wide} px wide at {self.width}: {page.evaluate(WIDEST, self.width)}"
        )
        assert self.said == [], f"{name}: the console says {self.said}"
        assert violations(page) == [], name
        self.said.clear()

    def shoot(self, name: str) -> None:
        """Keep a picture when SCREENSHOTS names a folder."""
        if SHOTS:
            folder = Path(SHOTS)
            folder.mkdir(parents=True, exist_ok=True)
            script = "" if self.script else "-noscript"
            self.page.screenshot(path=folder / f"{name}-{self.width}{script}.png", full_page=True)

    def press(self, name: str, exact: bool = True) -> None:
        """Click the first visible button of that name."""
        self.page.get_by_role("button", name=name, exact=exact).locator("visible=true").first.click()

    def flash(self) -> str:
        """What the last action told."""
        return str(self.page.locator("#flash .alert").first.inner_text())

    def text(self) -> str:
        """What a reader sees."""
        return str(self.page.locator("main").inner_text())

    def close(self) -> None:
        """End the context; whatever the console said last counts too."""
        self.context.close()
        assert not self.script or self.said == [], self.said


WIDEST = """width => [...document.querySelectorAll('main *, header *, footer *')]
    .filter(n => n.getBoundingClientRect().right > width + 1)
    .slice(0, 3).map(n => n.outerHTML.slice(0, 120))"""
RULES = {"resultTypes": ["violations"], "preload": False, "elementRef": False}


def violations(page: Any) -> list[tuple[str, str]]:
    """What axe finds, as (rule, first element)."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=RULES).response["violations"]
    # axe leaves style="" behind; htmx would copy it into the next page, which the CSP forbids.
    page.evaluate("document.querySelectorAll('[style=\"\"]').forEach(node => node.removeAttribute('style'))")
    return [(v["id"], v["nodes"][0]["html"][:160]) for v in found]

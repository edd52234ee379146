"""The vendor's pages of partners, imports and help."""

import pytest

from tests.browser.stage import MANAGER, Stage
from tests.world import ALPENHYDRO

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


def test_partners_and_imports(walk, stage: Stage, width: int) -> None:
    w = walk(width, MANAGER)
    page = w.go("/partners", "partners")
    base = f"/partners/{stage.world.company(ALPENHYDRO)}"
    w.go(base, "partner")
    for name in (
        "edit",
        "standing?to=suspended",
        "lines",
        "certifications/new",
        "people/new",
        "locations/new",
    ):
        w.go(f"{base}/{name}", "partner-" + name.partition("?")[0].replace("/", "-"))
    location = f"{base}/locations/{stage.world.location(ALPENHYDRO)}"
    for name in ("", "/calendar", "/territories/new"):
        w.go(location + name, "partner-location" + name.replace("/", "-"))
    w.go("/partners/new", "partner-new")
    w.go("/imports", "imports")
    w.go("/imports/new", "import-new")
    page = w.go("/help", "help")
    assert page.get_by_role("link", name="For channel managers").count()

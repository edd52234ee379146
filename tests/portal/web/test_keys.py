"""The keyboard map: one table behind the dialog, the help page and the script; it can be turned off."""

import re
from pathlib import Path
from typing import Any

from portal.web import keys
from tests.portal.leads.test_views import KATRIN, MANAGER
from tests.portal.site import site
from tests.portal.visitors import visitor
from tests.world import World

SCRIPT = Path(keys.__file__).parent / "static" / "js" / "interline.js"


def dialog(page: Any) -> str:
    return str(page.text[page.text.index('<dialog id="keys"') : page.text.index("</dialog>")])


def test_the_script_does_exactly_what_the_table_lists() -> None:
    script = SCRIPT.read_text(encoding="utf-8")
    done = re.search(r"const does = \{(.*?)\n  \};", script, re.S)
    assert done
    assert set(re.findall(r"^    (\w+): function", done[1], re.M)) == {key.does for key in keys.KEYS} - {
        "open"
    }
    presses = [key.press for key in keys.KEYS]
    assert len(set(presses)) == len(presses) and "g" not in presses, "g begins the ways to other pages"
    assert len({go.press for go in keys.GOES}) == len(keys.GOES)


def test_the_dialog_lists_them_and_only_pages_that_open(world: World) -> None:
    found = dialog(visitor(world, KATRIN).get("/leads"))
    assert all(f'data-press="{key.press}"' in found for key in keys.KEYS)
    assert 'data-go="/leads/board"' in found and 'data-go="/partners"' not in found
    vendor = dialog(visitor(world, MANAGER).get("/leads"))
    assert 'data-go="/partners"' in vendor and 'data-go="/leads/board"' not in vendor


def test_every_way_to_go_is_a_page_for_whom_it_is_offered(world: World) -> None:
    for email in (KATRIN, MANAGER):
        app = visitor(world, email)
        for url in re.findall(r'data-go="([^"]+)"', dialog(app.get("/"))):
            assert app.get(url).status_int == 200, (email, url)


def test_the_help_page_needs_no_script_and_no_account(world: World) -> None:
    page = site(world.database).get("/help/keyboard")
    for key in keys.KEYS:
        assert f"<kbd>{key.press}</kbd>" in page and str(key.words) in page
    assert page.text.count("<kbd>g</kbd>") == len(keys.GOES) and "turn them off" in page
    assert 'href="/help/keyboard"' in page


def test_they_can_be_turned_off_for_good(world: World) -> None:
    app = visitor(world, KATRIN)
    token = re.search(r'name="csrf_token" value="([^"]+)"', app.get("/me").text)[1]  # type: ignore[index]
    assert 'data-keys="off"' not in app.get("/leads")
    told = app.post("/me/keys", {"csrf_token": token}, status=303).follow()
    assert "Single keys are off" in told and "Turn them on" in told
    assert '<body data-keys="off">' in app.get("/leads")
    assert 'data-keys="off"' not in visitor(world, MANAGER).get("/leads"), "only for this person"
    app.post("/me/keys", {"csrf_token": token, "on": "1"}, status=303)
    assert 'data-keys="off"' not in app.get("/leads")

"""Many decisions at once: searched, load and coverage for a channel manager, a rehearsal, and a partner's own lines."""

import pytest

from portal.routing import blocks
from portal.security.context import Acting
from tests.browser.stage import MANAGER, SELLER, Stage
from tests.portal.routing.test_commands import PLATINUM
from tests.portal.routing.test_pages import draft

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]


def written(stage: Stage) -> None:
    blocks.write(stage.world.database.worker, Acting(now=stage.world.now), settled_s=-1)


def test_a_manager_searches_decisions(walk, stage: Stage, width: int) -> None:
    for _n in range(4):
        stage.lead(product_lines=["HX"])
    written(stage)
    w = walk(width, MANAGER)
    w.go("/decisions?view=all", "decisions")
    w.go("/decisions?partner=danubia&gate=chosen&gate=ranked", "decisions-of-a-partner")
    w.go("/decisions/load?view=all", "load")
    w.go("/decisions/load?by=location&view=all", "load-by-location")
    w.go("/decisions/coverage?view=all", "coverage")
    w.go("/decisions/coverage?view=all&least=4&kind=now&line=HX", "coverage-gaps")


def test_a_partner_reads_why(walk, stage: Stage, width: int) -> None:
    stage.lead(product_lines=["HX"])
    written(stage)
    walk(width, SELLER).go("/why?view=all", "why")


def test_a_draft_is_rehearsed(walk, stage: Stage, width: int) -> None:
    stage.lead()
    version = draft(stage.world, rows=[PLATINUM], examples=[])
    w = walk(width, MANAGER)
    page = w.go(f"/rules/{version}/rehearsals", "rehearsals-empty")
    w.press("Rehearse")
    page.wait_for_url("**/rehearsals/*")
    w.look("rehearsal-waits")
    stage.run_work()
    page.get_by_role("heading", name="Two ways to look at it").wait_for()
    w.look("rehearsal")
    w.go(f"/rules/{version}/rehearsals", "rehearsals")
    w.go(f"/rules/{version}/publishing", "rules-publishing-rehearsed")

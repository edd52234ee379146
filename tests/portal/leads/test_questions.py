"""Questions to the other company stand on its home until it answers, and for nobody else."""

from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_views import EVA, KATRIN, MANAGER, post
from tests.portal.visitors import visitor
from tests.world import World


def test_a_question_waits_on_the_other_sides_home_until_it_is_answered(world: World) -> None:
    lead = intake(world)
    partner, vendor = visitor(world, KATRIN), visitor(world, MANAGER)
    path = f"/leads/{lead.number}"
    page = partner.get(path)
    post(partner, page, f"{path}/comment", {"text": "Between ourselves", "audience": "own"}, status=303)
    assert "asks:" not in vendor.get("/").text
    post(partner, page, f"{path}/comment", {"text": "Which zone is it?", "audience": "all"}, status=303)
    assert "Danubia Technik asks: Which zone is it?" in vendor.get("/").text
    assert "asks:" not in partner.get("/").text
    assert "asks:" not in visitor(world, EVA).get("/").text
    post(vendor, vendor.get(path), f"{path}/comment", {"text": "Zone 1", "audience": "all"}, status=303)
    assert "asks:" not in vendor.get("/").text
    assert "Halden Pumps asks: Zone 1" in partner.get("/").text

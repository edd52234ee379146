"""A partner reads its own line of a decision, and on no wire how many others could have taken the lead."""

import re
from typing import Any

import pytest
from sqlalchemy import text

from integrations.mail import MemorySender
from portal.events.sequencer import stamp
from tests.portal.leads.test_flow import intake, offers_of
from tests.portal.leads.test_mails import outbox, run
from tests.portal.leads.test_sheet import pango, read
from tests.portal.leads.test_views import KATRIN, MANAGER
from tests.portal.site import site, system
from tests.portal.visitors import visitor
from tests.world import DANUBIA, World

__all__ = ["outbox"]
# Wherever the number of those that could have taken a lead is stored, this stands; in any way of writing it.
MANY = 4711
NUMBER = re.compile(r"(?<!\d)4[.,\s\u00a0\u202f]?711(?!\d)")


@pytest.fixture
def lead(world: World) -> Any:
    """Offered to Danubia Technik, decided among many; its offer stored as earlier versions did."""
    got = intake(world)
    assert "eligible" not in offers_of(world, got.lead_id)[0].brief["why"]
    with world.system() as session:
        many = {"n": MANY}
        session.execute(text("update decisions set eligible = :n"), many)
        session.execute(
            text("update offers set brief = jsonb_set(brief, '{why,eligible}', to_jsonb(cast(:n as int)))"),
            many,
        )
        session.execute(
            text("""
                update events set data = jsonb_set(data, '{eligible}', to_jsonb(cast(:n as int)))
                where type = 'lead.decided'
            """),
            many,
        )
    return got


def pages(lead: Any) -> list[str]:
    return ["/", "/offers", "/leads", *(f"/leads/{lead.number}{rest}" for rest in ("", "/decision"))]


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_page_of_a_partner_says_how_many(world: World, lead: Any, language: str) -> None:
    katrin = visitor(world, KATRIN)
    home = katrin.get("/")
    katrin.post(
        "/language",
        {"csrf_token": home.html.find("input", {"name": "csrf_token"})["value"], "language": language},
    )
    shown = {path: katrin.get(path).text for path in pages(lead)}
    assert f'lang="{language}"' in shown["/"]
    assert lead.number in shown["/offers"] and "Gold" in shown[f"/leads/{lead.number}/decision"]
    assert [path for path, page in shown.items() if NUMBER.search(page)] == []


def test_the_vendor_still_reads_it(world: World, lead: Any) -> None:
    manager = visitor(world, MANAGER)
    for path in (f"/leads/{lead.number}", f"/leads/{lead.number}/decision"):
        assert NUMBER.search(manager.get(path).text), path


@pango
def test_nor_does_the_sheet(world: World, lead: Any) -> None:
    document, words = read(visitor(world, KATRIN).get(f"/leads/{lead.number}/sheet.pdf").body)
    assert "Danubia Technik was chosen" in words
    assert not NUMBER.search(words + str(document.metadata))


def test_nor_do_the_mail_and_the_page_behind_its_link(world: World, lead: Any, outbox: MemorySender) -> None:
    run(world)
    base = world.database.settings.site_url
    links = [m.text.partition(base)[2].split()[0] for m in outbox.sent]
    assert links
    told = [m.subject + m.text + (m.html or "") for m in outbox.sent]
    told += [site(world.database).get(link).text for link in links]
    assert all("Gold" in one for one in told)
    assert not [one for one in told if NUMBER.search(one)]


def test_nor_does_its_system_read_it(world: World, lead: Any) -> None:
    assert stamp(world.database.worker)
    danubia = system(world, world.company(DANUBIA), "leads:read", "events:read")
    offered = danubia.get(f"/api/v1/leads/{lead.number}", status=200)
    assert offered.json["brief"]["why"]["level"] == "gold" and "score" in offered.json["brief"]["why"]
    assert "eligible" not in offered.text and not NUMBER.search(offered.text)
    events = danubia.get("/api/v1/events", status=200)
    assert "lead.offered" in events.text
    assert "eligible" not in events.text and not NUMBER.search(events.text)

"""What a successor is told of the time before it: facts, in the right order, without a word or a name of who had it."""

import io
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from integrations.storage import Storage
from portal.leads import actions, files
from tests.portal.leads.test_flow import SELLER, intake, name_of, offers_of, run
from tests.portal.leads.test_sheet import pango, read
from tests.portal.leads.test_views import MANAGER, accept, url
from tests.portal.visitors import visitor
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

FACT = text("select * from app.before_holder(:lead)")


@pytest.fixture
def lead(world: World) -> Any:
    """A lead that Danubia worked on, with words and files of every kind, and handed back; it is with the next one now."""
    got = intake(world)
    accept(world, got)
    place = Storage("memory:")

    def file(session: Any, name: str, opens: str) -> None:
        given = (f"{name}.txt", io.BytesIO(name.encode()))
        files.add_file(session, world.database.settings, place, got.lead_id, given, opens)

    with world.acting(SELLER[DANUBIA]) as session:
        actions.move(session, got.lead_id, "working", note="canary-move")
        actions.move(session, got.lead_id, "qualified")
        actions.plan_step(
            session, got.lead_id, "canary-step with Katrin", world.now.date() + timedelta(days=3)
        )
        actions.comment(session, got.lead_id, "canary-shared-words", to_all=True)
        actions.comment(session, got.lead_id, "canary-own-words", to_all=False)
        file(session, "canary-shared-file", "shared")
        file(session, "canary-own-file", "own")
    with world.acting(MANAGER) as session:
        actions.comment(session, got.lead_id, "canary-vendor-to-danubia", to_all=True)
        actions.comment(session, got.lead_id, "canary-vendor-own", to_all=False)
        file(session, "canary-vendor-file", "own")
    with world.acting(SELLER[DANUBIA]) as session:
        actions.hand_back(session, got.lead_id, "no_capacity", "canary-hand-back")
    run(world)
    return got


def successor(world: World, lead: Any) -> str:
    return name_of(world, max(offers_of(world, lead.lead_id), key=lambda offer: offer.id).company_id)


def takes(world: World, lead: Any, name: str) -> Any:
    """The lead's page after this company has accepted the newest offer."""
    with world.acting(SELLER[name]) as session:
        actions.accept(session, max(offer.id for offer in offers_of(world, lead.lead_id)))
    return visitor(world, SELLER[name]).get(url(lead))


def test_the_new_holder_reads_facts_and_no_words_or_names(world: World, lead: Any) -> None:
    name = successor(world, lead)
    assert name != DANUBIA
    before = visitor(world, SELLER[name]).get(url(lead)).text
    assert "Before you" not in before, "not before it accepts"
    page = takes(world, lead, name)
    card = page.html.find(id="before").get_text(" ", strip=True)
    for fact in (
        "An earlier partner",
        "Held it 23 Nov to 23 Nov",
        "working 23 Nov, qualified 23 Nov",
        "Agreed next step for Thu 26 Nov; Halden Pumps knows what",
        "2 messages, one file; closed to you",
        "Ended handed back: no capacity",
    ):
        assert fact in card, fact
    for secret in ("canary", "Danubia", "Katrin", "Lukas", "danubia"):
        assert secret not in page.text, secret


@pango
def test_the_summary_stands_on_the_sheet_too(world: World, lead: Any) -> None:
    name = successor(world, lead)
    takes(world, lead, name)
    _, words = read(visitor(world, SELLER[name]).get(url(lead, "/sheet.pdf")).body)
    assert "Before you: An earlier partner" in words and "handed back: no capacity" in words
    assert not [secret for secret in ("canary", "Danubia", "Katrin") if secret in words]


def test_a_partner_that_was_asked_and_did_not_take_it_is_counted_not_named(world: World) -> None:
    got = intake(world)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.decline(session, offers_of(world, got.lead_id)[0].id, "other", "canary-decline")
    run(world)
    run(world, world.now + timedelta(days=5))  # the second lets it lapse
    assert len(offers_of(world, got.lead_id)) == 3
    name = successor(world, got)
    with world.acting(MANAGER) as session:
        actions.withdraw(session, got.lead_id, "error", reroute=False)
        actions.assign(session, got.lead_id, world.location(name), "by hand")
    page = takes(world, got, name)
    card = page.html.find(id="before").get_text(" ", strip=True)
    assert "2 other partners, who did not take it" in card and "An earlier partner" not in card
    assert "canary" not in page.text and not [
        n for n in (DANUBIA, TRAUN, ALPENHYDRO) if n != name and n in page.text
    ]


def test_who_had_it_itself_is_told_so_and_the_first_holder_nothing(world: World, lead: Any) -> None:
    name = successor(world, lead)
    takes(world, lead, name)
    with world.acting(SELLER[name]) as session:
        actions.hand_back(session, lead.lead_id, "dates")
    run(world)
    with world.acting(MANAGER) as session:
        query = text("select assignment from leads where id = :i")
        if session.execute(query, {"i": lead.lead_id}).scalar_one() == "offered":
            actions.withdraw(session, lead.lead_id, "error", reroute=False)
        actions.assign(session, lead.lead_id, world.location(DANUBIA), "again")
    card = takes(world, lead, DANUBIA).html.find(id="before").get_text(" ", strip=True)
    assert "Your company, earlier" in card and "An earlier partner" in card and "dates do not work" in card
    assert name not in card

    fresh = intake(world, contact={"name": "B", "email": "b@x.example"}, certifications=[])
    first = name_of(world, offers_of(world, fresh.lead_id)[0].company_id)
    assert takes(world, fresh, first).html.find(id="before") is None


def test_only_the_holder_is_handed_facts(world: World, lead: Any) -> None:
    name = successor(world, lead)
    with world.acting(SELLER[name]) as session:
        assert session.execute(FACT, {"lead": lead.lead_id}).all() == [], "an offer is not enough"
    takes(world, lead, name)
    for email in (*(SELLER[n] for n in SELLER if n != name), MANAGER):
        with world.acting(email) as session:
            assert session.execute(FACT, {"lead": lead.lead_id}).all() == [], email
    with world.acting(SELLER[name]) as session:
        rows = session.execute(FACT, {"lead": lead.lead_id}).all()
        told = " ".join(str(tuple(row)) for row in rows)
        assert len(rows) >= 7 and "canary" not in told
        assert not [
            i for i in (world.company(DANUBIA), world.location(DANUBIA), world.vendor_id) if str(i) in told
        ]
    with world.acting(SELLER[name]) as session:
        actions.hand_back(session, lead.lead_id, "dates")
        assert session.execute(FACT, {"lead": lead.lead_id}).all() == [], "nor a former holder"


def test_why_a_partner_was_suspended_is_nobodys_business(world: World) -> None:
    got = intake(world)
    accept(world, got)
    with world.system() as session:
        from portal.leads.offering import lock_lead

        found = lock_lead(session, got.lead_id)
        assert found is not None
        actions.take_back(session, found, "suspended", return_credit=False)
    with world.acting(MANAGER) as session:
        actions.assign(session, got.lead_id, world.location(TRAUN), "by hand")
    page = takes(world, got, TRAUN)
    assert "taken back by Halden Pumps" in page.text and "suspended" not in page.text

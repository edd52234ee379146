"""The page behind a mail's link: reading changes nothing, answering works once, and other links open nothing."""

from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from integrations.mail import MemorySender
from portal.leads import actions
from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_mails import outbox, run
from tests.portal.site import signed_in, site
from tests.world import World

__all__ = ["outbox"]
GONE = "This link is no longer valid"


@pytest.fixture
def paths(world: World, outbox: MemorySender) -> list[str]:
    """The addresses in the two mails of a fresh offer."""
    intake(world)
    run(world)
    base = world.database.settings.site_url
    return [m.text.partition(base)[2].split()[0] for m in outbox.sent]


@pytest.fixture
def app(world: World) -> TestApp:
    return site(world.database)


def state(world: World) -> list[Any]:
    with world.system() as session:
        query = text("""
            select l.assignment, l.holder_person_id, o.state, o.seen_at, o.reason,
                   (select count(*) from events) as events,
                   (select count(*) from credentials where purpose = 'offer') as links
            from leads l join offers o on o.lead_id = l.id order by o.id
        """)
        return list(session.execute(query))


def test_following_the_link_changes_nothing(world: World, app: TestApp, paths: list[str]) -> None:
    before = state(world)
    for _ in range(3):
        page = app.get(paths[0])
    app.head(paths[0])
    assert state(world) == before
    assert "Pump service contract" in page
    assert "4020 Linz" in page
    for secret in ("Lenau", "eva@lenau", "84,000", "Hafenstrasse"):
        assert secret not in page


def test_accepting_takes_the_lead_and_spends_every_link(world: World, app: TestApp, paths: list[str]) -> None:
    done = app.get(paths[0]).forms[0].submit()
    assert "Accepted" in done
    assert "Lenau" not in done
    now = state(world)[0]
    assert (now.assignment, now.state, now.links) == ("held", "accepted", 0)
    assert now.holder_person_id in (
        world.people["katrin@danubia.example"],
        world.people["lukas@danubia.example"],
    )
    for path in paths:
        assert GONE in app.get(path, status=404)


def test_declining_needs_a_reason_and_asks_the_next(world: World, app: TestApp, paths: list[str]) -> None:
    page = app.get(paths[0])
    token = page.forms[0]["csrf_token"].value
    app.post(f"{paths[0]}/decline", {"csrf_token": token}, status=422)
    assert state(world)[0].state == "offered"
    app.post(f"{paths[0]}/decline", {"csrf_token": token, "reason": "too_far"})
    run(world)
    first, second = state(world)
    assert (first.state, first.reason) == ("declined", "too_far")
    assert second.state == "offered"
    assert GONE in app.get(paths[1], status=404)


def test_an_answer_without_the_form_is_refused(world: World, app: TestApp, paths: list[str]) -> None:
    app.post(f"{paths[0]}/accept", status=400)
    assert state(world)[0].state == "offered"


def test_unknown_expired_and_used_links_read_alike(world: World, app: TestApp, paths: list[str]) -> None:
    unknown = app.get("/o/" + "x" * 43, status=404)
    with world.database.worker.begin() as connection:
        connection.execute(
            text("update credentials set expires_at = now() - interval '1 second' where purpose = 'offer'")
        )
    expired = app.get(paths[0], status=404)
    for page in (unknown, expired):
        assert GONE in page
        assert "Pump service" not in page
    app.get(f"{paths[0]}/accept", status=404)


def test_a_link_opens_nothing_but_its_offer(world: World, app: TestApp, paths: list[str]) -> None:
    app.get(paths[0])
    assert "/sign-in" in app.get("/leads", status=302).location
    # A session's cookie is no link, and a link's token is no session.
    app.set_cookie("interline", paths[0].removeprefix("/o/"))
    assert "/sign-in" in app.get("/leads", status=302).location
    other = signed_in(world, "katrin@danubia.example")
    other.get("/o/" + world.sessions["katrin@danubia.example"], status=404)


def test_an_offer_answered_elsewhere_says_so(world: World, app: TestApp, paths: list[str]) -> None:
    page = app.get(paths[0])
    with world.system() as session:
        offer = session.execute(text("select id from offers")).scalar_one()
    with world.acting("lukas@danubia.example") as session:
        actions.accept(session, offer)
    assert "cannot be answered any more" in app.get(paths[0])
    answer = page.forms[0].submit(status=409)
    assert "already been accepted" in answer


def test_a_link_lives_in_real_time(world: World, paths: list[str]) -> None:
    with world.system() as session:
        row = session.execute(
            text("""
                select extract(epoch from (c.expires_at - now()) - (o.deadline_at - app.clock(o.realm_id))) as off
                from credentials c join offers o on o.id = c.subject_id where c.purpose = 'offer' limit 1
            """)
        ).one()
    assert abs(row.off) < 2

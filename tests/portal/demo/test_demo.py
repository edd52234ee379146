"""The demo on a small scale: everything that its pages want to show happens, and nothing is left undone."""

from datetime import timedelta
from typing import Any

import click
import pytest
from sqlalchemy import text

from integrations.mail import MemorySender
from portal.db import session_for, transaction
from portal.demo import PASSWORD, PERSONAS, personas
from portal.demo.command import Lines, fill
from portal.demo.customers import requests
from portal.demo.partners import VENDOR_PEOPLE
from portal.demo.towns import COUNTRIES, load
from portal.events import work
from portal.leads import mails
from portal.security import signin
from portal.security.context import PUBLIC, Acting
from portal.web.shell import ROLE_WORDS

PARTNERS, LEADS = 24, 160


@pytest.fixture
def sent(database: Any, monkeypatch: pytest.MonkeyPatch) -> MemorySender:
    """The demo in this test's database; the mails it sent."""
    sender = MemorySender()
    monkeypatch.setattr(mails, "mailer", lambda settings: sender)
    monkeypatch.setattr(mails, "load", lambda: database.settings)
    told: list[tuple[str, int, int]] = []
    fill(database.settings, lambda *what: told.append(what), partners=PARTNERS, leads=LEADS, days=40)
    assert ("Leads of the last days", LEADS, LEADS) in told and told[-1][1] == told[-1][2]
    return sender


def counts(database: Any, query: str) -> dict[str, int]:
    with transaction(database.worker, Acting()) as session:
        return {str(row[0]): row[1] for row in session.execute(text(query))}


def one(database: Any, query: str) -> Any:
    with transaction(database.worker, Acting()) as session:
        return session.execute(text(query)).scalar_one()


def test_every_page_has_life(database: Any, sent: MemorySender) -> None:
    assert one(database, "select count(*) from companies where kind = 'partner'") == PARTNERS
    assert one(database, "select count(*) from leads") == LEADS
    assert one(database, "select count(distinct country) from location_facts") >= 5
    kinds = counts(database, "select kind, count(*) from territories group by 1")
    assert {"subdivision", "circle"} <= set(kinds)
    assert counts(
        database, "select status, count(*) from standings where valid_to is null group by 1"
    ).keys() >= {
        "active",
        "suspended",
    }
    stages = counts(database, "select stage, count(*) from leads group by 1")
    assert {"new", "working", "qualified", "proposed", "won", "lost"} <= set(stages)
    states = counts(database, "select state, count(*) from offers group by 1")
    assert {"accepted", "declined", "expired", "offered"} <= set(states)
    assert one(database, "select count(*) from leads where assignment = 'unroutable'") > 0
    assert counts(database, "select kind, count(*) from texts group by 1").keys() >= {"request", "note"}
    assert {"EUR", "CHF"} <= set(counts(database, "select currency, count(*) from leads group by 1"))
    # The persona's company has something to answer, with time left.
    waiting = one(
        database,
        "select count(*) from offers o join companies c on c.id = o.company_id"
        " where c.name = 'Danubia Technik' and o.state = 'offered' and o.deadline_at > now()",
    )
    assert waiting > 0
    _nothing_is_left(database, sent)
    _personas_sign_in(database)
    with pytest.raises(click.ClickException, match="companies already"):
        fill(database.settings, lambda *what: None, partners=PARTNERS, leads=LEADS)


def _nothing_is_left(database: Any, sent: MemorySender) -> None:
    """Nothing due, nothing parked, the clock at real time, every open lead with somebody, loads as they are."""
    assert one(database, "select count(*) from work_items where run_at <= now() or state <> 'ready'") == 0
    assert one(database, "select clock_offset_seconds from realms where id = 1") == 0
    assert one(database, "select count(*) from offers where state = 'offered' and deadline_at <= now()") == 0
    assert one(database, "select max(at) <= now() from events") is True
    lost = "select count(*) from leads where assignment = 'unrouted' and stage <> 'duplicate'"
    assert one(database, f"{lost} and suspected_duplicate_of is null") == 0
    open_leads = one(
        database,
        "select count(*) from leads where assignment in ('held', 'offered')"
        " and stage in ('new', 'working', 'qualified', 'proposed')",
    )
    assert one(database, "select sum(open) from routing_states") == open_leads
    assert sent.sent
    assert all(
        "answer by" in m.subject or "it is yours" in m.subject or "lapsed" in m.subject for m in sent.sent
    )
    later = transaction(database.worker, Acting())
    with later as session:
        now = session.context.now
    assert work.run_due(database.worker, now=now) == 0


def _personas_sign_in(database: Any) -> None:
    for _, email, password in personas(database.settings):
        assert password == PASSWORD
        session = session_for(database.app, PUBLIC)
        with session.begin():
            assert signin.sign_in(session, email, password, "192.0.2.1", None).secret
        session.close()


def test_everybody_of_the_vendor_has_a_sign_in_under_the_name_of_the_role() -> None:
    domain = PERSONAS[0][1].partition("@")[2]
    told = {email: title for title, email in PERSONAS}
    for name, role in VENDOR_PEOPLE:
        assert told[f"{name.lower().replace(' ', '.')}@{domain}"] == ROLE_WORDS[role]


def test_towns_are_real_and_in_six_countries() -> None:
    towns = load()
    assert set(towns) == set(COUNTRIES)
    assert sum(len(found) for found in towns.values()) > 400
    linz = next(town for town in towns["AT"] if town.city == "Linz")
    assert (linz.subdivision, linz.postal) == ("AT-4", "4020")
    assert linz.lat == pytest.approx(48.306, abs=0.01)


def test_requests_are_the_same_for_the_same_seed(world: Any) -> None:
    start = world.now - timedelta(days=30)
    first, again = (requests(200, start, world.now, 7) for _ in range(2))
    assert first == again
    assert all(start <= moment <= world.now for moment, _ in first)
    keys = [record["external_key"] for _, record in first]
    assert len(set(keys)) == 200
    assert any(key.startswith("TEL-") for key in keys)


def test_what_is_made_is_told_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """A start without a terminal, in a container or under make, is not silent for a minute."""
    tell = Lines()
    for done in range(0, 2001, 7):
        tell("Leads of the last days", done, 2000)
    tell("Leads of the last days", 2000, 2000)
    tell("Nothing", 0, 0)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "  Leads of the last days: 0 of 2,000" and said[-1] == "  Nothing: 0 of 0"
    assert said[-2] == "  Leads of the last days: 2,000 of 2,000" and len(said) == 12

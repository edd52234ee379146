"""The mails of an offer: who gets them, what they say and do not say, when they are sent, and that repeats repeat."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from integrations.mail import FolderSender, MemorySender, listed
from portal.events import work
from portal.leads import actions, mails
from portal.security.context import digest
from tests.portal.leads.test_flow import given, intake
from tests.world import World


@pytest.fixture
def outbox(world: World, monkeypatch: pytest.MonkeyPatch) -> MemorySender:
    """Mail of this test's installation, in a list."""
    sender = MemorySender()
    monkeypatch.setattr(mails, "mailer", lambda settings: sender)
    monkeypatch.setattr(mails, "load", lambda: world.database.settings)
    return sender


def run(world: World, **later: Any) -> None:
    work.run_due(world.database.worker, now=world.now + timedelta(minutes=1) + timedelta(**later))


def links(world: World) -> list[Any]:
    with world.system() as session:
        return list(
            session.execute(text("select * from credentials where purpose = 'offer' order by bound_to"))
        )


def test_the_people_of_the_location_are_told_with_a_link_each(world: World, outbox: MemorySender) -> None:
    number = intake(world).number
    run(world)
    assert sorted(m.to for m in outbox.sent) == ["katrin@danubia.example", "lukas@danubia.example"]
    assert len({m.message_id for m in outbox.sent}) == 2
    message = outbox.sent[0]
    assert message.subject.startswith(f"Lead {number}: Pump service contract, Linz - answer by ")
    assert "4020 Linz" in message.text
    assert "/o/" in message.text
    tokens = {m.text.partition("/o/")[2].split()[0] for m in outbox.sent}
    assert all(len(token) == 43 for token in tokens)
    stored = links(world)
    assert {bytes(row.hash) for row in stored} == {digest(token) for token in tokens}
    assert [row.bound_to for row in stored] == ["katrin@danubia.example", "lukas@danubia.example"]


def test_before_acceptance_a_mail_holds_the_offer_view_only(world: World, outbox: MemorySender) -> None:
    intake(world)
    run(world)
    for message in outbox.sent:
        whole = message.subject + message.text + (message.html or "")
        for secret in ("Lenau", "eva@", "43 732", "84,000", "84000", "Hafenstrasse", "private number"):
            assert secret not in whole
        assert "50,000" in whole  # the band


def test_words_of_a_customer_are_escaped_and_one_line(world: World, outbox: MemorySender) -> None:
    intake(world, need="<b>Two</b>\r\nBcc: all@example.com", title="<i>x</i>\nSubject: y")
    run(world)
    message = outbox.sent[0]
    assert "\n" not in message.subject
    assert "<b>Two" not in (message.html or "")
    assert "&lt;b&gt;Two" in (message.html or "")
    assert "<b>Two</b> Bcc" in message.text


def test_a_repeated_attempt_sends_the_same_link_under_the_same_identity(
    world: World, outbox: MemorySender
) -> None:
    intake(world)
    with world.system() as session:
        row = session.execute(
            text("select * from work_items where kind = 'offer.mail' order by run_at")
        ).first()
    item = work.Item(row.id, row.realm_id, row.kind, None, row.payload, 1, 0)
    for _ in range(2):
        with world.system() as session:
            effect = mails.offer_mail(session, item)
        assert effect is not None
        effect()
    first, second = outbox.sent[:2], outbox.sent[2:]
    assert [m.message_id for m in first] == [m.message_id for m in second]
    assert [m.text for m in first] == [m.text for m in second]
    assert len(links(world)) == 2


def test_a_reminder_comes_half_way_and_not_after_an_answer(world: World, outbox: MemorySender) -> None:
    intake(world)
    run(world)
    run(world, hours=7)
    assert [m.subject.startswith("Reminder:") for m in outbox.sent] == [False, False, True, True]
    outbox.sent.clear()
    with world.system() as session:
        offer = session.execute(text("select id from offers")).scalar_one()
    with world.acting("katrin@danubia.example") as session:
        actions.accept(session, offer)
    run(world)
    assert {m.subject.rpartition(" - ")[2] for m in outbox.sent} == {"it is yours"}
    assert all("/o/" not in m.text and "/leads/L-" in m.text for m in outbox.sent)
    assert all("Katrin Moser has accepted" in m.text for m in outbox.sent)
    assert all("Lenau" not in m.text for m in outbox.sent)


def test_who_let_it_lapse_is_told_and_the_next_gets_the_offer(world: World, outbox: MemorySender) -> None:
    intake(world)
    run(world, days=2)
    lapsed = [m for m in outbox.sent if "lapsed" in m.subject]
    assert sorted(m.to for m in lapsed) == ["katrin@danubia.example", "lukas@danubia.example"]
    assert all("/o/" not in m.text for m in lapsed)


def test_a_location_of_its_own_people_mails_only_them(world: World, outbox: MemorySender) -> None:
    with world.database.worker.begin() as connection:
        connection.execute(
            text("update memberships set location_ids = '{1}' where person_id = :p"),
            {"p": world.people["lukas@danubia.example"]},
        )
        connection.execute(
            text("update people set status = 'disabled' where id = :p"),
            {"p": world.people["sales@traun.example"]},
        )
    intake(world)
    run(world)
    assert [m.to for m in outbox.sent] == ["katrin@danubia.example"]


def test_nobody_is_told_of_a_replayed_past(world: World, outbox: MemorySender) -> None:
    intake(world)
    with world.system() as session:
        row = session.execute(
            text("select * from work_items where kind = 'offer.mail' order by run_at")
        ).first()
    item = work.Item(row.id, row.realm_id, row.kind, None, row.payload, 1, 0)
    with world.system(world.now - timedelta(days=3)) as session:
        assert mails.offer_mail(session, item) is None


def test_times_are_the_readers_own(world: World, outbox: MemorySender) -> None:
    with world.database.worker.begin() as connection:
        connection.execute(
            text("update people set time_zone = 'America/New_York' where id = :p"),
            {"p": world.people["lukas@danubia.example"]},
        )
    intake(world)
    run(world)
    by = {m.to: m.subject.rpartition("answer by ")[2] for m in outbox.sent}
    assert by["katrin@danubia.example"] != by["lukas@danubia.example"]
    assert "E" in next(m.text for m in outbox.sent if m.to.startswith("lukas")).partition("Answer by")[2][:60]


def test_the_folder_keeps_what_is_sent(world: World, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sender = FolderSender(tmp_path, "Halden <partners@halden.example>")
    monkeypatch.setattr(mails, "mailer", lambda settings: sender)
    monkeypatch.setattr(mails, "load", lambda: world.database.settings)
    intake(world, **given(language=None))
    run(world)
    kept = listed(tmp_path)
    assert {one.to for one in kept} == {"katrin@danubia.example", "lukas@danubia.example"}
    assert all(one.html and "Accept or decline" in one.html for one in kept)

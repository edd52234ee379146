"""Invitation and reset from the click to the signed-in person: the mail, its link, and what the link may do."""

import re
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

import portal.tasks
from integrations.mail import Message
from portal.companies import command
from portal.events import work
from portal.security import signin, tasks
from portal.security.context import digest
from tests.portal.security.test_signin import try_to_sign_in
from tests.portal.site import site
from tests.world import DANUBIA, TRAUN, World

assert portal.tasks
PASSWORD = "four quiet river stones"


class Outbox:
    """A mailer that keeps what it is given; `failures` sends fail first."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.failures = 0

    def send(self, message: Message) -> None:
        """Keep it, or fail after it went out, as a line that breaks does."""
        self.sent.append(message)
        if len(self.sent) <= self.failures:
            raise ConnectionError


@pytest.fixture
def outbox(world: World, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """Mail of this test."""
    box = Outbox()
    monkeypatch.setattr(tasks, "load", lambda: world.database.settings)
    monkeypatch.setattr(tasks, "mailer", lambda _settings: box)
    return box


def invite(world: World, email: str = "new@danubia.example", company: str = DANUBIA) -> int:
    with world.acting("lukas@danubia.example" if company == DANUBIA else "ingrid@halden.example") as session:
        return signin.invite(session, email, "Nora Neu", world.company(company), ["sales"])


def run(world: World, later: timedelta = timedelta(minutes=1)) -> None:
    work.run_due(world.database.worker, now=world.now + later)


def link(message: Message) -> str:
    found = re.search(r"http://localhost:6543(/welcome/[\w-]+)", message.text)
    assert found
    return found[1]


def test_an_invited_person_sets_a_password_and_is_in(world: World, outbox: Outbox) -> None:
    person = invite(world)
    run(world)
    (message,) = outbox.sent
    assert message.to == "new@danubia.example" and "Halden Pumps" in message.subject
    path = link(message)
    token = path.rpartition("/")[2]
    with world.system() as session:
        row = session.execute(text("select * from credentials where hash = :h"), {"h": digest(token)}).one()
    assert row.purpose == "invite" and row.expires_at - row.created_at == signin.INVITATION_TIME
    app = site(world.database)
    for _ in range(3):
        page = app.get(path)
        assert "Nora Neu" in page.text and DANUBIA in page.text
    form = page.forms[0]
    form["password"] = "short"
    again = form.submit(status=422)
    assert "at least 10" in again.text
    form = again.forms[0]
    form["password"] = PASSWORD
    assert form.submit(status=302).location == "http://localhost/"
    assert app.get("/companies/choose").status_int == 200
    with world.acting("lukas@danubia.example") as session:
        assert (
            session.execute(text("select status from people where id = :p"), {"p": person}).scalar()
            == "active"
        )
    assert site(world.database).get(path, status=404), "used once"
    assert try_to_sign_in(site(world.database), "new@danubia.example", PASSWORD).status_int == 302


def test_a_repeated_mail_repeats_its_link_and_its_identity(world: World, outbox: Outbox) -> None:
    outbox.failures = 1
    invite(world)
    run(world)
    run(world, timedelta(hours=1))
    first, second = outbox.sent
    assert first.text == second.text and first.message_id == second.message_id
    with world.system() as session:
        assert (
            session.execute(text("select count(*) from credentials where purpose = 'invite'")).scalar() == 1
        )


def test_an_expired_or_made_up_link_opens_nothing(world: World, outbox: Outbox) -> None:
    invite(world)
    run(world)
    path = link(outbox.sent[0])
    app = site(world.database)
    form = app.get(path).forms[0]
    with world.system() as session:
        session.execute(text("update credentials set expires_at = now() where purpose = 'invite'"))
    form["password"] = PASSWORD
    assert "no longer valid" in form.submit(status=404).text
    assert app.get(path, status=404)
    assert app.get("/welcome/made-up", status=404)
    assert "interline" not in app.cookies


def test_who_has_a_password_is_told_of_the_new_company(world: World, outbox: Outbox) -> None:
    with world.system() as session:
        signin.set_password_directly(session, world.people["katrin@danubia.example"], PASSWORD)
    invite(world, "katrin@danubia.example", TRAUN)
    run(world)
    (message,) = outbox.sent
    assert TRAUN in message.subject and "/welcome/" not in message.text and "/sign-in" in message.text


def test_a_forgotten_password_is_set_anew_and_ends_other_sessions(world: World, outbox: Outbox) -> None:
    email = "katrin@danubia.example"
    with world.system() as session:
        signin.set_password_directly(session, world.people[email], "the old one, forgotten")
    app = site(world.database)
    pages = []
    for address in (email, "nobody@danubia.example"):
        form = app.get("/forgotten").forms[0]
        form["email"] = address
        pages.append(form.submit(status=200).text)
    assert re.sub(r'nonce="[^"]*"|value="[^"]*"', "", pages[0]) == re.sub(
        r'nonce="[^"]*"|value="[^"]*"', "", pages[1]
    )
    run(world)
    (message,) = outbox.sent
    assert message.to == email
    form = app.get(link(message)).forms[0]
    form["password"] = PASSWORD
    form.submit(status=302)
    old = site(world.database)
    old.set_cookie("interline", world.sessions[email])
    assert old.get("/companies/choose").status_int == 302, "sessions from before are over"
    assert try_to_sign_in(site(world.database), email, "the old one, forgotten").status_int == 422


def test_links_cannot_be_asked_for_without_end(world: World) -> None:
    app = site(world.database)
    statuses = []
    for _ in range(4):
        form = app.get("/forgotten").forms[0]
        form["email"] = "katrin@danubia.example"
        statuses.append(form.submit(status="*").status_int)
    assert statuses == [200, 200, 200, 429]


def test_the_mail_speaks_safely(world: World, outbox: Outbox) -> None:
    with world.acting("lukas@danubia.example") as session:
        signin.invite(session, "x@danubia.example", "<b>Bad</b> & Co", world.company(DANUBIA), ["sales"])
    run(world)
    (message,) = outbox.sent
    assert message.html is not None
    assert (
        "<b>Bad" not in message.html and "&lt;b&gt;Bad" in message.html and "<b>Bad</b> & Co" in message.text
    )


def test_what_has_expired_is_swept_out(world: World) -> None:
    with world.system() as session:
        before = session.execute(text("select count(*) from credentials")).scalar_one()
        session.execute(
            text("update credentials set expires_at = now() - interval '1 s' where person_id = :p"),
            {"p": world.people["katrin@danubia.example"]},
        )
        session.execute(text("insert into throttles values (sha256('a'), now() - interval '2 days', 1)"))
        session.execute(text("insert into throttles values (sha256('b'), now(), 1)"))
        for key, age in (("old", "31 days"), ("new", "29 days")):
            session.execute(
                text("""
                    insert into idempotent_answers values (1, 1, 'r', :key, 1, sha256('x'), 201, '{}',
                        app.clock(1) - cast(:age as interval))
                """),
                {"key": key, "age": age},
            )
        session.execute(
            text("""
                insert into work_items (id, realm_id, queue, kind, payload, run_at, created_at)
                values (1, 1, 'default', 'credentials.expire', '{}', app.clock(1), app.clock(1))
            """)
        )
    run(world)
    with world.system() as session:
        assert session.execute(text("select count(*) from credentials")).scalar_one() == before - 1
        assert session.execute(text("select count(*) from throttles")).scalar_one() == 1
        assert session.scalars(text("select key from idempotent_answers")).all() == ["new"]
        assert session.execute(text("select count(*) from work_items")).scalar_one() == 0


def test_the_command_adds_people(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda: world.database.settings)
    runner = CliRunner()

    def call(*words: str, given: str | None = None) -> Any:
        return runner.invoke(command.person, ["add", *words], input=given)

    new = ("ops@halden.example", "--name", "Olaf Ops", "--company", "vendor", "--role", "operator")
    made = call(*new, "--password-stdin", "--json", given=f"{PASSWORD}\n")
    assert made.exit_code == 0 and '"mailed": false' in made.output
    assert try_to_sign_in(site(world.database), "ops@halden.example", PASSWORD).status_int == 302
    mailed = call("p@danubia.example", "--name", "P", "--company", DANUBIA, "--role", "sales")
    assert mailed.exit_code == 0 and "mail" in mailed.output
    assert call(*new, "--password-stdin", given="short\n").exit_code == 1
    wrong = call("p@danubia.example", "--name", "P", "--company", DANUBIA, "--role", "operator")
    assert wrong.exit_code == 1 and "administrator, sales, service" in wrong.output
    assert "No company" in call("p@x.example", "--name", "P", "--company", "X", "--role", "sales").output

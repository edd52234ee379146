"""Inviting somebody who works for another company already: nothing is learnt of it, and nothing happens unasked."""

import re
from typing import Any

import pytest
from sqlalchemy import text

from portal.companies import actions
from portal.security import signin
from tests.portal.security.test_account import path_in
from tests.portal.security.test_factor import events
from tests.portal.security.test_signin import PASSWORD, try_to_sign_in
from tests.portal.security.test_tasks import Outbox, outbox, run
from tests.portal.site import site
from tests.portal.visitors import visitor
from tests.world import DANUBIA, TRAUN, World

assert outbox
LUKAS, EVA, NOBODY = "lukas@danubia.example", "sales@traun.example", "nobody.yet@traun.example"


@pytest.fixture
def people(world: World) -> World:
    """The small world; Eva of Traun has a password."""
    with world.system() as session:
        signin.set_password_directly(session, world.people[EVA], PASSWORD)
    return world


def invite(world: World, email: str, name: str = "Typed Name") -> Any:
    """Lukas of Danubia fills in the form."""
    lukas = visitor(world, LUKAS)
    form = next(f for f in lukas.get("/company/people/new").forms.values() if "roles" in f.fields)
    form["email"], form["name"], form["roles"] = email, name, ["sales"]
    return form.submit(status="*")


def seen(world: World, email: str) -> list[str]:
    """What Lukas sees of somebody: pages, log and export, without the address and ids."""
    lukas = visitor(world, LUKAS)
    pages = [
        lukas.get(path).text
        for path in ("/company/people", "/company", "/company/log", "/company/log?export=csv")
    ]
    person = next(
        re.search(r"/people/(\d+)/roles", str(row))[1]  # type: ignore[index]
        for row in lukas.get("/company/people").html.select("tbody tr")
        if email in row.text
    )
    pages += [lukas.get(f"/company/people/{person}/{what}").text for what in ("roles", "remove", "factor")]
    pages.append(str(invite(world, email).status_int))
    changing = r'nonce="[^"]*"|value="[0-9a-f]{32,}"|\d\d:\d\d(:\d\d)?|' + re.escape(email) + "|" + person
    return [re.sub(changing, "", page) for page in pages]


def test_known_and_unknown_addresses_look_the_same(people: World) -> None:
    first = invite(people, EVA)
    assert first.status_int == 302
    known = seen(people, EVA)
    assert "Eva Wimmer" not in "".join(known) and "Typed Name" in known[0] and "Invited" in known[0]
    with people.system() as session:
        session.execute(
            text(
                "delete from memberships where company_id = :c and person_id in (select id from people"
                " where name = 'Typed Name')"
            ),
            {"c": people.company(DANUBIA)},
        )
        session.execute(text("delete from people where name = 'Typed Name'"))
        session.execute(text("delete from events"))
    invite(people, NOBODY)
    assert seen(people, NOBODY) == known


def test_somebody_elsewhere_accepts_by_mail(people: World, outbox: Outbox) -> None:
    invite(people, EVA)
    run(people)
    (message,) = outbox.sent
    assert message.to == EVA and DANUBIA in message.subject and "Eva Wimmer" in message.text
    eva = visitor(people, EVA)
    assert "Another company" not in eva.get("/me").text, "not before she accepts"
    page = site(people.database).get(path_in(message))
    assert f"{DANUBIA} invites you" in page.text and page.html.find("input", type="password") is None
    assert "Another company" not in eva.get("/me").text, "opening the page changes nothing"
    page.forms[0].submit(status=302)
    site(people.database).get(path_in(message), status=404)
    app = site(people.database)
    chosen = try_to_sign_in(app, EVA, PASSWORD).follow()
    assert [b.text.strip() for b in chosen.html.select("button[name=company]")] == [DANUBIA, TRAUN]
    assert "Eva Wimmer" in visitor(people, LUKAS).get("/company/people").text
    with people.system() as session:
        assert session.scalar(text("select count(*) from people where name = 'Typed Name'")) == 0
    (event,) = events(people, "member.added")
    assert event.subject_id == people.company(DANUBIA)
    assert event.data["person_id"] == str(people.people[EVA])
    assert sorted(event.audience) == sorted([people.vendor_id, people.company(DANUBIA)])


def test_the_other_company_learns_nothing_either(people: World, outbox: Outbox) -> None:
    invite(people, EVA)
    run(people)
    site(people.database).get(path_in(outbox.sent[0])).forms[0].submit()
    admin = visitor(people, "admin@traun.example")
    for path in ("/company/people", "/company/log", "/company"):
        assert DANUBIA not in admin.get(path).text


def test_a_stand_in_is_no_account(people: World, outbox: Outbox) -> None:
    invite(people, EVA)
    key = f"{EVA}\n{people.company(DANUBIA)}"
    assert try_to_sign_in(site(people.database), key, PASSWORD).status_int == 422
    run(people)
    outbox.sent.clear()
    app = site(people.database)
    form = app.get("/forgotten").forms[0]
    app.post("/forgotten", {"email": key, "csrf_token": form["csrf_token"].value}, status="*")
    run(people)
    assert outbox.sent == []


def test_an_invitation_can_be_sent_again_and_taken_back(people: World, outbox: Outbox) -> None:
    invite(people, EVA)
    invite(people, EVA)
    run(people)
    assert len(outbox.sent) == 2
    with people.system() as session:
        stand_in = session.scalar(text("select id from people where name = 'Typed Name'"))
    with people.acting(LUKAS) as session:
        actions.remove_member(session, people.company(DANUBIA), stand_in)
    assert site(people.database).get(path_in(outbox.sent[0]), status=404)
    with people.system() as session:
        query = text("select company_id from memberships where person_id = :p")
        assert session.scalars(query, {"p": people.people[EVA]}).all() == [people.company(TRAUN)]
        assert session.scalar(text("select count(*) from people where name = 'Typed Name'")) == 0


def test_the_vendor_adds_whom_it_knows_at_once(people: World, outbox: Outbox) -> None:
    with people.acting("ingrid@halden.example") as session:
        person = signin.invite(session, EVA, "Eva", people.company(DANUBIA), ["service"])
    assert person == people.people[EVA]
    assert [e.type for e in events(people, "member.added")] == ["member.added"]
    run(people)
    assert "/sign-in" in outbox.sent[0].text


def test_who_was_invited_and_forgot_gets_the_invitation_again(world: World, outbox: Outbox) -> None:
    with world.acting(LUKAS) as session:
        signin.invite(session, NOBODY, "Nora", world.company(DANUBIA), ["sales"])
    run(world)
    outbox.sent.clear()
    form = site(world.database).get("/forgotten").forms[0]
    form["email"] = NOBODY
    form.submit(status=200)
    run(world)
    assert "invites you" in outbox.sent[0].subject
    page = site(world.database).get(path_in(outbox.sent[0]))
    form = page.forms[0]
    form["password"] = "four quiet river stones"
    assert form.submit(status=302).location == "http://localhost/"

"""Somebody of several companies: the choice is of the session, and the destination survives every step of signing in."""

from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from portal.bootstrap import logins_of, migrate
from portal.companies import command
from portal.db import make_engine
from portal.security import signin
from portal.security.context import digest
from portal.security.logins import psycopg_url
from tests.portal.security.codes import code_for
from tests.portal.security.test_factor import choose, enrol, enter_code, events
from tests.portal.security.test_signin import KATRIN, PASSWORD, try_to_sign_in
from tests.portal.site import site
from tests.world import DANUBIA, TRAUN, World


@pytest.fixture
def people(world: World) -> World:
    """Katrin works for Danubia and Traun."""
    with world.system() as session:
        signin.set_password_directly(session, world.people[KATRIN], PASSWORD)
        signin.invite(session, KATRIN, "Katrin Moser", world.company(TRAUN), ["service"], mail=False)
    return world


def company_of(app: Any) -> str:
    return str(app.get("/me").html.select_one(".ph .sub").text)


def test_each_session_acts_for_its_own_company(people: World) -> None:
    desk, phone = site(people.database), site(people.database)
    choose(try_to_sign_in(desk, KATRIN, PASSWORD).follow(), DANUBIA)
    choose(try_to_sign_in(phone, KATRIN, PASSWORD).follow(), TRAUN)
    assert company_of(desk) == f"{DANUBIA}, Sales" and company_of(phone) == f"{TRAUN}, Service"
    choose(desk.get("/companies/choose?next=/leads"), TRAUN)
    assert company_of(desk).startswith(TRAUN)
    choose(phone.get("/companies/choose"), DANUBIA)
    assert company_of(desk).startswith(TRAUN) and company_of(phone).startswith(DANUBIA)
    chosen = [(e.audience, e.company_id) for e in events(people, "signin.company_chosen")]
    assert chosen == [([people.company(n)], people.company(n)) for n in (TRAUN, DANUBIA)]
    opened = events(people, "signin.succeeded")
    assert [e.audience for e in opened] == [[people.company(DANUBIA)], [people.company(TRAUN)]]


def test_the_destination_survives_code_and_choice(people: World) -> None:
    secret, _codes = enrol(people)
    app = site(people.database)
    asked = app.get("/leads?q=pump&tab=past", status=302)
    form = asked.follow().forms[0]
    form["email"], form["password"] = KATRIN, PASSWORD
    choice = enter_code(form.submit(), code_for(secret)).follow()
    assert choose(choice, DANUBIA).location == "http://localhost/leads?q=pump&tab=past"


def test_until_the_choice_nothing_opens(people: World) -> None:
    app = site(people.database)
    try_to_sign_in(app, KATRIN, PASSWORD)
    assert "/sign-in" in app.get("/me", status=302).location
    assert "/companies/choose" in app.get("/sign-in", status=302).location
    assert events(people, "signin.succeeded") == []


def test_a_company_one_does_not_work_for_cannot_be_chosen(people: World) -> None:
    app = site(people.database)
    page = try_to_sign_in(app, KATRIN, PASSWORD).follow()
    form = next(f for f in page.forms.values() if f.action == "/companies/choose")
    fields = {"csrf_token": form["csrf_token"].value, "next": "/"}
    for company in (str(people.vendor_id), "0", "x", ""):
        app.post("/companies/choose", {**fields, "company": company}, status=404)


def test_the_command_resets_a_second_factor(people: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda: people.database.settings)
    enrol(people)
    call = CliRunner().invoke
    assert call(command.person, ["reset-factor", "nobody@x.example"]).exit_code == 1
    assert call(command.person, ["reset-factor", KATRIN]).exit_code == 0
    assert call(command.person, ["reset-factor", KATRIN]).exit_code == 1, "there is none any more"
    assert len(events(people, "factor.reset")) == 2, "one for each company"


def test_an_installation_goes_back_with_half_sign_ins_and_factors(people: World) -> None:
    """Down to the release before and up again: sessions stay, what the release before does not know goes."""
    enrol(people)
    app = site(people.database)
    try_to_sign_in(app, KATRIN, PASSWORD)
    half = digest(app.cookies["interline"])
    settings = people.database.settings
    people.database.dispose()
    owner = psycopg_url(settings.url_for("owner"))
    while _revision(owner) != "0001":
        migrate(owner, logins_of(settings), "-1")
    engine = make_engine(owner)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from credentials where hash = :h"), {"h": half}) == 0
        assert connection.scalar(text("select count(*) from credentials where purpose = 'session'")) == 10
    engine.dispose()
    migrate(owner, logins_of(settings))
    engine = make_engine(owner)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from second_factors")) == 0
    engine.dispose()


def _revision(url: Any) -> str:
    engine = make_engine(url)
    with engine.connect() as connection:
        found = connection.scalar(text("select version_num from alembic_version"))
    engine.dispose()
    return str(found)

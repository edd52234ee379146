"""A partner's own pages: its profile, what an administrator may change, people, the agreement."""

import pytest
from sqlalchemy import select, text
from webtest import TestApp

from portal.companies.models import Company, LocationFact
from tests.portal.pages import main_form
from tests.portal.site import signed_in
from tests.world import DANUBIA, TRAUN, World

LUKAS, KATRIN = "lukas@danubia.example", "katrin@danubia.example"


@pytest.fixture
def lukas(world: World) -> TestApp:
    return signed_in(world, LUKAS)


def test_everybody_of_a_partner_reads_its_profile_only_administrators_change_it(
    world: World, lukas: TestApp
) -> None:
    katrin = signed_in(world, KATRIN)
    page = katrin.get("/company")
    assert DANUBIA in page
    assert "ATEX" in page
    assert "/company/edit" not in page
    assert TRAUN not in page
    for path in ("/company/edit", f"/company/locations/{world.location(DANUBIA)}", "/company/people"):
        katrin.get(path, status=404)
        lukas.get(path)


def test_an_administrator_changes_contact_facts_and_nothing_else(world: World, lukas: TestApp) -> None:
    form = main_form(lukas.get("/company/edit"))
    assert "name" not in form.fields
    form["website"] = "danubia.example"
    form.submit(status=302)
    form["phone"] = "1"
    lukas.post("/company/edit", {**dict(form.submit_fields()), "name": "Better Name"}, status=302)
    with world.system() as session:
        company = session.get(Company, world.company(DANUBIA))
        assert company is not None
        assert (company.website, company.phone, company.name) == ("https://danubia.example", "1", DANUBIA)


def test_an_administrator_sets_capacity_and_hours(world: World, lukas: TestApp) -> None:
    place = f"/company/locations/{world.location(DANUBIA)}"
    form = main_form(lukas.get(place))
    form["capacity"] = "7"
    form.submit(status=302)
    lukas.post(place, {**dict(form.submit_fields()), "capacity": "8", "lat": "0", "active": ""}, status=302)
    hours = main_form(lukas.get(f"{place}/calendar"))
    hours["saturday"] = "9-12"
    hours.submit(status=302)
    with world.system() as session:
        fact = session.execute(
            select(LocationFact).where(
                LocationFact.company_id == world.company(DANUBIA), LocationFact.valid_to.is_(None)
            )
        ).scalar_one()
        assert (fact.capacity, fact.lat, fact.active) == (8, 48.2097, True)
        assert fact.calendar["weekly"][5] == [[540, 720]]


def test_people_are_invited_and_removed_after_a_question(world: World, lukas: TestApp) -> None:
    form = main_form(lukas.get("/company/people/new"))
    form["email"], form["name"] = "nora@danubia.example", "Nora Neu"
    form = main_form(form.submit(status=422))
    form.set("roles", True, index=1)
    assert "Nora Neu" in form.submit(status=302).follow()
    person = world.people[KATRIN]
    asked = lukas.get(f"/company/people/{person}/remove")
    assert "Remove Katrin Moser?" in asked
    main_form(asked).submit(status=302)
    signed_in(world, KATRIN).get("/company", status=302)
    lukas.get(f"/company/people/{world.people['sales@traun.example']}/remove", status=404)


def test_who_is_a_member_already_is_not_invited_again(world: World, lukas: TestApp) -> None:
    form = main_form(lukas.get("/company/people/new"))
    form["email"], form["name"] = KATRIN.upper(), "Katrin Moser"
    form.set("roles", True, index=1)
    assert "Katrin Moser is a member already" in form.submit(status=422)
    with world.system() as session:
        assert not session.scalars(text("select kind from work_items where kind = 'person.invite'")).all()


def test_the_last_administrator_stays(world: World, lukas: TestApp) -> None:
    asked = lukas.get(f"/company/people/{world.people[LUKAS]}/remove")
    refused = main_form(asked).submit(status=409)
    assert "This cannot be done" in refused and "This is the last one who manages people here" in refused
    assert "Nothing was changed." in refused and "Somebody was faster" not in refused
    lukas.get("/company/people")


def test_the_agreement_is_accepted_by_the_administrator_in_the_version_shown(
    world: World, lukas: TestApp
) -> None:
    assert "Accepted" in lukas.get("/company/agreement")
    with world.system() as session:
        session.execute(text("update realms set agreement_version = '2'"))
    assert "has not accepted the agreement" in lukas.get("/company")
    assert "administrator accepts" in signed_in(world, KATRIN).get("/company/agreement")
    page = lukas.get("/company/agreement")
    stale = main_form(page)
    stale["version"] = "1"
    assert "Somebody was faster" in stale.submit(status=409)
    main_form(page)["version"] = "2"
    main_form(page).submit(status=302)
    with world.system() as session:
        row = session.execute(
            text("select version, how, accepted_by from agreements where version = '2'")
        ).one()
        assert tuple(row) == ("2", "page", world.people[LUKAS])


def test_the_vendor_has_no_partner_profile_but_manages_its_people(world: World) -> None:
    ingrid = signed_in(world, "ingrid@halden.example")
    ingrid.get("/company", status=404)
    assert "Tomas Berg" in ingrid.get("/company/people")

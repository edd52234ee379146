"""The partner pages: each form does its one thing, keeps what was typed, and a partner finds none of them."""

from typing import Any

import pytest
from sqlalchemy import select, text
from webtest import TestApp

from portal.companies.models import Company, LocationFact
from portal.partners.models import Authorisation, Certification, Standing, Territory
from tests.portal.pages import main_form, said
from tests.portal.site import signed_in
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

INGRID, TOMAS = "ingrid@halden.example", "tomas@halden.example"
LUKAS, KATRIN = "lukas@danubia.example", "katrin@danubia.example"


@pytest.fixture
def ingrid(world: World) -> TestApp:
    return signed_in(world, INGRID)


@pytest.fixture
def lukas(world: World) -> TestApp:
    return signed_in(world, LUKAS)


def base(world: World, name: str = DANUBIA) -> str:
    return f"/partners/{world.company(name)}"


def current(world: World, model: Any, name: str = DANUBIA) -> Any:
    with world.system() as session:
        query = select(model).where(model.company_id == world.company(name), model.valid_to.is_(None))
        return session.execute(query).scalars().all()


def test_the_table_searches_filters_sorts_and_exports(ingrid: TestApp) -> None:
    page = ingrid.get("/partners")
    assert page.text.index(ALPENHYDRO) < page.text.index(DANUBIA) < page.text.index(TRAUN)
    assert TRAUN not in ingrid.get("/partners?level=gold&certification=ATEX&country=AT")
    only = ingrid.get("/partners?q=traun&status=active")
    assert TRAUN in only
    assert DANUBIA not in only
    export = ingrid.get("/partners?export=csv&sort=-name")
    assert export.content_type == "text/csv"
    assert export.text.splitlines()[1].startswith(TRAUN)


@pytest.mark.parametrize(
    "query", ["sort=zzz", "sort=-certification", "status=odd", "level=odd", "page=0", "cols=x"]
)
def test_a_wrong_address_is_a_clean_400(ingrid: TestApp, query: str) -> None:
    ingrid.get(f"/partners?{query}", status=400)


def test_the_profile_shows_what_makes_a_partner_eligible(world: World, ingrid: TestApp) -> None:
    page = ingrid.get(base(world))
    for words in ("ATEX", "Ansfelden", "Sentinel pumps", "Katrin Moser", "Mon to Fri 09:00-17:00", "0 of 10"):
        assert words in page


def test_a_new_partner_gets_its_first_location(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get("/partners/new"))
    form["name"], form["city"], form["country"] = "Inn Pumpen", "Innsbruck", "at"
    made = form.submit().follow()
    assert "Inn Pumpen" in made
    assert "Innsbruck" in made


def test_a_partner_that_cannot_be_is_not_made_half(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get("/partners/new"))
    form["name"], form["city"], form["country"] = "Inn Pumpen", "Innsbruck", "XX"
    again = form.submit(status=422)
    assert 'value="Inn Pumpen"' in again
    assert "ISO 3166-1" in again
    with world.system() as session:
        assert session.execute(select(Company).where(Company.name == "Inn Pumpen")).first() is None


def test_editing_changes_the_company_and_its_level(world: World, ingrid: TestApp) -> None:
    page = ingrid.get(f"{base(world)}/edit")
    form, field = main_form(page), page.html.find("input", {"name": "time_zone"})
    offered = page.html.find("datalist", id=field["list"]).find_all("option")
    assert {"Europe/Vienna", "UTC"} <= {option["value"] for option in offered}
    form["phone"], form["level"], form["time_zone"] = "+43 7229 1", "silver", "Nowhere/Else"
    form = main_form(form.submit(status=422))
    assert form["phone"].value == "+43 7229 1"
    form["time_zone"] = "Europe/Berlin"
    form.submit(status=302)
    assert [standing.level for standing in current(world, Standing)] == ["silver"]


def test_suspending_asks_first_and_can_be_undone(world: World, ingrid: TestApp) -> None:
    page = ingrid.get(f"{base(world)}/standing?to=suspended")
    assert f"Suspend {DANUBIA}?" in page
    assert current(world, Standing)[0].status == "active"
    after = main_form(page).submit(status=302).follow()
    assert current(world, Standing)[0].status == "suspended"
    assert "standing?to=active" in after


def test_a_location_is_edited_and_its_hours_are_typed_as_words(world: World, ingrid: TestApp) -> None:
    place = f"{base(world)}/locations/{world.location(DANUBIA)}"
    form = main_form(ingrid.get(place))
    form["capacity"] = "-1"
    form = main_form(form.submit(status=422))
    form["capacity"] = "4"
    form.submit(status=302)
    hours = main_form(ingrid.get(f"{place}/calendar"))
    hours["friday"], hours["holidays"] = "8-12, 11-13", "2026-12-25\n2026-12-26"
    hours = main_form(hours.submit(status=422))
    hours["friday"] = "8-12, 13:00-15:30"
    hours.submit(status=302)
    (fact,) = current(world, LocationFact)
    assert fact.capacity == 4
    assert fact.calendar["weekly"][4] == [[480, 720], [780, 930]]
    assert fact.calendar["holidays"] == ["2026-12-25", "2026-12-26"]
    with world.system() as session:
        session.execute(text("update people set language = 'de'"))
    hours = main_form(ingrid.get(f"{place}/calendar"))
    assert hours["holidays"].value.split() == ["25.12.2026", "26.12.2026"], "as the reader writes them"
    hours["holidays"] = "24.12.2026\n2026-12-31"
    hours.submit(status=302)
    assert current(world, LocationFact)[0].calendar["holidays"] == ["2026-12-24", "2026-12-31"]


def test_certifications_are_added_and_ended_after_a_question(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get(f"{base(world)}/certifications/new"))
    form["programme"], form["number"] = "ATEX", "A-1"
    form["issued"], form["expires"] = "2026-01-01", "2025-01-01"
    form = main_form(form.submit(status=422))
    form["expires"] = "2026-12-01"
    page = form.submit(status=302).follow()
    assert "Lapsing" in page
    made = next(row for row in current(world, Certification) if row.number == "A-1")
    asked = ingrid.get(f"{base(world)}/certifications/{made.id}/end")
    assert f"A-1 of {DANUBIA}" in asked
    after = main_form(asked).submit(status=302).follow()
    assert "Add it again" in after
    assert [row.number for row in current(world, Certification)] == ["ATEX-4052"]
    ingrid.get(f"{base(world)}/certifications/{made.id}/end", status=404)


def test_product_lines_are_ticked(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get(f"{base(world)}/lines"))
    form.set("product_lines", False, index=0)
    form.submit(status=302)
    assert [row.product_line for row in current(world, Authorisation)] == ["SENTINEL"]


def test_territories_come_and_go(world: World, ingrid: TestApp) -> None:
    place = f"{base(world)}/locations/{world.location(DANUBIA)}"
    form = main_form(ingrid.get(f"{place}/territories/new"))
    form["kind"], form["code"] = "subdivision", "AT-99"
    form = main_form(form.submit(status=422))
    form["code"] = "de-by"
    form.submit(status=302)
    held = {row.code: row.id for row in current(world, Territory)}
    assert set(held) == {None, "DE-BY"}
    asked = ingrid.get(f"{base(world)}/territories/{held['DE-BY']}/remove")
    assert "Bayern, Germany" in asked
    main_form(asked).submit(status=302)
    assert [row.code for row in current(world, Territory)] == [None]


def test_inviting_reaches_the_partner_named(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get(f"{base(world)}/people/new"))
    form["email"], form["name"] = "new@danubia.example", "Nora Neu"
    form.set("roles", True, index=1)
    assert "Nora Neu" in form.submit(status=302).follow()


def paths(world: World, name: str = DANUBIA) -> list[str]:
    """Every page of one partner."""
    company, location = world.partners[name]
    with world.system() as session:
        of = {"c": company}
        certification = session.execute(
            text("select id from certifications where company_id = :c"), of
        ).scalar_one()
        territory = session.execute(text("select id from territories where company_id = :c"), of).scalar_one()
    start = f"/partners/{company}"
    place = f"{start}/locations/{location}"
    return [
        start,
        f"{start}/edit",
        f"{start}/standing?to=suspended",
        f"{start}/locations/new",
        place,
        f"{place}/calendar",
        f"{place}/territories/new",
        f"{start}/territories/{territory}/remove",
        f"{start}/certifications/new",
        f"{start}/certifications/{certification}/end",
        f"{start}/lines",
        f"{start}/people/new",
    ]


@pytest.mark.parametrize("email", [KATRIN, LUKAS])
def test_a_partner_finds_no_vendor_page_not_even_its_own(world: World, email: str) -> None:
    app = signed_in(world, email)
    for path in [
        "/partners",
        "/partners/new",
        "/imports",
        "/imports/new",
        *paths(world),
        *paths(world, TRAUN),
    ]:
        app.get(path, status=404)


def test_foreign_and_unknown_ids_answer_alike(world: World, ingrid: TestApp, lukas: TestApp) -> None:
    unknown = ingrid.get("/partners/1", status=404)
    for odd in (str(world.vendor_id), "9" * 30, "0"):
        assert said(ingrid.get(f"/partners/{odd}", status=404)) == said(unknown)
    other = f"{base(world, TRAUN)}/locations/{world.location(DANUBIA)}"
    ingrid.get(other, status=404)
    foreign = lukas.get(f"/company/locations/{world.location(TRAUN)}", status=404)
    nobody = lukas.get("/company/locations/1", status=404)
    assert said(foreign) == said(nobody)


def test_a_sales_rep_reads_and_may_not_edit(world: World) -> None:
    app = signed_in(world, TOMAS)
    page = app.get(base(world))
    assert f"{base(world)}/edit" not in page
    for path in paths(world)[1:]:
        app.get(path, status=404)


def test_a_location_without_coordinates_is_placed_by_its_address(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get(f"{base(world)}/locations/new"))
    form["name"], form["city"], form["country"] = "Graz", "Graz", "at"
    form.submit(status=302)
    made = next(fact for fact in current(world, LocationFact) if fact.city == "Graz")
    assert (round(made.lat), round(made.lon), made.precision) == (47, 15, "city")
    form = main_form(ingrid.get(f"{base(world)}/locations/{made.location_id}"))
    form["city"] = "Wien"
    form.submit(status=302)
    moved = next(fact for fact in current(world, LocationFact) if fact.city == "Wien")
    assert (round(moved.lat), round(moved.lon)) == (48, 16)

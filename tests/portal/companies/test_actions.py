"""Companies and locations: dated facts, one event per change, and what is refused."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from portal.clocks.calendars import office_hours
from portal.companies import actions, queries
from portal.companies.models import LocationFact
from portal.db import PortalSession
from portal.errors import Conflict, Invalid, NotFound
from tests.world import DANUBIA, TRAUN, World

INGRID, LUKAS = "ingrid@halden.example", "lukas@danubia.example"


def event_types(session: PortalSession) -> list[str]:
    return list(session.execute(text("select type from events order by id")).scalars())


def test_a_change_closes_the_fact_that_held_and_opens_a_new_one_at_the_same_instant(world: World) -> None:
    location = world.location(DANUBIA)
    with world.acting(INGRID) as session:
        assert actions.change_location(session, location, capacity=3)
        now = session.context.now
        rows = session.execute(
            select(LocationFact).where(LocationFact.location_id == location).order_by(LocationFact.valid_from)
        ).scalars()
        old, new = rows
        assert (old.capacity, old.valid_to) == (10, now)
        assert (new.capacity, new.valid_from, new.valid_to) == (3, now, None)
        assert new.city == "Ansfelden"
        assert event_types(session) == ["location.changed"]


def test_an_equal_value_changes_nothing_and_tells_nobody(world: World) -> None:
    with world.acting(INGRID) as session:
        assert not actions.change_location(
            session, world.location(DANUBIA), capacity=10, calendar=office_hours("Europe/Vienna")
        )
        assert not actions.change_company(session, world.company(DANUBIA), name=DANUBIA)
        assert event_types(session) == []


def test_an_administrator_changes_its_own_location_but_finds_no_other(world: World) -> None:
    with world.acting(LUKAS) as session:
        assert actions.change_location(session, world.location(DANUBIA), capacity=4)
        with pytest.raises(NotFound):
            actions.change_location(session, world.location(TRAUN), capacity=4)
        with pytest.raises(NotFound):
            actions.change_company(session, world.company(TRAUN), phone="1")
    with world.acting(LUKAS) as session:
        assert event_types(session) == ["location.changed"]
    with world.acting("sales@traun.example") as session:
        assert event_types(session) == []


def test_a_new_location_belongs_to_the_version_that_its_insert_makes(world: World) -> None:
    with world.acting(INGRID) as session:
        before = session.context.directory_version
        made = actions.add_location(
            session, world.company(DANUBIA), "Graz", city="Graz", country="at", lat=0.0, lon=0.0
        )
        version = queries.location(session, made).added_version
        assert version > before
    with world.acting(INGRID) as session:
        assert session.context.directory_version >= version
        fact = session.execute(select(LocationFact).where(LocationFact.location_id == made)).scalar_one()
        assert (fact.country, fact.lat, fact.lon) == ("AT", 0.0, 0.0)
        found = session.execute(text("select open from routing_states where location_id = :l"), {"l": made})
        assert found.scalar_one() == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"capacity": -1}, "capacity"),
        ({"capacity": 10**9}, "capacity"),
        ({"country": "Austria"}, "country"),
        ({"subdivision": "AT-99"}, "subdivision"),
        ({"lat": 91.0, "lon": 0.0}, "lat"),
        ({"lat": 1.0, "lon": None}, "lat"),
        ({"calendar": office_hours("Mars/Olympus")}, "calendar"),
        ({"calendar": {"time_zone": "UTC", "weekly": [[[600, 500]]] * 7}}, "calendar"),
    ],
)
def test_what_cannot_be_is_refused_by_field(world: World, changes: dict[str, object], field: str) -> None:
    with world.acting(INGRID) as session, pytest.raises(Invalid) as refused:
        actions.change_location(session, world.location(DANUBIA), **changes)
    assert refused.value.faults[0].field == field


def test_an_agreement_is_accepted_once_in_its_current_version_only(world: World) -> None:
    company = world.company(DANUBIA)
    with world.system() as session:
        session.execute(text("update realms set agreement_version = '2'"))
    with world.acting(LUKAS) as session:
        with pytest.raises(Conflict):
            actions.accept_agreement(session, company, "1")
        assert actions.accept_agreement(session, company, "2")
        assert not actions.accept_agreement(session, company, "2")
        assert event_types(session) == ["agreement.accepted"]


def test_the_state_of_a_past_moment_is_a_query(world: World) -> None:
    location = world.location(DANUBIA)
    for hours, capacity in ((1, 5), (2, 6)):
        with world.system(world.now + timedelta(hours=hours)) as session:
            actions.change_location(session, location, capacity=capacity)
    then = text(
        "select capacity from location_facts where location_id = :l and valid_from <= :t"
        " and (valid_to is null or valid_to > :t)"
    )
    with world.system() as session:
        seen = [
            session.execute(then, {"l": location, "t": world.now + timedelta(minutes=m)}).scalar_one()
            for m in (0, 60, 90, 120, 600)
        ]
    assert seen == [10, 5, 5, 6, 6]

"""Standing, certifications, authorisations, territories: dated, idempotent, told to vendor and partner."""

from datetime import date

import pytest
from sqlalchemy import select, text

from portal.db import PortalSession
from portal.errors import Invalid, NotFound
from portal.partners import actions
from portal.partners.actions import Area, Certificate
from portal.partners.models import Certification, Standing, Territory
from tests.world import DANUBIA, TRAUN, World

INGRID = "ingrid@halden.example"


def event_types(session: PortalSession) -> list[str]:
    return list(session.execute(text("select type from events order by id")).scalars())


def test_a_new_partner_is_told_to_both_companies(world: World) -> None:
    with world.acting(INGRID) as session:
        made = actions.create_partner(session, " Inn Pumpen ", status="active", level="silver")
        event = session.execute(text("select type, subject_id, audience from events")).one()
        assert (event.type, event.subject_id) == ("partner.created", made)
        assert sorted(event.audience) == sorted([world.vendor_id, made])


def test_suspending_asks_for_the_leads_back_once(world: World) -> None:
    company = world.company(DANUBIA)
    with world.acting(INGRID) as session:
        assert actions.set_standing(session, company, status="suspended", level="gold")
        assert not actions.set_standing(session, company, status="suspended", level="gold")
        assert actions.set_standing(session, company, status="suspended", level=None)
    with world.system() as session:
        work = session.execute(text("select kind, payload from work_items")).all()
        assert [(w.kind, w.payload) for w in work] == [("leads.pull_back", {"company_id": company})]
        current = session.execute(
            select(Standing).where(Standing.company_id == company, Standing.valid_to.is_(None))
        ).scalar_one()
        assert (current.status, current.level) == ("suspended", None)


def test_a_certification_is_renewed_in_place_and_ended_once(world: World) -> None:
    company = world.company(DANUBIA)
    given = Certificate("ATEX", number="ATEX-4052", issued=date(2024, 1, 15), expires=date(2027, 12, 31))
    with world.acting(INGRID) as session:
        assert not actions.add_certification(session, company, given)
        renewed = Certificate("ATEX", number="ATEX-4052", issued=date(2024, 1, 15), expires=date(2030, 1, 1))
        assert actions.add_certification(session, company, renewed)
        current = session.execute(
            select(Certification).where(Certification.company_id == company, Certification.valid_to.is_(None))
        ).scalar_one()
        assert current.expires == date(2030, 1, 1)
        assert actions.end_certification(session, company, current.id)
        assert not actions.end_certification(session, company, current.id)
        with pytest.raises(NotFound):
            actions.end_certification(session, world.company(TRAUN), current.id)
        assert event_types(session) == ["certification.added", "certification.ended"]


def test_an_authorisation_comes_and_goes(world: World) -> None:
    company = world.company(DANUBIA)
    with world.acting(INGRID) as session:
        assert not actions.authorise(session, company, "HX")
        assert actions.end_authorisation(session, company, "HX")
        assert not actions.end_authorisation(session, company, "HX")
        assert actions.authorise(session, company, "HX")
        with pytest.raises(Invalid):
            actions.authorise(session, company, "UNKNOWN")


@pytest.mark.parametrize(
    ("area", "made"),
    [
        (Area("country", "at", "x"), Area("country", "AT")),
        (Area("subdivision", None, "de-by"), Area("subdivision", "DE", "DE-BY")),
        (Area("postal_prefix", "gb", "sw1a 1"), Area("postal_prefix", "GB", "SW1A1")),
        (Area("circle", None, "x", 0.0, 0.0, 5.0), Area("circle", None, None, 0.0, 0.0, 5.0)),
        (Area("nationwide"), Area("nationwide")),
    ],
)
def test_a_territory_is_kept_in_its_one_form(area: Area, made: Area) -> None:
    assert actions.checked_area(area) == made


@pytest.mark.parametrize(
    ("area", "field"),
    [
        (Area("planet"), "kind"),
        (Area("country"), "country"),
        (Area("country", "XX"), "country"),
        (Area("subdivision", "AT", "AT-99"), "code"),
        (Area("postal_prefix", "AT"), "code"),
        (Area("postal_prefix", None, "40"), "country"),
        (Area("circle", "AT", None, 48.0, 14.0), "radius_km"),
    ],
)
def test_a_territory_that_cannot_be_is_refused(area: Area, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        actions.checked_area(area)
    assert refused.value.faults[0].field == field


def test_a_removed_territory_can_be_added_again(world: World) -> None:
    company, location = world.partners[DANUBIA]
    with world.acting(INGRID) as session:
        held = session.execute(select(Territory).where(Territory.company_id == company)).scalar_one()
        area = actions.remove_territory(session, company, held.id)
        assert area == Area("country", "AT")
        assert actions.add_territory(session, location, area)
        assert not actions.add_territory(session, location, area)
        with pytest.raises(NotFound):
            actions.remove_territory(session, world.company(TRAUN), held.id)


def test_the_vendor_is_no_partner(world: World) -> None:
    with world.acting(INGRID) as session, pytest.raises(NotFound):
        actions.set_standing(session, world.vendor_id, status="active", level=None)


def test_the_catalogue_is_upserted(world: World) -> None:
    with world.acting(INGRID) as session:
        assert actions.put_product_line(session, "NEW", "New line")
        assert not actions.put_product_line(session, "NEW", "New line")
        assert actions.put_level(session, "gold", "Gold plus", 4)
        assert not actions.put_programme(session, "ATEX", "ATEX explosion protection")

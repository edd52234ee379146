"""Two at once: nobody is offered twice, no last place is given twice, no lead gets another's answer."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from portal.errors import Conflict
from portal.events import work
from portal.leads import actions
from portal.leads.intake import receive
from portal.leads.offering import route
from tests.portal.leads.test_flow import SELLER, given, intake, lead_of, loads, offers_of
from tests.world import DANUBIA, TRAUN, World

AT_ONCE = 6


def together(n: int, job: Any) -> list[Any]:
    """Run `job(index)` in n threads that start at the same moment; results or exceptions."""
    barrier = Barrier(n)

    def one(index: int) -> Any:
        barrier.wait()
        try:
            return job(index)
        except Exception as error:
            return error

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def test_one_lead_routed_by_many_is_offered_once(world: World) -> None:
    with world.acting("ingrid@halden.example") as session:
        got = receive(session, given(), routed=False)

    def job(_: int) -> Any:
        with world.system() as session:
            return route(session, got.lead_id)

    results = together(AT_ONCE, job)
    assert not [r for r in results if isinstance(r, Exception)]
    assert len([r for r in results if r is not None]) == 1
    assert len(offers_of(world, got.lead_id)) == 1
    assert sum(loads(world).values()) == 1


def test_the_last_place_is_given_once_and_every_lead_is_somewhere(world: World) -> None:
    with world.system() as session:
        session.execute(text("update location_facts set capacity = 2"))  # bumps the directory's version
    n = 10

    def job(index: int) -> Any:
        email = f"buyer{index}@customer.example"
        with world.acting("ingrid@halden.example") as session:
            return receive(
                session, given(contact={"name": f"B{index}", "email": email}, external_key=f"K{index}")
            )

    results = together(n, job)
    assert not [r for r in results if isinstance(r, Exception)], results
    assert set(loads(world).values()) == {2}
    found = [lead_of(world, r.lead_id) for r in results]
    assert sorted(lead.assignment for lead in found) == ["offered"] * 6 + ["unroutable"] * 4
    for lead in found:
        assert lead.external_key in {f"K{i}" for i in range(n)}
        for offer in offers_of(world, lead.id):
            assert offer.lead_number == lead.number
    with world.system() as session:
        most = session.execute(
            text("select max(n) from (select count(*) n from offers group by lead_id) x")
        ).scalar()
    assert most == 1


def test_accepted_by_one_person_only(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    people = [SELLER[DANUBIA], "lukas@danubia.example"] * 2

    def job(index: int) -> Any:
        with world.acting(people[index]) as session:
            return actions.accept(session, offer.id)

    results = together(len(people), job)
    assert results.count(got.lead_id) == 1
    assert sum(isinstance(r, Conflict) for r in results) == len(people) - 1


def test_accepting_and_expiring_at_once_has_one_outcome(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    late = offer.deadline_at

    def job(index: int) -> Any:
        if index:
            return work.run_due(world.database.worker, now=late)
        with world.acting(SELLER[DANUBIA]) as session:
            return actions.accept(session, offer.id)

    with world.system() as session:
        session.execute(text("delete from work_items where kind = 'offer.mail'"))
    results = together(2, job)
    lead = lead_of(world, got.lead_id)
    if results[0] == got.lead_id:
        assert lead.assignment == "held" and len(offers_of(world, got.lead_id)) == 1
    else:
        assert isinstance(results[0], Conflict)
        assert lead.assignment == "offered" and offers_of(world, got.lead_id)[0].state == "expired"


def test_many_declines_at_once_offer_each_lead_on(world: World) -> None:
    leads = [
        intake(world, contact={"name": f"B{i}", "email": f"b{i}@x.example"}).lead_id for i in range(AT_ONCE)
    ]
    offers = [offers_of(world, lead)[0] for lead in leads]
    names = {company: name for name, (company, _) in world.partners.items()}

    def job(index: int) -> Any:
        with world.acting(SELLER[names[offers[index].company_id]]) as session:
            return actions.decline(session, offers[index].id, "no_capacity")

    assert together(AT_ONCE, job) == leads
    with world.system() as session:
        session.execute(text("delete from work_items where kind = 'offer.mail'"))
    later = world.now + timedelta(minutes=5)
    together(3, lambda _: work.run_due(world.database.worker, now=later))
    for lead, offer in zip(leads, offers, strict=True):
        now = offers_of(world, lead)
        assert len(now) == 2 and now[1].location_id != offer.location_id
    assert sum(loads(world).values()) == AT_ONCE


@pytest.mark.parametrize("seller", [SELLER[TRAUN]])
def test_a_stranger_never_wins_the_race(world: World, seller: str) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]

    def job(index: int) -> Any:
        with world.acting([SELLER[DANUBIA], seller][index]) as session:
            return actions.accept(session, offer.id)

    mine, theirs = together(2, job)
    assert mine == got.lead_id and isinstance(theirs, Exception)

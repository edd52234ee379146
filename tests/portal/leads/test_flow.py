"""A lead's way: received, routed, offered, answered, handed on, until somebody works it or the vendor must look."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from portal.errors import Conflict, Invalid, NotFound
from portal.events import work
from portal.leads import actions
from portal.leads.intake import receive
from portal.partners import actions as partners
from portal.routing.rulesets.actions import publish_default
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

LINZ = {"country": "AT", "subdivision": "AT-4", "postal": "4020", "city": "Linz", "lat": 48.306, "lon": 14.286,
        "precision": "postal"}  # fmt: skip


def given(**changes: Any) -> dict[str, Any]:
    """A request from a paper mill in Linz."""
    record = {
        "external_key": None,
        "account": {"name": "Lenau Papier", "industry": "Paper"},
        "contact": {"name": "Eva Lenau", "email": "eva@lenau.example", "phone": "+43 732 1"},
        "place": LINZ | {"street": "Hafenstrasse 1"},
        "product_lines": ["HX"],
        "certifications": ["ATEX"],
        "amount": 84000,
        "currency": "EUR",
        "language": "de",
        "need": "Pump service contract",
        "source": "web",
        "message": "Call Eva, private number 0660",
    }
    return record | changes


def intake(world: World, **changes: Any) -> Any:
    with world.acting("ingrid@halden.example") as session:
        return receive(session, given(**changes))


def lead_of(world: World, lead_id: int) -> Any:
    with world.system() as session:
        return session.execute(text("select * from leads where id = :i"), {"i": lead_id}).one()


def offers_of(world: World, lead_id: int) -> list[Any]:
    with world.system() as session:
        query = text("select * from offers where lead_id = :i order by offered_at, id")
        return list(session.execute(query, {"i": lead_id}))


def loads(world: World) -> dict[int, int]:
    with world.system() as session:
        rows = session.execute(text("select location_id, open from routing_states"))
        return {row.location_id: row.open for row in rows}


def run(world: World, now: Any = None) -> None:
    """Run due work at `now`, without the mails (they have their own tests)."""
    with world.system() as session:
        session.execute(text("delete from work_items where kind = 'offer.mail'"))
    work.run_due(world.database.worker, now=now or world.now + timedelta(minutes=1))
    with world.system() as session:
        session.execute(text("delete from work_items where kind = 'offer.mail'"))


SELLER = {
    DANUBIA: "katrin@danubia.example",
    TRAUN: "sales@traun.example",
    ALPENHYDRO: "sales@alpenhydro.example",
}


def name_of(world: World, company_id: int) -> str:
    return next(name for name, (company, _) in world.partners.items() if company == company_id)


def test_new_lead_is_offered_to_the_best_and_explained(world: World) -> None:
    got = intake(world)
    lead, (offer,) = lead_of(world, got.lead_id), offers_of(world, got.lead_id)
    assert got.outcome == "new" and lead.assignment == "offered" and lead.offer_id == offer.id
    assert offer.company_id == world.company(DANUBIA), "gold and near"
    assert offer.deadline_at > world.now and offer.cap_at >= offer.deadline_at
    assert loads(world)[world.location(DANUBIA)] == 1
    with world.system() as session:
        decision = session.execute(
            text("select * from decisions where id = :d"), {"d": offer.decision_id}
        ).one()
        kinds = set(session.scalars(text("select kind from work_items")))
        types = list(
            session.scalars(text("select type from events where subject_id = :i order by id"), {"i": lead.id})
        )
    assert (
        decision.eligible == 3
        and decision.candidates == 3
        and decision.chosen_location_id == offer.location_id
    )
    assert "Lenau" not in str(decision.request) and "eva@" not in str(decision.request)
    assert kinds == {"offer.mail", "offer.expire"}
    assert types == ["lead.received", "lead.decided", "lead.offered"]


def test_before_acceptance_a_partner_reads_the_offer_view_only(world: World) -> None:
    got = intake(world)
    with world.acting(SELLER[DANUBIA]) as session:
        assert session.execute(text("select count(*) from leads")).scalar() == 0
        assert session.execute(text("select count(*) from contacts")).scalar() == 0
        assert session.execute(text("select count(*) from texts")).scalar() == 0
        (offer,) = session.execute(text("select * from offers")).all()
        assert offer.brief["band"] == {"low": 50000, "high": 100000, "currency": "EUR"}
        assert (
            offer.brief["postal"] == "4020"
            and "Lenau" not in str(offer.brief)
            and "84" not in str(offer.brief["band"])
        )
        actions.accept(session, offer.id)
    with world.acting(SELLER[DANUBIA]) as session:
        lead = session.execute(text("select * from leads")).one()
        assert lead.id == got.lead_id and lead.assignment == "held" and lead.amount == 84000
        assert session.execute(text("select name from contacts")).scalar() == "Eva Lenau"
        assert session.execute(text("select count(*) from texts")).scalar() == 0, (
            "raw words stay with the vendor"
        )
    with world.acting(SELLER[TRAUN]) as session:
        for table in ("leads", "contacts", "accounts", "offers", "shares", "events", "decisions"):
            assert session.execute(text(f"select count(*) from {table}")).scalar() == 0, table


def test_declined_goes_to_the_next_until_nobody_is_left(world: World) -> None:
    got = intake(world)
    seen = []
    for _ in range(3):
        offer = offers_of(world, got.lead_id)[-1]
        name = name_of(world, offer.company_id)
        seen.append(name)
        with world.acting(SELLER[name]) as session:
            assert actions.decline(session, offer.id, "no_capacity") == got.lead_id
        run(world)
    assert sorted(seen) == sorted([DANUBIA, TRAUN, ALPENHYDRO])
    lead = lead_of(world, got.lead_id)
    assert (lead.assignment, lead.assignment_reason) == ("unroutable", "all_refused")
    assert set(loads(world).values()) == {0}
    with world.acting(SELLER[DANUBIA]) as session:
        assert session.execute(text("select level, state from shares")).one() == ("past", "declined")


def test_missed_deadline_moves_on(world: World) -> None:
    got = intake(world)
    first = offers_of(world, got.lead_id)[0]
    run(world, first.deadline_at - timedelta(seconds=1))
    assert len(offers_of(world, got.lead_id)) == 1
    run(world, first.deadline_at + timedelta(seconds=1))
    offers = offers_of(world, got.lead_id)
    assert [o.state for o in offers] == ["expired", "offered"]
    assert offers[1].company_id != first.company_id
    assert loads(world)[first.location_id] == 0


def test_a_lapsed_offer_cannot_be_accepted_even_before_the_worker_looks(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.system() as session:
        session.execute(text("update offers set deadline_at = :t where id = :i"),
                        {"t": world.now - timedelta(minutes=1), "i": offer.id})  # fmt: skip
    with pytest.raises(Conflict, match="lapsed"), world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)


def test_only_one_person_takes_it_and_no_other_company_can(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with pytest.raises(NotFound), world.acting(SELLER[TRAUN]) as session:
        actions.accept(session, offer.id)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    with (
        pytest.raises(Conflict, match="already been accepted"),
        world.acting("lukas@danubia.example") as session,
    ):
        actions.accept(session, offer.id)
    lead = lead_of(world, got.lead_id)
    assert lead.holder_person_id == world.people[SELLER[DANUBIA]]


def test_hand_back_closes_the_view_and_offers_on(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.hand_back(session, got.lead_id, "no_capacity", "two people are ill")
    run(world)
    with world.acting(SELLER[DANUBIA]) as session:
        assert session.execute(text("select count(*) from leads")).scalar() == 0
        assert session.execute(text("select count(*) from contacts")).scalar() == 0
    offers = offers_of(world, got.lead_id)
    assert len(offers) == 2 and offers[1].company_id != offer.company_id
    assert loads(world)[offer.location_id] == 0


def test_suspension_takes_leads_back(world: World) -> None:
    held, offered = intake(world), intake(world, contact={"name": "B", "email": "b@x.example"})
    offer = offers_of(world, held.lead_id)[0]
    with world.acting(SELLER[name_of(world, offer.company_id)]) as session:
        actions.accept(session, offer.id)
    with world.acting("ingrid@halden.example") as session:
        partners.set_standing(session, offer.company_id, status="suspended", level="gold")
    run(world)
    for lead_id in (held.lead_id, offered.lead_id):
        assert offers_of(world, lead_id)[-1].company_id != offer.company_id
        assert lead_of(world, lead_id).assignment == "offered"


def test_withdrawing_returns_the_turn(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    query = text("select credit from routing_states where location_id = :l")
    with world.system() as session:
        before = session.execute(query, {"l": offer.location_id}).scalar_one()
    with world.acting("ingrid@halden.example") as session:
        actions.withdraw(session, got.lead_id, "error", reroute=False)
    with world.system() as session:
        assert session.execute(query, {"l": offer.location_id}).scalar_one() == before + 2**32
    assert lead_of(world, got.lead_id).assignment == "pulled_back"
    assert loads(world)[offer.location_id] == 0


def test_stages_follow_the_table(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    with world.acting(SELLER[DANUBIA]) as session:
        with pytest.raises(Conflict):
            actions.move(session, got.lead_id, "won")
        actions.move(session, got.lead_id, "working")
        actions.move(session, got.lead_id, "qualified")
        with pytest.raises(Invalid, match="won_amount"):
            actions.move(session, got.lead_id, "won")
        actions.move(session, got.lead_id, "won", won_amount=80000, won_on=world.now.date())
    run(world)
    assert lead_of(world, got.lead_id).stage == "won"
    assert loads(world)[offer.location_id] == 0, "a closed lead takes no place"


def test_comments_to_one_company_stay_there(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.comment(session, got.lead_id, "OURS ALONE", to_all=False)
        actions.comment(session, got.lead_id, "for both", to_all=True)
    with world.acting("ingrid@halden.example") as session:
        bodies = set(session.scalars(text("select body from texts where kind = 'note'")))
    assert bodies == {"for both"}


def test_a_repeat_fills_and_never_erases(world: World) -> None:
    got = intake(world, external_key="R1", place=LINZ | {"postal": None})
    again = intake(world, external_key="R1")
    assert (again.outcome, again.lead_id) == ("changed", got.lead_id)
    assert lead_of(world, got.lead_id).postal == "4020"
    empty = intake(world, external_key="R1", place=LINZ | {"postal": ""}, amount=None, certifications=[])
    assert empty.outcome == "same" and lead_of(world, got.lead_id).postal == "4020"


def test_the_same_request_under_another_key_waits_for_a_person(world: World) -> None:
    first = intake(world, external_key="R1")
    twin = intake(world, external_key="WEB-1", account={"name": "LENAU PAPIER "})
    assert twin.outcome == "suspected_duplicate"
    waiting = lead_of(world, twin.lead_id)
    assert waiting.assignment == "unrouted" and waiting.suspected_duplicate_of == first.lead_id
    assert waiting.account_id == lead_of(world, first.lead_id).account_id
    with world.acting("ingrid@halden.example") as session:
        actions.settle_duplicate(session, twin.lead_id, is_duplicate=False)
    assert lead_of(world, twin.lead_id).assignment == "offered"


def test_assigning_by_hand_needs_a_free_lead(world: World) -> None:
    got = intake(world, certifications=["NOBODY-HAS-THIS"])
    assert lead_of(world, got.lead_id).assignment_reason == "nobody_certified"
    with world.acting("ingrid@halden.example") as session:
        actions.assign(session, got.lead_id, world.location(TRAUN), "they know the site")
    (offer,) = offers_of(world, got.lead_id)
    assert offer.company_id == world.company(TRAUN)
    with pytest.raises(Conflict), world.acting("ingrid@halden.example") as session:
        actions.assign(session, got.lead_id, world.location(DANUBIA), "again")


def test_without_a_rule_set_a_lead_waits_and_is_not_lost(world: World) -> None:
    with world.system() as session:
        session.execute(text("update rule_sets set state = 'retired'"))
    got = intake(world)
    lead = lead_of(world, got.lead_id)
    assert (got.outcome, lead.assignment, lead.assignment_reason) == ("new", "unrouted", "no_rule_set")
    with world.system() as session:
        publish_default(session, world.vendor_id)
    with world.acting("ingrid@halden.example") as session:
        actions.reroute(session, got.lead_id)
    assert lead_of(world, got.lead_id).assignment == "offered"


def test_who_is_out_of_the_lead_says_nothing_in_it(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.decline(session, offer.id, "too_far")
    with pytest.raises(Conflict, match="not in this lead"), world.acting(SELLER[DANUBIA]) as session:
        actions.comment(session, got.lead_id, "too late", to_all=True)
    with pytest.raises(Conflict, match="not in this lead"), world.acting(SELLER[ALPENHYDRO]) as session:
        actions.comment(session, got.lead_id, "never was", to_all=True)


def held_by_danubia(world: World) -> tuple[int, int]:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    return got.lead_id, offer.location_id


def test_the_next_holder_starts_fresh(world: World) -> None:
    lead_id, _ = held_by_danubia(world)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.plan_step(session, lead_id, "Call them", world.now.date() + timedelta(days=2))
        actions.move(session, lead_id, "working")
        actions.move(session, lead_id, "qualified")
    with world.acting("ingrid@halden.example") as session:
        actions.withdraw(session, lead_id, "wrong_partner")
    run(world)
    offer = offers_of(world, lead_id)[-1]
    with world.acting(SELLER[name_of(world, offer.company_id)]) as session:
        actions.accept(session, offer.id)
    lead = lead_of(world, lead_id)
    assert (lead.stage, lead.next_step, lead.next_step_on, lead.stage_reason) == ("new", None, None, None)


def test_a_closed_lead_stays_until_it_is_reopened(world: World) -> None:
    lead_id, _ = held_by_danubia(world)
    with world.acting(SELLER[DANUBIA]) as session:
        actions.move(session, lead_id, "lost", reason="price")
    with pytest.raises(Conflict, match="closed"), world.acting(SELLER[DANUBIA]) as session:
        actions.hand_back(session, lead_id, "no_capacity")
    with pytest.raises(Conflict, match="closed"), world.acting("ingrid@halden.example") as session:
        actions.withdraw(session, lead_id, "error")
    assert lead_of(world, lead_id).assignment == "held"


def test_a_lead_in_nurture_gives_its_place_back_once(world: World) -> None:
    lead_id, location = held_by_danubia(world)
    second, _ = held_by_danubia_again(world)
    assert loads(world)[location] == 2
    with world.acting(SELLER[DANUBIA]) as session:
        actions.move(session, lead_id, "nurture", reason="later")
    run(world)
    assert loads(world)[location] == 1
    with world.acting(SELLER[DANUBIA]) as session:
        actions.hand_back(session, lead_id, "no_capacity")
    run(world)
    assert loads(world)[location] == 1, "the place of the other lead"
    assert second


def held_by_danubia_again(world: World) -> tuple[int, int]:
    got = intake(world, contact={"name": "Other", "email": "other@x.example"})
    with world.system() as session:
        company = session.execute(
            text("select company_id from offers where lead_id = :i"), {"i": got.lead_id}
        ).scalar()
    if company != world.company(DANUBIA):
        with world.acting("ingrid@halden.example") as session:
            actions.withdraw(session, got.lead_id, "error", reroute=False)
        with world.acting("ingrid@halden.example") as session:
            actions.assign(session, got.lead_id, world.location(DANUBIA), "test")
    offer = offers_of(world, got.lead_id)[-1]
    with world.acting(SELLER[DANUBIA]) as session:
        actions.accept(session, offer.id)
    return got.lead_id, offer.location_id


def test_a_step_lies_ahead(world: World) -> None:
    lead_id, _ = held_by_danubia(world)
    with pytest.raises(Invalid, match="over"), world.acting(SELLER[DANUBIA]) as session:
        actions.plan_step(session, lead_id, "Call them", world.now.date() - timedelta(days=1))

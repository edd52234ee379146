"""Many requests taken in at once are as if they came one after the other; a place is never given on stale knowledge."""

from typing import Any

import pytest
from sqlalchemy import event, text

from portal.leads.intake import receive, receive_all
from portal.partners import actions as partners
from portal.routing.snapshot import plan_at
from rules import Request, State, Stored, replay
from tests.portal.leads.test_flow import given, lead_of, loads, offers_of
from tests.world import DANUBIA, World


def buyer(n: int, **more: Any) -> dict[str, Any]:
    """A request of its own: other customer, other contact."""
    contact = {"name": f"B{n}", "email": f"b{n}@customer.example"}
    return given(account={"name": f"Customer {n}"}, contact=contact, external_key=f"K{n}") | more


def taken(world: World, *records: dict[str, Any]) -> list[Any]:
    with world.acting("ingrid@halden.example") as session:
        return receive_all(session, records)


def count(world: World, table: str) -> int:
    with world.system() as session:
        return int(session.execute(text(f"select count(*) from {table}")).scalar_one())


def test_places_are_counted_within_a_chunk(world: World) -> None:
    with world.system() as session:
        session.execute(text("update location_facts set capacity = 2"))
    got = taken(world, *(buyer(n) for n in range(10)))
    assert [one.outcome for one in got] == ["new"] * 10
    found = [lead_of(world, one.lead_id).assignment for one in got]
    assert sorted(found) == ["offered"] * 6 + ["unroutable"] * 4 and found[0] == "offered"
    assert set(loads(world).values()) == {2}


def test_a_chunk_decides_as_single_requests_do(world: World) -> None:
    def turns() -> list[Any]:
        with world.system() as session:
            return list(session.execute(text("select * from routing_states order by location_id")))

    with world.system() as session:
        session.execute(text("update location_facts set capacity = 4"))
        session.execute(text("update standings set level = 'gold'"))
    together = taken(world, *(buyer(n) for n in range(8)))
    first = turns()
    with world.system() as session:
        session.execute(text("update routing_states set open = 0, credit = 0"))
    single = [taken(world, buyer(n + 100))[0] for n in range(8)]
    assert len({row.credit for row in first}) > 1 and turns() == first
    whose = [[offers_of(world, one.lead_id)[0].company_id for one in got] for got in (together, single)]
    assert whose[0] == whose[1] and len(set(whose[0])) > 1


def test_every_decision_of_a_chunk_can_be_replayed(world: World) -> None:
    got = taken(world, *(buyer(n) for n in range(4)))
    with world.acting("ingrid@halden.example") as session:
        for one in got:
            row = session.execute(
                text("select * from decisions where subject_id = :i"), {"i": one.lead_id}
            ).one()
            then = plan_at(session, row.directory_version, row.as_of, row.rule_set_version)
            stored = Stored(Request.from_json(row.request), State.from_json(row.state), row.result_hash)
            assert replay(then.rules, then.snapshot, stored).same


def test_what_two_requests_of_a_chunk_have_in_common_is_seen(world: World) -> None:
    first, same_key, same_buyer, again, other = taken(
        world,
        buyer(1),
        buyer(1, need="Spare parts"),
        buyer(1, external_key="K1b"),
        buyer(1, need="Spare parts"),
        buyer(2),
    )
    assert (same_key.lead_id, same_key.outcome) == (first.lead_id, "changed")
    assert (again.lead_id, again.outcome) == (first.lead_id, "same")
    assert same_buyer.outcome == "suspected_duplicate" and other.outcome == "new"
    assert lead_of(world, same_buyer.lead_id).suspected_duplicate_of == first.lead_id
    assert count(world, "accounts") == 2 and count(world, "contacts") == 2
    numbers = [int(one.number[2:]) for one in (first, other, same_buyer)]
    assert numbers == list(range(numbers[0], numbers[0] + 3)), "a repeat uses no number up"


def test_known_leads_and_new_ones_in_a_chunk(world: World) -> None:
    before = taken(world, buyer(1), buyer(2))
    got = taken(world, buyer(3), buyer(2, need="Other"), buyer(1), buyer(2, need="Third"))
    assert [one.outcome for one in got] == ["new", "changed", "same", "changed"]
    assert got[1].lead_id == got[3].lead_id == before[1].lead_id
    assert lead_of(world, before[1].lead_id).need == "Third"


def test_a_partner_suspended_meanwhile_gets_nothing(world: World) -> None:
    taken(world, buyer(0))  # the plan is kept
    with world.acting("ingrid@halden.example") as session:
        assert session.context.directory_version
        with world.acting("ingrid@halden.example") as other:
            partners.set_standing(other, world.company(DANUBIA), status="suspended", level="gold")
        got = receive(session, buyer(1))
    (offer,) = offers_of(world, got.lead_id)
    assert offer.company_id != world.company(DANUBIA)
    assert count(world, "leads") == 2, "the refused round left nothing behind"


def test_nobody_is_mailed_where_nobody_reads(world: World) -> None:
    with world.system() as session:
        session.execute(text("delete from memberships where company_id = :c"), {"c": world.company(DANUBIA)})
    got = taken(world, buyer(1))[0]
    assert offers_of(world, got.lead_id)[0].company_id == world.company(DANUBIA)
    with world.system() as session:
        rows = session.execute(text("select kind, payload ->> 'what' from work_items order by run_at")).all()
    assert ("offer.mail", "offered") not in rows
    assert ("offer.mail", "reminder") in rows and ("offer.expire", None) in rows, (
        "who joins later is reminded"
    )


@pytest.mark.parametrize("n", [1, 20])
def test_a_chunk_costs_as_many_statements_as_one_request(world: World, n: int) -> None:
    taken(world, buyer(1000))
    sent: list[str] = []
    event.listen(world.database.app, "before_cursor_execute", lambda *given: sent.append(given[2]))
    taken(world, *(buyer(i) for i in range(n)))
    # The context; what is known, with the counters and who reads mail there; all rows; last the places, which others
    # wait for, and before the rows the savepoint that takes them back where a place is gone.
    assert len(sent) == 5, sent

"""The one log: positions without gaps or returns under concurrent writers."""

import threading

from sqlalchemy import text

from portal.db import new_id, session_for, transaction
from portal.events import sequencer
from portal.events.log import record
from portal.security.context import Acting
from tests.world import DANUBIA, TRAUN, World


def test_an_event_says_who_when_and_for_whom(world: World) -> None:
    subject = new_id()
    with world.acting("katrin@danubia.example") as session:
        audience = [world.vendor_id, world.company(DANUBIA), None, world.vendor_id]
        record(session, "lead.accepted", ("lead", subject), audience, {"offer": "1"})
    with world.system() as session:
        row = session.execute(text("select * from events where subject_id = :s"), {"s": subject}).one()
    assert (row.kind, row.company_id, row.person_id) == (
        "partner",
        world.company(DANUBIA),
        world.people["katrin@danubia.example"],
    )
    assert abs((row.at - world.now).total_seconds()) < 60, "business time"
    assert row.audience == sorted([world.vendor_id, world.company(DANUBIA)])
    with world.acting("sales@traun.example") as session:
        assert session.execute(text("select count(*) from events")).scalar_one() == 0
        assert session.context.company_id == world.company(TRAUN)


def positions(world: World) -> list[tuple[int, int]]:
    with world.system() as session:
        rows = session.execute(text("select pos, id from events where pos is not null order by pos"))
        return [(row.pos, row.id) for row in rows]


def test_an_open_transaction_is_neither_waited_for_nor_skipped(world: World) -> None:
    slow = session_for(world.database.worker, Acting())
    record(slow, "slow", ("lead", 1), [world.vendor_id])  # its id is taken, its commit comes last
    with world.system() as session:
        record(session, "quick", ("lead", 2), [world.vendor_id])
    assert sequencer.stamp(world.database.worker) == 1
    slow.commit()
    slow.close()
    assert sequencer.stamp(world.database.worker) == 1
    found = positions(world)
    assert [pos for pos, _ in found] == [1, 2]
    assert found[0][1] > found[1][1], "the late one has the lower id and the higher position"
    assert sequencer.stamp(world.database.worker) == 0


def test_a_reader_with_a_cursor_misses_nothing_under_eight_writers(world: World) -> None:
    writers, each = 8, 25
    done = threading.Event()

    def write(number: int) -> None:
        for n in range(each):
            with transaction(world.database.worker, Acting()) as session:
                record(session, "t", ("lead", number * 1000 + n), [world.vendor_id])

    def stamp() -> None:
        while not done.is_set():
            sequencer.stamp(world.database.worker, batch=7)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(writers)]
    stampers = [threading.Thread(target=stamp) for _ in range(2)]  # one too many, by mistake
    for thread in (*stampers, *threads):
        thread.start()
    seen: list[int] = []
    while any(thread.is_alive() for thread in threads):
        seen += read_after(world, seen[-1] if seen else 0)
    done.set()
    for thread in stampers:
        thread.join()
    while sequencer.stamp(world.database.worker):
        pass
    seen += read_after(world, seen[-1] if seen else 0)
    assert seen == list(range(1, writers * each + 1))


def read_after(world: World, cursor: int) -> list[int]:
    with world.system() as session:
        rows = session.scalars(text("select pos from events where pos > :c order by pos"), {"c": cursor})
        return list(rows)

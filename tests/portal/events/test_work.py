"""Work items: claimed once, run once, kept when they fail, parked with their reason, in order within a lane."""

import threading
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import CliRunner
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from portal.db import transaction
from portal.events import command, work
from portal.events.work import Handler, Item, enqueue
from portal.security.context import Acting
from tests.world import DANUBIA, World

LATER = timedelta(hours=3)


@pytest.fixture
def handlers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Handler]:
    """Handlers of this test only."""
    mine: dict[str, Handler] = {}
    monkeypatch.setattr(work, "HANDLERS", mine)
    return mine


def wanted(world: World, kind: str, n: int = 1, **options: Any) -> None:
    with world.system() as session:
        for number in range(n):
            enqueue(session, kind, {"n": number}, **options)


def rows(world: World) -> list[Any]:
    with world.system() as session:
        return list(session.execute(text("select * from work_items order by id")))


def note(session: Any, item: Item) -> None:
    """A database effect: one heartbeat row per run, so that a second run would fail."""
    session.execute(text("insert into heartbeats values (:name, now())"), {"name": f"ran {item.id}"})


def notes(world: World) -> int:
    with world.system() as session:
        return int(
            session.execute(text("select count(*) from heartbeats where name like 'ran %'")).scalar_one()
        )


def test_effect_and_end_of_the_item_are_one_transaction(world: World, handlers: dict[str, Handler]) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=8)
    wanted(world, "t", 3)
    assert work.run_due(world.database.worker, now=world.now) == 3
    assert rows(world) == [] and notes(world) == 3


def test_work_rolled_back_was_never_wanted(world: World) -> None:
    session = world.session("katrin@danubia.example")
    enqueue(session, "t", {})
    session.rollback()
    session.close()
    assert rows(world) == []


def test_not_before_its_time_and_by_the_realms_clock(world: World, handlers: dict[str, Handler]) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=8)
    wanted(world, "t", run_at=world.now + LATER)
    assert work.run_due(world.database.worker, now=world.now) == 0
    assert work.run_due(world.database.worker) == 0, "the realm's clock, not the machine's"
    with world.system() as session:
        session.execute(text("update realms set clock_offset_seconds = clock_offset_seconds + 4 * 3600"))
    assert work.run_due(world.database.worker) == 1


def test_a_failure_keeps_the_item_and_its_effect_is_gone(world: World, handlers: dict[str, Handler]) -> None:
    def fails(session: Any, item: Item) -> None:
        note(session, item)
        raise ValueError("Eva Lenau, +43 732 1")

    handlers["t"] = Handler(fails, outside=False, max_attempts=2)
    wanted(world, "t")
    work.run_due(world.database.worker, now=world.now, limit=1)
    (row,) = rows(world)
    assert row.state == "ready" and row.attempts == 1 and notes(world) == 0
    assert row.last_error.startswith("ValueError in fails:") and "Lenau" not in row.last_error
    with world.system() as session:
        wait = session.execute(text("select run_at from work_items")).scalar_one() - world.now
    assert timedelta(seconds=1.5) <= wait <= timedelta(seconds=2.5), "2 s with jitter of a quarter"
    work.run_due(world.database.worker, now=world.now + LATER, limit=1)
    (row,) = rows(world)
    assert row.state == "parked" and row.attempts == 2
    assert work.run_due(world.database.worker, now=world.now + LATER) == 0, "parked work is left alone"


def test_waits_grow_to_a_top(world: World, handlers: dict[str, Handler]) -> None:
    def fails(_session: Any, _item: Item) -> None:
        raise ValueError

    handlers["t"] = Handler(fails, outside=False, max_attempts=100)
    wanted(world, "t")
    waits = []
    for attempts in (1, 4, 20):
        with world.system() as session:
            session.execute(
                text("update work_items set attempts = :a, run_at = app.clock(1)"), {"a": attempts - 1}
            )
        work.run_due(world.database.worker, limit=1)
        with world.system() as session:
            waits.append(
                session.execute(
                    text("select extract(epoch from run_at - app.clock(1)) from work_items")
                ).scalar_one()
            )
    assert 1 < waits[0] <= 2.5 < 11 < waits[1] <= 20 < 2600 < waits[2] <= 4500


def test_parked_work_is_seen_and_tried_again(world: World, handlers: dict[str, Handler]) -> None:
    wanted(world, "unknown to this version")
    with world.system() as session:
        session.execute(text("update work_items set attempts = 7"))
    work.run_due(world.database.worker, now=world.now, limit=1)
    (told,) = work.status(world.database.worker)
    assert told["state"] == "parked" and told["items"] == 1 and told["reason"].startswith("LookupError")
    (row,) = rows(world)
    assert work.retry(world.database.worker, [row.id + 1]) == 0
    assert work.retry(world.database.worker, [row.id]) == 1
    handlers["unknown to this version"] = Handler(note, outside=False, max_attempts=8)
    assert work.run_due(world.database.worker) == 1
    assert notes(world) == 1


def test_commands_show_and_retry(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda: world.database.settings)
    wanted(world, "t", 2)
    with world.system() as session:
        session.execute(text("update work_items set state = 'parked', last_error = 'ValueError in f:1'"))
    run = CliRunner()
    shown = run.invoke(command.work, ["status"])
    assert shown.exit_code == 0 and "ValueError in f:1" in shown.output
    assert '"items": 2' in run.invoke(command.work, ["status", "--json"]).output.splitlines()[-1]
    assert run.invoke(command.work, ["retry"]).exit_code == 2
    first = rows(world)[0].id
    assert run.invoke(command.work, ["retry", str(first), "--json"]).output.strip() == '{"retried": 1}'
    assert run.invoke(command.work, ["retry", "--all"]).output.startswith("1 ready")


# -- leases --------------------------------------------------------------------------------------------------------


def test_many_workers_run_each_item_once(world: World, handlers: dict[str, Handler]) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=1)
    wanted(world, "t", 40)
    threads = [
        threading.Thread(target=work.run_due, args=(world.database.worker,), kwargs={"now": world.now})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert notes(world) == 40 and rows(world) == []


def test_a_dead_workers_item_is_taken_over_and_its_own_end_does_nothing(
    world: World, handlers: dict[str, Handler]
) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=8)
    wanted(world, "t")
    (dead,) = work.claim(world.database.worker, now=world.now)
    assert work.claim(world.database.worker, now=world.now) == [], "leased"
    with world.system() as session:
        session.execute(text("update work_items set lease_until = now() - interval '1 second'"))
    (taken,) = work.claim(world.database.worker, now=world.now)
    assert taken.id == dead.id and taken.lease != dead.lease and taken.attempts == 2
    work.run_item(world.database.worker, dead)
    assert notes(world) == 0, "the first one's lease is lost: it does nothing"
    work.run_item(world.database.worker, taken)
    assert notes(world) == 1 and rows(world) == []


def test_work_in_progress_keeps_its_lease_and_a_killed_workers_lapses(
    world: World, handlers: dict[str, Handler]
) -> None:
    engine = world.database.worker
    left: list[float] = []

    def run(_session: Any, _item: Item) -> None:
        with world.system() as other:
            other.execute(text("update work_items set lease_until = now() + interval '1 s'"))
        work.renew(engine)
        with world.system() as other:
            until = text("select extract(epoch from lease_until - now()) from work_items")
            left.append(float(other.execute(until).scalar_one()))

    # Outside work: its own transaction has not locked the row yet.
    handlers["t"] = Handler(run, outside=True, max_attempts=8)
    wanted(world, "t")
    work.run_due(engine, now=world.now)
    assert left and left[0] > 5
    wanted(world, "t")
    work.claim(engine, now=world.now)  # by a worker that is killed
    with world.system() as session:
        session.execute(text("update work_items set lease_until = now() - interval '1 s'"))
    work.renew(engine)
    assert work.run_due(engine, now=world.now) == 1, "nobody renews what a killed worker held"


def test_what_a_lost_database_interrupted_is_given_back_at_once(
    world: World, handlers: dict[str, Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = world.database.worker
    handlers["t"] = Handler(note, outside=False, max_attempts=8)
    wanted(world, "t", 3)
    with monkeypatch.context() as patch:
        patch.setattr(work, "run_item", Mock(side_effect=OperationalError("", {}, Exception("gone"))))
        with pytest.raises(OperationalError):
            work.run_due(engine, now=world.now)
    assert work.run_due(engine, now=world.now) == 0, "it is leased still"
    work.renew(engine)
    assert work.run_due(engine, now=world.now) == 3
    assert notes(world) == 3 and rows(world) == []


def test_work_that_ends_its_worker_is_parked_with_that_reason(
    world: World, handlers: dict[str, Handler]
) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=3)
    wanted(world, "t")
    for _ in range(3):
        assert len(work.claim(world.database.worker, now=world.now)) == 1  # and then the worker is gone
        with world.system() as session:
            session.execute(text("update work_items set lease_until = now() - interval '1 s'"))
    work.run_due(world.database.worker, now=world.now)
    (row,) = rows(world)
    assert row.state == "parked" and row.last_error.startswith("WorkerEnded") and notes(world) == 0


def test_a_parked_item_holds_up_nobody(world: World, handlers: dict[str, Handler]) -> None:
    handlers["t"] = Handler(note, outside=False, max_attempts=8)
    wanted(world, "t", 3, lane="webhook 7")
    wanted(world, "t", 2, lane="webhook 8")
    with world.system() as session:
        session.execute(
            text("update work_items set state = 'parked' where id = (select min(id) from work_items)")
        )
    assert work.run_due(world.database.worker, now=world.now) == 4
    (row,) = rows(world)
    assert row.state == "parked" and notes(world) == 4


def test_an_outside_effect_runs_between_transactions_and_keeps_its_identity(
    world: World, handlers: dict[str, Handler]
) -> None:
    sent: list[int] = []

    def mail(_session: Any, item: Item) -> Any:
        def send() -> None:
            assert world.database.worker.pool.checkedout() == 0, "no transaction is open meanwhile"
            sent.append(item.id)
            if len(sent) == 1:
                raise ConnectionError("the server hung up")

        return send

    handlers["mail"] = Handler(mail, outside=True, max_attempts=8)
    wanted(world, "mail")
    work.run_due(world.database.worker, now=world.now, limit=1)
    work.run_due(world.database.worker, now=world.now + LATER)
    assert len(sent) == 2 and len(set(sent)) == 1 and rows(world) == []


def test_a_lane_keeps_its_order_and_a_dead_one_is_pushed_back_whole(
    world: World, handlers: dict[str, Handler]
) -> None:
    ran: list[int] = []
    failed: list[int] = []

    def runs(_session: Any, item: Item) -> None:
        if item.lane and len(ran) > 0 and not failed:
            failed.append(item.id)
            raise ConnectionError
        if item.lane:
            ran.append(item.id)

    handlers["t"] = Handler(runs, outside=False, max_attempts=8)
    wanted(world, "t", 4, lane="webhook 7")
    wanted(world, "t", 1)
    order = [row.id for row in rows(world) if row.lane]
    assert len(work.claim(world.database.worker, batch=10, now=world.now)) == 2, (
        "one of the lane, and the one without"
    )
    with world.system() as session:
        session.execute(
            text("update work_items set lease_until = now() - interval '1 second' where state = 'running'")
        )
    work.run_due(world.database.worker, now=world.now)
    assert ran == order[:1] and failed == order[1:2]
    with world.system() as session:
        due = session.execute(
            text("select count(*) from work_items where lane is not null and run_at <= app.clock(1)")
        ).scalar_one()
    assert due == 0, "nothing of the lane is looked at until it may run again"
    work.run_due(world.database.worker, now=world.now + LATER)
    assert ran == order


def test_a_real_serialisation_failure_of_a_handler_is_tried_again_at_once(
    world: World, handlers: dict[str, Handler]
) -> None:
    attempts = []

    def runs(session: Any, item: Item) -> None:
        attempts.append(1)
        if len(attempts) == 1:
            provoke_40001(session, world)
        note(session, item)

    handlers["t"] = Handler(runs, outside=False, max_attempts=1)
    wanted(world, "t")
    work.run_due(world.database.worker, now=world.now)
    assert len(attempts) == 2 and notes(world) == 1


def provoke_40001(session: Any, world: World) -> None:
    """Read in a REPEATABLE READ transaction, let another change the row, then write it: SQLSTATE 40001."""
    engine = world.database.worker.execution_options(isolation_level="REPEATABLE READ")
    with transaction(engine, Acting()) as mine:
        mine.execute(text("select * from companies"))
        with world.system() as other:
            other.execute(text("update companies set phone = '1'"))
        mine.execute(text("update companies set phone = '2'"))
    raise AssertionError(session)


def test_the_provoked_failure_is_real(world: World) -> None:
    with pytest.raises(OperationalError) as caught:
        provoke_40001(None, world)
    assert caught.value.orig.sqlstate == "40001"  # type: ignore[union-attr]


def test_partners_want_work_but_see_none(world: World, handlers: dict[str, Handler]) -> None:
    seen = []

    def runs(session: Any, _item: Item) -> None:
        seen.append(
            (session.context.kind, session.execute(text("select count(*) from companies")).scalar_one())
        )

    handlers["t"] = Handler(runs, outside=False, max_attempts=8)
    with world.acting("katrin@danubia.example") as session:
        assert session.context.company_id == world.company(DANUBIA)
        enqueue(session, "t", {})
    work.run_due(world.database.worker, now=world.now + LATER)
    assert seen == [("system", 4)]

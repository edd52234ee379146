"""Schedules fire each slot once: two beats, changes of the clocks, a leap day, a day without beat or worker."""

import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from sqlalchemy import text

from portal.events import schedules
from tests.world import World

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = [kind for kind, every in schedules.SCHEDULES.items() if every == HOUR]


def slots(at: datetime) -> set[tuple[str, datetime]]:
    """The latest slot of every schedule at that moment."""
    return {(kind, schedules.slot(every, at)) for kind, every in schedules.SCHEDULES.items()}


def waiting(world: World) -> list[tuple[str, datetime]]:
    """Slots written and not run."""
    with world.system() as session:
        rows = session.execute(text("select kind, due_at from work_items order by kind, due_at"))
        return [(row.kind, row.due_at) for row in rows]


def done(world: World) -> list[tuple[str, datetime]]:
    """Run what waits, as a worker that is quick; what it was."""
    found = waiting(world)
    with world.system() as session:
        session.execute(text("delete from work_items"))
    return found


def beat(world: World, start: datetime, end: datetime, step: timedelta) -> list[tuple[str, datetime]]:
    """Two beats look every `step` of the machine's clock from `start` to `end`; every slot that was run."""
    found = []
    with time_machine.travel(start, tick=False) as clock:
        while datetime.now(UTC) <= end:
            for _ in range(2):
                schedules.fire(world.database.worker)
            found += done(world)
            clock.shift(step)
    return found


def test_a_slot_fires_once_however_many_beats_there_are(world: World) -> None:
    engine = world.database.worker
    assert schedules.fire(engine, NOON) == len(schedules.SCHEDULES)
    assert schedules.fire(engine, NOON) == 0
    assert schedules.fire(engine, NOON + timedelta(seconds=20)) == 0
    first = done(world)
    beats = [threading.Thread(target=schedules.fire, args=(engine, NOON + HOUR)) for _ in range(4)]
    for one in beats:
        one.start()
    for one in beats:
        one.join()
    second = done(world)
    assert len(first) == len(set(first)) and len(second) == len(set(second))
    assert set(first) == slots(NOON) and set(second) == slots(NOON + HOUR) - slots(NOON)


def test_a_finished_slot_does_not_fire_again(world: World) -> None:
    schedules.fire(world.database.worker, NOON)
    done(world)
    assert schedules.fire(world.database.worker, NOON) == 0


def test_after_a_day_without_beat_the_latest_slot_runs_once(world: World) -> None:
    schedules.fire(world.database.worker, NOON)
    done(world)
    assert schedules.fire(world.database.worker, NOON + DAY) == len(schedules.SCHEDULES)
    assert schedules.fire(world.database.worker, NOON) == 0, "and a late beat does not go back"


def test_a_day_without_worker_leaves_one_slot_of_each_and_it_runs_late(world: World) -> None:
    for hour in range(25):
        schedules.fire(world.database.worker, NOON + hour * HOUR)
    found = done(world)
    assert [kind for kind, _ in found] == sorted(schedules.SCHEDULES)
    assert [due for _, due in found] == [schedules.slot(schedules.SCHEDULES[kind], NOON) for kind, _ in found]
    assert schedules.fire(world.database.worker, NOON + 2 * DAY) == len(schedules.SCHEDULES), "then as usual"


def test_what_failed_and_was_parked_does_not_stop_its_schedule(world: World) -> None:
    schedules.fire(world.database.worker, NOON)
    with world.system() as session:
        session.execute(text("update work_items set state = 'parked', last_error = 'ValueError in f:1'"))
    assert schedules.fire(world.database.worker, NOON + DAY) == len(schedules.SCHEDULES)


@pytest.fixture(params=["Europe/Vienna", "America/New_York"])
def zone(request: pytest.FixtureRequest) -> Iterator[ZoneInfo]:
    """The machine stands in this zone."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield ZoneInfo(request.param)
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


CHANGES = {
    "Europe/Vienna": ((2026, 3, 29), (2026, 10, 25)),
    "America/New_York": ((2026, 3, 8), (2026, 11, 1)),
}


@pytest.mark.parametrize("change", [0, 1], ids=["spring", "autumn"])
def test_a_change_of_the_clocks_doubles_and_skips_nothing(world: World, zone: ZoneInfo, change: int) -> None:
    day = datetime(*CHANGES[zone.key][change], tzinfo=zone)
    start = day.astimezone(UTC)
    end = (day + DAY).astimezone(UTC)  # local midnight to local midnight: 23 or 25 hours
    hours = int((end - start) / HOUR)
    assert hours == (23, 25)[change]
    found = beat(world, start, end - timedelta(seconds=1), timedelta(minutes=20))
    for kind in HOURLY:
        assert [due for k, due in found if k == kind] == [start + n * HOUR for n in range(hours)]


def test_the_29th_of_february_is_a_day_like_others(world: World) -> None:
    start = datetime(2028, 2, 28, 22, tzinfo=UTC)
    found = beat(world, start, start + 27 * HOUR, timedelta(minutes=30))
    for kind in HOURLY:
        assert [due for k, due in found if k == kind] == [start + n * HOUR for n in range(28)]
    assert datetime(2028, 2, 29, 12, tzinfo=UTC) in {due for _, due in found}


def test_a_clock_set_back_five_minutes_repeats_nothing(world: World) -> None:
    found = beat(world, NOON, NOON + 10 * MINUTE, timedelta(seconds=20))
    again = beat(world, NOON + 5 * MINUTE, NOON + 15 * MINUTE, timedelta(seconds=20))
    assert len(found) == len(set(found)) and len(again) == len(set(again))
    assert not set(found) & set(again)
    minutes = sorted(due for kind, due in found + again if kind == "offers.sweep")
    assert minutes == [NOON.replace(second=0) + n * MINUTE for n in range(16)], "and leaves out nothing"


def test_a_clock_set_back_over_midnight_repeats_no_day(world: World) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    found = beat(world, midnight - 3 * MINUTE, midnight + 2 * MINUTE, MINUTE)
    again = beat(world, midnight - 3 * MINUTE, midnight + 2 * MINUTE, MINUTE)
    assert found and not again


def test_a_clock_that_ran_wild_does_not_silence_a_schedule_for_years(world: World) -> None:
    schedules.fire(world.database.worker, NOON + 3650 * DAY)
    done(world)
    assert schedules.fire(world.database.worker, NOON) == len(schedules.SCHEDULES)
    done(world)
    assert schedules.fire(world.database.worker, NOON) == 0

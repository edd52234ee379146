"""What happens regularly. A slot is a row unique on (schedule, due_at), so any number of beats is harmless.

After a day without a beat the latest slot still runs, and after a day without a worker the slot that waits: late rather
than never, and once rather than many times. Slots are counted in UTC, so no change of the clocks doubles or skips one.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.engine import Engine

from portal.db import new_id, transaction
from portal.security.context import Acting

# kind of work item -> how often
SCHEDULES: dict[str, timedelta] = {
    "texts.expire": timedelta(hours=1),
    "files.sweep": timedelta(days=1),
    "credentials.expire": timedelta(hours=1),
    "offers.sweep": timedelta(minutes=1),
    "decisions.blocks": timedelta(minutes=15),
}
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
# A clock set back by less than this waits until it has caught up, so that nothing fires twice; a remembered slot
# further ahead was the mistake of a clock that ran wild, and must not silence a schedule for years.
WILD = timedelta(hours=2)


def slot(every: timedelta, now: datetime) -> datetime:
    """The latest due time at or before `now`."""
    return EPOCH + every * ((now - EPOCH) // every)


def fire(engine: Engine, now: datetime | None = None) -> int:
    """Write the work items of every schedule's latest slot in the live realm; how many were new.

    A finished item is deleted, so the slot must be remembered elsewhere: in heartbeats, under the schedule's name.
    Where an earlier slot still waits for a worker, that one stands for both.
    """
    moment = now or datetime.now(UTC)
    new = 0
    with transaction(engine, Acting()) as session:
        for kind, every in SCHEDULES.items():
            due = slot(every, moment)
            first = session.execute(
                text("""
                    insert into heartbeats (name, at) values (:name, :due)
                    on conflict (name) do update set at = excluded.at
                        where heartbeats.at < excluded.at or heartbeats.at > :wild
                    returning 1
                """),
                {"name": f"schedule {kind}", "due": due, "wild": moment + WILD},
            ).first()
            if first is None:
                continue
            written = session.execute(
                text("""
                    insert into work_items (id, realm_id, queue, kind, payload, run_at, schedule, due_at, created_at)
                    select :id, 1, 'default', k.kind, '{}', app.clock(1), k.kind, :due, app.clock(1)
                    from (select cast(:kind as varchar) as kind) k
                    where not exists (select 1 from work_items w where w.schedule = k.kind and w.state = 'ready')
                    on conflict (schedule, due_at) do nothing
                """),
                {"id": new_id(), "kind": kind, "due": due},
            )
            new += written.rowcount  # type: ignore[attr-defined]
    return new

"""What happens regularly. A slot is a row unique on (schedule, due_at), so any number of beats is harmless.

After a day without a beat the latest slot still runs: late rather than never, and once rather than many times.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.engine import Engine

from portal.db import new_id, transaction
from portal.security.context import Acting

# kind of work item -> how often
SCHEDULES: dict[str, timedelta] = {
    "texts.expire": timedelta(hours=1),
    "credentials.expire": timedelta(hours=1),
    "offers.sweep": timedelta(minutes=1),
}
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def slot(every: timedelta, now: datetime) -> datetime:
    """The latest due time at or before `now`."""
    return EPOCH + every * ((now - EPOCH) // every)


def fire(engine: Engine, now: datetime | None = None) -> int:
    """Write the work items of every schedule's latest slot in the live realm; how many were new.

    A finished item is deleted, so the slot must be remembered elsewhere: in heartbeats, under the schedule's name.
    """
    moment = now or datetime.now(UTC)
    new = 0
    with transaction(engine, Acting()) as session:
        for kind, every in SCHEDULES.items():
            due = slot(every, moment)
            first = session.execute(
                text("""
                    insert into heartbeats (name, at) values (:name, :due)
                    on conflict (name) do update set at = excluded.at where heartbeats.at < excluded.at
                    returning 1
                """),
                {"name": f"schedule {kind}", "due": due},
            ).first()
            if first is None:
                continue
            session.execute(
                text("""
                    insert into work_items (id, realm_id, queue, kind, payload, run_at, schedule, due_at, created_at)
                    values (:id, 1, 'default', :kind, '{}', app.clock(1), :kind, :due, app.clock(1))
                    on conflict (schedule, due_at) do nothing
                """),
                {"id": new_id(), "kind": kind, "due": due},
            )
            new += 1
    return new

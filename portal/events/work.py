"""Work items: what must happen outside, as `system`, or later. Written in the transaction that wants it, run here.

A handler is registered by kind. A plain one gets an open `system` session and does its database effect in the same
transaction that deletes the item, so nothing is lost or doubled. An outside one (`outside=True`) returns a callable
that is run between two transactions; it may run again after a crash, always under the same identity (the item's id).
"""

import importlib
import random
import secrets
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from portal import metrics
from portal.db import PortalSession, new_id, put, session_for, transaction
from portal.events.models import WorkItem
from portal.security.context import Acting

log = structlog.get_logger(__name__)

# Short, so that the work of a killed worker is soon another's; a living one renews what it holds.
LEASE = timedelta(seconds=8)
RENEW_S = 2.0
MAX_ATTEMPTS = 8
BACKOFF_FIRST_S, BACKOFF_TOP_S = 2.0, 3600.0
DEADLOCK_RETRIES = 3
# Serialisation failure and deadlock: the transaction may simply be tried again (PostgreSQL Appendix A).
RETRYABLE = ("40001", "40P01")

Effect = Callable[[], None]


class WorkerEnded(Exception):
    """Each attempt ended the worker itself (killed, out of memory, crashed), so that nobody could note a failure."""


@dataclass(frozen=True, slots=True)
class Item:
    """A claimed work item; `id` identifies its outside effects across attempts."""

    id: int
    realm_id: int
    kind: str
    lane: str | None
    payload: dict[str, Any]
    attempts: int
    lease: int


@dataclass(frozen=True, slots=True)
class Handler:
    """What runs items of one kind."""

    run: Callable[[PortalSession, Item], Effect | None]
    outside: bool
    max_attempts: int


HANDLERS: dict[str, Handler] = {}
_held: set[int] = set()  # leases this process works on
_dropped: set[int] = set()  # leases it had to leave, because the database went away


def handler(
    kind: str, *, outside: bool = False, max_attempts: int = MAX_ATTEMPTS
) -> Callable[
    [Callable[[PortalSession, Item], Effect | None]], Callable[[PortalSession, Item], Effect | None]
]:
    """Register the decorated function for work items of `kind`."""

    def register(
        run: Callable[[PortalSession, Item], Effect | None],
    ) -> Callable[[PortalSession, Item], Effect | None]:
        if kind in HANDLERS:
            raise ValueError(f"two handlers for work of kind {kind!r}: {HANDLERS[kind].run} and {run}")
        HANDLERS[kind] = Handler(run, outside, max_attempts)
        return run

    return register


def item_row(
    session: PortalSession,
    kind: str,
    payload: dict[str, Any],
    *,
    run_at: datetime | None = None,
    queue: str = "default",
    lane: str | None = None,
) -> dict[str, Any]:
    """The row of a work item due at `run_at` (business time; default now)."""
    ctx = session.context
    return {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "queue": queue,
        "kind": kind,
        "lane": lane,
        "payload": payload,
        "run_at": run_at or ctx.now,
        "created_at": ctx.now,
    }


def enqueue(session: PortalSession, kind: str, payload: dict[str, Any], **options: Any) -> None:
    """Write a work item in this transaction (see item_row); workers are woken after the commit."""
    put(session, WorkItem, item_row(session, kind, payload, **options))
    wake_after_commit(session)


def wake_after_commit(session: PortalSession) -> None:
    """Ask for one wake of the workers once this transaction has committed (lost wakes cost at most 0.5 s)."""
    session.info["wake"] = True


CLAIM = text("""
    update work_items w set state = 'running', lease = :lease, lease_until = now() + :lease_time,
           attempts = w.attempts + 1
    from (
        select x.id from work_items x join realms r on r.id = x.realm_id
        where (x.state = 'ready' or (x.state = 'running' and x.lease_until < now()))
          and x.run_at <= coalesce(cast(:now as timestamptz), now() + make_interval(secs => r.clock_offset_seconds))
          and x.run_at <= coalesce(cast(:now as timestamptz),
              now() + (select make_interval(secs => max(o.clock_offset_seconds)) from realms o))
          and (cast(:realm as bigint) is null or x.realm_id = :realm)
          and (x.lane is null or not exists (
              select 1 from work_items e where e.lane = x.lane and e.id < x.id and e.state <> 'parked'))
        order by x.run_at, x.id limit :batch for update of x skip locked
    ) due
    where w.id = due.id
    returning w.id, w.realm_id, w.kind, w.lane, w.payload, w.attempts, w.lease
""")


def claim(
    engine: Engine, *, batch: int = 10, now: datetime | None = None, realm: int | None = None
) -> list[Item]:
    """Lease up to `batch` due items to this caller; `now` replaces the realms' clocks (demo, tests)."""
    with transaction(engine, Acting()) as session:
        rows = session.execute(
            CLAIM,
            {"lease": secrets.randbits(62), "lease_time": LEASE, "batch": batch, "now": now, "realm": realm},
        ).all()
    # What came back is run last and in any order: if one of it ends the worker, it does not take the same others along.
    return sorted(
        (Item(*row) for row in rows),
        key=lambda i: (i.attempts > 1, random.random() if i.attempts > 1 else i.id),
    )


def renew(engine: Engine) -> None:
    """Keep the leases this process works on and give back those it had to leave; those of a killed process lapse."""
    held, dropped = list(_held), list(_dropped)
    if not held and not dropped:
        return
    with transaction(engine, Acting()) as session:
        session.execute(
            text("""
                update work_items set lease_until = case when lease = any(:held) then now() + :time else now() end
                where state = 'running' and lease = any(:all)
            """),
            {"time": LEASE, "held": held, "all": held + dropped},
        )
    _dropped.difference_update(dropped)


def run_due(
    engine: Engine,
    *,
    now: datetime | None = None,
    realm: int | None = None,
    limit: int = 100_000,
    batch: int = 10,
) -> int:
    """Run everything that is due until nothing is; how many items were run."""
    importlib.import_module(
        "portal.tasks"
    )  # the rooms' handlers; imported late, because they import this module
    done = 0
    while done < limit:
        items = claim(engine, batch=batch, now=now, realm=realm)
        if not items:
            return done
        lease = items[0].lease
        _held.add(lease)
        try:
            for item in items:
                run_item(engine, item, now)
        except Exception:
            _dropped.add(lease)
            raise
        finally:
            _held.discard(lease)
        done += len(items)
    return done


def run_item(engine: Engine, item: Item, now: datetime | None = None) -> None:
    """Run one claimed item to its end: done (deleted), postponed with backoff, or parked with its reason."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request=f"work-{item.id}")
    began = time.perf_counter()
    outcome = _attempt(engine, item, now)
    seconds = time.perf_counter() - began
    metrics.WORK.labels(item.kind if item.kind in HANDLERS else "-", outcome).observe(seconds)
    log.info("work", kind=item.kind, item=item.id, outcome=outcome, ms=round(seconds * 1000, 1))
    structlog.contextvars.clear_contextvars()


def _attempt(engine: Engine, item: Item, now: datetime | None) -> str:
    found = HANDLERS.get(item.kind)
    for attempt in range(1, DEADLOCK_RETRIES + 1):
        try:
            if found is None:
                raise LookupError(f"No handler for work of kind {item.kind!r}; is this an older version?")
            if item.attempts > found.max_attempts:
                raise WorkerEnded
            _run(engine, found, item, now)
            return "done"
        except Exception as error:
            again = isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in RETRYABLE
            if again and attempt < DEADLOCK_RETRIES:
                continue
            log.warning(
                "work failed", kind=item.kind, item=item.id, attempt=item.attempts, error=type(error).__name__
            )
            _postpone(engine, item, error, found.max_attempts if found else MAX_ATTEMPTS, now)
            return "failed"
    return "failed"


def _run(engine: Engine, found: Handler, item: Item, now: datetime | None) -> None:
    acting = Acting(realm_id=item.realm_id, now=now)
    if not found.outside:
        with transaction(engine, acting) as session:
            if _finish(session, item):
                found.run(session, item)
        return
    with transaction(engine, acting) as session:
        effect = found.run(session, item)
        if effect is None:
            _finish(session, item)
            return
    effect()
    with transaction(engine, acting) as session:
        _finish(session, item)


def _finish(session: PortalSession, item: Item) -> bool:
    """Delete the item if it is still ours; a lost lease means that somebody else runs it."""
    ended = session.connection().execute(END, {"id": item.id, "lease": item.lease})
    return ended.rowcount == 1


END = text("delete from work_items where id = :id and lease = :lease")


def _postpone(engine: Engine, item: Item, error: Exception, max_attempts: int, now: datetime | None) -> None:
    """Back off exponentially with jitter, the whole lane with it; park after the last attempt.

    The reason names the error's class and the frame, not its message: messages of databases quote values.
    """
    frame = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    reason = f"{type(error).__name__} in {frame.name}:{frame.lineno}" if frame else type(error).__name__
    delay = min(BACKOFF_TOP_S, BACKOFF_FIRST_S * 2.0 ** (item.attempts - 1)) * random.uniform(0.75, 1.25)
    session = session_for(engine, Acting(realm_id=item.realm_id))
    with session.begin():
        session.execute(
            text("""
                update work_items set state = :state, lease = null, lease_until = null, last_error = :reason,
                       run_at = coalesce(cast(:now as timestamptz), app.clock(realm_id)) + make_interval(secs => :delay)
                where id = :id and lease = :lease
            """),
            {
                "state": "parked" if item.attempts >= max_attempts else "ready",
                "reason": reason,
                "delay": delay,
                "now": now,
                "id": item.id,
                "lease": item.lease,
            },
        )
        if item.lane:
            session.execute(
                text("""
                    update work_items set run_at = coalesce(cast(:now as timestamptz), app.clock(realm_id))
                        + make_interval(secs => :delay)
                    where lane = :lane and state = 'ready'
                """),
                {"lane": item.lane, "delay": delay, "now": now},
            )
    session.close()


def retry(engine: Engine, ids: list[int] | None = None) -> int:
    """Make parked items (all, or those named) ready again with a fresh count of attempts; how many there were."""
    with transaction(engine, Acting()) as session:
        return session.execute(  # type: ignore[attr-defined,no-any-return]
            text("""
                update work_items set state = 'ready', attempts = 0, run_at = app.clock(realm_id)
                where state = 'parked' and (cast(:ids as bigint[]) is null or id = any(:ids))
            """),
            {"ids": ids},
        ).rowcount


def status(engine: Engine) -> list[dict[str, Any]]:
    """Open work by kind and state: how many, the oldest due time and the last reason of parked ones."""
    with transaction(engine, Acting()) as session:
        rows = session.execute(
            text("""
                select kind, state, count(*) as items, min(run_at) as next, max(attempts) as attempts,
                       max(last_error) as reason
                from work_items group by kind, state order by kind, state
            """)
        )
        return [dict(row._mapping) for row in rows]

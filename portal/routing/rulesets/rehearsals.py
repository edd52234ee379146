"""Rehearsals of rule sets: started by a person, run by a worker, stopped when asked to, kept with what would move."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Engine, Select, delete, select, update

from portal.companies.queries import vendor_id
from portal.db import PortalSession, new_id, put, transaction
from portal.errors import Conflict, NotFound
from portal.events.work import enqueue
from portal.routing import rehearsing
from portal.routing.models import Rehearsal, RehearsalMove, RuleSetRow
from portal.routing.rulesets.actions import find, in_force
from portal.security.context import Acting
from portal.web.i18n import _, tr
from rules import RuleSet
from rules.rehearsal import Effect

OPEN = ("waiting", "running", "stopping")
EVERY_S = 0.5
"""How often progress is told, and whether to stop is asked."""
MOVES_AT_ONCE = 1000


def start(session: PortalSession, version: int, days: int) -> int:
    """Ask for a rehearsal on the leads of the last `days`; its id. Conflict while one of this rule set is under way."""
    found = find(session, version)
    current = in_force(session)
    if current is None:
        raise Conflict(tr(_("Nothing is in force that it could be compared with.")), "no_rule_set")
    # The rule set's row: two who start at once do so one after the other.
    session.execute(select(RuleSetRow.id).where(RuleSetRow.id == found.id).with_for_update(key_share=True))
    query = of_realm(session).where(Rehearsal.version == version, Rehearsal.state.in_(OPEN))
    if session.scalars(query.limit(1)).first() is not None:
        raise Conflict(tr(_("A rehearsal of it is under way. Stop it first, or wait for it.")), "running")
    ctx = session.context
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": vendor_id(session),
        "version": version,
        "hash": found.hash,
        "against": current.version,
        "against_hash": current.hash,
        "days": days,
        "state": "waiting",
        "started_by": ctx.person_id,
        "created_at": ctx.now,
    }
    put(session, Rehearsal, row)
    enqueue(session, "rehearsal.run", {"rehearsal": str(row["id"])})
    return int(row["id"])


def stop(session: PortalSession, version: int, rehearsal_id: int) -> None:
    """Ask the worker to stop; one that has not begun is stopped at once. What is over stays as it is."""
    found = one(session, version, rehearsal_id, lock=True)
    if found.state == "waiting":
        _write(session, found.id, state="stopped", ended_at=session.context.now)
    elif found.state == "running":
        _write(session, found.id, state="stopping")


def of_realm(session: PortalSession) -> Select[Any]:
    """All rehearsals of the realm."""
    return select(Rehearsal).where(Rehearsal.realm_id == session.context.realm_id)


def one(session: PortalSession, version: int, rehearsal_id: int, *, lock: bool = False) -> Rehearsal:
    """A rehearsal of this rule set; NotFound."""
    query = of_realm(session).where(Rehearsal.id == rehearsal_id, Rehearsal.version == version)
    query = query.execution_options(populate_existing=True)
    found: Rehearsal | None = session.scalars(query.with_for_update() if lock else query).first()
    if found is None:
        raise NotFound
    return found


def newest(session: PortalSession, version: int) -> Rehearsal | None:
    """The newest rehearsal of this rule set that came to something."""
    query = of_realm(session).where(Rehearsal.version == version, Rehearsal.state == "done")
    found: Rehearsal | None = session.scalars(query.order_by(Rehearsal.id.desc()).limit(1)).first()
    return found


def all_of(session: PortalSession, version: int, most: int = 20) -> list[Rehearsal]:
    """The last rehearsals of this rule set, newest first."""
    query = of_realm(session).where(Rehearsal.version == version)
    return list(session.scalars(query.order_by(Rehearsal.id.desc()).limit(most)))


def _write(session: PortalSession, rehearsal_id: int, **values: Any) -> None:
    session.execute(
        update(Rehearsal)
        .where(Rehearsal.id == rehearsal_id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )


# -- by the worker -----------------------------------------------------------------------------------------------------


def run(engine: Engine, acting: Acting, rehearsal_id: int) -> None:
    """Run it, in short transactions; a second attempt begins anew. What fails is marked, and raised."""
    try:
        _run(engine, acting, rehearsal_id)
    except Exception:
        with transaction(engine, acting) as session:
            _write(session, rehearsal_id, state="failed", ended_at=session.context.now)
        raise


def _run(engine: Engine, acting: Acting, rehearsal_id: int) -> None:
    with transaction(engine, acting) as session:
        asked = session.scalars(of_realm(session).where(Rehearsal.id == rehearsal_id)).one()
        tried = find(session, asked.version)
        given = rehearsing.material(session, RuleSet.parse(tried.body), asked.days)
        session.execute(delete(RehearsalMove).where(RehearsalMove.rehearsal_id == rehearsal_id))
        _write(
            session, rehearsal_id, state="running", phase="rules", done=0, total=len(given.past), hash=tried.hash,
            against=given.against, against_hash=given.before.hash, effects={}, ended_at=None,
        )  # fmt: skip
    effects: dict[str, Effect] = {}
    told, stopped = time.monotonic(), False
    for phase, step in rehearsing.rehearsed(given):
        effects[phase] = step.effect
        if time.monotonic() - told < EVERY_S:
            continue
        told = time.monotonic()
        with transaction(engine, acting) as session:
            _write(session, rehearsal_id, phase=phase, done=step.done, effects=_stored(effects))
            if _state(session, rehearsal_id) == "stopping":
                stopped = True
                break
    company = {one.id: one.company_id for one in given.snapshot.candidates}
    with transaction(engine, acting) as session:
        vendor = vendor_id(session)
        for rows in _batches(_moves(session, vendor, rehearsal_id, effects, company)):
            put(session, RehearsalMove, *rows)
        state = "stopped" if stopped else "done"
        done = max((effect.done for effect in effects.values()), default=0)
        ended = {"state": state, "done": done, "effects": _stored(effects), "ended_at": session.context.now}
        _write(session, rehearsal_id, **ended)


def _stored(effects: dict[str, Effect]) -> dict[str, Any]:
    return {name: rehearsing.stored(effect) for name, effect in effects.items()}


def _state(session: PortalSession, rehearsal_id: int) -> str:
    return str(session.execute(select(Rehearsal.state).where(Rehearsal.id == rehearsal_id)).scalar_one())


def _moves(
    session: PortalSession,
    vendor: int,
    rehearsal_id: int,
    effects: dict[str, Effect],
    company: dict[int, int],
) -> Iterator[dict[str, Any]]:
    for name, effect in effects.items():
        for move in effect.moves:
            row = {"id": new_id(), "realm_id": session.context.realm_id, "company_id": vendor}
            row |= {"rehearsal_id": rehearsal_id, "effect": name, "lead_id": move.request_id}
            for side, taker in (("from", move.before), ("to", move.after)):
                place = taker if isinstance(taker, int) else None
                row[f"{side}_location"] = place
                row[f"{side}_company"] = company.get(place) if place is not None else None
                row[f"{side}_rep"] = taker if isinstance(taker, str) else None
            yield row


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == MOVES_AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch

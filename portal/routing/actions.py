"""Deciding: asks the engine, locks the counters it chose, and writes down what it saw."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, text

from portal.db import PortalSession, new_id, put
from portal.routing.models import Decision as DecisionRow
from portal.routing.models import RuleSetRow
from portal.routing.snapshot import Plan, current_version, plan
from rules import (
    CREDIT_LIMIT,
    CREDIT_ONE,
    Candidate,
    Decision,
    Ranked,
    Request,
    RuleSet,
    State,
    default_ruleset,
)

# A stale plan or a filled place costs another round, never a wrong offer; more rounds than this mean trouble.
MAX_ROUNDS = 20
TOP_KEPT = 25


@dataclass(frozen=True, slots=True)
class Chosen:
    """A decision as written down; `first` and `candidate` are None when nobody could take it."""

    decision_id: int
    decision: Decision
    plan: Plan
    first: Ranked | None
    candidate: Candidate | None


def decide(session: PortalSession, request: Request, subject_type: str, vendor_id: int) -> Chosen:
    """Decide `request`, reserve one place at the first candidate (its load and the credits change) and record it.

    Runs in the caller's transaction, as the vendor or `system`. Counter rows are locked in id order; the directory's
    version, the chosen partner's standing and its capacity are read again under the lock.
    """
    current = plan(session)
    for _ in range(MAX_ROUNDS):
        shortlist = current.engine.shortlist(request)
        state = read_state(session, shortlist.ids)
        decision = current.engine.decide(request, shortlist, state)
        if not decision.ranked:
            return _record(session, request, subject_type, vendor_id, current, decision, state)
        first = decision.ranked[0]
        candidate = _candidate(current, first.id)
        if _reserve(session, current, decision, state, candidate):
            return _record(session, request, subject_type, vendor_id, current, decision, state)
        current = plan(session, current_version(session))
    raise RuntimeError(f"routing of {subject_type} {request.id} did not settle in {MAX_ROUNDS} rounds")


def read_state(session: PortalSession, ids: tuple[int, ...]) -> State:
    """Open work and credit of the shortlisted locations."""
    if not ids:
        return State()
    rows = (
        session.connection()
        .execute(
            text("select location_id, open, credit from routing_states where location_id = any(:ids)"),
            {"ids": list(ids)},
        )
        .all()
    )
    return State({r.location_id: r.open for r in rows}, {r.location_id: r.credit for r in rows})


def _candidate(current: Plan, location_id: int) -> Candidate:
    position = current.snapshot.position(location_id)
    assert position is not None
    return current.snapshot.candidates[position]


LOCK = text("""
    select location_id, open from routing_states where location_id = any(:ids) order by location_id for update
""")
# FOR SHARE: a suspension that is under way waits for this offer (and pulls it back), or this decision sees it.
HARD_GATES = text("""
    select s.status, v.version from standings s join directory_versions v on v.realm_id = s.realm_id
    where s.company_id = :company and s.valid_to is null for share of s
""")
APPLY = text("""
    update routing_states r set open = r.open + case when r.location_id = :chosen then 1 else 0 end,
           credit = least(greatest(r.credit + d.delta, -:bound), :bound)
    from unnest(cast(:ids as bigint[]), cast(:deltas as bigint[])) as d (id, delta) where r.location_id = d.id
""")


def _reserve(
    session: PortalSession, current: Plan, decision: Decision, state: State, chosen: Candidate
) -> bool:
    """Take a place at `chosen`; False when the world has moved since the state was read."""
    deltas = {i: credit - state.credit.get(i, 0) for i, credit in decision.credits.items()}
    deltas.setdefault(chosen.id, 0)
    ids = sorted(deltas)
    opened = {row.location_id: row.open for row in session.connection().execute(LOCK, {"ids": ids})}
    gates = session.connection().execute(HARD_GATES, {"company": chosen.company_id}).first()
    if gates is None or gates.status != "active" or gates.version != current.version:
        return False
    if opened[chosen.id] >= chosen.capacity:
        return False
    session.connection().execute(
        APPLY, {"chosen": chosen.id, "ids": ids, "deltas": [deltas[i] for i in ids], "bound": CREDIT_LIMIT}
    )
    return True


def release(session: PortalSession, location_id: int, *, return_credit: bool = False) -> None:
    """Give one place back; the turn paid for it only when the vendor withdrew the offer."""
    session.execute(
        text("""
            update routing_states set open = greatest(open - 1, 0), credit = least(credit + :back, :bound)
            where location_id = :id
        """),
        {"id": location_id, "back": CREDIT_ONE if return_credit else 0, "bound": CREDIT_LIMIT},
    )


def reserve_by_hand(session: PortalSession, location_id: int) -> None:
    """Count a place for a manual assignment; no turn is paid and capacity does not bind a person's decision."""
    session.execute(
        text("update routing_states set open = open + 1 where location_id = :id"), {"id": location_id}
    )


def _record(
    session: PortalSession,
    request: Request,
    subject_type: str,
    vendor_id: int,
    current: Plan,
    decision: Decision,
    state: State,
) -> Chosen:
    first = decision.ranked[0] if decision.ranked else None
    row = {
        "id": new_id(),
        "realm_id": session.context.realm_id,
        "company_id": vendor_id,
        "subject_type": subject_type,
        "subject_id": request.id,
        "request": request.to_json(),
        "as_of": request.as_of,
        "seed": request.seed,
        "rule_set_version": current.rule_set_version,
        "rule_set_hash": current.rules.hash,
        "directory_version": current.version,
        "state": state.to_json(),
        "counts": [list(count) for count in decision.counts],
        "top": [top_entry(ranked) for ranked in decision.ranked[:TOP_KEPT]],
        "gates": zlib.compress(decision.gates, 6),
        "candidates": len(current.snapshot.candidates),
        "eligible": len(decision.ranked),
        "chosen_location_id": first.id if first else None,
        "result_hash": decision.result_hash,
    }
    put(session, DecisionRow, row)
    candidate = _candidate(current, first.id) if first else None
    return Chosen(row["id"], decision, current, first, candidate)


def top_entry(ranked: Ranked) -> dict[str, Any]:
    """A ranked candidate as stored: id as string, thousandths of a point, metres."""
    return {
        "id": str(ranked.id),
        "score": ranked.score,
        "terms": [list(term) for term in ranked.terms],
        "distance_m": ranked.distance_m,
    }


def publish_default(session: PortalSession, vendor_id: int) -> int:
    """Publish the first rule set when none is; its version."""
    found = session.execute(
        text(
            "select version from rule_sets where realm_id = :r and subject_type = 'lead' and state = 'published'"
        ),
        {"r": session.context.realm_id},
    ).scalar()
    if found is not None:
        return int(found)
    return publish(session, vendor_id, default_ruleset())


def publish(session: PortalSession, vendor_id: int, rules: RuleSet) -> int:
    """Publish `rules` as the next version and retire the one in force; its version."""
    ctx = session.context
    scope: Mapping[str, Any] = {"r": ctx.realm_id}
    session.execute(
        text(
            "update rule_sets set state = 'retired' where realm_id = :r and subject_type = 'lead'"
            " and state = 'published'"
        ),
        scope,
    )
    version = 1 + int(
        session.execute(
            text(
                "select coalesce(max(version), 0) from rule_sets where realm_id = :r and subject_type = 'lead'"
            ),
            scope,
        ).scalar_one()
    )
    session.execute(
        insert(RuleSetRow),
        [
            {
                "id": new_id(),
                "realm_id": ctx.realm_id,
                "company_id": vendor_id,
                "subject_type": "lead",
                "name": rules.name,
                "version": version,
                "state": "published",
                "body": rules.to_json(),
                "hash": rules.hash,
                "published_at": ctx.now,
                "created_at": ctx.now,
            }
        ],
    )
    return version


def as_of(moment: datetime) -> datetime:
    """Business time to the second, so that a stored decision reads the same everywhere."""
    return moment.replace(microsecond=0)

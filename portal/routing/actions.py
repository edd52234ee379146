"""Deciding: asks the engine, locks the counters it chose, and writes down what it saw."""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import text

from portal import metrics
from portal.db import PortalSession, new_id, put
from portal.routing.models import Decision as DecisionRow
from portal.routing.snapshot import Plan, current_version, plan
from rules import (
    CREDIT_LIMIT,
    CREDIT_ONE,
    Candidate,
    Decision,
    Ranked,
    Request,
    Shortlist,
    State,
)

# A stale plan or a filled place costs another round, never a wrong offer; more rounds than this mean trouble.
MAX_ROUNDS = 20
TOP_KEPT = 25
# Of zlib: a seventh larger than at the usual level, and ten times as quick.
GATES_LEVEL = 1


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

    Runs in the caller's transaction, as the vendor or `system`.
    """
    for _ in range(MAX_ROUNDS):
        made = propose(session, [request], subject_type, vendor_id)
        if made.reservation is None or made.reservation.take(session):
            put(session, DecisionRow, *made.rows)
            made.count()
            return made.chosen[0]
        refresh(session)
    raise Unsettled(f"routing of {subject_type} {request.id} did not settle in {MAX_ROUNDS} rounds")


class Unsettled(RuntimeError):
    """The world moved in every round."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """Decisions whose places are still to be taken; `rows` are to be stored with what follows from them."""

    chosen: list[Chosen]
    rows: list[dict[str, Any]]
    reservation: "Reservation | None"  # None: nobody could take any

    def count(self) -> None:
        """Its decisions are taken."""
        for one in self.chosen:
            metrics.DECISIONS.labels("chosen" if one.first else "nobody").inc()


@dataclass(frozen=True, slots=True)
class Shortlists:
    """Requests' shortlists on one plan, by the request's id; known before any counter is read."""

    plan: Plan
    each: Mapping[int, Shortlist]

    @property
    def ids(self) -> list[int]:
        """All locations whose counters decide."""
        return sorted({i for one in self.each.values() for i in one.ids})


def shortlists(session: PortalSession, requests: Iterable[Request]) -> Shortlists:
    """Who passes the gates that need no counters."""
    current = plan(session)
    return Shortlists(current, {request.id: current.engine.shortlist(request) for request in requests})


def propose(
    session: PortalSession,
    requests: Sequence[Request],
    subject_type: str,
    vendor_id: int,
    read: tuple[Shortlists, State] | None = None,
) -> Proposal:
    """Decide the requests one after the other, each seeing what those before it have changed. `read`: their
    shortlists and counters, where the caller has read them in this transaction with something else.

    Nothing is locked or written yet: the caller takes the places when it has written what follows, so that counters
    stay locked for a short time only, or proposes again when the world has moved meanwhile.
    """
    if read is None:
        found = shortlists(session, requests)
        read = found, read_state(session, found.ids)
    current = read[0].plan
    made = _Round(requests, *read)
    rows = [_row(session, one, subject_type, vendor_id, current) for one in made.verdicts]
    chosen = [_chosen(row["id"], one, current) for row, one in zip(rows, made.verdicts, strict=True)]
    return Proposal(chosen, rows, made.reservation())


def refresh(session: PortalSession) -> None:
    """See the directory as it is now, not as it was when the transaction began."""
    plan(session, current_version(session))


def array(numbers: Iterable[int]) -> str:
    """As PostgreSQL writes an array: the driver would look at each member."""
    return f"{{{','.join(map(str, numbers))}}}"


@dataclass(frozen=True, slots=True)
class Reservation:
    """Places and turns to take, all or nothing (app.reserve, migration 0005, which locks and reads the gates again)."""

    parameters: tuple[int | str, ...]
    TAKE: ClassVar[str] = (
        "select app.reserve(%s, %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s)"  # the parameters' places
    )

    def take(self, session: PortalSession) -> bool:
        """False when the world has moved since the counters were read. Others wait for them from here to the commit."""
        taken: bool = session.connection().exec_driver_sql(self.TAKE, self.parameters).scalar_one()
        return taken


@dataclass(frozen=True, slots=True)
class Verdict:
    """One request, the counters it was decided on, the decision, and which gate stopped whom."""

    request: Request
    state: State
    decision: Decision
    gates: bytes


class _Round:
    """The requests decided on the counters as they are now, in memory; what changed is to be reserved."""

    def __init__(self, requests: Iterable[Request], found: Shortlists, before: State) -> None:
        self.plan = found.plan
        self.verdicts: list[Verdict] = []
        self.before = before
        load, self.credit = dict(self.before.load), dict(self.before.credit)
        self.takes: Counter[int] = Counter()
        for request in requests:
            shortlist = found.each[request.id]
            state = State(load, self.credit).only(shortlist.ids)
            decision = self.plan.engine.decide(request, shortlist, state)
            gates = self.plan.engine.gates(request, shortlist, state)
            self.verdicts.append(Verdict(request, state, decision, gates))
            if decision.ranked:
                first = decision.ranked[0].id
                self.takes[first] += 1
                load[first] = load.get(first, 0) + 1
            self.credit.update(decision.credits)

    def reservation(self) -> Reservation | None:
        """What is to be taken."""
        before = self.before.credit
        ids = sorted({i for one in self.verdicts for i in one.decision.credits} | self.takes.keys())
        if not ids:
            return None
        most = (_candidate(self.plan, i).capacity if self.takes[i] else 0 for i in ids)
        turns = (self.credit.get(i, 0) - before.get(i, 0) for i in ids)
        arrays = (ids, (self.takes[i] for i in ids), most, turns)
        return Reservation((self.plan.version, *map(array, arrays), CREDIT_LIMIT))


STATE = "select location_id, open, credit from routing_states where location_id = any(%s::bigint[])"
# The same as one value, for a statement that reads more; `shortlist` as by `array`, and `state_of` reads it.
COUNTERS = """(select json_agg(json_build_array(s.location_id, s.open, s.credit)) from routing_states s
    where s.location_id = any(cast(:shortlist as bigint[])))"""


def read_state(session: PortalSession, ids: Sequence[int]) -> State:
    """Open work and credit of the shortlisted locations."""
    if not ids:
        return State()
    return state_of(session.connection().exec_driver_sql(STATE, (array(ids),)))


def state_of(rows: Iterable[Sequence[Any]]) -> State:
    """From (location, open work, credit) each."""
    load, credit = {}, {}
    for location, open_, turns in rows:
        load[location], credit[location] = open_, turns
    return State(load, credit)


def _candidate(current: Plan, location_id: int) -> Candidate:
    position = current.snapshot.position(location_id)
    assert position is not None
    return current.snapshot.candidates[position]


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


def _row(
    session: PortalSession, made: Verdict, subject_type: str, vendor_id: int, current: Plan
) -> dict[str, Any]:
    """The decision as it is stored."""
    request, decision = made.request, made.decision
    return {
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
        "state": made.state.to_json(),
        "counts": [list(count) for count in decision.counts],
        "top": [top_entry(ranked) for ranked in decision.ranked[:TOP_KEPT]],
        "gates": zlib.compress(made.gates, GATES_LEVEL),
        "candidates": len(current.snapshot.candidates),
        "eligible": decision.eligible,
        "chosen_location_id": decision.ranked[0].id if decision.ranked else None,
        "result_hash": decision.result_hash,
    }


def _chosen(decision_id: int, made: Verdict, current: Plan) -> Chosen:
    first = made.decision.ranked[0] if made.decision.ranked else None
    return Chosen(
        decision_id, made.decision, current, first, _candidate(current, first.id) if first else None
    )


def top_entry(ranked: Ranked) -> dict[str, Any]:
    """A ranked candidate as stored: id as string, thousandths of a point, metres."""
    return {
        "id": str(ranked.id),
        "score": ranked.score,
        "terms": [list(term) for term in ranked.terms],
        "distance_m": ranked.distance_m,
    }


def as_of(moment: datetime) -> datetime:
    """Business time to the second, so that a stored decision reads the same everywhere."""
    return moment.replace(microsecond=0)

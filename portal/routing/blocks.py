"""Decisions written over columns, some minutes after the fact: what became of one location in thousands of decisions.

A decision stores one byte per location. Who asks for one company and a year would have to unpack every decision of it;
a block holds up to BLOCK consecutive decisions with one row per location, so that the same question reads a few rows.
Blocks are derived: they can be written anew from the decisions at any time.
"""

import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, delete, select, text, update

from portal.companies.models import Location, LocationFact
from portal.companies.queries import vendor_id
from portal.db import ID_EPOCH_MS, ID_RANDOM_BITS, PortalSession, new_id, put, transaction
from portal.routing.models import Decision, DecisionBlock, DecisionColumn, RuleSetRow
from portal.security.context import Acting
from rules import ALL_GATES, POINT, RuleSet, amount_band

BLOCK, SMALLEST = 4096, 512
"""Decisions of a full block; fewer where there are very many locations, for a block is made in memory."""
CELLS = 64_000_000
CHOSEN, ABSENT = 253, 254
"""Codes beside those of stored gates: was offered it; was not there yet. 0 could take it, and another was ahead."""
SETTLED_S = 60
"""Ids count the milliseconds, and a transaction commits a little later: younger decisions may still get neighbours."""
WRITTEN_AT_ONCE = 500
MILLION = 1_000_000
TOOK_PART = ALL_GATES.index("territory") + 1
"""Gates after this one are of locations that cover the place; a partner's own lines begin there (app.own_decisions)."""

ORDER = np.full(256, -1, np.int16)
"""Code -> how far it came: gates in their order, then could take it, then chosen; -1 for who was not asked."""
for _code in range(1, len(ALL_GATES) + 1):
    ORDER[_code] = _code
ORDER[0], ORDER[CHOSEN] = 299, 300


def write(engine: Engine, acting: Acting, settled_s: float = SETTLED_S) -> int:
    """Write what is missing, one block per transaction; how many decisions were read."""
    done = 0
    while True:
        with transaction(engine, acting) as session:
            read, full = _next(session, settled_s)
        done += read
        if not full:
            return done


NUMBERS = text("select id, number from leads where id = any(:ids)")


def _next(session: PortalSession, settled_s: float) -> tuple[int, bool]:
    """Fill the open block, or begin one: (decisions in it, whether it is full)."""
    realm = session.context.realm_id
    session.execute(
        text("select pg_advisory_xact_lock(hashtext('decision_blocks'), :realm)"), {"realm": realm}
    )
    query = select(DecisionBlock.id, DecisionBlock.first_id, DecisionBlock.last_id, DecisionBlock.closed)
    query = query.where(DecisionBlock.realm_id == realm).order_by(DecisionBlock.last_id.desc()).limit(1)
    last = session.execute(query).first()
    until = (int((time.time() - settled_s) * 1000) - ID_EPOCH_MS) << ID_RANDOM_BITS
    places = session.execute(
        select(Location.id, Location.company_id, Location.added_version)
        .where(Location.realm_id == realm)
        .order_by(Location.id)
    ).all()
    size = min(BLOCK, max(SMALLEST, CELLS // max(1, len(places))))
    since = 0 if last is None else last.last_id if last.closed else last.first_id - 1
    newer = select(Decision.id).where(
        Decision.realm_id == realm, Decision.id > (last.last_id if last else 0), Decision.id < until
    )
    if session.execute(newer.limit(1)).first() is None:
        return 0, False
    rows = session.execute(
        select(
            Decision.id, Decision.as_of, Decision.top, Decision.directory_version, Decision.rule_set_version, Decision.gates,
            Decision.request, Decision.chosen_location_id, Decision.subject_id,
        )
        .where(Decision.realm_id == realm, Decision.subject_type == "lead", Decision.id > since, Decision.id < until)
        .order_by(Decision.id)
        .limit(size)
    ).all()  # fmt: skip
    if not rows:
        return 0, False
    full = len(rows) >= size
    rules = _rule_sets(session, {row.rule_set_version for row in rows})
    block = {
        "first_id": rows[0].id,
        "last_id": rows[-1].id,
        "first_at": min(row.as_of for row in rows),
        "last_at": max(row.as_of for row in rows),
        "decisions": [row.id for row in rows],
        "facts": _facts(session, rows, rules),
        "closed": full,
    }
    if last is not None and not last.closed:
        block_id = last.id
        session.execute(delete(DecisionColumn).where(DecisionColumn.block_id == block_id))
        session.execute(
            update(DecisionBlock)
            .where(DecisionBlock.id == block_id)
            .values(**block)
            .execution_options(synchronize_session=False)
        )
    else:
        block_id = new_id()
        put(
            session,
            DecisionBlock,
            {"id": block_id, "realm_id": realm, "company_id": vendor_id(session), **block},
        )
    codes = matrix(
        rows, [place.id for place in places], np.array([p.added_version for p in places], np.int64)
    )
    shares = due(rows, rules, _capacities(session))
    for first in range(0, len(places), WRITTEN_AT_ONCE):
        part = places[first : first + WRITTEN_AT_ONCE]
        columns = np.ascontiguousarray(codes[:, first : first + WRITTEN_AT_ONCE].T)
        put(
            session,
            DecisionColumn,
            *(
                {
                    "block_id": block_id,
                    "location_id": place.id,
                    "realm_id": realm,
                    "company_id": place.company_id,
                    "outcomes": columns[n].tobytes(),
                    "shares": shares.get(place.id),
                }
                for n, place in enumerate(part)
            ),
        )
    return len(rows), full


def matrix(rows: Sequence[Any], ids: Sequence[int], added: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Codes of decisions (rows) by location (columns, by id); `added`: the directory's version each came with."""
    found = np.full((len(rows), len(ids)), ABSENT, np.uint8)
    at = {location: n for n, location in enumerate(ids)}
    known: dict[int, NDArray[np.intp]] = {}
    for n, row in enumerate(rows):
        version = row.directory_version
        if version not in known:
            known[version] = np.nonzero(added <= version)[0]
        gates = np.frombuffer(zlib.decompress(row.gates), np.uint8)
        found[n, known[version][: len(gates)]] = gates[: len(known[version])]
        if row.chosen_location_id in at:
            found[n, at[row.chosen_location_id]] = CHOSEN
    return found


def _rule_sets(session: PortalSession, versions: Iterable[int]) -> dict[int, RuleSet]:
    """The rule sets that these decisions named."""
    query = select(RuleSetRow.version, RuleSetRow.body).where(
        RuleSetRow.realm_id == session.context.realm_id,
        RuleSetRow.subject_type == "lead",
        RuleSetRow.version.in_(set(versions)),
    )
    return {row.version: RuleSet.parse(row.body) for row in session.execute(query)}


def due(
    rows: Iterable[Any], rules: Mapping[int, RuleSet], capacity: Mapping[int, int]
) -> dict[int, dict[str, int]]:
    """Location -> day -> the turns that were its due, in millionths: of each decision one turn, shared by weight among
    those whose score without fairness is within the fairness weight of the best (rules/ranking.py).

    Read from the ranking that the decision kept, so beyond its first places nobody has a share. Where bands stand before
    the score, or something else orders them, the ranking alone does not say who was in the running: no share either.
    """
    found: dict[int, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        of = rules.get(row.rule_set_version)
        if of is None or not row.top or of.score.order != "score" or len(of.score.bands) > 1:
            continue
        base = {int(one["id"]): one["score"] - dict(one["terms"]).get("fairness", 0) for one in row.top}
        least = max(base.values()) - of.score.fairness.weight * POINT
        by_capacity = of.score.fairness.share == "capacity"
        weight = {
            i: max(1, capacity.get(i, 1)) if by_capacity else 1 for i, score in base.items() if score >= least
        }
        every, day = sum(weight.values()), row.as_of.date().isoformat()
        for location, own in weight.items():
            found[location][day] += round(MILLION * own / every)
    return found


def _capacities(session: PortalSession) -> dict[int, int]:
    query = select(LocationFact.location_id, LocationFact.capacity).where(
        LocationFact.realm_id == session.context.realm_id, LocationFact.valid_to.is_(None)
    )
    return {row.location_id: row.capacity for row in session.execute(query)}


def _facts(session: PortalSession, rows: Sequence[Any], rules: Mapping[int, RuleSet]) -> list[dict[str, Any]]:
    """Of each decision what an offer view may show: day, region, lines, certifications asked for, band; the number is
    for whom it was offered to."""
    leads = {row.subject_id for row in rows}
    numbers = {row.id: row.number for row in session.execute(NUMBERS, {"ids": list(leads)})}
    return [
        _fact(row.request, row.as_of, rules.get(row.rule_set_version), numbers.get(row.subject_id))
        for row in rows
    ]


def _fact(
    request: Mapping[str, Any], as_of: datetime, rules: RuleSet | None, number: str | None
) -> dict[str, Any]:
    place, amount = request.get("place") or {}, request.get("amount_minor")
    band = None if rules is None else amount_band(rules.amount_bands, amount, request.get("currency"))
    found = {
        "day": as_of.date().isoformat(),
        "country": place.get("country"),
        "subdivision": place.get("subdivision"),
        "lines": request.get("product_lines") or [],
        "certifications": request.get("certifications") or [],
        "band": {"low": band.low, "high": band.high, "currency": band.currency} if band else None,
        "number": number,
    }
    return {key: value for key, value in found.items() if value}

"""What became of some locations in many decisions, from the blocks and, for the newest, from the decisions themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from portal.companies.models import Company, Location
from portal.db import PortalSession, sort_key
from portal.routing.blocks import ABSENT, CHOSEN, ORDER, matrix
from portal.routing.models import Decision, DecisionBlock, DecisionColumn
from rules import ALL_GATES, ELIGIBLE, EXCLUDED

MOST_TAIL = 20_000
"""Decisions that are not in a block yet and are unpacked one by one: the newest."""
MOST_COMPANIES = 20
"""Companies that one name may mean."""

CODES: Mapping[str, int] = {
    "chosen": CHOSEN,
    "ranked": ELIGIBLE,
    "excluded": EXCLUDED,
    **{gate: n for n, gate in enumerate(ALL_GATES, 1)},
}
"""What became of a location, by the name that addresses use."""
NAMES: Mapping[int, str] = {code: name for name, code in CODES.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """Decisions (ids rising) and the code of the location that came furthest in each; `left`: older ones not looked at."""

    ids: NDArray[np.int64]
    codes: NDArray[np.uint8]
    left: bool = False

    def only(self, wanted: Sequence[int]) -> "Found":
        """Those with one of these codes."""
        keep = np.isin(self.codes, np.array(wanted, np.uint8))
        return Found(self.ids[keep], self.codes[keep], self.left)

    def code(self, decision: int) -> int | None:
        """The code of a decision; None when none of the locations was there yet."""
        at = int(self.ids.searchsorted(decision))
        return int(self.codes[at]) if at < len(self.ids) and self.ids[at] == decision else None


def companies_named(session: PortalSession, words: str) -> list[tuple[int, str]]:
    """(id, name) of partners whose name is this, else of those whose name holds it; one more than MOST_COMPANIES."""
    key = sort_key(words)
    query = select(Company.id, Company.name, Company.name_key).where(
        Company.realm_id == session.context.realm_id, Company.kind != "vendor"
    )
    for condition in (Company.name_key == key, Company.name_key.contains(key, autoescape=True)):
        rows = session.execute(
            query.where(condition).order_by(Company.name_key, Company.id).limit(MOST_COMPANIES + 1)
        )
        found = [(row.id, row.name) for row in rows]
        if found:
            return found
    return []


def locations_of(session: PortalSession, companies: Sequence[int] | None, words: str = "") -> list[int]:
    """Locations of these companies (None: of all), whose name holds `words` where it is given."""
    query = select(Location.id).where(Location.realm_id == session.context.realm_id)
    if companies is not None:
        query = query.where(Location.company_id.in_(companies))
    if words:
        query = query.where(Location.name.icontains(words, autoescape=True))
    return list(session.scalars(query.order_by(Location.id)))


def outcomes(session: PortalSession, locations: Sequence[int], since: datetime, until: datetime) -> Found:
    """Of each decision from `since` up to `until` in which one of the locations was there."""
    parts = [*_in_blocks(session, locations, since, until)]
    newest, left = _tail(session, locations, since, until)
    parts.append(newest)
    ids, codes = (np.concatenate(found) for found in zip(*parts, strict=True))
    order = np.argsort(ids, kind="stable")
    return Found(ids[order], codes[order], left)


Part = tuple[NDArray[np.int64], NDArray[np.uint8]]


def furthest(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Of (decisions, locations) the code that came furthest of each decision."""
    at = ORDER[codes].argmax(axis=1)
    found: NDArray[np.uint8] = codes[np.arange(len(codes)), at]
    return found


def _there(ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> Part:
    best = furthest(codes)
    there = best != ABSENT
    return ids[there], best[there]


def _in_blocks(
    session: PortalSession, locations: Sequence[int], since: datetime, until: datetime
) -> list[Part]:
    realm = session.context.realm_id
    blocks = select(DecisionBlock.id, DecisionBlock.decisions).where(
        DecisionBlock.realm_id == realm, DecisionBlock.last_at >= since, DecisionBlock.first_at < until
    )
    found = session.execute(blocks.order_by(DecisionBlock.last_id)).all()
    if not found:
        return []
    columns: dict[int, list[bytes]] = {}
    query = select(DecisionColumn.block_id, DecisionColumn.outcomes).where(
        DecisionColumn.block_id.in_([row.id for row in found]), DecisionColumn.location_id.in_(locations)
    )
    for row in session.execute(query):
        columns.setdefault(row.block_id, []).append(row.outcomes)
    return [
        _there(
            np.array(row.decisions, np.int64),
            np.stack([np.frombuffer(one, np.uint8) for one in columns[row.id]], axis=1),
        )
        for row in found
        if row.id in columns
    ]


def _tail(
    session: PortalSession, locations: Sequence[int], since: datetime, until: datetime
) -> tuple[Part, bool]:
    """The decisions that came after the last block."""
    realm = session.context.realm_id
    last = select(DecisionBlock.last_id).where(DecisionBlock.realm_id == realm)
    written = session.execute(last.order_by(DecisionBlock.last_id.desc()).limit(1)).scalar() or 0
    query = select(
        Decision.id, Decision.directory_version, Decision.gates, Decision.chosen_location_id
    ).where(
        Decision.realm_id == realm,
        Decision.subject_type == "lead",
        Decision.id > written,
        Decision.as_of >= since,
        Decision.as_of < until,
    )
    rows = session.execute(query.order_by(Decision.id.desc()).limit(MOST_TAIL + 1)).all()
    shown = rows[:MOST_TAIL][::-1]
    if not shown:
        return (np.empty(0, np.int64), np.empty(0, np.uint8)), False
    places = session.execute(
        select(Location.id, Location.added_version).where(Location.realm_id == realm).order_by(Location.id)
    ).all()
    ids = [place.id for place in places]
    asked = np.searchsorted(np.array(ids, np.int64), np.array(locations, np.int64))
    added = np.array([place.added_version for place in places], np.int64)
    parts = []
    for first in range(0, len(shown), 1000):  # a thousand rows of every location in memory at a time
        rows_now = shown[first : first + 1000]
        codes = matrix(rows_now, ids, added)[:, asked]
        parts.append(_there(np.array([row.id for row in rows_now], np.int64), codes))
    found, codes = (np.concatenate(part) for part in zip(*parts, strict=True))
    return (found, codes), len(rows) > MOST_TAIL

"""What routing needs of the directory, kept per process and realm, and read anew when its version has moved.

Read under the vendor's (or `system`'s) context. The version is read first, with the context (app.enter), and
locations added later are left out, so a snapshot never holds less or more candidates than its version says.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import or_, select, text
from sqlalchemy.engine import Engine

from portal.clocks import calendars
from portal.db import PortalSession
from portal.errors import Conflict, NotFound
from portal.partners.models import Authorisation, Certification, Territory
from portal.routing.models import RuleSetRow
from rules import Calendar, Candidate, RuleSet, Snapshot, canonical_json
from rules import Certification as HeldCertification
from rules import Plan as Compiled
from rules import Territory as Area


class NoRuleSet(Conflict):
    """Nothing can be decided yet."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule set over a snapshot, ready to decide."""

    version: int
    rules: RuleSet
    rule_set_version: int
    snapshot: Snapshot
    engine: Compiled


# Facts without an end are valid at this time too: the current ones, whatever the realm's clock says.
LATEST = datetime(9999, 1, 1, tzinfo=UTC)

_loading = Lock()
_plans: WeakKeyDictionary[Engine, dict[int, Plan]] = WeakKeyDictionary()


def plan(session: PortalSession, version: int | None = None) -> Plan:
    """The plan of the session's realm at `version` of the directory (default: the transaction's)."""
    ctx = session.context
    wanted = ctx.directory_version if version is None else version
    bind = session.get_bind()
    kept = _plans.setdefault(bind.engine, {})
    found = kept.get(ctx.realm_id)
    if found is None or found.version < wanted:
        with _loading:  # whoever else wants it meanwhile waits for this reading of it, which takes a second
            found = kept.get(ctx.realm_id)
            if found is None or found.version < wanted:
                found = kept[ctx.realm_id] = load(session, wanted, found)
    return found


def current_version(session: PortalSession) -> int:
    """The directory's version now, not when the transaction began."""
    found: int = session.execute(
        text("select version from directory_versions where realm_id = :r"), {"r": session.context.realm_id}
    ).scalar_one()
    return found


def load(session: PortalSession, version: int, before: Plan | None = None) -> Plan:
    """Read everything; five queries. What differs from the plan `before` changes its engine, which is not made again."""
    row = published(session)
    rules = RuleSet.parse(row.body)
    snapshot = Snapshot(version, tuple(_candidates(session, version, LATEST)))
    follows = before is not None and before.rules.hash == rules.hash
    engine = before.engine.followed_by(snapshot) if before and follows else Compiled(rules, snapshot)
    return Plan(version, rules, row.version, engine.snapshot, engine)


def published(session: PortalSession, subject_type: str = "lead") -> RuleSetRow:
    """The rule set in force; Conflict when none has been published."""
    found = session.scalars(
        select(RuleSetRow).where(
            RuleSetRow.realm_id == session.context.realm_id,
            RuleSetRow.subject_type == subject_type,
            RuleSetRow.state == "published",
        )
    ).first()
    if found is None:
        raise NoRuleSet(
            "No rule set is published, so nothing can be routed. Publish one first.", "no_rule_set"
        )
    return found


def plan_at(
    session: PortalSession, version: int, moment: datetime, rule_set_version: int, before: Plan | None = None
) -> Plan:
    """The plan of a past decision: the rule set it named over the facts that were valid then; NotFound without it.

    `version` leaves out locations added later, so that positions are those of the decision's stored gate bytes. What
    differs from the plan `before` changes its engine, which is not made again.
    """
    row = session.scalars(
        select(RuleSetRow).where(
            RuleSetRow.realm_id == session.context.realm_id,
            RuleSetRow.subject_type == "lead",
            RuleSetRow.version == rule_set_version,
        )
    ).first()
    if row is None:
        raise NotFound
    rules = RuleSet.parse(row.body)
    snapshot = Snapshot(version, tuple(_candidates(session, version, moment)))
    follows = before is not None and before.rules.hash == rules.hash
    engine = before.engine.followed_by(snapshot) if before and follows else Compiled(rules, snapshot)
    return Plan(version, rules, row.version, engine.snapshot, engine)


CANDIDATES = text("""
    select l.id, l.company_id, c.name, s.status, s.level, f.lat, f.lon, f.country, f.capacity, f.calendar, f.active,
           exists (select 1 from agreements a where a.company_id = l.company_id and a.version = r.agreement_version
                   and a.valid_from <= :at and (a.valid_to is null or a.valid_to > :at)) as accepted
    from locations l
    join companies c on c.id = l.company_id and c.kind <> 'vendor'
    join realms r on r.id = l.realm_id
    join location_facts f on f.location_id = l.id and f.valid_from <= :at and (f.valid_to is null or f.valid_to > :at)
    left join standings s on s.company_id = l.company_id
         and s.valid_from <= :at and (s.valid_to is null or s.valid_to > :at)
    where l.realm_id = :realm and l.added_version <= :version
    order by l.id
""")


def _candidates(session: PortalSession, version: int, at: datetime) -> list[Candidate]:
    realm = session.context.realm_id
    territories: dict[int, list[Area]] = defaultdict(list)
    for t in _valid(session, Territory, realm, at):
        territories[t.location_id].append(Area(t.kind, t.country, t.code, t.lat, t.lon, t.radius_km))
    held: dict[int, list[HeldCertification]] = defaultdict(list)
    for c in _valid(session, Certification, realm, at):
        issued = c.issued or c.valid_from.date()
        held[c.company_id].append(HeldCertification(c.programme, c.level, issued, c.expires, c.product_line))
    lines: dict[int, set[str]] = defaultdict(set)
    for a in _valid(session, Authorisation, realm, at):
        lines[a.company_id].add(a.product_line)
    rows = session.execute(CANDIDATES, {"realm": realm, "version": version, "at": at})
    # One object for equal calendars: a thousand locations often share a handful.
    seen: dict[str, Calendar] = {}

    def calendar_of(stored: dict[str, Any]) -> Calendar:
        key = canonical_json(stored)
        if key not in seen:
            seen[key] = calendars.load(stored)
        return seen[key]

    return [
        Candidate(
            id=row.id,
            company_id=row.company_id,
            name=row.name,
            active=row.status == "active" and row.active,
            agreement_accepted=row.accepted,
            level=row.level,
            lat=row.lat,
            lon=row.lon,
            country=row.country,
            territories=tuple(territories[row.id]),
            certifications=tuple(held[row.company_id]),
            product_lines=frozenset(lines[row.company_id]),
            capacity=row.capacity,
            calendar=calendar_of(row.calendar),
        )
        for row in rows
    ]


def _valid(session: PortalSession, table: Any, realm: int, at: datetime) -> Any:
    """Rows valid at `at`, as plain columns."""
    columns = [column for column in table.__table__.c if column.name not in ("id", "realm_id", "valid_to")]
    ends = or_(table.valid_to.is_(None), table.valid_to > at)
    return session.execute(select(*columns).where(table.realm_id == realm, table.valid_from <= at, ends))

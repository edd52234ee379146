"""Writes many partners in a fixed number of statements: what PartnerImport does with a chunk of checked records."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from portal.companies import dated, queries
from portal.companies.models import Company, Location, LocationFact
from portal.db import PortalSession, new_id, sort_key
from portal.events.log import event_row
from portal.events.models import Event
from portal.events.work import enqueue
from portal.partners.models import Agreement, Standing, Territory
from portal.routing.models import RoutingState

CURRENT = "current"
COMPANY = ("name", "website", "phone", "description")
PLACE = ("street", "city", "postal", "subdivision", "country", "lat", "lon", "precision", "phone")
DECLARED = ("capacity", "calendar", "active")
AREA = ("kind", "country", "code", "lat", "lon", "radius_km")

Record = dict[str, Any]


def lock(session: PortalSession, keys: Sequence[str]) -> dict[str, int]:
    """key -> company id of the partners that exist, their rows locked in id order."""
    query = (
        select(Company.external_key, Company.id)
        .where(
            Company.realm_id == session.context.realm_id,
            Company.kind == "partner",
            Company.external_key.in_(keys),
        )
        .order_by(Company.id)
        .with_for_update()
    )
    return {str(key): int(id_) for key, id_ in session.execute(query)}


def update_companies(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    """Companies whose own facts differ from what the file says; their ids."""
    if not records:
        return set()
    query = select(Company).where(Company.id.in_([ids[r["key"]] for r in records]))
    held = {company.id: company for company in session.execute(query).scalars()}
    rows = []
    for record in records:
        company = held[ids[record["key"]]]
        wanted = {name: record["company"].get(name, getattr(company, name)) for name in COMPANY}
        if any(getattr(company, name) != wanted[name] for name in COMPANY):
            rows.append({"b_id": company.id, **wanted, "name_key": sort_key(wanted["name"])})
    if rows:
        values: dict[str, Any] = {name: bindparam(name) for name in (*COMPANY, "name_key")}
        table: Any = Company.__table__
        statement = update(table).where(table.c.id == bindparam("b_id"))
        session.execute(statement.values(**values, updated_at=session.context.now), rows)
    return {row["b_id"] for row in rows}


def add_companies(session: PortalSession, records: Sequence[Record], ids: dict[str, int]) -> None:
    """New companies with standing and agreement; their ids go into `ids`."""
    if not records:
        return
    ctx = session.context
    current = queries.agreement_version(session)
    companies, standings, agreements = [], [], []
    for record in records:
        company = ids[record["key"]] = new_id()
        zone = next((p["first"]["calendar"]["time_zone"] for p in record["locations"]), "UTC")
        companies.append(
            {
                **dict.fromkeys(COMPANY),
                **record["company"],
                "id": company,
                "realm_id": ctx.realm_id,
                "kind": "partner",
                "external_key": record["key"],
                "name_key": sort_key(record["company"]["name"]),
                "language": "en",
                "time_zone": zone,
                "created_at": ctx.now,
                "updated_at": ctx.now,
            }
        )
        status = record.get("status", "active")
        standings.append({"company_id": company, "status": status, "level": record.get("level")})
        if "agreement" in record:
            agreements.append({"company_id": company, **_agreement(record["agreement"], current, ctx)})
    session.execute(insert(Company), companies)
    dated.open_rows(session, Standing, standings)
    dated.open_rows(session, Agreement, agreements)


def _agreement(given: Mapping[str, Any], current: str, ctx: Any) -> Record:
    day = given.get("accepted_on")
    since = min(datetime.combine(day, time(), UTC), ctx.now) if day else ctx.now
    return {
        "version": current if given.get("version", CURRENT) == CURRENT else given["version"],
        "how": "import",
        "accepted_by": ctx.person_id,
        "valid_from": since,
    }


def put_locations(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    """Locations as the file says; one that it does not name stays. The companies changed."""
    pairs = [(ids[record["key"]], record, place) for record in records for place in record["locations"]]
    if not pairs:
        return set()
    query = select(Location.company_id, Location.key, Location.id).where(
        Location.company_id.in_({company for company, _, _ in pairs})
    )
    at = {(int(company), str(key)): int(id_) for company, key, id_ in session.execute(query)}
    new = [pair for pair in pairs if (pair[0], pair[2]["key"]) not in at]
    _add_locations(session, new, at)
    owner = {at[company, place["key"]]: company for company, _, place in pairs}
    made = {at[company, place["key"]] for company, _, place in new}
    wanted = []
    for company, _record, place in pairs:
        location = at[company, place["key"]]
        holds = place["first"] if location in made else place["said"]
        wanted.append({"company_id": company, "location_id": location, **holds})
    moved = dated.put_all(
        session, LocationFact, LocationFact.location_id, list(owner), wanted, keep=(*PLACE, *DECLARED)
    )
    moved |= _put_territories(session, [pair for pair in pairs if pair[2]["areas_said"]], at)
    return {owner[location] for location in moved}


def _add_locations(
    session: PortalSession,
    pairs: Sequence[tuple[int, Record, Record]],
    at: dict[tuple[int, str], int],
) -> None:
    """New locations with territories and counters; their ids go into `at`. Their facts follow in put_all."""
    if not pairs:
        return
    ctx = session.context
    version = session.execute(select(func.app.next_directory_version(ctx.realm_id))).scalar_one()
    locations, states, areas = [], [], []
    for company, record, place in pairs:
        location = at[company, place["key"]] = new_id()
        name = place["name"] or place["said"].get("city") or record["company"].get("name") or place["key"]
        locations.append(
            {
                "id": location,
                "realm_id": ctx.realm_id,
                "company_id": company,
                "key": place["key"],
                "name": name,
                "added_version": version,
                "created_at": ctx.now,
            }
        )
        here = {"company_id": company, "location_id": location}
        states.append({**here, "realm_id": ctx.realm_id, "open": 0, "credit": 0})
        areas += [{**here, **{n: getattr(area, n) for n in AREA}} for area in place["territories"]]
    session.execute(insert(Location), locations)
    session.execute(insert(RoutingState), states)
    dated.open_rows(session, Territory, areas)


def _put_territories(
    session: PortalSession,
    pairs: Sequence[tuple[int, Record, Record]],
    at: Mapping[tuple[int, str], int],
) -> set[int]:
    """Territories of locations as the file says; the locations changed."""
    wanted = [
        {
            "company_id": company,
            "location_id": at[company, place["key"]],
            **{name: getattr(area, name) for name in AREA},
        }
        for company, _, place in pairs
        for area in place["territories"]
    ]
    scopes = [at[company, place["key"]] for company, _, place in pairs]
    return dated.put_all(session, Territory, Territory.location_id, scopes, wanted)


def put_standings(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    """Status and level as the file says. Who stops working loses its open leads, as by hand."""
    wanted = [{"company_id": ids[r["key"]], **r["standing"]} for r in records]
    scopes = [row["company_id"] for row in wanted]
    changed = dated.put_all(session, Standing, Standing.company_id, scopes, wanted, keep=("status", "level"))
    for row in wanted:
        if row["company_id"] in changed and row.get("status") in ("suspended", "ended"):
            enqueue(session, "leads.pull_back", {"company_id": row["company_id"]})
    return changed


def events(session: PortalSession, new: set[int], changed: set[int]) -> None:
    """One event for each company that is new or changed."""
    vendor = queries.vendor_id(session)
    told = [(company, "partner.created") for company in sorted(new)]
    told += [(company, "partner.changed") for company in sorted(changed - new)]
    rows = [
        event_row(
            session, type_, ("company", company), [vendor, company], {"how": "import"}, company_id=vendor
        )
        for company, type_ in told
    ]
    if rows:
        session.execute(insert(Event), rows)

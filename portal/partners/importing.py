"""Writes partners from a file: companies, locations, certifications, authorisations; the catalogue grows with them.

What the file says of a partner (name, address, level, certifications, lines) is brought up to date on every run; what it
does not say stays. Status, capacity, calendar, territories and agreement, which mappings declare because most files are
silent on them, are set once, when the partner or location is made, so that no import undoes what people changed since.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import bindparam, func, insert, or_, select, update

from portal.clocks.calendars import office_hours
from portal.companies import dated, facts, queries
from portal.companies.actions import DEFAULT_CAPACITY
from portal.companies.models import Company, Location, LocationFact
from portal.db import PortalSession, new_id, sort_key
from portal.errors import Invalid
from portal.events.log import event_row
from portal.events.models import Event
from portal.imports.actions import Outcome
from portal.partners.actions import STATUSES, Area, checked_area
from portal.partners.models import (
    Agreement,
    Authorisation,
    Certification,
    Level,
    ProductLine,
    Programme,
    Standing,
    Territory,
)
from portal.routing.models import RoutingState

MAIN = "main"
COMPANY = ("name", "website", "phone", "description")
PLACE = ("street", "city", "postal", "subdivision", "country", "lat", "lon", "precision", "phone")
DECLARED = ("capacity", "calendar", "active")
CERTIFICATE = ("programme", "level", "number", "issued", "expires", "product_line")
AREA = ("kind", "country", "code", "lat", "lon", "radius_km")

Record = dict[str, Any]


class PartnerImport:
    """Imports PartnerRecords; remembers the keys, programmes and lines of this file."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.known: dict[Any, set[str]] = {}
        self.programmes: set[str] = set()
        self.lines: set[str] = set()

    def apply(self, session: PortalSession, records: list[tuple[int, Any]]) -> list[Outcome]:
        """Write a chunk in a fixed number of statements; one outcome per record, in order."""
        good: list[tuple[int, Record]] = []
        outcomes: dict[int, Outcome] = {}
        for number, record in records:
            try:
                good.append((number, self._checked(number, record)))
            except (Invalid, ValueError) as error:
                outcomes[number] = Outcome(number, "wrong", str(error))
        if good:
            changed, new = self._write(session, [record for _, record in good])
            for number, record in good:
                key = record["key"]
                result = "new" if key in new else "changed" if key in changed else "same"
                outcomes[number] = Outcome(number, result)  # type: ignore[arg-type]
        return [outcomes[number] for number, _ in records]

    def _checked(self, number: int, record: Mapping[str, Any]) -> Record:
        """The record in stored forms; Invalid or ValueError with the reason."""
        key = record["external_key"]
        if key in self.rows:
            raise ValueError(
                f"external_key: {key!r} stands in row {self.rows[key]} already; keep one of them"
            )
        if record.get("status", "active") not in STATUSES:
            raise ValueError(f"status: {record['status']!r} is none of {', '.join(STATUSES)}")
        erased = {name: None for name in record.get("erase", ()) if name in COMPANY and name != "name"}
        made = {
            **record,
            "key": key,
            "company": {
                **facts.company({name: record[name] for name in COMPANY if name in record}),
                **erased,
            },
            "locations": [_checked_location(given) for given in record.get("locations", ())],
        }
        self.rows[key] = number
        return made

    def _write(self, session: PortalSession, records: Sequence[Record]) -> tuple[set[str], set[str]]:
        """Bring the database to what the records say; (keys changed, keys new)."""
        self._catalogue(session, records)
        ids = _lock(session, [record["key"] for record in records])
        new = [record for record in records if record["key"] not in ids]
        changed = _update_companies(session, [r for r in records if r["key"] in ids], ids)
        _add_companies(session, new, ids)
        changed |= _put_locations(session, records, ids)
        changed |= _put_levels(session, [r for r in records if r.get("level") and r not in new], ids)
        changed |= self._put_certifications(session, records, ids)
        changed |= self._put_lines(session, records, ids)
        fresh = {record["key"] for record in new}
        _events(session, {ids[key] for key in fresh}, changed)
        return {key for key, id_ in ids.items() if id_ in changed}, fresh

    def _catalogue(self, session: PortalSession, records: Iterable[Record]) -> None:
        """Lines, programmes and levels that the records name and nobody knows yet; without a name it is the code."""
        lines: dict[str, str] = {}
        programmes: dict[str, str] = {}
        levels: dict[str, str] = {}
        for record in records:
            for line in record.get("product_lines", ()):
                lines[line["code"]] = line.get("name") or lines.get(line["code"], line["code"])
            for certificate in record.get("certifications", ()):
                programmes[certificate["programme"]] = certificate["programme"]
                if certificate.get("product_line"):
                    lines.setdefault(certificate["product_line"], certificate["product_line"])
            if record.get("level"):
                levels[record["level"]] = record["level"]
        self.lines |= set(lines)
        self.programmes |= set(programmes)
        self._codes(session, ProductLine, lines)
        self._codes(session, Programme, programmes)
        self._codes(session, Level, levels, rank=0)

    def _codes(self, session: PortalSession, model: Any, wanted: Mapping[str, str], **more: Any) -> None:
        realm = session.context.realm_id
        if model not in self.known:
            query = select(model.code).where(model.realm_id == realm)
            self.known[model] = set(session.execute(query).scalars())
        missing = sorted(set(wanted) - self.known[model])
        if missing:
            rows = [
                {"id": new_id(), "realm_id": realm, "code": code, "name": wanted[code], **more}
                for code in missing
            ]
            session.execute(insert(model), rows)
            self.known[model] |= set(missing)

    def _put_certifications(
        self, session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]
    ) -> set[int]:
        """Certifications as the file says. One that it no longer says ends when it is of a programme of this file."""
        said = [record for record in records if "certifications" in record]
        wanted = [
            {"company_id": ids[r["key"]], **{name: c.get(name) for name in CERTIFICATE}}
            for r in said
            for c in r["certifications"]
        ]
        numbers = {row["number"] for row in wanted if row["number"]}
        within = or_(Certification.programme.in_(self.programmes), Certification.number.in_(numbers))
        scopes = [ids[record["key"]] for record in said]
        return dated.put_all(session, Certification, Certification.company_id, scopes, wanted, within=within)

    def _put_lines(
        self, session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]
    ) -> set[int]:
        """Authorisations as the file says; one that it no longer says ends when other rows still name the line."""
        said = [record for record in records if "product_lines" in record]
        wanted = [
            {"company_id": ids[r["key"]], "product_line": code}
            for r in said
            for code in sorted({line["code"] for line in r["product_lines"]})
        ]
        within = Authorisation.product_line.in_(self.lines)
        scopes = [ids[record["key"]] for record in said]
        return dated.put_all(session, Authorisation, Authorisation.company_id, scopes, wanted, within=within)


def _checked_location(given: Mapping[str, Any]) -> Record:
    """A location in its stored form: what the file says of it, and what holds when it is made."""
    calendar = given.get("calendar") or office_hours("UTC")
    capacity = given["capacity"] if given.get("capacity") is not None else DEFAULT_CAPACITY
    return {
        "key": given.get("key") or MAIN,
        "name": given.get("name"),
        "said": facts.location({name: given[name] for name in PLACE if name in given}),
        "declared": facts.location({"capacity": capacity, "calendar": calendar, "active": True}),
        "territories": [
            checked_area(Area(**{name: area.get(name) for name in AREA}))
            for area in given.get("territories", ())
        ],
    }


def _lock(session: PortalSession, keys: Sequence[str]) -> dict[str, int]:
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
    return {str(key): int(id_) for key, id_ in session.execute(query).tuples()}


def _update_companies(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
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
        values = {name: bindparam(name) for name in (*COMPANY, "name_key")}
        table = Company.__table__
        statement = update(table).where(table.c.id == bindparam("b_id"))
        session.execute(statement.values(**values, updated_at=session.context.now), rows)
    return {row["b_id"] for row in rows}


def _add_companies(session: PortalSession, records: Sequence[Record], ids: dict[str, int]) -> None:
    """New companies with standing and agreement; their ids go into `ids`."""
    if not records:
        return
    ctx = session.context
    current = queries.agreement_version(session)
    companies, standings, agreements = [], [], []
    for record in records:
        company = ids[record["key"]] = new_id()
        zone = next((p["declared"]["calendar"]["time_zone"] for p in record["locations"]), "UTC")
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
        "version": given.get("version") or current,
        "how": "import",
        "accepted_by": ctx.person_id,
        "valid_from": since,
    }


def _put_locations(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    """Locations as the file says; one that it does not name stays. The companies changed."""
    pairs = [(ids[record["key"]], record, place) for record in records for place in record["locations"]]
    if not pairs:
        return set()
    query = select(Location.company_id, Location.key, Location.id).where(
        Location.company_id.in_({company for company, _, _ in pairs})
    )
    at = {(int(company), str(key)): int(id_) for company, key, id_ in session.execute(query).tuples()}
    new = [pair for pair in pairs if (pair[0], pair[2]["key"]) not in at]
    _add_locations(session, new, at)
    owner = {at[company, place["key"]]: company for company, _, place in pairs}
    made = {at[company, place["key"]] for company, _, place in new}
    wanted = []
    for company, _record, place in pairs:
        location = at[company, place["key"]]
        declared = place["declared"] if location in made else {}
        wanted.append({"company_id": company, "location_id": location, **place["said"], **declared})
    moved = dated.put_all(
        session, LocationFact, LocationFact.location_id, list(owner), wanted, keep=(*PLACE, *DECLARED)
    )
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


def _put_levels(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    wanted = [{"company_id": ids[r["key"]], "level": r["level"]} for r in records]
    scopes = [row["company_id"] for row in wanted]
    return dated.put_all(session, Standing, Standing.company_id, scopes, wanted, keep=("status",))


def _events(session: PortalSession, new: set[int], changed: set[int]) -> None:
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

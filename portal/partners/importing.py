"""Writes partners from a file: companies, locations, certifications, authorisations; the catalogue grows with them.

What the file says of a partner is brought up to date on every run; what it does not say stays. What the mapping declares
because the file is silent (Maryland: status, level, capacity, calendar, territories, agreement) is set once, when the
partner or location is made, so that no import undoes what people have changed since.
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
from portal.events.work import enqueue
from portal.imports.actions import Outcome
from portal.imports.mapping import Mapping as Mapping_
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
CURRENT = "current"
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
        self.declared: frozenset[str] = frozenset()
        self.names: dict[str, str] = {}
        self.levels: dict[str, tuple[str, int]] = {}

    def prepare(self, mapping: Mapping_) -> None:
        """Take from the mapping what it declares and how it names codes."""
        self.declared = frozenset(mapping.declare)
        self.names = dict(mapping.catalogue.programmes)
        self.levels = {code: (level.name, level.rank) for code, level in mapping.catalogue.levels.items()}

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
            "standing": {
                name: record[name]
                for name in ("status", "level")
                if name in record and name not in self.declared
            },
            "locations": [
                _checked_location(given, self._declared_at(number))
                for number, given in enumerate(record.get("locations", ()))
            ],
        }
        self.rows[key] = number
        return made

    def _declared_at(self, number: int) -> frozenset[str]:
        """Fields of the location at this place of the list that the mapping declares."""
        start = f"locations.{number}."
        return frozenset(path.removeprefix(start) for path in self.declared if path.startswith(start))

    def _write(self, session: PortalSession, records: Sequence[Record]) -> tuple[set[str], set[str]]:
        """Bring the database to what the records say; (keys changed, keys new)."""
        self._catalogue(session, records)
        ids = _lock(session, [record["key"] for record in records])
        new = [record for record in records if record["key"] not in ids]
        changed = _update_companies(session, [r for r in records if r["key"] in ids], ids)
        _add_companies(session, new, ids)
        changed |= _put_locations(session, records, ids)
        changed |= _put_standings(session, [r for r in records if r["standing"] and r not in new], ids)
        changed |= self._put_certifications(session, records, ids)
        changed |= self._put_lines(session, records, ids)
        fresh = {record["key"] for record in new}
        _events(session, {ids[key] for key in fresh}, changed)
        return {key for key, id_ in ids.items() if id_ in changed}, fresh

    def _catalogue(self, session: PortalSession, records: Iterable[Record]) -> None:
        """Lines, programmes and levels that the records name and nobody knows yet; without a name it is the code."""
        lines: dict[str, str] = {}
        programmes: dict[str, str] = {}
        levels: set[str] = set()
        for record in records:
            for line in record.get("product_lines", ()):
                lines[line["code"]] = line.get("name") or lines.get(line["code"], line["code"])
            for certificate in record.get("certifications", ()):
                code = certificate["programme"]
                programmes[code] = self.names.get(code, code)
                if certificate.get("product_line"):
                    lines.setdefault(certificate["product_line"], certificate["product_line"])
            if record.get("level"):
                levels.add(record["level"])
        self.lines |= set(lines)
        self.programmes |= set(programmes)
        self._codes(session, ProductLine, lines)
        self._codes(session, Programme, programmes)
        named = {code: self.levels.get(code, (code, 0)) for code in levels}
        ranks = {code: {"rank": rank} for code, (_, rank) in named.items()}
        self._codes(session, Level, {code: name for code, (name, _) in named.items()}, ranks)

    def _codes(
        self,
        session: PortalSession,
        model: Any,
        wanted: Mapping[str, str],
        more: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        """Insert the codes (code -> name) that nobody knows; `more` holds further columns by code."""
        realm = session.context.realm_id
        if model not in self.known:
            query = select(model.code).where(model.realm_id == realm)
            self.known[model] = set(session.execute(query).scalars())
        missing = sorted(set(wanted) - self.known[model])
        if missing:
            rows = [
                {
                    "id": new_id(),
                    "realm_id": realm,
                    "code": code,
                    "name": wanted[code],
                    **(more or {}).get(code, {}),
                }
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


def _checked_location(given: Mapping[str, Any], declared: frozenset[str]) -> Record:
    """A location in its stored form: `said` holds what the file says, `first` what holds when it is made."""
    made = facts.location({name: given[name] for name in (*PLACE, *DECLARED) if name in given})
    first = {"capacity": DEFAULT_CAPACITY, "calendar": office_hours("UTC"), "active": True}
    areas = [Area(**{name: area.get(name) for name in AREA}) for area in given.get("territories", ())]
    return {
        "key": given.get("key") or MAIN,
        "name": given.get("name"),
        "said": {name: value for name, value in made.items() if name not in declared},
        "first": first | made,
        "territories": [checked_area(area) for area in areas],
        "areas_said": "territories" in given and "territories" not in declared,
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
    return {str(key): int(id_) for key, id_ in session.execute(query)}


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


def _put_locations(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
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


def _put_standings(session: PortalSession, records: Sequence[Record], ids: Mapping[str, int]) -> set[int]:
    """Status and level as the file says. Who stops working loses its open leads, as by hand."""
    wanted = [{"company_id": ids[r["key"]], **r["standing"]} for r in records]
    scopes = [row["company_id"] for row in wanted]
    changed = dated.put_all(session, Standing, Standing.company_id, scopes, wanted, keep=("status", "level"))
    for row in wanted:
        if row["company_id"] in changed and row.get("status") in ("suspended", "ended"):
            enqueue(session, "leads.pull_back", {"company_id": row["company_id"]})
    return changed


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

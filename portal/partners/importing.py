"""Writes partners from a file: companies, locations, certifications, authorisations; the catalogue grows with them.

What the file says of a partner is brought up to date on every run; what it does not say stays. What the mapping declares
because the file is silent (Maryland: status, level, capacity, calendar, territories, agreement) is set once, when the
partner or location is made, so that no import undoes what people have changed since.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import insert, or_, select

from portal.clocks.calendars import office_hours
from portal.companies import dated, facts
from portal.companies.actions import DEFAULT_CAPACITY
from portal.db import PortalSession, new_id
from portal.errors import Invalid
from portal.imports.actions import Outcome
from portal.imports.mapping import Mapping as Mapping_
from portal.partners import bulk
from portal.partners.actions import STATUSES, Area, checked_area
from portal.partners.models import (
    Authorisation,
    Certification,
    Level,
    ProductLine,
    Programme,
)

MAIN = "main"
CERTIFICATE = ("programme", "level", "number", "issued", "expires", "product_line")

Record = bulk.Record


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
        erased = {name: None for name in record.get("erase", ()) if name in bulk.COMPANY and name != "name"}
        made = {
            **record,
            "key": key,
            "company": {
                **facts.company({name: record[name] for name in bulk.COMPANY if name in record}),
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
        ids = bulk.lock(session, [record["key"] for record in records])
        new = [record for record in records if record["key"] not in ids]
        changed = bulk.update_companies(session, [r for r in records if r["key"] in ids], ids)
        bulk.add_companies(session, new, ids)
        changed |= bulk.put_locations(session, records, ids)
        changed |= bulk.put_standings(session, [r for r in records if r["standing"] and r not in new], ids)
        changed |= self._put_certifications(session, records, ids)
        changed |= self._put_lines(session, records, ids)
        fresh = {record["key"] for record in new}
        bulk.events(session, {ids[key] for key in fresh}, changed)
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
    made = facts.location({name: given[name] for name in (*bulk.PLACE, *bulk.DECLARED) if name in given})
    first = {"capacity": DEFAULT_CAPACITY, "calendar": office_hours("UTC"), "active": True}
    areas = [Area(**{name: area.get(name) for name in bulk.AREA}) for area in given.get("territories", ())]
    return {
        "key": given.get("key") or MAIN,
        "name": given.get("name"),
        "said": {name: value for name, value in made.items() if name not in declared},
        "first": first | made,
        "territories": [checked_area(area) for area in areas],
        "areas_said": "territories" in given and "territories" not in declared,
    }

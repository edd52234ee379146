"""Reads partners: the vendor's table, the profile both sides look at, the export."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import Select, exists, func, select

from portal.companies import queries as companies
from portal.companies.models import Company, Location, LocationFact, Person
from portal.db import PortalSession
from portal.errors import NotFound
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

# A certificate that ends within this time is shown as lapsing: a renewal takes programmes about two months.
LAPSING = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Place:
    """One location as its page shows it."""

    location: Location
    fact: LocationFact
    territories: Sequence[Territory]
    open: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certification with its status on the day asked about: valid, lapsing, lapsed."""

    row: Certification
    status: str


@dataclass(frozen=True, slots=True)
class Profile:
    """All that vendor and partner see of a partner. `agreement` is the acceptance of the current version, if any."""

    company: Company
    status: str
    level: str | None
    level_name: str
    places: Sequence[Place]
    certificates: Sequence[Certificate]
    product_lines: Sequence[tuple[str, str]]
    agreement: Agreement | None
    agreement_by: str
    agreement_version: str
    people: Sequence[dict[str, Any]]

    @property
    def open_leads(self) -> int:
        """Offers and leads in hand, all locations together."""
        return sum(place.open for place in self.places)


def certificate_status(issued: date | None, expires: date | None, today: date) -> str:
    """valid, lapsing (ends within LAPSING) or lapsed; the last day still counts. A future one is not yet valid."""
    if expires is not None and expires < today:
        return "lapsed"
    if issued is not None and issued > today:
        return "lapsed"
    return "lapsing" if expires is not None and expires - today <= LAPSING else "valid"


def partner(session: PortalSession, company_id: int) -> Company:
    """A partner company; NotFound for the vendor itself and for whom the reader may not know."""
    found = companies.company(session, company_id)
    if found.kind == "vendor":
        raise NotFound
    return found


def profile(session: PortalSession, company_id: int) -> Profile:
    """One partner; NotFound for the vendor itself and for whom the reader may not know."""
    company = partner(session, company_id)
    standing = _holding(session, Standing, company_id)
    lines = select(ProductLine.code, ProductLine.name).join(
        Authorisation,
        (Authorisation.product_line == ProductLine.code) & (Authorisation.realm_id == ProductLine.realm_id),
    )
    version = companies.agreement_version(session)
    agreement = next((a for a in _holding(session, Agreement, company_id) if a.version == version), None)
    today = session.context.now.date()
    level = standing[0].level if standing else None
    return Profile(
        company=company,
        status=standing[0].status if standing else "prospect",
        level=level,
        level_name=dict(levels(session)).get(level or "", level or ""),
        places=places(session, company_id),
        certificates=[
            Certificate(row, certificate_status(row.issued, row.expires, today))
            for row in _holding(session, Certification, company_id)
        ],
        product_lines=[
            (row.code, row.name)
            for row in session.execute(
                lines.where(
                    Authorisation.company_id == company_id, Authorisation.valid_to.is_(None)
                ).order_by(ProductLine.name)
            )
        ],
        agreement=agreement,
        agreement_by=_person_name(session, agreement.accepted_by if agreement else None),
        agreement_version=version,
        people=companies.members(session, company_id),
    )


def places(session: PortalSession, company_id: int) -> list[Place]:
    """A company's locations with facts, territories and open work."""
    areas: dict[int, list[Territory]] = {}
    for area in _holding(session, Territory, company_id):
        areas.setdefault(area.location_id, []).append(area)
    states = select(RoutingState.location_id, RoutingState.open).where(RoutingState.company_id == company_id)
    load = {row.location_id: row.open for row in session.execute(states)}
    return [
        Place(location, fact, areas.get(location.id, []), load.get(location.id, 0))
        for location, fact in companies.locations(session, company_id)
    ]


def place(session: PortalSession, company_id: int, location_id: int) -> Place:
    """One location of this company; NotFound for any other."""
    found = next((p for p in places(session, company_id) if p.location.id == location_id), None)
    if found is None:
        raise NotFound
    return found


def certification(session: PortalSession, company_id: int, certification_id: int) -> Certification:
    """A certification that holds; NotFound for a foreign or ended one."""
    found: Certification = _one(session, Certification, company_id, certification_id)
    return found


def territory(session: PortalSession, company_id: int, territory_id: int) -> Territory:
    """A territory that holds; NotFound for a foreign or removed one."""
    found: Territory = _one(session, Territory, company_id, territory_id)
    return found


def programmes(session: PortalSession) -> list[tuple[str, str]]:
    """(code, name) of the certification programmes, by name."""
    return _codes(session, Programme, Programme.name)


def levels(session: PortalSession) -> list[tuple[str, str]]:
    """(code, name) of the programme levels, best first."""
    return _codes(session, Level, Level.rank.desc())


def product_lines(session: PortalSession) -> list[tuple[str, str]]:
    """(code, name) of the product lines, by name."""
    return _codes(session, ProductLine, ProductLine.name)


FIRST_PLACE = (
    select(LocationFact.company_id, func.min(LocationFact.location_id).label("location_id"))
    .where(LocationFact.valid_to.is_(None))
    .group_by(LocationFact.company_id)
    .subquery("first_place")
)
OPEN_LEADS = (
    select(func.coalesce(func.sum(RoutingState.open), 0))
    .where(RoutingState.company_id == Company.id)
    .correlate(Company)
    .scalar_subquery()
)
LOCATIONS = (
    select(func.count(Location.id))
    .where(Location.company_id == Company.id)
    .correlate(Company)
    .scalar_subquery()
)
NEXT_EXPIRY = (
    select(func.min(Certification.expires))
    .where(Certification.company_id == Company.id, Certification.valid_to.is_(None))
    .correlate(Company)
    .scalar_subquery()
)


class HoldsCertification:
    """A filter expression that is true for companies holding any of the programmes given (expired ones too)."""

    def in_(self, programmes: Sequence[str]) -> Any:
        """The condition, as the list component asks for it."""
        return exists().where(
            Certification.company_id == Company.id,
            Certification.programme.in_(programmes),
            Certification.valid_to.is_(None),
        )


def table() -> Select[Any]:
    """One row per partner: id, name, status, level, city, country, locations, open, next_expiry."""
    return (
        select(
            Company.id,
            Company.name,
            Company.external_key,
            Standing.status,
            Standing.level,
            LocationFact.city,
            LocationFact.country,
            LOCATIONS.label("locations"),
            OPEN_LEADS.label("open"),
            NEXT_EXPIRY.label("next_expiry"),
            Company.updated_at,
        )
        .join(Standing, (Standing.company_id == Company.id) & Standing.valid_to.is_(None))
        .outerjoin(FIRST_PLACE, FIRST_PLACE.c.company_id == Company.id)
        .outerjoin(
            LocationFact,
            (LocationFact.location_id == FIRST_PLACE.c.location_id) & LocationFact.valid_to.is_(None),
        )
        .where(Company.kind != "vendor")
    )


def countries(session: PortalSession) -> list[str]:
    """The countries in which partners have locations."""
    query = (
        select(LocationFact.country)
        .where(LocationFact.valid_to.is_(None), LocationFact.country.is_not(None))
        .distinct()
        .order_by(LocationFact.country)
    )
    return [str(code) for code in session.execute(query).scalars()]


def export(session: PortalSession) -> Iterator[Mapping[str, Any]]:
    """Every partner location with what routing knows of it, by name."""
    certificates: dict[int, list[str]] = {}
    rows = select(Certification).where(Certification.valid_to.is_(None)).order_by(Certification.programme)
    for c in session.execute(rows).scalars():
        until = f" until {c.expires}" if c.expires else ""
        certificates.setdefault(c.company_id, []).append(
            f"{c.programme}{f' {c.product_line}' if c.product_line else ''}{until}"
        )
    query = (
        select(Company, Location, LocationFact, Standing)
        .join(Location, Location.company_id == Company.id)
        .join(LocationFact, (LocationFact.location_id == Location.id) & LocationFact.valid_to.is_(None))
        .join(Standing, (Standing.company_id == Company.id) & Standing.valid_to.is_(None))
        .order_by(Company.name_key, Location.id)
    )
    for company, location, fact, standing in session.execute(query):
        yield {
            "company": company.name,
            "key": company.external_key,
            "status": standing.status,
            "level": standing.level,
            "location": location.name,
            "street": fact.street,
            "postal": fact.postal,
            "city": fact.city,
            "subdivision": fact.subdivision,
            "country": fact.country,
            "lat": fact.lat,
            "lon": fact.lon,
            "precision": fact.precision,
            "capacity": fact.capacity,
            "certifications": "; ".join(certificates.get(company.id, ())),
        }


def _holding(session: PortalSession, model: Any, company_id: int) -> Sequence[Any]:
    query = select(model).where(model.company_id == company_id, model.valid_to.is_(None)).order_by(model.id)
    return session.execute(query).scalars().all()


def _one(session: PortalSession, model: Any, company_id: int, row_id: int) -> Any:
    query = select(model).where(model.id == row_id, model.company_id == company_id, model.valid_to.is_(None))
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def _codes(session: PortalSession, model: Any, order: Any) -> list[tuple[str, str]]:
    query = select(model.code, model.name).where(model.realm_id == session.context.realm_id).order_by(order)
    return [(row.code, row.name) for row in session.execute(query)]


def _person_name(session: PortalSession, person_id: int | None) -> str:
    if person_id is None:
        return ""
    return session.execute(select(Person.name).where(Person.id == person_id)).scalar_one_or_none() or ""

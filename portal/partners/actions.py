"""Changes of what makes a partner eligible: standing, certifications, authorisations, territories; and the catalogue.

All are dated rows and idempotent. Each change writes one event to the vendor and that partner. Removing anything can
be undone by adding it again: the past keeps its rows.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import insert, select, update

from portal.companies import actions as companies
from portal.companies import dated, facts
from portal.companies import queries as company_queries
from portal.companies.actions import told
from portal.db import PortalSession, new_id
from portal.errors import NotFound
from portal.events.work import enqueue
from portal.partners.models import (
    Authorisation,
    Certification,
    Level,
    ProductLine,
    Programme,
    Standing,
    Territory,
)
from portal.web.i18n import _

STATUSES = ("prospect", "active", "suspended", "ended")
WORKING = ("active",)
TERRITORY_KINDS = ("country", "subdivision", "postal_prefix", "circle", "nationwide")
MAX_RADIUS_KM = 20_000
MAX_CODE = 64


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certification as given: programme code, days, and the product line it is limited to (None: all)."""

    programme: str
    level: str | None = None
    number: str | None = None
    issued: date | None = None
    expires: date | None = None
    product_line: str | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """A territory as given; `code` is an ISO 3166-2 code or a postal prefix, the circle's radius is in km."""

    kind: str
    country: str | None = None
    code: str | None = None
    lat: float | None = None
    lon: float | None = None
    radius_km: float | None = None


def create_partner(
    session: PortalSession, name: str, *, status: str = "prospect", level: str | None = None, **given: Any
) -> int:
    """A new partner company with its standing; `given` as companies.facts.COMPANY_FIELDS. Its id."""
    company_id = companies.add_company(session, "partner", name, **given)
    _check_standing(session, status, level)
    dated.open_rows(session, Standing, [{"company_id": company_id, "status": status, "level": level}])
    told(session, "partner.created", company_id, status=status, level=level)
    return company_id


def set_standing(
    session: PortalSession, company_id: int, *, status: str, level: str | None, reason: str | None = None
) -> bool:
    """Status and level from now on; False when they were so. A partner that stops working loses its open leads.

    The leads are pulled back by `system` in its own transaction (work item leads.pull_back).
    """
    _partner(session, company_id)
    _check_standing(session, status, level)
    before = session.execute(
        select(Standing.status).where(Standing.company_id == company_id, Standing.valid_to.is_(None))
    ).scalar_one_or_none()
    current = {"status": status, "level": level}
    changed = dated.put(session, Standing, {"company_id": company_id}, current)
    if not changed:
        return False
    told(session, "partner.standing_changed", company_id, **current, reason=reason)
    if before in WORKING and status not in WORKING:
        enqueue(session, "leads.pull_back", {"company_id": company_id})
    return True


def add_certification(session: PortalSession, company_id: int, given: Certificate) -> bool:
    """Add a certification, or change level and days of the one with the same programme, line and number."""
    _partner(session, company_id)
    check_certificate(session, given)
    key = {
        "company_id": company_id,
        "programme": given.programme,
        "product_line": given.product_line,
        "number": given.number,
    }
    values = {"level": given.level, "issued": given.issued, "expires": given.expires}
    if not dated.put(session, Certification, key, values):
        return False
    told(
        session, "certification.added", company_id, programme=given.programme, product_line=given.product_line
    )
    return True


def check_certificate(session: PortalSession, given: Certificate) -> None:
    """Invalid when programme, product line or days cannot be."""
    faults = facts.Faults()
    if not _known(session, Programme, given.programme):
        faults.add("programme", given.programme, _("Choose a programme from the list."))
    if given.product_line and not _known(session, ProductLine, given.product_line):
        faults.add("product_line", given.product_line, _("Choose a product line from the list, or none."))
    facts.day(given.issued, "issued", faults)
    facts.day(given.expires, "expires", faults)
    if given.issued and given.expires and given.expires < given.issued:
        faults.add("expires", given.expires, _("The last day must not be before the first."))
    faults.refuse()


def end_certification(session: PortalSession, company_id: int, certification_id: int) -> bool:
    """The certification no longer holds from now on; False when it was ended. NotFound for a foreign one."""
    _partner(session, company_id)
    row = _dated_row(session, Certification, company_id, certification_id)
    if not dated.end(session, Certification, {"id": certification_id}):
        return False
    told(
        session,
        "certification.ended",
        company_id,
        certification_id=str(certification_id),
        programme=row.programme,
        product_line=row.product_line,
    )
    return True


def authorise(session: PortalSession, company_id: int, product_line: str) -> bool:
    """The partner may sell `product_line` from now on; False when it might."""
    _partner(session, company_id)
    if not _known(session, ProductLine, product_line):
        faults = facts.Faults()
        faults.add("product_line", product_line, _("Choose a product line from the list."))
        faults.refuse()
    if not dated.put(session, Authorisation, {"company_id": company_id, "product_line": product_line}, {}):
        return False
    told(session, "authorisation.added", company_id, product_line=product_line)
    return True


def end_authorisation(session: PortalSession, company_id: int, product_line: str) -> bool:
    """The partner may no longer sell `product_line`; False when it might not."""
    _partner(session, company_id)
    if not dated.end(session, Authorisation, {"company_id": company_id, "product_line": product_line}):
        return False
    told(session, "authorisation.ended", company_id, product_line=product_line)
    return True


def add_territory(session: PortalSession, location_id: int, area: Area) -> bool:
    """The location works in `area` from now on; False when it did."""
    location = company_queries.location(session, location_id)
    _partner(session, location.company_id)
    made = checked_area(area)
    key = {"company_id": location.company_id, "location_id": location_id, **asdict(made)}
    if not dated.put(session, Territory, key, {}):
        return False
    told(
        session,
        "territory.added",
        location.company_id,
        location_id=str(location_id),
        kind=made.kind,
        country=made.country,
        code=made.code,
    )
    return True


def remove_territory(session: PortalSession, company_id: int, territory_id: int) -> Area:
    """The location no longer works there; answers the area, so that it can be added again."""
    _partner(session, company_id)
    row = _dated_row(session, Territory, company_id, territory_id)
    if dated.end(session, Territory, {"id": territory_id}):
        told(
            session,
            "territory.removed",
            company_id,
            location_id=str(row.location_id),
            kind=row.kind,
            country=row.country,
            code=row.code,
        )
    return Area(row.kind, row.country, row.code, row.lat, row.lon, row.radius_km)


def checked_area(area: Area) -> Area:
    """`area` with its codes in their one form and what its kind does not use removed; Invalid when it cannot be."""
    faults = facts.Faults()
    country = (area.country or "").strip().upper() or None
    code = (area.code or "").strip().upper() or None
    if area.kind not in TERRITORY_KINDS:
        faults.add("kind", area.kind, _("Choose a kind of territory from the list."))
    if country and not facts.is_country(country):
        faults.add("country", country, _("Use a country's two letters (ISO 3166-1), such as AT."))
    if area.kind in ("country", "postal_prefix") and not country:
        faults.add("country", area.country, _("Name the country."))
    if area.kind == "subdivision":
        if not code or not facts.is_subdivision(code):
            faults.add("code", area.code, _("Use a region's ISO 3166-2 code, such as AT-4."))
        else:
            country = code.partition("-")[0]
    if area.kind == "postal_prefix":
        code = (code or "").replace(" ", "").replace("-", "") or None
        if not code or not code.isalnum():
            faults.add("code", area.code, _("Give the first characters of the postal codes, such as 40."))
    if area.kind == "circle":
        _check_circle(area, faults)
    faults.refuse()
    if area.kind == "circle":
        return Area("circle", country, None, area.lat, area.lon, area.radius_km)
    return Area(area.kind, country, code if area.kind in ("subdivision", "postal_prefix") else None)


def _check_circle(area: Area, faults: facts.Faults) -> None:
    for field, value, low, high in (
        ("lat", area.lat, -90, 90),
        ("lon", area.lon, -180, 180),
        ("radius_km", area.radius_km, 0.1, MAX_RADIUS_KM),
    ):
        if value is None or not low <= value <= high:
            faults.add(field, value, _("Give a number from ${a} to ${b}.", mapping={"a": low, "b": high}))


def put_product_line(session: PortalSession, code: str, name: str) -> bool:
    """Add or rename a product line."""
    return _put_code(session, ProductLine, code, {"name": name})


def put_programme(session: PortalSession, code: str, name: str) -> bool:
    """Add or rename a certification programme."""
    return _put_code(session, Programme, code, {"name": name})


def put_level(session: PortalSession, code: str, name: str, rank: int) -> bool:
    """Add or change a programme level; the highest rank is the best."""
    return _put_code(session, Level, code, {"name": name, "rank": rank})


def _put_code(session: PortalSession, model: Any, code: str, values: dict[str, Any]) -> bool:
    ctx = session.context
    code = code.strip()
    if not code or len(code) > MAX_CODE:
        faults = facts.Faults()
        faults.add(
            "code", code[:MAX_CODE], _("Give a code of 1 to ${n} characters.", mapping={"n": MAX_CODE})
        )
        faults.refuse()
    found = session.execute(
        select(model).where(model.realm_id == ctx.realm_id, model.code == code)
    ).scalar_one_or_none()
    if found is None:
        session.execute(insert(model), [{"id": new_id(), "realm_id": ctx.realm_id, "code": code, **values}])
    elif all(getattr(found, name) == value for name, value in values.items()):
        return False
    else:
        session.execute(update(model).where(model.id == found.id).values(**values))
        session.expire(found)
    vendor = company_queries.vendor_id(session)
    told(session, f"catalogue.{model.__tablename__}", vendor, code=code)
    return True


def _partner(session: PortalSession, company_id: int) -> None:
    """Lock the partner's row; NotFound for a company that is none."""
    if company_queries.company(session, company_id, lock=True).kind == "vendor":
        raise NotFound


def _known(session: PortalSession, model: Any, code: str) -> bool:
    query = select(model.id).where(model.realm_id == session.context.realm_id, model.code == code)
    return session.execute(query).first() is not None


def _check_standing(session: PortalSession, status: str, level: str | None) -> None:
    faults = facts.Faults()
    if status not in STATUSES:
        faults.add("status", status, _("Choose a status from the list."))
    if level is not None and not _known(session, Level, level):
        faults.add("level", level, _("Choose a level from the list, or none."))
    faults.refuse()


def _dated_row(session: PortalSession, model: Any, company_id: int, row_id: int) -> Any:
    found = session.execute(
        select(model).where(model.id == row_id, model.company_id == company_id)
    ).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found

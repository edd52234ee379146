"""Reads companies, locations and people; every function sees only what its session's context sees."""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import func, select
from sqlalchemy.engine import Engine

from portal.companies.models import Company, Location, LocationFact, Membership, Person, Realm
from portal.db import PortalSession
from portal.errors import NotFound

# A realm's vendor stays the one it is.
_vendors: WeakKeyDictionary[Engine, dict[int, int]] = WeakKeyDictionary()


def vendor_id(session: PortalSession) -> int:
    """The vendor of this realm; NotFound on a database that has none yet."""
    ctx = session.context
    if ctx.kind == "vendor" and ctx.company_id is not None:
        return ctx.company_id
    kept = _vendors.setdefault(session.get_bind().engine, {})
    if ctx.realm_id not in kept:
        query = select(Company.id).where(Company.kind == "vendor", Company.realm_id == ctx.realm_id)
        found = session.execute(query).scalar_one_or_none()
        if found is None:
            raise NotFound("There is no vendor yet; `interline import` or `interline demo` makes one.")
        kept[ctx.realm_id] = int(found)
    return kept[ctx.realm_id]


def company(session: PortalSession, company_id: int, *, lock: bool = False) -> Company:
    """One company, locked when it is about to change; NotFound when the reader may not know it."""
    query = select(Company).where(Company.id == company_id, Company.realm_id == session.context.realm_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def location(session: PortalSession, location_id: int) -> Location:
    """One location; NotFound when the reader may not know it."""
    query = select(Location).where(Location.id == location_id, Location.realm_id == session.context.realm_id)
    found = session.execute(query).scalar_one_or_none()
    if found is None:
        raise NotFound
    return found


def locations(session: PortalSession, company_id: int) -> Sequence[tuple[Location, LocationFact]]:
    """A company's locations with the facts that hold, by name."""
    query = (
        select(Location, LocationFact)
        .join(LocationFact, (LocationFact.location_id == Location.id) & LocationFact.valid_to.is_(None))
        .where(Location.company_id == company_id)
        .order_by(Location.name, Location.id)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def members(session: PortalSession, company_id: int) -> list[dict[str, Any]]:
    """People of a company with their roles, by name: id, name, email, status, roles, location_ids, and whether they
    have a second factor."""
    holders = set(session.scalars(select(func.app.factor_holders(company_id))))
    query = (
        select(Person, Membership.role, Membership.location_ids)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.company_id == company_id)
        .order_by(Person.name, Person.id, Membership.role)
    )
    found: dict[int, dict[str, Any]] = {}
    for person, role, location_ids in session.execute(query):
        entry = found.setdefault(
            person.id,
            {
                "id": person.id,
                "name": person.name,
                "email": person.email,
                "status": person.status,
                "roles": [],
                "factor": person.id in holders,
            },
        )
        entry["roles"].append(role)
        entry["location_ids"] = location_ids
    return list(found.values())


def agreement_version(session: PortalSession) -> str:
    """The version of the agreement a partner must have accepted before any offer."""
    query = select(Realm.agreement_version).where(Realm.id == session.context.realm_id)
    return str(session.execute(query).scalar_one())

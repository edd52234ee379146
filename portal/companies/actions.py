"""Changes of companies and their locations. Each writes one event to the vendor and that company.

Facts of a location are dated rows (portal.companies.dated): a change opens a new row, equal values change nothing.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from portal.clocks.calendars import office_hours
from portal.companies import dated, facts, queries
from portal.companies.models import Company, Location, LocationFact, Membership
from portal.db import PortalSession, new_id, sort_key
from portal.errors import Conflict
from portal.events.log import record
from portal.partners.models import Agreement
from portal.routing.models import RoutingState
from portal.web.i18n import _, tr

DEFAULT_CAPACITY = 10


def add_company(session: PortalSession, kind: str, name: str, **given: Any) -> int:
    """Create a company of `kind` (vendor, partner, distributor); `given` as facts.COMPANY_FIELDS. Its id.

    Writes no event: the caller knows what it means (partner.created).
    """
    ctx = session.context
    made = facts.company({"name": name, "time_zone": ctx.time_zone, "language": "en", **given})
    company_id = new_id()
    row = {
        **made,
        "id": company_id,
        "realm_id": ctx.realm_id,
        "kind": kind,
        "name_key": sort_key(made["name"]),
        "created_at": ctx.now,
        "updated_at": ctx.now,
    }
    session.execute(insert(Company), [row])
    return company_id


def ensure_vendor(session: PortalSession, name: str = "Vendor", time_zone: str = "UTC") -> int:
    """The realm's vendor, made when there is none (`system` on the worker login only). Its id."""
    query = select(Company.id).where(Company.kind == "vendor", Company.realm_id == session.context.realm_id)
    found = session.execute(query).scalar_one_or_none()
    return int(found) if found else add_company(session, "vendor", name, time_zone=time_zone)


def change_company(session: PortalSession, company_id: int, **changes: Any) -> bool:
    """Change name, website, phone, description, language or time zone; False when nothing differs."""
    company = queries.company(session, company_id, lock=True)
    made = facts.company(changes)
    different = {name: value for name, value in made.items() if getattr(company, name) != value}
    if not different:
        return False
    if "name" in different:
        different["name_key"] = sort_key(different["name"])
    query = update(Company).where(Company.id == company_id)
    session.execute(query.values(**different, updated_at=session.context.now))
    told(session, "partner.changed", company_id, fields=sorted(set(different) - {"name_key"}))
    return True


def add_location(session: PortalSession, company_id: int, name: str, *, key: str = "", **given: Any) -> int:
    """A new place from which `company_id` works; `given` as facts.LOCATION_FIELDS. Its id.

    `key` distinguishes the locations of a company in files (default: its id).
    """
    company = queries.company(session, company_id, lock=True)
    ctx = session.context
    defaults = {"capacity": DEFAULT_CAPACITY, "calendar": office_hours(company.time_zone), "active": True}
    made = facts.location({**defaults, **given})
    cleaned = facts.company({"name": name})["name"]
    location_id = new_id()
    version = session.execute(select(func.app.next_directory_version(ctx.realm_id))).scalar_one()
    row = {
        "id": location_id,
        "realm_id": ctx.realm_id,
        "company_id": company_id,
        "key": key or str(location_id),
        "name": cleaned,
        "added_version": version,
        "created_at": ctx.now,
    }
    session.execute(insert(Location), [row])
    dated.open_rows(session, LocationFact, [{**made, "company_id": company_id, "location_id": location_id}])
    state = {"location_id": location_id, "realm_id": ctx.realm_id, "company_id": company_id}
    session.execute(insert(RoutingState), [{**state, "open": 0, "credit": 0}])
    told(session, "location.added", company_id, location_id=str(location_id))
    return location_id


def change_location(session: PortalSession, location_id: int, *, name: str = "", **changes: Any) -> bool:
    """Change facts of a location from now on, and its name; False when nothing differs."""
    company_id = queries.location(session, location_id).company_id
    queries.company(session, company_id, lock=True)
    found = queries.location(session, location_id)
    made = facts.location(changes)
    key = {"company_id": company_id, "location_id": location_id}
    changed = bool(made) and dated.put(session, LocationFact, key, made)
    if name and name.strip() != found.name:
        cleaned = facts.company({"name": name})["name"]
        session.execute(update(Location).where(Location.id == location_id).values(name=cleaned))
        changed = True
    if changed:
        told(session, "location.changed", company_id, location_id=str(location_id), fields=sorted(made))
    return changed


def accept_agreement(session: PortalSession, company_id: int, version: str, how: str = "page") -> bool:
    """Record that the company accepted the agreement `version`; False when it had. `how`: page or import.

    Refuses a version that is not the current one: nobody accepts what was not shown.
    """
    queries.company(session, company_id, lock=True)
    if version != queries.agreement_version(session):
        raise Conflict(tr(_("The agreement has a newer version. Read it and accept that one.")), "stale")
    query = select(Agreement.id).where(
        Agreement.company_id == company_id, Agreement.version == version, Agreement.valid_to.is_(None)
    )
    if session.execute(query).first():
        return False
    row = {"company_id": company_id, "version": version, "how": how, "accepted_by": session.context.person_id}
    dated.open_rows(session, Agreement, [row])
    told(session, "agreement.accepted", company_id, version=version, how=how)
    return True


def remove_member(session: PortalSession, company_id: int, person_id: int) -> bool:
    """The person no longer works for the company; False when they did not. The last administrator stays.

    Sessions end at once: the database asks for the membership whenever a credential is shown.
    """
    kind = queries.company(session, company_id, lock=True).kind
    rows = session.execute(
        select(Membership.person_id, Membership.role).where(Membership.company_id == company_id)
    ).all()
    if person_id not in {row.person_id for row in rows}:
        return False
    head = "operator" if kind == "vendor" else "administrator"
    heads = {row.person_id for row in rows if row.role == head}
    if heads == {person_id}:
        message = _("This is the last one who manages people here. Invite another first.")
        raise Conflict(tr(message), "last_administrator")
    session.execute(
        delete(Membership)
        .where(Membership.company_id == company_id, Membership.person_id == person_id)
        .execution_options(synchronize_session=False)
    )
    told(session, "member.removed", company_id, person_id=str(person_id))
    return True


def told(session: PortalSession, type_: str, company_id: int, **data: Any) -> None:
    """One event about `company_id` (its row is locked), for the vendor and that company."""
    vendor = queries.vendor_id(session)
    acting = session.context.company_id or vendor
    clean: Mapping[str, Any] = {name: value for name, value in data.items() if value is not None}
    record(session, type_, ("company", company_id), [vendor, company_id], dict(clean), company_id=acting)

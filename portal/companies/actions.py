"""Changes of companies and their locations. Each writes one event to the vendor and that company.

Facts of a location are dated rows (portal.companies.dated): a change opens a new row, equal values change nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select, update

from portal.clocks.calendars import office_hours
from portal.companies import dated, facts, queries
from portal.companies.models import (
    PARTNER_ROLES,
    VENDOR_ROLES,
    Company,
    Location,
    LocationFact,
    Membership,
)
from portal.db import PortalSession, new_id, sort_key
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.log import record
from portal.events.work import enqueue
from portal.partners.models import Agreement
from portal.routing.models import RoutingState
from portal.security import throttle
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
    had = _roles_to_lose(session, company_id, person_id, ())
    if not had:
        return False
    session.execute(
        delete(Membership)
        .where(Membership.company_id == company_id, Membership.person_id == person_id)
        .execution_options(synchronize_session=False)
    )
    told(session, "member.removed", company_id, person_id=str(person_id), roles=had)
    return True


def set_roles(session: PortalSession, company_id: int, person_id: int, roles: Sequence[str]) -> bool:
    """The roles that the person has in the company from the next request on; False when they are the same.

    Raises Invalid for roles the company cannot give, Conflict for the last administrator.
    """
    kind = queries.company(session, company_id, lock=True).kind
    wanted = sorted(set(roles))
    allowed = VENDOR_ROLES if kind == "vendor" else PARTNER_ROLES
    if not wanted or not set(wanted) <= set(allowed):
        raise Invalid(Fault("roles", roles, tr(_("Choose at least one of the list.")), "role"))
    had = _roles_to_lose(session, company_id, person_id, wanted)
    if not had:
        raise NotFound
    if had == wanted:
        return False
    ctx = session.context
    if "operator" in set(had) ^ set(wanted) and ctx.kind == "vendor" and "operator" not in ctx.roles:
        message = tr(_("Only an operator can make another operator, or take that role away."))
        raise Invalid(Fault("roles", roles, message, "forbidden"))
    mine = (Membership.company_id == company_id) & (Membership.person_id == person_id)
    places = session.execute(select(Membership.location_ids).where(mine).limit(1)).scalar()
    new = [
        {
            "id": new_id(),
            "realm_id": ctx.realm_id,
            "company_id": company_id,
            "person_id": person_id,
            "role": role,
            "location_ids": places,
            "created_at": ctx.now,
        }
        for role in wanted
        if role not in had
    ]
    if new:  # before the others go, so that nobody leaves the company for a moment
        session.execute(insert(Membership), new)
    session.execute(
        delete(Membership)
        .where(mine, Membership.role.not_in(wanted))
        .execution_options(synchronize_session=False)
    )
    told(session, "member.roles_changed", company_id, person_id=str(person_id), roles=wanted, before=had)
    return True


def _roles_to_lose(session: PortalSession, company_id: int, person_id: int, kept: Sequence[str]) -> list[str]:
    """The person's roles here, [] for none. Raises Conflict when the last who manages people would be no more."""
    kind = queries.company(session, company_id, lock=True).kind
    rows = session.execute(
        select(Membership.person_id, Membership.role).where(Membership.company_id == company_id)
    ).all()
    head = "operator" if kind == "vendor" else "administrator"
    heads = {row.person_id for row in rows if row.role == head}
    if heads == {person_id} and head not in kept:
        message = _("This is the last one who manages people here. Invite another first.")
        raise Conflict(tr(message), "last_administrator")
    return sorted(row.role for row in rows if row.person_id == person_id)


def require_factor(session: PortalSession, company_id: int, required: bool) -> bool:
    """Whether who works for the company must sign in with a second factor; False when it was so already.

    Who has none is led to set it up at the next sign-in: their sessions end (trigger factor_asked), but for the acting
    person, who is led there at once.
    """
    company = queries.company(session, company_id, lock=True)
    if company.factor_required == required:
        return False
    session.execute(
        update(Company)
        .where(Company.id == company_id)
        .values(factor_required=required, updated_at=session.context.now)
    )
    told(session, "company.factor_required" if required else "company.factor_optional", company_id)
    return True


def reset_factor(session: PortalSession, company_id: int, person_id: int) -> None:
    """Take the second factor from a member who has lost it; their sessions end and they are told by mail.

    Raises Conflict for the own one, which asks for a code instead, and where there is none.
    """
    if person_id == session.context.person_id:
        raise Conflict(
            tr(_("Turn your own second factor off under Your profile, with a code.")), "own_factor"
        )
    done = session.execute(select(func.app.reset_factor(person_id, company_id))).scalar_one()
    if not done:
        raise Conflict(tr(_("There is no second factor to reset.")), "no_factor")
    throttle.forget(session, throttle.CODE_ACCOUNT, str(person_id))  # wrong codes of the one that is gone
    enqueue(
        session,
        "person.told",
        {"person_id": str(person_id), "company_id": str(company_id), "what": "factor_reset"},
    )


def told(session: PortalSession, type_: str, company_id: int, **data: Any) -> None:
    """One event about `company_id` (its row is locked), for the vendor and that company."""
    vendor = queries.vendor_id(session)
    acting = session.context.company_id or vendor
    clean: Mapping[str, Any] = {name: value for name, value in data.items() if value is not None}
    record(session, type_, ("company", company_id), [vendor, company_id], dict(clean), company_id=acting)

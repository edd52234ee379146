"""Correcting a customer's master data: the account and the contact that a lead speaks of."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from portal.accounts.models import Contact
from portal.db import PortalSession, new_id, put, sort_key
from portal.errors import NotFound
from portal.events.log import record

CUSTOMER = text("""
    select l.company_id, l.holder_company_id, l.account_id, l.contact_id, a.name as account,
           c.name as contact, c.email, c.phone, c.street
    from leads l join accounts a on a.id = l.account_id left join contacts c on c.id = l.contact_id
    where l.id = :id for update of l
""")
OF_CONTACT = ("contact", "email", "phone", "street")


def correct_customer(session: PortalSession, lead_id: int, given: Mapping[str, Any]) -> list[str]:
    """Correct `account`, `contact`, `email`, `phone`, `street` of a lead's customer; the names of what changed.

    As the vendor. The records are shared by all leads of that customer. The event names fields only, never their
    words, and goes to the vendor and the holder; a partner that only has the offer learns nothing of it.
    """
    lead = session.execute(CUSTOMER, {"id": lead_id}).mappings().first()
    if lead is None:
        raise NotFound()
    changed = [key for key in ("account", *OF_CONTACT) if key in given and given[key] != lead[key]]
    if not changed:
        return []
    if "account" in changed:
        session.execute(
            text("update accounts set name = :name, name_key = :key where id = :id"),
            {"name": given["account"], "key": sort_key(given["account"]), "id": lead["account_id"]},
        )
    if any(key in OF_CONTACT for key in changed):
        _contact(session, lead_id, lead, {key: given.get(key, lead[key]) for key in OF_CONTACT})
    session.execute(
        text("update leads set updated_at = :now where id = :id"), {"now": session.context.now, "id": lead_id}
    )
    audience = [lead["company_id"], lead["holder_company_id"]]
    record(session, "lead.customer_corrected", ("lead", lead_id), audience, {"fields": sorted(changed)})
    return changed


def _contact(session: PortalSession, lead_id: int, lead: Mapping[Any, Any], given: Mapping[str, Any]) -> None:
    """Write the contact; a lead that came without one gets its first."""
    ctx, email = session.context, given["email"]
    values = {
        "name": given["contact"],
        "email": email,
        "email_key": email.strip().casefold() if email else None,
        "phone": given["phone"],
        "street": given["street"],
    }
    if lead["contact_id"] is not None:
        session.execute(
            text("""
                update contacts set name = :name, email = :email, email_key = :email_key, phone = :phone,
                       street = :street where id = :id
            """),
            {**values, "id": lead["contact_id"]},
        )
        return
    made = {"id": new_id(), "realm_id": ctx.realm_id, "account_id": lead["account_id"], "created_at": ctx.now}
    put(session, Contact, made | values)
    session.execute(
        text("update leads set contact_id = :contact where id = :id"), {"contact": made["id"], "id": lead_id}
    )

"""Leads coming in, from any wire: find or make account and contact, recognise repeats, route.

A repeat of an external key fills what was empty and changes what differs; an empty value never erases. The same
request under another key is a suspected duplicate: it stays unrouted until a person decides.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.accounts.models import Account, Contact
from portal.companies.queries import vendor_id
from portal.db import PortalSession, new_id, put, sort_key
from portal.events.log import event_row, record
from portal.events.models import Event
from portal.leads.models import Lead
from portal.leads.offering import route
from portal.sharing.models import Text, TextContact

Outcome = Literal["new", "changed", "same", "suspected_duplicate"]
LeadRecord = Mapping[str, Any]  # portal.imports.records.LeadRecord or its equal from another wire

RAW_KEPT = timedelta(days=30)
# Two requests of one contact for the same lines within this time are taken for one until a person has looked.
SAME_REQUEST_WITHIN = timedelta(days=30)
PLACE = ("country", "subdivision", "postal", "city", "lat", "lon", "precision")
PLAIN = (
    "title", "product_lines", "certifications", "amount", "currency", "language", "need", "start_on",
    "source", "channel", "hours", "legal_basis",
)  # fmt: skip
# What routing reads: a change of these routes a lead again that nobody could take.
ROUTED_BY = frozenset(
    (*PLACE, "product_lines", "certifications", "amount", "currency", "language", "industry")
)

# What a source may take away on purpose: the record's path -> the lead's column.
ERASABLE = {name: name for name in PLAIN if name != "title"} | {f"place.{name}": name for name in PLACE}
ERASABLE["account.industry"] = "industry"


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a request: the lead it is, and whether it was new."""

    lead_id: int
    number: str
    outcome: Outcome


def receive(
    session: PortalSession, given: LeadRecord, *, routed: bool = True, raw: str | None = None
) -> Received:
    """Take in one request in this transaction; a new one is routed at once unless `routed` is False.

    `given` has the keys of LeadRecord; `raw` is the request as it came (kept 30 days, linked to its contact).
    Runs as the vendor, its system, or `system`.
    """
    vendor = vendor_id(session)
    known = _by_external_key(session, vendor, given.get("external_key"))
    if known is not None:
        return _repeat(session, vendor, known, given, routed)
    account_id, contact_id = _customer(session, given)
    print_ = fingerprint(given)
    received_at = given.get("received_at") or session.context.now
    twin, number = _twin_and_number(session, print_, received_at)
    lead_id = new_id()
    row = _lead_row(session, vendor, given, lead_id, number, account_id, contact_id)
    row |= {"fingerprint": print_, "suspected_duplicate_of": twin, "received_at": received_at}
    put(session, Lead, row)
    _keep_raw(session, vendor, given, raw, lead_id, contact_id)
    subject = ("lead", lead_id)
    events = [
        event_row(session, "lead.received", subject, [vendor], {"source": row["source"]}, company_id=vendor)
    ]
    if twin is not None:
        events.append(
            event_row(
                session, "lead.suspected_duplicate", subject, [vendor], {"of": str(twin)}, company_id=vendor
            )
        )
    if twin is not None or not routed:
        put(session, Event, *events)
        return Received(lead_id, number, "new" if twin is None else "suspected_duplicate")
    route(session, lead_id, row, events)
    return Received(lead_id, number, "new")


def fingerprint(given: LeadRecord) -> str:
    """What makes two requests the same: who asks (e-mail, else name and telephone) and the product lines; a hash."""
    account, contact = given.get("account") or {}, given.get("contact") or {}
    who = (contact.get("email") or "").strip().casefold()
    if not who:
        who = f"{sort_key(account.get('name') or '')}|{contact.get('phone') or contact.get('name') or ''}"
    lines = ",".join(sorted(given.get("product_lines") or ()))
    return hashlib.sha256(f"{who}|{lines}".encode()).hexdigest()[:32]


BY_EXTERNAL_KEY = text(
    "select * from leads where realm_id = :r and company_id = :v and external_key = :k for update"
)


def _by_external_key(session: PortalSession, vendor: int, key: str | None) -> Row[Any] | None:
    if not key:
        return None
    return (
        session.connection()
        .execute(
            BY_EXTERNAL_KEY,
            {"r": session.context.realm_id, "v": vendor, "k": key},
        )
        .first()
    )


TWIN_AND_NUMBER = text("""
    select (select id from leads where realm_id = :r and fingerprint = :f and stage not in ('invalid', 'duplicate')
            and received_at between :since and :until order by received_at, id limit 1) as twin,
           'L-' || nextval('lead_numbers') as number
""")


def _twin_and_number(session: PortalSession, print_: str, received_at: datetime) -> tuple[int | None, str]:
    """The earliest lead that is taken for the same request, if any, and the number of the new one."""
    found = session.connection().execute(
        TWIN_AND_NUMBER,
        {
            "r": session.context.realm_id,
            "f": print_,
            "since": received_at - SAME_REQUEST_WITHIN,
            "until": received_at + SAME_REQUEST_WITHIN,
        },
    )
    row = found.one()
    return row.twin, row.number


CUSTOMER = text("""
    select a.id as account_id, c.id as contact_id
    from accounts a left join contacts c on c.account_id = a.id
        and ((cast(:email as text) is not null and c.email_key = :email)
             or (cast(:email as text) is null and c.name is not distinct from :contact))
    where a.realm_id = :r and (a.external_key = :key or (a.name_key = :name
        and (a.country is null or cast(:country as text) is null or a.country = :country)
        and (a.postal is null or cast(:postal as text) is null or a.postal = :postal)))
    order by (a.external_key is not distinct from :key) desc, c.id is null, a.id limit 1
""")


def _customer(session: PortalSession, given: LeadRecord) -> tuple[int, int | None]:
    """Find or make the account (by key, else name and place) and the contact (by e-mail, else name) in it."""
    account, contact, place = given.get("account") or {}, given.get("contact") or {}, given.get("place") or {}
    ctx = session.context
    email = (contact.get("email") or "").strip().casefold() or None
    found = (
        session.connection()
        .execute(
            CUSTOMER,
            {
                "r": ctx.realm_id,
                "key": account.get("external_key"),
                "name": sort_key(account["name"]),
                "country": place.get("country"),
                "postal": place.get("postal"),
                "email": email,
                "contact": contact.get("name"),
            },
        )
        .first()
    )
    account_id = found.account_id if found else new_id()
    if found is None:
        row = {
            "id": account_id,
            "realm_id": ctx.realm_id,
            "name": account["name"].strip(),
            "created_at": ctx.now,
        }
        row["name_key"] = sort_key(account["name"])
        row |= {key: account.get(key) for key in ("external_key", "industry", "website")}
        row |= {key: place.get(key) for key in ("country", "subdivision", "postal", "city")}
        put(session, Account, row)
    if found is not None and found.contact_id is not None:
        return account_id, found.contact_id
    if not any(contact.get(key) for key in ("name", "email", "phone")):
        return account_id, None
    person = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "account_id": account_id,
        "name": contact.get("name"),
        "email": contact.get("email"),
        "email_key": email,
        "phone": contact.get("phone"),
        "street": place.get("street"),
        "language": contact.get("language") or given.get("language"),
        "created_at": ctx.now,
    }
    put(session, Contact, person)
    return account_id, person["id"]


def _lead_row(
    session: PortalSession,
    vendor: int,
    given: LeadRecord,
    lead_id: int,
    number: str,
    account_id: int,
    contact_id: int | None,
) -> dict[str, Any]:
    ctx, place = session.context, given.get("place") or {}
    row: dict[str, Any] = {key: given.get(key) for key in PLAIN}
    row |= {key: place.get(key) for key in PLACE}
    row["product_lines"] = list(given.get("product_lines") or ())
    row["certifications"] = list(given.get("certifications") or ())
    row["title"] = given.get("title") or given.get("need") or _title(row)
    row |= {
        "id": lead_id,
        "realm_id": ctx.realm_id,
        "company_id": vendor,
        "number": number,
        "external_key": given.get("external_key"),
        "account_id": account_id,
        "contact_id": contact_id,
        "industry": (given.get("account") or {}).get("industry"),
        "assignment": "unrouted",
        "stage": "new",
        "created_at": ctx.now,
        "updated_at": ctx.now,
    }
    return row


def _title(row: Mapping[str, Any]) -> str:
    return ", ".join(part for part in (", ".join(row["product_lines"]) or "Request", row["city"]) if part)


def _keep_raw(
    session: PortalSession,
    vendor: int,
    given: LeadRecord,
    raw: str | None,
    lead_id: int,
    contact_id: int | None,
) -> None:
    """The words as they came, for the vendor alone, for 30 days."""
    body = raw if raw is not None else given.get("message")
    if not body:
        return
    ctx = session.context
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": vendor,
        "kind": "request",
        "subject_type": "lead",
        "subject_id": lead_id,
        "body": body,
        "audience": [vendor],
        "created_at": ctx.now,
        "expires_at": ctx.now + RAW_KEPT,
    }
    put(session, Text, row)
    if contact_id is not None:
        link = {"text_id": row["id"], "contact_id": contact_id, "realm_id": ctx.realm_id}
        put(session, TextContact, link)


def _repeat(
    session: PortalSession, vendor: int, known: Row[Any], given: LeadRecord, routed: bool
) -> Received:
    """The same external key again: what is new is taken over, what is empty is left alone."""
    changes = differences(known._mapping, given)
    if not changes:
        return Received(known.id, known.number, "same")
    assignments = ", ".join(f"{column} = :{column}" for column in changes)
    session.execute(
        text(f"update leads set {assignments}, updated_at = :now where id = :id"),  # noqa: S608 - our column names
        {**changes, "now": session.context.now, "id": known.id},
    )
    data = {"fields": sorted(changes)}
    record(
        session,
        "lead.changed",
        ("lead", known.id),
        [vendor, known.holder_company_id],
        data,
        company_id=vendor,
    )
    waits = known.assignment in ("unrouted", "unroutable") and known.suspected_duplicate_of is None
    if routed and waits and ROUTED_BY.intersection(changes):
        route(session, known.id)
    return Received(known.id, known.number, "changed")


def differences(known: Mapping[str, Any], given: LeadRecord) -> dict[str, Any]:
    """Columns that `given` fills or changes; None, "" and empty lists in it mean "not said", `erase` takes away."""
    place = given.get("place") or {}
    said = {key: given.get(key) for key in PLAIN} | {key: place.get(key) for key in PLACE}
    said["industry"] = (given.get("account") or {}).get("industry")
    changes: dict[str, Any] = {}
    for column, value in said.items():
        if value is None or value == "" or (isinstance(value, list | tuple) and not value):
            continue
        if _comparable(value) != _comparable(known[column]):
            changes[column] = list(value) if isinstance(value, tuple) else value
    for path in given.get("erase") or ():
        column = ERASABLE.get(path)
        if column and column not in changes and known[column]:
            changes[column] = [] if isinstance(known[column], list) else None
    if _place_is_coarser(known, changes, place):
        for column in ("lat", "lon", "precision"):
            changes.pop(column, None)
    return changes


# A place found from less (the town, because the postal code is missing this time) does not replace a better one.
PRECISION = ("country", "subdivision", "city", "postal", "exact")


def _place_is_coarser(known: Mapping[str, Any], changes: Mapping[str, Any], place: Mapping[str, Any]) -> bool:
    if "precision" not in changes or known["precision"] is None or known["precision"] not in PRECISION:
        return False
    new = place.get("precision")
    return new in PRECISION and PRECISION.index(new) < PRECISION.index(known["precision"])


def _comparable(value: Any) -> Any:
    match value:
        case Decimal() | float() | int():
            return round(float(value), 6)
        case list() | tuple():
            return sorted(value)
        case datetime() | date():
            return value
        case None:
            return None
        case _:
            return str(value).strip()

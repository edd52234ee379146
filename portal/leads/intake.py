"""Leads coming in, from any wire: find or make account and contact, recognise repeats, route.

A repeat of an external key fills what was empty and changes what differs; an empty value never erases. The same
request under another key is a suspected duplicate: it stays unrouted until a person decides.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.accounts.models import Account, Contact
from portal.companies.queries import vendor_id
from portal.db import PortalSession, gathering, new_id, put, sort_key
from portal.events.log import event_row, record
from portal.events.models import Event, WorkItem
from portal.leads import offering
from portal.leads.models import Lead, Offer
from portal.leads.outlook import NOTHING, Outlook
from portal.leads.outlook import outlook as outlook_of
from portal.leads.repeats import PLACE, PLAIN, ROUTED_BY, differences
from portal.routing.actions import MAX_ROUNDS, Proposal, Unsettled, refresh
from portal.routing.models import Decision
from portal.sharing.models import Share, Text, TextContact

Outcome = Literal["new", "changed", "same", "suspected_duplicate"]
LeadRecord = Mapping[str, Any]  # portal.imports.records.LeadRecord or its equal from another wire

RAW_KEPT = timedelta(days=30)
# Two requests of one contact for the same lines within this time are taken for one until a person has looked.
SAME_REQUEST_WITHIN = timedelta(days=30)
WRITTEN_TOGETHER = (*(Account, Contact, Lead, Text, TextContact, Decision, Offer, Share, Event, WorkItem),)


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a request: the lead it is, and whether it was new."""

    lead_id: int
    number: str
    outcome: Outcome


def receive(session: PortalSession, given: LeadRecord, *, routed: bool = True) -> Received:
    """Take in one request in this transaction; a new one is routed at once unless `routed` is False.

    `given` has the keys of LeadRecord, and may have `raw`: the request as it came (kept 30 days, linked to its contact).
    Runs as the vendor, its system, or `system`.
    """
    return receive_all(session, [given], routed=routed)[0]


def receive_all(
    session: PortalSession, records: Sequence[LeadRecord], *, routed: bool = True
) -> list[Received]:
    """Take in requests as if one after the other; those that have nothing in common are read and written together."""
    vendor = vendor_id(session)
    asked = {n: _asked(session, vendor, given) for n, given in enumerate(records)}
    waves = _waves(asked)
    if not waves:
        return []
    outlook = _outlook(session, (asked[n].lead for n in waves[0])) if routed else None
    # Leads that are there already are locked before anything else is: whoever routes one locks it before any counter.
    found = _find(session, vendor, asked, waves[0], outlook)
    known = _lock(session, found)
    received: dict[int, Received] = {}
    for wave in waves:
        again = [n for n in wave if found[n].number is None and found[n].known not in known]
        if again:  # of a later wave, or gone since it was found
            found |= _find(session, vendor, {n: asked[n] for n in again}, again)
            known |= _lock(session, {n: found[n] for n in again})
        fresh = []
        for n in wave:
            lead = known.pop(found[n].known, None)  # once: what changes it is to be seen by the next
            if lead is None:
                fresh.append(n)
            else:
                received[n] = _repeat(session, vendor, lead, asked[n].given, routed)
                if received[n].outcome == "changed":
                    outlook = None  # it may have been routed, and the next are to see the place it took
        new = [(asked[n], found[n]) for n in fresh]
        received |= zip(fresh, _write(session, vendor, new, routed, outlook), strict=True)
        outlook = None  # the next wave is decided on what this one has changed
    return [received[n] for n in asked]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, the lead it would become, and what it is looked up by."""

    given: LeadRecord
    lead: Mapping[str, Any]
    received_at: datetime
    fingerprint: str
    name_key: str
    email_key: str | None
    keys: tuple[tuple[str, str], ...] = field(
        default=()
    )  # two requests with one in common stand after each other


def _asked(session: PortalSession, vendor: int, given: LeadRecord) -> _Asked:
    account, contact = given.get("account") or {}, given.get("contact") or {}
    print_, name = fingerprint(given), sort_key(account["name"])
    keys = [("print", print_), ("name", name)]
    keys += [("lead", key)] if (key := given.get("external_key")) else []
    keys += [("account", key)] if (key := account.get("external_key")) else []
    email = (contact.get("email") or "").strip().casefold() or None
    received_at = given.get("received_at") or session.context.now
    lead = _lead_row(session, vendor, given, print_, received_at)
    return _Asked(given, lead, received_at, print_, name, email, tuple(keys))


def _waves(asked: Mapping[int, _Asked]) -> list[list[int]]:
    """The requests in groups that have no key in common, each after those it must see."""
    waves: list[list[int]] = []
    seen: dict[tuple[str, str], int] = {}
    for n, one in asked.items():
        wave = max((seen[key] + 1 for key in one.keys if key in seen), default=0)
        seen |= dict.fromkeys(one.keys, wave)
        if wave == len(waves):
            waves.append([])
        waves[wave].append(n)
    return waves


def fingerprint(given: LeadRecord) -> str:
    """What makes two requests the same: who asks (e-mail, else name and telephone) and the product lines; a hash."""
    account, contact = given.get("account") or {}, given.get("contact") or {}
    who = (contact.get("email") or "").strip().casefold()
    if not who:
        who = f"{sort_key(account.get('name') or '')}|{contact.get('phone') or contact.get('name') or ''}"
    lines = ",".join(sorted(given.get("product_lines") or ()))
    return hashlib.sha256(f"{who}|{lines}".encode()).hexdigest()[:32]


def _outlook(session: PortalSession, leads: Iterable[Mapping[str, Any]]) -> Outlook | None:
    return outlook_of(session, (offering.request_of(lead, session.context.now) for lead in leads))


FIND = text(f"""
    select w.n, k.id as known, t.id as twin, c.account_id, c.contact_id, o.counters, o.staffed,
           case when k.id is null and w.numbered then 'L-' || nextval('lead_numbers') end as number
    from jsonb_to_recordset(cast(:asked as jsonb)) as w (n int, numbered bool, key text, print text, since timestamptz,
        until timestamptz, account text, name text, country text, postal text, email text, contact text)
    left join lateral (
        select l.id from leads l where l.realm_id = :r and l.company_id = :v and l.external_key = w.key limit 1
    ) k on true
    left join lateral (
        select l.id from leads l where l.realm_id = :r and l.fingerprint = w.print
            and l.stage not in ('invalid', 'duplicate') and l.received_at between w.since and w.until
        order by l.received_at, l.id limit 1
    ) t on true
    left join lateral (
        select a.id as account_id, c.id as contact_id
        from accounts a left join contacts c on c.account_id = a.id
            and ((w.email is not null and c.email_key = w.email)
                 or (w.email is null and c.name is not distinct from w.contact))
        where a.realm_id = :r and (a.external_key = w.account or (a.name_key = w.name
            and (a.country is null or w.country is null or a.country = w.country)
            and (a.postal is null or w.postal is null or a.postal = w.postal)))
        order by (a.external_key is not distinct from w.account) desc, c.id is null, a.id limit 1
    ) c on true
    left join (select {Outlook.COLUMNS}) o on w.n = :first
    order by w.n
""")  # noqa: S608 - our own columns


def _find(
    session: PortalSession,
    vendor: int,
    asked: Mapping[int, _Asked],
    numbered: Iterable[int],
    outlook: Outlook | None = None,
) -> dict[int, Row[Any]]:
    """What is known of each request: the lead of its key, else the earliest one taken for the same request, account
    (by key, else name and place) and contact in it (by e-mail, else name), and a number for those `numbered`. The
    `outlook` is read too."""
    wanted, new = [], set(numbered)
    for n, one in asked.items():
        account, contact = one.given.get("account") or {}, one.given.get("contact") or {}
        place = one.given.get("place") or {}
        row = {"n": n, "numbered": n in new, "key": one.given.get("external_key") or None}
        row |= {"print": one.fingerprint, "name": one.name_key, "account": account.get("external_key")}
        row |= {
            "since": one.received_at - SAME_REQUEST_WITHIN,
            "until": one.received_at + SAME_REQUEST_WITHIN,
        }
        row |= {"country": place.get("country"), "postal": place.get("postal")}
        row |= {"email": one.email_key, "contact": contact.get("name")}
        wanted.append(row)
    scope = {"r": session.context.realm_id, "v": vendor, "asked": to_json(wanted).decode()}
    first = next(iter(asked))
    scope |= {"first": first, **outlook.parameters()} if outlook else {"first": None, **NOTHING}
    found = {row.n: row for row in session.connection().execute(FIND, scope)}
    if outlook:
        outlook.read(found[first])
    return found


LOCK = text("select * from leads where id = any(:ids) order by id for update")


def _lock(session: PortalSession, found: Mapping[int, Row[Any]]) -> dict[int, Row[Any]]:
    """The leads found, locked in id order."""
    ids = sorted({one.known for one in found.values() if one.known is not None})
    return {row.id: row for row in session.connection().execute(LOCK, {"ids": ids})} if ids else {}


def _write(
    session: PortalSession,
    vendor: int,
    new: Sequence[tuple[_Asked, Row[Any]]],
    routed: bool,
    outlook: Outlook | None,
) -> list[Received]:
    """Leads that were not there: rows made and routed in memory, then written, and the places taken.

    A place that was taken by another, or a directory that has changed meanwhile, costs another round.
    """
    for _ in range(MAX_ROUNDS):
        with gathering(session, *WRITTEN_TOGETHER) as rows:
            received, made = _new_leads(session, vendor, new, routed, outlook)
            if made is not None and made.reservation is not None:
                rows.last(partial(made.reservation.take, session))
        if rows.written:
            if made is not None:
                made.count()
            return received
        refresh(session)
        outlook = None
    raise Unsettled(f"routing of {len(new)} new leads did not settle in {MAX_ROUNDS} rounds")


def _new_leads(
    session: PortalSession,
    vendor: int,
    new: Sequence[tuple[_Asked, Row[Any]]],
    routed: bool,
    outlook: Outlook | None,
) -> tuple[list[Received], Proposal | None]:
    received, leads, waiting = [], [], []
    told: list[dict[str, Any]] = []
    for one, found in new:
        account_id, contact_id = _customer(session, one, found)
        lead = {**one.lead, "number": found.number, "suspected_duplicate_of": found.twin}
        lead |= {"account_id": account_id, "contact_id": contact_id}
        leads.append(lead)
        _keep_raw(session, vendor, one.given, lead["id"], contact_id)
        subject, data = ("lead", lead["id"]), {"source": lead["source"]}
        told.append(event_row(session, "lead.received", subject, [vendor], data, company_id=vendor))
        if found.twin is not None:
            of = {"of": str(found.twin)}
            told.append(
                event_row(session, "lead.suspected_duplicate", subject, [vendor], of, company_id=vendor)
            )
        elif routed:
            waiting.append(lead)
        outcome: Outcome = "new" if found.twin is None else "suspected_duplicate"
        received.append(Received(lead["id"], lead["number"], outcome))
    made = offering.route_new(session, waiting, told, outlook)
    put(session, Lead, *leads)
    put(session, Event, *told)
    return received, made


def _customer(session: PortalSession, one: _Asked, found: Row[Any]) -> tuple[int, int | None]:
    """Account and contact: those found, else new ones."""
    account, contact = one.given.get("account") or {}, one.given.get("contact") or {}
    ctx, place = session.context, one.given.get("place") or {}
    account_id = found.account_id
    if account_id is None:
        account_id = new_id()
        row = {"id": account_id, "realm_id": ctx.realm_id, "name": account["name"].strip()}
        row |= {"name_key": one.name_key, "created_at": ctx.now}
        row |= {key: account.get(key) for key in ("external_key", "industry", "website")}
        row |= {key: place.get(key) for key in ("country", "subdivision", "postal", "city")}
        put(session, Account, row)
    if found.contact_id is not None:
        return account_id, found.contact_id
    if not any(contact.get(key) for key in ("name", "email", "phone")):
        return account_id, None
    person = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "account_id": account_id,
        "name": contact.get("name"),
        "email": contact.get("email"),
        "email_key": one.email_key,
        "phone": contact.get("phone"),
        "street": place.get("street"),
        "language": contact.get("language") or one.given.get("language"),
        "created_at": ctx.now,
    }
    put(session, Contact, person)
    return account_id, person["id"]


def _lead_row(
    session: PortalSession, vendor: int, given: LeadRecord, print_: str, received_at: datetime
) -> dict[str, Any]:
    """All that a request alone says of its lead; number, account, contact and twin are still to be found."""
    ctx, place = session.context, given.get("place") or {}
    row: dict[str, Any] = {key: given.get(key) for key in PLAIN}
    row |= {key: place.get(key) for key in PLACE}
    row["product_lines"] = list(given.get("product_lines") or ())
    row["certifications"] = list(given.get("certifications") or ())
    row["title"] = given.get("title") or given.get("need") or _title(row)
    row |= {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": vendor,
        "external_key": given.get("external_key"),
        "industry": (given.get("account") or {}).get("industry"),
        "fingerprint": print_,
        "assignment": "unrouted",
        "assignment_reason": None,
        "stage": "new",
        "offer_id": None,
        "received_at": received_at,
        "created_at": ctx.now,
        "updated_at": ctx.now,
    }
    return row | offering.NOBODYS


def _title(row: Mapping[str, Any]) -> str:
    return ", ".join(part for part in (", ".join(row["product_lines"]) or "Request", row["city"]) if part)


def _keep_raw(
    session: PortalSession, vendor: int, given: LeadRecord, lead_id: int, contact_id: int | None
) -> None:
    """The words as they came, for the vendor alone, for 30 days."""
    body = given.get("raw", given.get("message"))
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
        offering.route(session, known.id)
    return Received(known.id, known.number, "changed")

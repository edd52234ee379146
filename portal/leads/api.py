"""Leads for systems: POST /api/v1/leads and GET /api/v1/leads/{number}."""

from collections.abc import Sequence
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.connections.api import Answer, Call, Endpoint, add_endpoint
from portal.db import PortalSession
from portal.errors import NotFound
from portal.gateways import geocoder
from portal.imports.reader import located
from portal.leads.intake import Received, receive_all
from portal.leads.schemas import (
    AccountOut,
    ContactOut,
    LeadIn,
    LeadOut,
    LeadReceipt,
    Money,
    OfferOut,
    PlaceOut,
    to_record,
)

MAX_NUMBER = 20


def create(request: Request, calls: Sequence[Call]) -> list[Answer]:
    """Take leads in as if one after the other."""
    if not request.ctx.is_vendor:
        raise NotFound()
    records = []
    for call in calls:
        record = to_record(call.data)
        record["place"] |= located(geocoder(), record["place"])
        records.append({**record, "raw": call.request.text})
    return [_receipt(request, received) for received in receive_all(request.db, records)]


def _receipt(request: Request, received: Received) -> Answer:
    url = f"{request.registry.portal.site_url}/api/v1/leads/{received.number}"
    receipt = LeadReceipt(id=str(received.lead_id), number=received.number, outcome=received.outcome, url=url)
    status = 201 if received.outcome in ("new", "suspected_duplicate") else 200
    return Answer(status, receipt.model_dump_json().encode(), {"Location": url} if status == 201 else {})


def read(request: Request, _data: None) -> Answer:
    """One lead, as far as this system's company may see it."""
    shown = lead_for(request.db, request.matchdict["number"])
    return Answer(200, shown.model_dump_json(exclude_none=True).encode())


FULL = text("""
    select l.*, a.name as account_name, a.industry as account_industry, a.website,
           c.name as contact_name, c.email, c.phone, c.language as contact_language, c.street
    from leads l join accounts a on a.id = l.account_id left join contacts c on c.id = l.contact_id
    where l.number = :number and l.realm_id = :realm
""")
OFFERED = text("""
    select id, lead_id, lead_number, state, offered_at, deadline_at, brief from offers
    where lead_number = :number and realm_id = :realm and company_id = :company order by id desc limit 1
""")


def lead_for(session: PortalSession, number: str) -> LeadOut | OfferOut:
    """The lead in full where the reader's company sees all of it, else its offer view. Raises NotFound."""
    ctx = session.context
    if len(number) > MAX_NUMBER or "\x00" in number:
        raise NotFound()
    row = session.execute(FULL, {"number": number, "realm": ctx.realm_id}).first()
    if row is not None:
        return _full(row, vendor=ctx.is_vendor)
    wanted = {"number": number, "realm": ctx.realm_id, "company": ctx.company_id}
    offer = session.execute(OFFERED, wanted).first()
    if offer is None:
        raise NotFound()
    return OfferOut(
        id=str(offer.lead_id),
        number=offer.lead_number,
        state=offer.state,
        offered_at=offer.offered_at,
        deadline_at=offer.deadline_at,
        brief=offer.brief,
    )


def _full(row: Row[Any], *, vendor: bool) -> LeadOut:
    contact = ContactOut(
        name=row.contact_name,
        email=row.email,
        phone=row.phone,
        language=row.contact_language,
        street=row.street,
    )
    place = PlaceOut(**{name: getattr(row, name) for name in PlaceOut.model_fields})
    plain = (
        "title",
        "assignment",
        "stage",
        "product_lines",
        "certifications",
        "language",
        "need",
        "start_on",
    )
    more = ("source", "channel", "hours", "received_at", "updated_at", "number")
    return LeadOut(
        id=str(row.id),
        external_key=row.external_key if vendor else None,
        account=AccountOut(name=row.account_name, industry=row.account_industry, website=row.website),
        contact=contact if row.contact_id is not None else None,
        place=place,
        amount=Money(amount=f"{row.amount:f}", currency=row.currency) if row.amount is not None else None,
        **{name: getattr(row, name) for name in (*plain, *more)},
    )


def includeme(config: Configurator) -> None:
    """Declare the endpoints."""
    add_endpoint(
        config,
        Endpoint(
            name="create_lead",
            method="POST",
            path="/api/v1/leads",
            permission="api.leads.write",
            scope="leads:write",
            summary="Send a lead",
            description="It is stored, compared with what is known and routed in one step. The same `external_key`"
            " again changes the lead instead of making another.",
            act_together=create,
            body=LeadIn,
            answers={
                201: ("A new lead, or one that may repeat another", LeadReceipt),
                200: ("A lead known by this key, changed or the same", LeadReceipt),
            },
        ),
    )
    add_endpoint(
        config,
        Endpoint(
            name="read_lead",
            method="GET",
            path="/api/v1/leads/{number}",
            permission="api.leads.read",
            scope="leads:read",
            summary="Read a lead",
            description="The vendor and the partner that holds the lead see it in full, a partner it is offered to"
            " sees the offer view.",
            act=read,
            answers={200: ("The lead or its offer view", LeadOut | OfferOut)},
            parameters={"number": "The lead's number, for example L-10482"},
        ),
    )

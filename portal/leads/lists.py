"""The list of leads: all of them for the vendor, one's own for a partner. Limited first, named after."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import func, select

from portal.accounts.models import Account
from portal.db import PortalSession
from portal.errors import NotFound
from portal.leads import queries, waybill, words
from portal.leads.models import Lead, Offer
from portal.leads.queries import Catalogue
from portal.sharing.models import Share
from portal.web.i18n import _, tr
from portal.web.parts import Action, Empty, Tab
from portal.web.status import status_label
from portal.web.tables import Column, Listing, ListSpec, apply, count, csv_response

MOST_CHOICES = 60
NUMBER = re.compile(r"L-[0-9]{1,18}")


class AnyOf:
    """An array column that the list's choice filter can ask 'holds any of these?'."""

    def __init__(self, expr: Any) -> None:
        self.expr = expr

    def in_(self, values: Sequence[str]) -> Any:
        """SQL of the overlap."""
        return self.expr.overlap(list(values))


def _choices(session: PortalSession) -> dict[str, list[str]]:
    """Sources and countries that occur, one statement."""
    query = select(func.array_agg(Lead.source.distinct()), func.array_agg(Lead.country.distinct())).where(
        Lead.realm_id == session.context.realm_id
    )
    sources, countries = session.execute(query).one()
    return {
        "source": sorted(s for s in sources or () if s)[:MOST_CHOICES],
        "country": sorted(c for c in countries or () if c)[:MOST_CHOICES],
    }


def vendor_spec(session: PortalSession, catalogue: Catalogue) -> ListSpec:
    """The vendor's columns; choices are what occurs."""
    found = _choices(session)
    account = select(Account.name).where(Account.id == Lead.account_id).scalar_subquery()
    sources = [(s, words.first_up(words.word(words.SOURCES, s))) for s in found["source"]]
    return ListSpec(
        [
            Column("number", _("Lead"), own=True),
            Column("title", _("What"), expr=Lead.title, sort=True),
            Column("account", _("Customer"), expr=account, sort=True),
            Column("place", _("Place"), value=words.place, expr=Lead.city, sort=True),
            Column("product_lines", _("Product lines"), filter="choice", choices=list(catalogue.lines.items()),
                   expr=AnyOf(Lead.product_lines), value=lambda r: catalogue.line_names(r["product_lines"]), off=True),
            Column("worth", _("Worth"), num=True, expr=Lead.amount, sort=True, filter="number",
                   value=lambda r: waybill.money(r["amount"], r["currency"])),
            Column("assignment", _("Assignment"), "status:assignment", expr=Lead.assignment, sort=True, filter="choice"),
            Column("stage", _("Stage"), "status:stage", expr=Lead.stage, sort=True, filter="choice"),
            Column("partner", _("With")),
            Column("received", _("Received"), "when", expr=Lead.received_at, sort=True, filter="date",
                   value=lambda r: r["received_at"]),
            Column("country", _("Country"), filter="choice", expr=Lead.country, off=True,
                   choices=[(c, words.country(c)) for c in found["country"]], value=lambda r: words.country(r["country"])),
            Column("source", _("Source"), filter="choice", expr=Lead.source, off=True, choices=sources,
                   value=lambda r: words.word(words.SOURCES, r["source"])),
            Column("updated", _("Last change"), "when", expr=Lead.updated_at, sort=True, off=True,
                   value=lambda r: r["updated_at"]),
        ],
        default_sort="-received", search=[Lead.number, Lead.title, account, Lead.city], tiebreak=Lead.id.desc(),
        name="leads", search_label=_("Number, title, customer or town"),
    )  # fmt: skip


def leads(request: Request) -> Response:
    """GET /leads. The number of one lead typed into the search opens it."""
    number = (request.GET.get("q") or "").strip().upper()
    if len(request.GET) == 1 and NUMBER.fullmatch(number):
        with suppress(NotFound):
            return HTTPSeeOther(request.route_path("lead", number=queries.find(request.db, number).number))
    if request.GET.get("export") and not request.may("lead.export"):
        raise NotFound
    return _vendors(request) if request.ctx.kind == "vendor" else _partners(request)


def _vendors(request: Request) -> Response:
    session, catalogue = request.db, queries.catalogue(request.db)
    state = vendor_spec(session, catalogue).parse(request.GET, request.path)
    query = select(*Lead.__table__.c).where(Lead.realm_id == request.ctx.realm_id)
    rows = queries.with_names(session, session.execute(apply(query, state)).mappings().all())
    if state.export:
        return csv_response(state, rows)
    listing = Listing(state, rows, count(session, query, state), noun=_("leads"))
    new = Action(tr(_("New lead")), "/leads/new", "get", icon="plus")
    values = {
        "listing": listing,
        "title": tr(_("Leads")),
        "sub": "",
        "actions": [new] if request.may("lead.create") else [],
        "tabs": [],
        "empty": Empty(_("No leads yet."), new if request.may("lead.create") else None),
    }
    return render_to_response("leads/list.jinja2", values, request=request)


# The state kept on a share: the stage while the lead is open to the partner, how it ended afterwards.
SHARE_STATES = (
    *("new", "working", "qualified", "proposed", "won", "lost", "nurture", "invalid"),
    *("declined", "expired", "handed_back", "withdrawn"),
)
STAGE_STATES = SHARE_STATES[:8]


def axis_of(state: str) -> str:
    """The status axis that a share's state is a word of."""
    return "stage" if state in STAGE_STATES else "assignment" if state == "handed_back" else "offer"


def _worth(row: Any) -> str:
    return waybill.money(row["amount"], row["currency"]) or waybill.band(row["band"])


def partner_spec(catalogue: Catalogue) -> ListSpec:
    """A partner's columns; filter and order are on the share, so that the page is cut before anything is joined."""
    choices = [(state, status_label(axis_of(state), state)) for state in SHARE_STATES]
    title = select(Lead.title).where(Lead.id == Share.subject_id).scalar_subquery()
    shown = select(func.max(Offer.lead_number + " " + Offer.brief["title"].astext)).where(
        Offer.lead_id == Share.subject_id, Offer.company_id == Share.company_id
    )
    return ListSpec(
        [
            Column("number", _("Lead"), own=True),
            Column("title", _("What")),
            Column("account", _("Customer")),
            Column("place", _("Place"), value=lambda r: words.place(r["place"])),
            Column("product_lines", _("Product lines"), value=lambda r: catalogue.line_names(r["product_lines"]), off=True),
            Column("worth", _("Worth"), num=True, value=_worth),
            Column("state", _("State"), own=True, filter="choice", choices=choices, expr=Share.state, sort=True,
                   value=lambda r: status_label(axis_of(r["state"]), r["state"])),
            Column("next_step", _("Next step")),
            Column("next_step_on", _("By"), "date"),
            Column("at", _("Since"), "when", expr=Share.at, sort=True, filter="date"),
        ],
        default_sort="-at", search=[title, shown.scalar_subquery()],
        search_label=_("Number or title"), tiebreak=Share.subject_id.desc(), name="my-leads", keep=("tab",),
    )  # fmt: skip


def _partners(request: Request) -> Response:
    session, catalogue = request.db, queries.catalogue(request.db)
    state = partner_spec(catalogue).parse(request.GET, request.path)
    past = request.GET.get("tab") == "past"
    columns: list[Any] = [Share.subject_id, Share.level, Share.state, Share.at]
    query = select(*columns).where(
        Share.company_id == request.ctx.company_id,
        Share.subject_type == "lead",
        Share.level == ("past" if past else "full"),
    )
    rows = queries.shared_leads(session, session.execute(apply(query, state)).all())
    if state.export:
        return csv_response(state, rows)
    listing = Listing(state, rows, count(session, query, state), noun=_("leads"))
    tabs = [
        Tab(tr(_("With us")), "/leads", not past),
        Tab(tr(_("No longer with us")), "/leads?tab=past", past),
    ]
    values = {
        "listing": listing,
        "title": tr(_("Our leads")),
        "sub": "",
        "actions": [],
        "tabs": tabs,
        "empty": Empty(
            _("Nothing here yet. What you accept stands here."), Action(tr(_("Offers")), "/offers", "get")
        ),
        "axis_of": axis_of,
    }
    return render_to_response("leads/list.jinja2", values, request=request)


def includeme(config: Any) -> None:
    """GET /leads."""
    config.add_route("leads", "/leads")
    config.add_view(leads, route_name="leads", request_method="GET", permission="lead.read")

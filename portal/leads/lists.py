"""The list of leads: all of them for the vendor, one's own for a partner. Limited first, named after."""

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

from markupsafe import escape
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import BigInteger, Select, bindparam, func, select, text

from portal.accounts.models import Account
from portal.db import PortalSession
from portal.errors import NotFound
from portal.leads import queries, waybill, words
from portal.leads.models import Lead, Offer
from portal.leads.queries import Catalogue
from portal.sharing.models import Share
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.i18n import _, localizer, tr
from portal.web.parts import Action, Empty, Tab
from portal.web.status import status, status_label
from portal.web.tables import Column, Listing, ListSpec, ListState, Statements, count, counting, cut

MOST_CHOICES = 60
NUMBER = re.compile(r"L-[0-9]{1,18}")


class AnyOf:
    """An array column that the list's choice filter can ask 'holds any of these?'."""

    def __init__(self, expr: Any) -> None:
        self.expr = expr

    def in_(self, values: Sequence[str]) -> Any:
        """SQL of the overlap."""
        return self.expr.overlap(list(values))


# Each value that occurs is one step in an index, whatever the number of leads.
CHOICES = """
    with recursive found as (
        (select {column} as value from leads where realm_id = :realm order by {column} limit 1)
        union all
        select (select {column} from leads where realm_id = :realm and {column} > found.value order by {column} limit 1)
        from found where found.value is not null
    )
    select value from found where value is not null limit :most
"""
CHOSEN = text(
    "select array({}), array({})".format(*(CHOICES.format(column=column) for column in ("source", "country")))
)


def occurring(session: PortalSession) -> dict[str, list[str]]:
    """Sources and countries that occur, one statement."""
    values = {"realm": session.context.realm_id, "most": MOST_CHOICES}
    sources, countries = session.execute(CHOSEN, values).one()
    return {"source": [s for s in sources if s], "country": [c for c in countries if c]}


def number_link(row: Any) -> str:
    """The number, which opens the lead."""
    number = escape(row["number"])
    return f'<a class="q nw" href="/leads/{number}">{number}</a>'


def state_status(row: Any) -> str:
    """The state of a share as a status word."""
    return status(axis_of(row["state"]), row["state"], plain=True)


def _in_band(key: str) -> Callable[[Any], Any]:
    return lambda row: (row["band"] or {}).get(key)


# One cell of a page; numbers with their currency beside them in a file. What a partner has no longer is worth a band.
AMOUNT = (
    (_("Worth"), lambda row: row["amount"]),
    (_("Currency"), lambda row: row["currency"] if row["amount"] is not None else None),
)
BAND = (
    (_("Worth from"), _in_band("low")),
    (_("Worth to"), _in_band("high")),
    (_("Currency"), _in_band("currency")),
)
WORTH = Column(
    "worth", _("Worth"), num=True, expr=Lead.amount, sort=True, filter="number",
    value=lambda r: waybill.money(r["amount"], r["currency"]),
    sheet=AMOUNT,
)  # fmt: skip


def vendor_spec(session: PortalSession, catalogue: Catalogue) -> ListSpec:
    """The vendor's columns; choices are what occurs."""
    found = occurring(session)
    account = select(Account.name).where(Account.id == Lead.account_id).scalar_subquery()
    sources = [(s, words.first_up(words.word(words.SOURCES, s))) for s in found["source"]]
    return ListSpec(
        [
            Column("number", _("Lead"), draw=number_link),
            Column("title", _("What"), expr=Lead.title, sort=True),
            Column("account", _("Customer"), expr=account, sort=True),
            Column("place", _("Place"), value=words.place, expr=Lead.city, sort=True),
            Column("product_lines", _("Product lines"), filter="choice", choices=list(catalogue.lines.items()),
                   expr=AnyOf(Lead.product_lines), value=lambda r: catalogue.line_names(r["product_lines"]), off=True),
            WORTH,
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
    state = remembered.state_of(request, vendor_spec(session, catalogue))
    if state.export:
        query = select(*Lead.__table__.c).where(Lead.realm_id == request.ctx.realm_id)
        return export_response(state, stream(session, queries.named(*cut(query, state)), queries.as_dicts))
    values = {"realm": request.ctx.realm_id, **state.place}
    rows = queries.as_dicts(session.read(vendor_page(state), values))
    total = count(session, vendor_count(state), state, len(rows), values)
    listing = Listing(state, rows, total, noun=_("leads"))
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


def partner_spec(catalogue: Catalogue, *, past: bool = False) -> ListSpec:
    """A partner's columns; filter and order are on the share, so that the page is cut before anything is joined."""
    return _partner_spec(catalogue, past, localizer().locale_name)


@lru_cache(maxsize=64)
def _partner_spec(catalogue: Catalogue, past: bool, _language: str) -> ListSpec:
    """Made once for each catalogue and language."""
    choices = [(state, status_label(axis_of(state), state)) for state in SHARE_STATES]
    title = select(Lead.title).where(Lead.id == Share.subject_id).scalar_subquery()
    shown = select(func.max(Offer.lead_number + " " + Offer.brief["title"].astext)).where(
        Offer.lead_id == Share.subject_id, Offer.company_id == Share.company_id
    )
    return ListSpec(
        [
            Column("number", _("Lead"), draw=number_link),
            Column("title", _("What")),
            Column("account", _("Customer")),
            Column("place", _("Place"), value=words.place),
            Column("product_lines", _("Product lines"), value=lambda r: catalogue.line_names(r["product_lines"]), off=True),
            Column("worth", _("Worth"), num=True, value=_worth, sheet=BAND if past else AMOUNT),
            Column("state", _("State"), draw=state_status, filter="choice", choices=choices, expr=Share.state, sort=True,
                   value=lambda r: status_label(axis_of(r["state"]), r["state"])),
            Column("next_step", _("Next step")),
            Column("next_step_on", _("By when"), "date"),
            Column("at", _("Since"), "when", expr=Share.at, sort=True, filter="date"),
        ],
        default_sort="-at", search=[title, shown.scalar_subquery()],
        search_label=_("Number or title"), tiebreak=Share.subject_id.desc(), name="my-leads", keep=("tab",), tabs=("past",),
    )  # fmt: skip


def own_shares(company_id: Any, *, past: bool) -> Select[Any]:
    """The shares a partner's list is made of: leads with it, or no longer."""
    columns: list[Any] = [Share.subject_id, Share.level, Share.state, Share.at]
    return select(*columns).where(
        Share.company_id == company_id,
        Share.subject_type == "lead",
        Share.level == ("past" if past else "full"),
    )


COMPANY = bindparam("company", type_=BigInteger)
_statements = Statements()


def partner_page(state: ListState, *, past: bool) -> Select[Any]:
    """The statement of a page for `company`, `per` and `skip`."""
    query = own_shares(COMPANY, past=past)
    made = ("partner", past)
    return _statements.of(state, made, lambda *page: queries.shared(*cut(query, state, *page), COMPANY))


def partner_count(state: ListState, *, past: bool) -> Select[Any]:
    """How many leads `company` has in this state of its list."""
    return _statements.of(
        state, ("partners", past), lambda *_: counting(own_shares(COMPANY, past=past), state)
    )


def _every_lead() -> Select[Any]:
    return select(*Lead.__table__.c).where(Lead.realm_id == bindparam("realm", type_=BigInteger))


def vendor_page(state: ListState) -> Select[Any]:
    """The statement of a page for `realm`, `per` and `skip`."""
    return _statements.of(state, "vendor", lambda *page: queries.named(*cut(_every_lead(), state, *page)))


def vendor_count(state: ListState) -> Select[Any]:
    """How many leads `realm` has in this state of the list."""
    return _statements.of(state, "vendors", lambda *_: counting(_every_lead(), state))


def _partners(request: Request) -> Response:
    session, catalogue = request.db, queries.catalogue(request.db)
    past = request.GET.get("tab") == "past"
    state = remembered.state_of(request, partner_spec(catalogue, past=past))
    company = request.ctx.company_id
    if state.export:
        query = own_shares(company, past=past)
        page = queries.shared(*cut(query, state), company)
        return export_response(state, stream(session, page, queries.shared_rows))
    values = {"company": company, **state.place}
    rows = queries.shared_rows(session.read(partner_page(state, past=past), values))
    total = count(session, partner_count(state, past=past), state, len(rows), values)
    listing = Listing(state, rows, total, noun=_("leads"))
    values = {
        "listing": listing,
        "title": tr(_("Our leads")),
        "sub": "",
        "actions": [],
        "tabs": partner_tabs("past" if past else ""),
        "empty": Empty(
            _("Nothing here yet. What you accept stands here."), Action(tr(_("Offers")), "/offers", "get")
        ),
    }
    return render_to_response("leads/list.jinja2", values, request=request)


def partner_tabs(now: str) -> list[Tab]:
    """A partner's ways to look at its leads; `now` is '', past or board."""
    tabs = [("", _("With us"), "/leads"), ("board", _("Board"), "/leads/board")]
    tabs.append(("past", _("No longer with us"), "/leads?tab=past"))
    return [Tab(tr(label), url, name == now) for name, label, url in tabs]


def includeme(config: Any) -> None:
    """GET /leads."""
    config.add_route("leads", "/leads")
    config.add_view(leads, route_name="leads", request_method="GET", permission="lead.read")

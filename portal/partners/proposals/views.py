"""Pages of proposed changes: a partner's administrator proposes and takes back, the vendor's people decide."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import select

from portal.companies import queries as companies
from portal.companies.models import Company
from portal.companies.pages import add_pages, done, record_id, see_other
from portal.errors import Conflict, Invalid, NotFound
from portal.gateways import storage
from portal.partners import queries as partners
from portal.partners.pages import BOTH, FORM, LOCATION
from portal.partners.proposals import actions, queries, telling
from portal.partners.proposals.kinds import KINDS, Kind, Target, with_why
from portal.partners.proposals.models import Proposal
from portal.partners.wording import area_words
from portal.sharing.files import file_of, files_of
from portal.sharing.sending import sent
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.parts import Action, Empty, Tab
from portal.web.tables import Column, Listing, ListSpec, apply, count

BASE = "/company/proposals"
CRUMBS = [(_("Your company"), "/company")]


# -- a partner proposes ------------------------------------------------------------------------------------------------


def own_id(request: Request) -> int:
    """The reader's company, a partner."""
    ctx = request.ctx
    if ctx.kind != "partner" or ctx.company_id is None:
        raise NotFound
    return int(ctx.company_id)


def propose(request: Request) -> Any:
    """A change of the company: its name, product lines, a certification, a new location."""
    return _propose(
        request, _kind(request, "company"), Target(own_id(request)), f"/company/propose/{_code(request)}"
    )


def propose_location(request: Request) -> Any:
    """A change of one location: its address, a new territory."""
    place = partners.place(request.db, own_id(request), record_id(request, "location"))
    url = f"/company/locations/{place.location.id}/propose/{_code(request)}"
    return _propose(
        request, _kind(request, "location"), Target(own_id(request), place.location.id), url, place
    )


def propose_removal(request: Request) -> Any:
    """A territory that a location no longer serves."""
    row = partners.territory(request.db, own_id(request), record_id(request, "territory"))
    target = Target(own_id(request), row.location_id, row.id)
    url = f"/company/territories/{row.id}/propose"
    return _propose(request, KINDS["territory-end"], target, url, about=area_words(row))


def _code(request: Request) -> str:
    return str(request.matchdict["kind"])


def _kind(request: Request, on: str) -> Kind:
    found = KINDS.get(_code(request))
    if found is None or found.on != on:
        raise NotFound
    return found


def _propose(
    request: Request, kind: Kind, target: Target, url: str, place: Any = None, about: str = ""
) -> Any:
    session = request.db
    form = _form(request, kind, target, place)
    made: list[int] = []

    def act(data: Any) -> None:
        given, file = data.model_dump(exclude={"why", "file"}), getattr(data, "file", None)
        made.append(actions.propose(session, kind.code, target, given, data.why or ""))
        if getattr(file, "filename", None):
            settings = request.registry.portal
            actions.attach(session, settings, storage(settings), made[0], (file.filename, file.file))

    if done(request, form, act):
        flash(
            request,
            _("Proposed."),
            more=_("It counts when it is approved; until then everything stays as it is."),
        )
        return see_other(f"{BASE}/{made[0]}")
    about = place.location.name if place is not None else about
    what = ", ".join(part for part in (tr(kind.title), about) if part)
    title = tr(_("Propose: ${what}", mapping={"what": what}))
    return {
        "title": title,
        "f": form,
        "url": url,
        "submit": _("Propose it"),
        "cancel": "/company",
        "crumbs": CRUMBS,
        "multipart": kind.document,
    }


def _form(request: Request, kind: Kind, target: Target, place: Any) -> Form[Any]:
    """The kind's fields filled with what holds, and a field for why."""
    session = request.db
    values: dict[str, Any] = {}
    if kind.code == "address":
        values = {
            **{c.key: getattr(place.fact, c.key) for c in place.fact.__table__.c},
            "name": place.location.name,
        }
    elif kind.code in ("name", "lines"):
        values = kind.now(session, target, {})
    choices = {
        "lines": {"product_lines": partners.product_lines(session)},
        "certification": {
            "programme": partners.programmes(session),
            "product_line": partners.product_lines(session),
        },
    }.get(kind.code)
    return Form(with_why(kind), values, choices=choices)


def withdraw(request: Request) -> Any:
    """POST: the proposal is taken back."""
    own_id(request)
    number = record_id(request)
    return _decided(request, BASE, number, _("Taken back."), lambda: actions.withdraw(request.db, number))


# -- lists -------------------------------------------------------------------------------------------------------------

KIND_CHOICES = tuple((code, kind.title) for code, kind in KINDS.items())


def spec(base: str, *, own: bool) -> ListSpec:
    """The columns; a partner needs no column for itself."""
    columns = [
        Column("kind", _("What"), expr=Proposal.kind, sort=True, filter="choice", choices=KIND_CHOICES,
               value=lambda r: tr(KINDS[r.kind].title), href=lambda r: f"{base}/{r.id}"),
        Column("place", _("Location")),
        Column("company", _("Partner"), expr=Company.name_key, sort=True),
        Column("state", _("State"), "status:proposal", expr=Proposal.state, sort=True, filter="choice"),
        Column("proposed", _("Proposed on"), "when", expr=Proposal.proposed_at, sort=True, filter="date",
               value=lambda r: r.proposed_at),
        Column("decided", _("Decided"), "when", expr=Proposal.decided_at, sort=True, value=lambda r: r.decided_at),
    ]  # fmt: skip
    shown = [column for column in columns if not (own and column.key == "company")]
    search = [] if own else [Company.name]
    return ListSpec(
        shown, "-proposed", search=search, tiebreak=Proposal.id.desc(), keep=("tab",), tabs=("decided",),
        name="my-proposals" if own else "proposals", search_label=_("Partner"),
    )  # fmt: skip


def own_list(request: Request) -> Any:
    """What the reader's company has proposed."""
    query = queries.table().where(Proposal.company_id == own_id(request))
    empty = Empty(_("Nothing is proposed."), Action(tr(_("Your company")), "/company", "get"))
    return _list(request, spec(BASE, own=True), query, empty, [])


def vendors_list(request: Request) -> Any:
    """What partners have proposed: first what waits."""
    decided = request.GET.get("tab") == "decided"
    query = queries.table().where(Proposal.realm_id == request.ctx.realm_id)
    query = query.where(Proposal.state != "open" if decided else Proposal.state == "open")
    tabs = [
        Tab(tr(_("Waiting")), "/proposals", not decided, queries.waiting_count(request.db)),
        Tab(tr(_("Decided")), "/proposals?tab=decided", decided),
    ]
    empty = Empty(
        _("Nothing waits for a decision."), Action(tr(_("All partners")), "/partners?view=all", "get")
    )
    return _list(request, spec("/proposals", own=False), query, empty, tabs)


def _list(request: Request, listed: ListSpec, query: Any, empty: Empty, tabs: list[Tab]) -> Any:
    session = request.db
    state = remembered.state_of(request, listed)
    if state.export:
        return export_response(state, stream(session, apply(query, state)))
    listing = Listing(
        state, session.execute(apply(query, state)).all(), count(session, query, state), noun=_("proposals")
    )
    return {"listing": listing, "empty": empty, "tabs": tabs, "own": not tabs}


# -- one proposal ------------------------------------------------------------------------------------------------------


def own_page(request: Request) -> Any:
    """What was proposed and what came of it."""
    own_id(request)
    return _page(request, BASE, [*CRUMBS, (_("Proposed changes"), BASE)])


def vendors_page(request: Request) -> Any:
    """Before and after, and the two answers."""
    return _page(request, "/proposals", [(_("Partners"), "/partners"), (_("Proposed changes"), "/proposals")])


def _page(request: Request, base: str, crumbs: Any, refusal: str = "", typed: str = "") -> dict[str, Any]:
    session = request.db
    found = queries.shown(session, record_id(request))
    vendor = companies.vendor_id(session)
    names = {
        row.id: row.name
        for row in session.execute(
            select(Company.id, Company.name).where(Company.id.in_((vendor, found.row.company_id)))
        )
    }
    own = request.ctx.kind == "partner"
    words = {"proposal.made": found.why, f"proposal.{found.row.state}": found.answer}
    waits = found.row.state == "open"
    return {
        "p": found,
        "entries": telling.entries(found.told, found.people, names, words),
        "crumbs": crumbs,
        "base": base,
        "own": own,
        "files": files_of(session, ("proposal", found.row.id)) if _opens_files(request) else [],
        "may_decide": waits and not own and request.may("partner.edit"),
        "may_withdraw": waits and own and request.may("company.edit"),
        "refusal": refusal,
        "typed": typed,
    }


def _opens_files(request: Request) -> bool:
    """Who may decide at the vendor, who may propose at the partner; row-level security says whose."""
    return bool(request.may("partner.edit") or request.may("company.edit"))


def document(request: Request) -> Any:
    """GET: the document of a proposal, for the one who decides or the one who proposed."""
    file = record_id(request, "file")
    return sent(request, file_of(request.db, ("proposal", record_id(request)), file))


def approve(request: Request) -> Any:
    """POST: make it so."""
    number = record_id(request)
    note = request.POST.get("reason", "")
    return _decided(
        request, "/proposals", number, _("Approved."), lambda: actions.approve(request.db, number, note)
    )


def reject(request: Request) -> Any:
    """POST: leave it, with the reason."""
    number = record_id(request)
    reason = request.POST.get("reason", "")
    return _decided(
        request, "/proposals", number, _("Rejected."), lambda: actions.reject(request.db, number, reason)
    )


def _decided(request: Request, base: str, number: int, said: Any, act: Any) -> Any:
    """Do it and go back to the proposal; a refusal shows it again with what was typed."""
    try:
        with request.db.begin_nested():
            act()
    except (Invalid, Conflict) as error:
        request.tm.doom()
        request.response.status_int = 422 if isinstance(error, Invalid) else 409
        why = error.faults[0].message if isinstance(error, Invalid) else error.message
        return _page(request, base, [], str(why), request.POST.get("reason", ""))
    flash(request, said, more=_("Whoever proposed it is told by e-mail.") if base == "/proposals" else "")
    return see_other(f"{base}/{number}")


ID, FILE = r"{id:\d{1,19}}", r"{file:\d{1,19}}"
DETAIL = "proposals/proposal.jinja2"
LIST = "proposals/list.jinja2"
PAGES = [
    ("propose", "/company/propose/{kind}", propose, BOTH, "company.edit", ""),
    ("propose_location", f"/company/locations/{LOCATION}/propose/{{kind}}", propose_location, BOTH, "company.edit", ""),
    ("propose_removal", r"/company/territories/{territory:\d+}/propose", propose_removal, BOTH, "company.edit", ""),
    ("own_proposals", BASE, own_list, "GET", "company.read", LIST),
    ("own_proposal", f"{BASE}/{ID}", own_page, "GET", "company.read", DETAIL),
    ("proposal_withdraw", f"{BASE}/{ID}/withdraw", withdraw, "POST", "company.edit", DETAIL),
    ("proposals", "/proposals", vendors_list, "GET", "partner.edit", LIST),
    ("proposal", f"/proposals/{ID}", vendors_page, "GET", "partner.edit", DETAIL),
    ("own_proposal_file", f"{BASE}/{ID}/files/{FILE}", document, "GET", "company.edit", ""),
    ("proposal_file", f"/proposals/{ID}/files/{FILE}", document, "GET", "partner.edit", ""),
    ("proposal_approve", f"/proposals/{ID}/approve", approve, "POST", "partner.edit", DETAIL),
    ("proposal_reject", f"/proposals/{ID}/reject", reject, "POST", "partner.edit", DETAIL),
]  # fmt: skip


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, FORM, PAGES)

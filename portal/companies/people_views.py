"""People of a company: who may sign in, with which roles and how; the log of that. For the company's administrators
under /company, and for the vendor's managers under each partner."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies import actions, queries
from portal.companies.models import PARTNER_ROLES, VENDOR_ROLES, Company
from portal.companies.pages import add_pages, done, own_id, record_id, see_other
from portal.errors import NotFound
from portal.partners.pages import BOTH, CONFIRM, FORM, ID, Back, owned, page
from portal.partners.views import invite_page
from portal.partners.wording import role_words
from portal.security import log
from portal.web import parts, remembered
from portal.web.exports import export_response, stream
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.shell import ROLE_WORDS
from portal.web.tables import Listing, apply, count


class RolesForm(BaseModel):
    """What somebody may do."""

    roles: list[str] = Field(title=_("Roles"), min_length=1)


@dataclass(frozen=True, slots=True)
class Place:
    """Whose people the page shows, its address, and the crumbs above its sub-pages."""

    company: Company
    url: str
    crumbs: list[tuple[Any, str]]
    own: bool


def place(request: Request) -> Place:
    """The partner in the address, or the reader's own company."""
    if "id" in request.matchdict:
        company = owned(request)
        back = Back(company)
        return Place(
            company, f"{back.url}/people", [*back.crumbs, (_("People"), f"{back.url}/people")], False
        )
    company = queries.company(request.db, own_id(request))
    return Place(company, "/company/people", [(_("People"), "/company/people")], True)


def people(request: Request) -> dict[str, Any]:
    """Who may sign in for the company, with their roles and whether they have a second factor."""
    here = place(request)
    return {
        "company": here.company,
        "base": here.url,
        "crumbs": here.crumbs[:-1],
        "own": here.own,
        "may_require": here.own and request.may("signin.require"),
        "may_invite": here.own or request.may("partner.edit"),
        "people": queries.members(request.db, here.company.id),
        "own_person": request.ctx.person_id,
        "role_words": role_words,
        "tabs": tabs(here, 0),
    }


def tabs(here: Place, on: int) -> list[parts.Tab]:
    """People and log of the own company."""
    if not here.own:
        return []
    both = ((_("People"), here.url), (_("Sign-in log"), "/company/log"))
    return [parts.Tab(label, url, number == on) for number, (label, url) in enumerate(both)]


def person_new(request: Request) -> Any:
    """Invite somebody."""
    here = place(request)
    return invite_page(request, here.company, f"{here.url}/new", here.url, here.crumbs)


def person_roles(request: Request) -> Any:
    """Give and take roles; they count from that person's next click on."""
    here = place(request)
    person = member(request, here.company)
    known = VENDOR_ROLES if here.company.kind == "vendor" else PARTNER_ROLES
    choices = {"roles": [(role, ROLE_WORDS[role]) for role in known]}
    form = Form(RolesForm, {"roles": person["roles"]}, choices=choices)
    url = f"{here.url}/{person['id']}/roles"
    if done(
        request, form, lambda given: actions.set_roles(request.db, here.company.id, person["id"], given.roles)
    ):
        flash(request, _("The roles of ${name} are saved.", mapping={"name": person["name"]}))
        mine = person["id"] == request.ctx.person_id
        return see_other("/" if mine else here.url)
    title = _("Roles of ${name}", mapping={"name": person["name"]})
    return page(title, form, url, _("Save"), here.url, here.crumbs)


def person_remove(request: Request) -> Any:
    """Ask before somebody is taken out of the company; POST does it."""
    here = place(request)
    person = member(request, here.company)
    if request.method == "POST":
        actions.remove_member(request.db, here.company.id, person["id"])
        name = {"name": person["name"], "company": here.company.name}
        flash(request, _("${name} can no longer sign in for ${company}.", mapping=name))
        return see_other(here.url)
    happens = [
        _("They can no longer sign in for this company; open sessions end."),
        _("What they wrote and did stays, under their name."),
    ]
    return ask(here, person, _("Remove ${name}?"), happens, _("Remove"), "remove")


def person_factor(request: Request) -> Any:
    """Ask before the second factor of somebody who has lost it is reset; POST does it."""
    here = place(request)
    person = member(request, here.company)
    if request.method == "POST":
        actions.reset_factor(request.db, here.company.id, person["id"])
        flash(request, _("The second factor of ${name} is reset.", mapping={"name": person["name"]}))
        return see_other(here.url)
    happens = [
        _("Make sure that it is really this person who asks: call them."),
        _("Open sessions end. They set it up again at the next sign-in, before anything else opens.")
        if here.company.factor_required
        else _("Their password alone is then enough to sign in; open sessions end."),
        _("They are told by mail, and it stands in the log."),
    ]
    return ask(here, person, _("Reset the second factor of ${name}?"), happens, _("Reset"), "factor")


def ask(
    here: Place, person: dict[str, Any], title: Any, happens: list[Any], word: Any, what: str
) -> dict[str, Any]:
    """What the confirmation template needs."""
    asked = tr(_(title, mapping={"name": person["name"]}))
    action = parts.Action(word, f"{here.url}/{person['id']}/{what}", danger=True)
    return {"title": asked, "confirm": parts.Confirm(asked, happens, action, here.url), "crumbs": here.crumbs}


def member(request: Request, company: Company) -> dict[str, Any]:
    """The person named in the address, of this company only."""
    wanted = record_id(request, "person")
    found = next((p for p in queries.members(request.db, company.id) if p["id"] == wanted), None)
    if found is None:
        raise NotFound
    return found


def require_factor(request: Request) -> Any:
    """Ask everybody of the own company for a second factor, or no longer."""
    required = request.POST.get("required") == "1"
    actions.require_factor(request.db, own_id(request), required)
    if required:
        flash(
            request,
            _("A second factor is required."),
            more=_("Who has none was signed out and sets it up at the next sign-in."),
        )
    else:
        flash(request, _("A second factor is no longer required."), "info")
    return see_other("/company/people")


def sign_in_log(request: Request) -> Any:
    """What happened to the accounts of the own company's people, and who gave or took which role."""
    here = place(request)
    state = remembered.state_of(request, log.spec(here.company.id))
    query = log.entries(here.company.id)
    if state.export:
        return export_response(state, stream(request.db, apply(query, state)))
    rows = request.db.execute(apply(query, state)).all()
    listing = Listing(state, rows, count(request.db, query, state), noun=_("entries"))
    return {"listing": listing, "company": here.company, "tabs": tabs(here, 1)}


PEOPLE, PERSON = "/company/people", r"{person:\d+}"
OF_PARTNER = f"/partners/{ID}/people"
MEMBERS, PARTNERS = "member.manage", "partner.members"
LIST = "companies/people.jinja2"
PAGES = [
    ("company_people", PEOPLE, people, "GET", MEMBERS, LIST),
    ("company_person_new", f"{PEOPLE}/new", person_new, BOTH, MEMBERS, ""),
    ("company_person_roles", f"{PEOPLE}/{PERSON}/roles", person_roles, BOTH, MEMBERS, ""),
    ("company_person_factor", f"{PEOPLE}/{PERSON}/factor", person_factor, BOTH, MEMBERS, CONFIRM),
    ("company_person_remove", f"{PEOPLE}/{PERSON}/remove", person_remove, BOTH, MEMBERS, CONFIRM),
    ("company_factor", "/company/factor", require_factor, "POST", "signin.require", ""),
    ("company_log", "/company/log", sign_in_log, "GET", MEMBERS, "companies/log.jinja2"),
    ("partner_people", OF_PARTNER, people, "GET", PARTNERS, LIST),
    ("partner_person_roles", f"{OF_PARTNER}/{PERSON}/roles", person_roles, BOTH, PARTNERS, ""),
    ("partner_person_factor", f"{OF_PARTNER}/{PERSON}/factor", person_factor, BOTH, PARTNERS, CONFIRM),
    ("partner_person_remove", f"{OF_PARTNER}/{PERSON}/remove", person_remove, BOTH, PARTNERS, CONFIRM),
]


def includeme(config: Configurator) -> None:
    """Routes and views of people."""
    add_pages(config, FORM, PAGES)

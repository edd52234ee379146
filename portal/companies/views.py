"""A partner's own pages: its profile, contact facts, capacity and hours; people; the agreement."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies import actions, queries
from portal.companies.models import Company
from portal.companies.pages import add_pages, done, record_id, see_other
from portal.errors import NotFound
from portal.partners import forms
from portal.partners import queries as partners
from portal.partners.pages import CONFIRM, FORM, LOCATION, columns, page, saved
from portal.partners.views import calendar_page, invite_page
from portal.partners.wording import role_words, words
from portal.web import parts
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr

BASE = "/company"
CRUMBS = [(_("Your company"), BASE)]
PEOPLE = [(_("People"), "/company/people")]


def profile(request: Request) -> dict[str, Any]:
    """The reader's own company as the vendor sees it."""
    found = partners.profile(request.db, own_id(request))
    edit = request.may("company.edit")
    return {
        **words(),
        "profile": found,
        "base": BASE,
        "may_edit": edit,
        "may_invite": request.may("member.manage"),
        "vendor": False,
        "standing": [],
        "line_names": dict(partners.product_lines(request.db)),
        "programme_names": dict(partners.programmes(request.db)),
    }


def edit(request: Request) -> Any:
    """Contact facts; the name and all that decides about leads are the vendor's to change."""
    company = queries.company(request.db, own_id(request))
    form = Form(forms.OwnCompanyForm, columns(company, forms.OwnCompanyForm))

    def act(data: forms.OwnCompanyForm) -> None:
        actions.change_company(request.db, company.id, **data.model_dump())

    if done(request, form, act):
        return saved(request, BASE, f"{BASE}/edit")
    return page(_("Edit your company"), form, f"{BASE}/edit", _("Save"), BASE, CRUMBS)


def location(request: Request) -> Any:
    """Phone and capacity of one of its locations."""
    place = partners.place(request.db, own_id(request), record_id(request, "location"))
    url = f"{BASE}/locations/{place.location.id}"
    form = Form(forms.OwnLocationForm, columns(place.fact, forms.OwnLocationForm))

    def act(data: forms.OwnLocationForm) -> None:
        actions.change_location(request.db, place.location.id, **data.model_dump())

    if done(request, form, act):
        return saved(request, BASE, url)
    return page(place.location.name, form, url, _("Save"), BASE, CRUMBS)


def calendar(request: Request) -> Any:
    """When one of its locations works."""
    return calendar_page(request, own_id(request), BASE, CRUMBS)


# -- people --------------------------------------------------------------------------------------------------------


def people(request: Request) -> dict[str, Any]:
    """Who may sign in for the company, with their roles."""
    company = queries.company(request.db, own_id(request))
    return {
        "company": company,
        "people": queries.members(request.db, company.id),
        "own_person": request.ctx.person_id,
        "role_words": role_words,
    }


def person_new(request: Request) -> Any:
    """Invite somebody."""
    company = queries.company(request.db, own_id(request))
    back = "/company/people"
    return invite_page(request, company, f"{back}/new", back, PEOPLE)


def person_remove(request: Request) -> Any:
    """Ask before somebody is taken out of the company; POST does it."""
    company = queries.company(request.db, own_id(request))
    person = member(request, company)
    url = f"/company/people/{person['id']}/remove"
    if request.method == "POST":
        actions.remove_member(request.db, company.id, person["id"])
        flash(request, _("${name} can no longer sign in for your company.", mapping={"name": person["name"]}))
        return see_other("/company/people")
    title = tr(_("Remove ${name}?", mapping={"name": person["name"]}))
    happens = [
        _("They can no longer sign in for this company; open sessions end."),
        _("What they wrote and did stays, under their name."),
    ]
    action = parts.Action(_("Remove"), url, danger=True)
    return {
        "title": title,
        "confirm": parts.Confirm(title, happens, action, "/company/people"),
        "crumbs": PEOPLE,
    }


def member(request: Request, company: Company) -> dict[str, Any]:
    """The person named in the address, of this company only."""
    wanted = record_id(request, "person")
    found = next((p for p in queries.members(request.db, company.id) if p["id"] == wanted), None)
    if found is None:
        raise NotFound
    return found


# -- agreement -----------------------------------------------------------------------------------------------------


def agreement(request: Request) -> dict[str, Any]:
    """The agreement in its current version, and whether it is accepted."""
    found = partners.profile(request.db, own_id(request))
    return {"profile": found, "may_accept": request.may("company.edit")}


def agreement_accept(request: Request) -> Any:
    """Accept the version that was shown."""
    made = actions.accept_agreement(request.db, own_id(request), request.POST.get("version", ""))
    flash(request, _("The agreement is accepted.") if made else _("It was accepted already."))
    return see_other(BASE)


def own_id(request: Request) -> int:
    """The reader's company."""
    company_id = request.ctx.company_id
    if company_id is None:
        raise NotFound
    return int(company_id)


PAGES = [
    ("company", BASE, profile, "GET", "company.read", "partners/profile.jinja2"),
    ("company_edit", f"{BASE}/edit", edit, "GET POST", "company.edit", ""),
    ("company_location", f"{BASE}/locations/{LOCATION}", location, "GET POST", "company.edit", ""),
    ("company_calendar", f"{BASE}/locations/{LOCATION}/calendar", calendar, "GET POST", "company.edit", ""),
    ("company_people", f"{BASE}/people", people, "GET", "member.manage", "companies/people.jinja2"),
    ("company_person_new", f"{BASE}/people/new", person_new, "GET POST", "member.manage", ""),
    (
        "company_person_remove",
        f"{BASE}/people/{{person:\\d+}}/remove",
        person_remove,
        "GET POST",
        "member.manage",
        CONFIRM,
    ),
    (
        "company_agreement",
        f"{BASE}/agreement",
        agreement,
        "GET",
        "company.read",
        "companies/agreement.jinja2",
    ),
    ("company_agreement_accept", f"{BASE}/agreement/accept", agreement_accept, "POST", "company.edit", ""),
]


def includeme(config: Configurator) -> None:
    """Routes and views of a partner's own pages."""
    add_pages(config, FORM, PAGES)

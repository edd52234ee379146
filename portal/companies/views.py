"""A partner's own pages: its profile, contact facts, capacity and hours; the agreement."""

from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies import actions, queries
from portal.companies.pages import add_pages, done, own_id, record_id, see_other
from portal.partners import forms
from portal.partners import queries as partners
from portal.partners.pages import FORM, LOCATION, columns, page, saved
from portal.partners.proposals import queries as proposals
from portal.partners.views import calendar_page
from portal.partners.wording import words
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _

BASE = "/company"
CRUMBS = [(_("Your company"), BASE)]


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
        "waiting": proposals.waiting_count(request.db, found.company.id),
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


PAGES = [
    ("company", BASE, profile, "GET", "company.read", "partners/profile.jinja2"),
    ("company_edit", f"{BASE}/edit", edit, "GET POST", "company.edit", ""),
    ("company_location", f"{BASE}/locations/{LOCATION}", location, "GET POST", "company.edit", ""),
    ("company_calendar", f"{BASE}/locations/{LOCATION}/calendar", calendar, "GET POST", "company.edit", ""),
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
    """Routes and views of a partner's own pages, and of people."""
    config.include("portal.companies.people_views")
    add_pages(config, FORM, PAGES)

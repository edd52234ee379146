"""The vendor's forms of what makes a partner eligible: certifications, product lines, territories."""

from dataclasses import asdict
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies.pages import add_pages, done, record_id, see_other
from portal.partners import actions, forms, queries
from portal.partners.pages import BOTH, CONFIRM, FORM, ID, LOCATION, Back, ask, drop_empty, owned, page, saved
from portal.partners.wording import area_words
from portal.web import parts
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _


def certification_new(request: Request) -> Any:
    """Add a certification, or renew the one with the same programme, line and number."""
    company = owned(request)
    back = Back(company)
    choices = {
        "programme": queries.programmes(request.db),
        "product_line": queries.product_lines(request.db),
    }
    form = Form(forms.CertificationForm, dict(request.GET), choices=choices)

    def act(data: forms.CertificationForm) -> None:
        actions.add_certification(request.db, company.id, actions.Certificate(**data.model_dump()))

    url = f"{back.url}/certifications/new"
    if done(request, form, act):
        return saved(request, back.url)
    return page(_("New certification"), form, url, _("Save certification"), back.url, back.crumbs)


def certification_end(request: Request) -> Any:
    """Ask before a certification ends; POST ends it."""
    company = owned(request)
    back = Back(company)
    row = queries.certification(request.db, company.id, record_id(request, "certification"))
    url = f"{back.url}/certifications/{row.id}/end"
    if request.method == "POST":
        actions.end_certification(request.db, company.id, row.id)
        given = {name: getattr(row, name) for name in forms.CertificationForm.model_fields}
        again = request.route_path("certification_new", id=company.id, _query=drop_empty(given))
        flash(request, _("The certification is ended."), url=again, label=_("Add it again"))
        return see_other(back.url)
    number = f" {row.number}" if row.number else ""
    lines, programmes = dict(queries.product_lines(request.db)), dict(queries.programmes(request.db))
    line = f" ({lines.get(row.product_line, row.product_line)})" if row.product_line else ""
    what = f"{programmes.get(row.programme, row.programme)}{number}{line}"
    return ask(
        _("End the certification ${what} of ${name}?", mapping={"what": what, "name": company.name}),
        [_("It no longer counts for leads that ask for it, from now on.")],
        parts.Action(_("End it"), url, danger=True),
        back,
    )


def lines(request: Request) -> Any:
    """Which product lines the partner may sell."""
    company = owned(request)
    back = Back(company)
    held = {code for code, _name in queries.profile(request.db, company.id).product_lines}
    form = Form(
        forms.LinesForm,
        {"product_lines": sorted(held)},
        choices={"product_lines": queries.product_lines(request.db)},
    )

    def act(data: forms.LinesForm) -> None:
        for code in sorted(set(data.product_lines) - held):
            actions.authorise(request.db, company.id, code)
        for code in sorted(held - set(data.product_lines)):
            actions.end_authorisation(request.db, company.id, code)

    if done(request, form, act):
        return saved(request, back.url, f"{back.url}/lines")
    return page(_("Product lines"), form, f"{back.url}/lines", _("Save"), back.url, back.crumbs)


def territory_new(request: Request) -> Any:
    """One more territory of a location."""
    company = owned(request)
    back = Back(company)
    place = queries.place(request.db, company.id, record_id(request, "location"))
    form = Form(forms.TerritoryForm, dict(request.GET))
    url = f"{back.url}/locations/{place.location.id}/territories/new"

    def act(data: forms.TerritoryForm) -> None:
        actions.add_territory(request.db, place.location.id, actions.Area(**data.model_dump()))

    if done(request, form, act):
        return saved(request, back.url)
    title = _("New territory of ${name}", mapping={"name": place.location.name})
    return page(title, form, url, _("Save territory"), back.url, back.crumbs)


def territory_remove(request: Request) -> Any:
    """Ask before a territory is taken away; POST does it."""
    company = owned(request)
    back = Back(company)
    row = queries.territory(request.db, company.id, record_id(request, "territory"))
    url = f"{back.url}/territories/{row.id}/remove"
    if request.method == "POST":
        area = actions.remove_territory(request.db, company.id, row.id)
        query = drop_empty(asdict(area))
        again = request.route_path("territory_new", id=company.id, location=row.location_id, _query=query)
        flash(request, _("The territory is removed."), url=again, label=_("Add it again"))
        return see_other(back.url)
    words = {"what": area_words(row), "name": company.name}
    return ask(
        _("Remove the territory ${what} of ${name}?", mapping=words),
        [_("Leads from there are no longer offered to this location.")],
        parts.Action(_("Remove it"), url, danger=True),
        back,
    )


TERRITORY, CERTIFICATION = r"{territory:\d+}", r"{certification:\d+}"
EDIT = "partner.edit"
PAGES = [
    ("territory_new", f"/partners/{ID}/locations/{LOCATION}/territories/new", territory_new, BOTH, EDIT, ""),
    (
        "territory_remove",
        f"/partners/{ID}/territories/{TERRITORY}/remove",
        territory_remove,
        BOTH,
        EDIT,
        CONFIRM,
    ),
    ("certification_new", f"/partners/{ID}/certifications/new", certification_new, BOTH, EDIT, ""),
    (
        "certification_end",
        f"/partners/{ID}/certifications/{CERTIFICATION}/end",
        certification_end,
        BOTH,
        EDIT,
        CONFIRM,
    ),
    ("partner_lines", f"/partners/{ID}/lines", lines, BOTH, EDIT, ""),
]


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, FORM, PAGES)

"""The vendor's pages of partners: table, profile, company, standing, locations, people."""

from collections.abc import Callable
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from portal.companies import actions as companies
from portal.companies import queries as company_queries
from portal.companies.models import PARTNER_ROLES, VENDOR_ROLES, Company
from portal.companies.pages import add_pages, done, record_id, see_other
from portal.errors import Fault, Invalid
from portal.partners import actions, forms, places, queries
from portal.partners.listing import spec
from portal.partners.pages import BOTH, CONFIRM, FORM, ID, LOCATION, Back, columns, owned, page, saved
from portal.partners.proposals import queries as proposals
from portal.partners.wording import words
from portal.security import signin
from portal.web import parts, remembered
from portal.web.exports import export_response, stream
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.shell import ROLE_WORDS
from portal.web.tables import Listing, apply, count


def partners(request: Request) -> Any:
    """The table of partners: search, filter, sort, export."""
    query = queries.table()
    state = remembered.state_of(request, spec(request.db))
    if state.export:
        return export_response(state, stream(request.db, apply(query, state)))
    rows = request.db.execute(apply(query, state)).all()
    total = count(request.db, query, state, len(rows))
    return {"listing": Listing(state, rows, total, noun=_("partners"))}


def partner(request: Request) -> dict[str, Any]:
    """One partner, with everything that makes it eligible."""
    found = queries.profile(request.db, record_id(request))
    return {
        "profile": found,
        "base": f"/partners/{found.company.id}",
        "may_edit": request.may("partner.edit"),
        "may_invite": request.may("partner.edit"),
        "vendor": True,
        "waiting": proposals.waiting_count(request.db, found.company.id),
        "standing": standing_actions(found) if request.may("partner.edit") else [],
        **words(),
        "line_names": dict(queries.product_lines(request.db)),
        "programme_names": dict(queries.programmes(request.db)),
    }


def standing_actions(found: queries.Profile) -> list[parts.Action]:
    """Buttons that lead to the confirmation of another status."""
    words = {
        "active": _("Activate"),
        "suspended": _("Suspend"),
        "ended": _("End the partnership"),
    }
    offered = {
        "prospect": ("active", "ended"),
        "active": ("suspended", "ended"),
        "suspended": ("active", "ended"),
        "ended": ("active",),
    }[found.status]
    base = f"/partners/{found.company.id}/standing"
    return [parts.Action(words[to], f"{base}?to={to}", method="get") for to in offered]


# -- company and standing ------------------------------------------------------------------------------------------


def new(request: Request) -> Any:
    """A new partner with its first location."""
    choices = {"level": queries.levels(request.db)}
    form = Form(forms.NewPartnerForm, {"time_zone": request.ctx.time_zone}, choices=choices)
    made: list[int] = []

    def act(data: forms.NewPartnerForm) -> None:
        given = data.model_dump()
        address = {name: given.pop(name) for name in ("street", "postal", "city", "country")}
        company_id = actions.create_partner(request.db, **given)
        companies.add_location(request.db, company_id, data.city, **places.placed(address))
        made.append(company_id)

    if done(request, form, act):
        flash(
            request,
            _("The partner is there."),
            more=_("Add its territory, certifications and product lines."),
        )
        return see_other(f"/partners/{made[0]}")
    return page(
        _("New partner"),
        form,
        "/partners/new",
        _("Save partner"),
        "/partners",
        [(_("Partners"), "/partners")],
    )


def edit(request: Request) -> Any:
    """What the company says of itself, and its level."""
    found = queries.profile(request.db, record_id(request))
    back = Back(found.company)
    values = {**columns(found.company, forms.PartnerForm), "level": found.level}
    form = Form(forms.PartnerForm, values, choices={"level": queries.levels(request.db)})

    def act(data: forms.PartnerForm) -> None:
        given = data.model_dump()
        level = given.pop("level")
        companies.change_company(request.db, found.company.id, **given)
        actions.set_standing(request.db, found.company.id, status=found.status, level=level)

    if done(request, form, act):
        return saved(request, back.url, f"{back.url}/edit")
    return page(_("Edit the company"), form, f"{back.url}/edit", _("Save"), back.url, back.crumbs)


STANDING = {
    "active": (_("Activate ${name}?"), _("Activate"), (_("It is offered leads from now on."),)),
    "suspended": (
        _("Suspend ${name}?"),
        _("Suspend"),
        (_("It is offered nothing more."), _("Its open offers and leads go to the next best partner.")),
    ),
    "ended": (
        _("End the partnership with ${name}?"),
        _("End the partnership"),
        (_("It is offered nothing more."), _("Its open offers and leads go to the next best partner.")),
    ),
}


def standing(request: Request) -> Any:
    """Ask before a partner's status changes; POST does it."""
    found = queries.profile(request.db, record_id(request))
    back = Back(found.company)
    to = request.params.get("to", "")
    if to not in STANDING or to == found.status:
        return see_other(back.url)
    title, word, happens = STANDING[to]
    if request.method == "POST":
        actions.set_standing(request.db, found.company.id, status=to, level=found.level)
        undo = f"{back.url}/standing?to={found.status}" if found.status in STANDING else None
        flash(request, _("The status is changed."), url=undo, label=_("Undo") if undo else "")
        return see_other(back.url)
    asked = tr(_(title, mapping={"name": found.company.name}))
    action = parts.Action(word, f"{back.url}/standing", danger=to != "active")
    return {
        "title": asked,
        "confirm": parts.Confirm(asked, happens, action, back.url, fields=[("to", to)]),
        "crumbs": back.crumbs,
    }


# -- locations -----------------------------------------------------------------------------------------------------


def location_new(request: Request) -> Any:
    """One more place from which the partner works."""
    company = owned(request)
    back = Back(company)
    form = Form(forms.LocationForm)

    def act(data: forms.LocationForm) -> None:
        companies.add_location(request.db, company.id, **places.placed(data.model_dump()))

    url = f"{back.url}/locations/new"
    if done(request, form, act):
        return saved(request, back.url)
    return page(_("New location"), form, url, _("Save location"), back.url, back.crumbs)


def location_edit(request: Request) -> Any:
    """Address, coordinates, capacity."""
    company = owned(request)
    back = Back(company)
    place = queries.place(request.db, company.id, record_id(request, "location"))
    url = f"{back.url}/locations/{place.location.id}"
    values = {**columns(place.fact, forms.LocationForm), "name": place.location.name}
    form = Form(forms.LocationForm, values)

    def act(data: forms.LocationForm) -> None:
        given = places.moved(data.model_dump(), place.fact)
        companies.change_location(request.db, place.location.id, **given)

    if done(request, form, act):
        return saved(request, back.url, url)
    return page(place.location.name, form, url, _("Save"), back.url, back.crumbs)


def calendar(request: Request) -> Any:
    """When the location works."""
    company = owned(request)
    back = Back(company)
    return calendar_page(request, company.id, back.url, back.crumbs)


def calendar_page(request: Request, company_id: int, base: str, crumbs: Any) -> Any:
    """The form of a location's calendar, for the vendor and for the partner itself."""
    place = queries.place(request.db, company_id, record_id(request, "location"))
    url = f"{base}/locations/{place.location.id}/calendar"
    form = Form(forms.CalendarForm, forms.CalendarForm.of(place.fact.calendar))

    def act(data: forms.CalendarForm) -> None:
        companies.change_location(request.db, place.location.id, calendar=data.stored())

    if done(request, form, act):
        return saved(request, base, url)
    name = place.location.name
    return page(_("Working hours, ${name}", mapping={"name": name}), form, url, _("Save"), base, crumbs)


# -- people --------------------------------------------------------------------------------------------------------


def person_new(request: Request) -> Any:
    """Invite somebody of the partner."""
    company = owned(request)
    back = Back(company)
    return invite_page(request, company, f"{back.url}/people/new", back.url, back.crumbs)


def invite_page(request: Request, company: Company, url: str, back: str, crumbs: Any) -> Any:
    """The form that invites a person to `company`, for the vendor and for the company's administrator."""
    roles = VENDOR_ROLES if company.kind == "vendor" else PARTNER_ROLES
    form = Form(forms.InviteForm, choices={"roles": [(role, ROLE_WORDS[role]) for role in roles]})

    def act(data: forms.InviteForm) -> None:
        key = signin.email_key(data.email)
        member = next(
            (
                p
                for p in company_queries.members(request.db, company.id)
                if p["status"] == "active" and signin.email_key(p["email"]) == key
            ),
            None,
        )
        if member:
            said = _("${name} is a member already. Change the roles in the list of people.")
            raise Invalid(Fault("email", data.email, tr(_(said, mapping={"name": member["name"]})), "member"))
        signin.invite(request.db, data.email, data.name, company.id, data.roles, language=company.language)

    if done(request, form, act):
        flash(request, _("The invitation is on its way."))
        return see_other(back)
    title = _("Invite somebody to ${name}", mapping={"name": company.name})
    return page(title, form, url, _("Send invitation"), back, crumbs)


EDIT = "partner.edit"
PAGES: list[tuple[str, str, Callable[[Request], Any], str, str, str]] = [
    ("partners", "/partners", partners, "GET", "partner.read", "partners/table.jinja2"),
    ("partner_new", "/partners/new", new, BOTH, EDIT, ""),
    ("partner", f"/partners/{ID}", partner, "GET", "partner.read", "partners/profile.jinja2"),
    ("partner_edit", f"/partners/{ID}/edit", edit, BOTH, EDIT, ""),
    ("partner_standing", f"/partners/{ID}/standing", standing, BOTH, EDIT, CONFIRM),
    ("location_new", f"/partners/{ID}/locations/new", location_new, BOTH, EDIT, ""),
    ("location_edit", f"/partners/{ID}/locations/{LOCATION}", location_edit, BOTH, EDIT, ""),
    ("calendar", f"/partners/{ID}/locations/{LOCATION}/calendar", calendar, BOTH, EDIT, ""),
    ("partner_person_new", f"/partners/{ID}/people/new", person_new, BOTH, EDIT, ""),
]


def includeme(config: Configurator) -> None:
    """Routes and views of the vendor's partner pages."""
    config.include("portal.partners.eligibility")
    add_pages(config, FORM, PAGES)

"""The vendor's pages of partners: table, profile, and the forms that change them."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request

from portal.clocks import calendars
from portal.companies import actions as companies
from portal.companies.models import PARTNER_ROLES, VENDOR_ROLES, Company
from portal.companies.pages import add_pages, done, record_id, see_other
from portal.partners import actions, forms, queries
from portal.partners.listing import spec
from portal.security import signin
from portal.web import parts
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.tables import Listing, apply, count, csv_response

ID, LOCATION = r"{id:\d+}", r"{location:\d+}"
DAYS = (_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun"))
ROLE_WORDS = {
    "operator": _("Operator"),
    "channel_manager": _("Channel manager"),
    "account_manager": _("Partner account manager"),
    "sales_rep": _("Sales representative"),
    "service_agent": _("Service agent"),
    "administrator": _("Administrator"),
    "sales": _("Sales"),
    "service": _("Service"),
}


class Back:
    """Where a form of a partner leads back to, and the crumbs above it."""

    def __init__(self, company: Company) -> None:
        self.url = f"/partners/{company.id}"
        self.crumbs = [(_("Partners"), "/partners"), (company.name, self.url)]


def partners(request: Request) -> Any:
    """The table of partners: search, filter, sort, export."""
    query = queries.table()
    state = spec(request.db).parse(request.GET, request.path)
    if state.export:
        return csv_response(state, request.db.execute(apply(query, state)))
    rows = request.db.execute(apply(query, state)).all()
    return {"listing": Listing(state, rows, count(request.db, query, state), noun=_("partners"))}


def partner(request: Request) -> dict[str, Any]:
    """One partner, with everything that makes it eligible."""
    found = queries.profile(request.db, record_id(request))
    return {
        "profile": found,
        "base": f"/partners/{found.company.id}",
        "may_edit": request.may("partner.edit"),
        "may_invite": request.may("partner.edit"),
        "vendor": True,
        "standing": standing_actions(found) if request.may("partner.edit") else [],
        **words(),
    }


def words() -> dict[str, Any]:
    """The functions by which the profile puts facts into words."""
    return {
        "address": forms.address,
        "area": area_words,
        "hours": hours_words,
        "precision": precision_words,
        "role_words": role_words,
    }


def hours_words(stored: dict[str, Any]) -> str:
    """Working hours, days with equal hours taken together: 'Mon to Fri 09:00-17:00'."""
    days = [calendars.day_text(spans) for spans in stored["weekly"]]
    runs: list[tuple[int, int, str]] = []
    for day, hours in enumerate(days):
        if runs and runs[-1][2] == hours:
            runs[-1] = (runs[-1][0], day, hours)
        else:
            runs.append((day, day, hours))
    said = [
        (tr(_("${a} to ${b}", mapping={"a": DAYS[a], "b": DAYS[b]})) if a != b else tr(DAYS[a])) + f" {hours}"
        for a, b, hours in runs
        if hours
    ]
    return ", ".join(said) or tr(_("Never open"))


def precision_words(fact: Any) -> str:
    """How well the coordinates are known."""
    if fact.lat is None:
        return tr(_("unknown: distance does not count"))
    found = {
        "exact": _("the building"),
        "postal": _("the middle of the postal code"),
        "city": _("the middle of the town"),
        "subdivision": _("the middle of the region"),
        "country": _("the middle of the country"),
    }.get(fact.precision or "")
    return tr(found) if found else tr(_("as given"))


def role_words(roles: list[str]) -> str:
    """Roles in words."""
    return ", ".join(tr(ROLE_WORDS.get(role, role)) for role in roles)


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


def area_words(area: Any) -> str:
    """A territory in words."""
    match area.kind:
        case "country":
            return str(area.country)
        case "subdivision":
            return str(area.code)
        case "postal_prefix":
            return tr(_("${country}, codes ${code}…", mapping={"country": area.country, "code": area.code}))
        case "circle":
            km, lat, lon = f"{area.radius_km:g}", f"{area.lat:.3f}", f"{area.lon:.3f}"
            return tr(_("${km} km around ${lat}, ${lon}", mapping={"km": km, "lat": lat, "lon": lon}))
        case _:
            return (
                tr(_("Everywhere in ${country}", mapping={"country": area.country}))
                if area.country
                else tr(_("Everywhere"))
            )


# -- company and standing ------------------------------------------------------------------------------------------


def new(request: Request) -> Any:
    """A new partner with its first location."""
    choices = {"level": queries.levels(request.db)}
    form = Form(forms.NewPartnerForm, {"time_zone": request.ctx.time_zone}, choices=choices)
    made: list[int] = []

    def act(data: forms.NewPartnerForm) -> None:
        given = data.model_dump()
        place = {name: given.pop(name) for name in ("street", "postal", "city", "country")}
        company_id = actions.create_partner(request.db, **given)
        companies.add_location(request.db, company_id, data.city, **place)
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
        companies.add_location(request.db, company.id, **data.model_dump())

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
        given = data.model_dump()
        moved = (given["lat"], given["lon"]) != (place.fact.lat, place.fact.lon)
        precision = {"precision": "exact" if given["lat"] is not None else None} if moved else {}
        companies.change_location(request.db, place.location.id, **given, **precision)

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


# -- certifications, lines, territories ----------------------------------------------------------------------------


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
    line = f" ({row.product_line})" if row.product_line else ""
    what = f"{row.programme}{number}{line}"
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
        signin.invite(request.db, data.email, data.name, company.id, data.roles, language=company.language)

    if done(request, form, act):
        flash(request, _("The invitation is on its way."))
        return see_other(back)
    title = _("Invite somebody to ${name}", mapping={"name": company.name})
    return page(title, form, url, _("Send invitation"), back, crumbs)


# -- shared --------------------------------------------------------------------------------------------------------


def owned(request: Request) -> Company:
    """The partner named in the address; NotFound for the vendor and for unknown ids."""
    return queries.partner(request.db, record_id(request))


def page(title: Any, form: Form[Any], url: str, submit: Any, cancel: str, crumbs: Any) -> dict[str, Any]:
    """What the form template needs."""
    return {"title": title, "f": form, "url": url, "submit": submit, "cancel": cancel, "crumbs": crumbs}


def ask(title: Any, happens: list[Any], action: parts.Action, back: Back) -> dict[str, Any]:
    """What the confirmation template needs."""
    return {"title": title, "confirm": parts.Confirm(title, happens, action, back.url), "crumbs": back.crumbs}


def saved(request: Request, url: str, undo: str | None = None) -> Any:
    """Say so, with a way back into the form, and go on."""
    flash(request, _("Saved."), url=undo, label=_("Change it again") if undo else "")
    return see_other(url)


def columns(row: Any, model: Any) -> dict[str, Any]:
    """The values of `row` that `model` asks for."""
    return {name: getattr(row, name) for name in model.model_fields if hasattr(row, name)}


def drop_empty(given: dict[str, Any]) -> dict[str, str]:
    """Values as query parameters, empty ones left out."""
    return {name: str(value) for name, value in given.items() if value is not None}


FORM, CONFIRM = "partners/form.jinja2", "partners/confirm.jinja2"
BOTH = "GET POST"
PAGES: list[tuple[str, str, Callable[[Request], Any], str, str, str]] = [
    ("partners", "/partners", partners, "GET", "partner.read", "partners/table.jinja2"),
    ("partner_new", "/partners/new", new, BOTH, "partner.edit", ""),
    ("partner", f"/partners/{ID}", partner, "GET", "partner.read", "partners/profile.jinja2"),
    ("partner_edit", f"/partners/{ID}/edit", edit, BOTH, "partner.edit", ""),
    ("partner_standing", f"/partners/{ID}/standing", standing, BOTH, "partner.edit", CONFIRM),
    ("location_new", f"/partners/{ID}/locations/new", location_new, BOTH, "partner.edit", ""),
    ("location_edit", f"/partners/{ID}/locations/{LOCATION}", location_edit, BOTH, "partner.edit", ""),
    ("calendar", f"/partners/{ID}/locations/{LOCATION}/calendar", calendar, BOTH, "partner.edit", ""),
    (
        "territory_new",
        f"/partners/{ID}/locations/{LOCATION}/territories/new",
        territory_new,
        BOTH,
        "partner.edit",
        "",
    ),
    (
        "territory_remove",
        f"/partners/{ID}/territories/{{territory:\\d+}}/remove",
        territory_remove,
        BOTH,
        "partner.edit",
        CONFIRM,
    ),
    ("certification_new", f"/partners/{ID}/certifications/new", certification_new, BOTH, "partner.edit", ""),
    (
        "certification_end",
        f"/partners/{ID}/certifications/{{certification:\\d+}}/end",
        certification_end,
        BOTH,
        "partner.edit",
        CONFIRM,
    ),
    ("partner_lines", f"/partners/{ID}/lines", lines, BOTH, "partner.edit", ""),
    ("partner_person_new", f"/partners/{ID}/people/new", person_new, BOTH, "partner.edit", ""),
]


def includeme(config: Configurator) -> None:
    """Routes and views of the vendor's partner pages."""
    add_pages(config, FORM, PAGES)

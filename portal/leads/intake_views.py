"""The vendor writes down a lead, corrects one, and decides on a suspected repeat."""

from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response

from portal.accounts.actions import correct_customer
from portal.errors import Conflict, Invalid, NotFound
from portal.leads import actions, forms, queries, waybill, words
from portal.leads.file_views import Added, add_all, given_files, tell_added
from portal.leads.intake import receive
from portal.leads.repeats import ROUTED_BY
from portal.leads.views import back, told_route
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr


def _form_page(request: Request, form: Form[Any], template: str, **more: Any) -> Response:
    response = render_to_response(template, {"f": form, **more}, request=request)
    response.status_int = 422 if form.errors else 200
    return response


def new(request: Request) -> Any:
    """GET and POST /leads/new."""
    form = forms.new_form(queries.catalogue(request.db))
    if request.method == "POST":
        data = form.parse(request.POST)
        if data is not None:
            try:
                with request.db.begin_nested():
                    place = forms.located(data.model_dump())
                    received = receive(request.db, forms.record_of(data, place))
                    added = _files(request, received.lead_id)
            except Invalid as refusal:
                for fault in refusal.faults:
                    form.fail(fault.field, fault.message)
            except Conflict as refusal:
                form.fail("", refusal.message)
            else:
                _told(request, received)
                if added is not None:
                    tell_added(request, added)
                return back(request, received.number)
        request.tm.doom()
    return _form_page(request, form, "leads/new.jinja2")


def _files(request: Request, lead_id: int) -> Added | None:
    """Keep what came with the request, for whoever accepts it; what is not taken does not keep the lead out."""
    given = given_files(request.POST)
    return add_all(request.db, request.registry.portal, lead_id, given, "accepted") if given else None


def _told(request: Request, received: Any) -> None:
    """Say what became of it: offered to whom, nobody, or perhaps a repeat."""
    lead = queries.by_id(request.db, received.lead_id)
    saved = _("${number} is saved.", mapping={"number": received.number})
    if received.outcome == "suspected_duplicate":
        url = f"/leads/{received.number}/duplicate"
        more = _(
            "It may be the same request as another one, so it is offered to nobody until a person has decided."
        )
        flash(request, saved, "warn", url=url, label=_("See both"), more=more)
    elif lead is not None and lead["assignment"] == "offered":
        name = queries.offered_companies(request.db, [lead["offer_id"]]).get(lead["offer_id"], "")
        flash(request, saved, more=_("It is offered to ${name}.", mapping={"name": name}))
    else:
        why, cure = words.queue_reason(lead["assignment_reason"] if lead else None)
        flash(request, saved, "warn", more=f"{why} {cure}")


def edit(request: Request) -> Any:
    """GET and POST /leads/{number}/edit."""
    seen = queries.find(request.db, request.matchdict["number"])
    assert seen.lead is not None
    form = forms.edit_form(queries.catalogue(request.db), seen.lead, *queries.customer(request.db, seen.lead))
    if request.method == "POST":
        data = form.parse(request.POST)
        if data is not None:
            changes = data.model_dump()
            customer = {key: changes.pop(key) for key in forms.CUSTOMER_FIELDS}
            changes |= _moved(seen.lead, changes | customer)
            actions.edit(request.db, seen.id, changes)
            corrected = correct_customer(request.db, seen.id, customer)
            _told_edit(request, seen, changes, bool(corrected))
            return back(request, seen.number)
    return _form_page(request, form, "leads/edit.jinja2", seen=seen)


def _moved(lead: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Where the place is now, found anew when postcode, town or country changed; a region not retyped was the old
    place's and is found anew too."""
    if all(given[key] == lead[key] for key in ("postal", "city", "country")):
        return {}
    if given["subdivision"] == lead["subdivision"]:
        given = given | {"subdivision": None}
    place = forms.located(given)
    return {key: place.get(key) for key in ("lat", "lon", "precision", "subdivision")}


def _told_edit(request: Request, seen: queries.Seen, changes: dict[str, Any], corrected: bool) -> None:
    assert seen.lead is not None
    changed = {key for key, value in changes.items() if seen.lead[key] != value}
    if not changed and corrected:
        flash(request, _("Saved."), more=_("The customer's record is corrected for all its leads."))
    elif not changed:
        flash(request, _("Nothing was changed."), "info")
    elif ROUTED_BY & changed and seen.lead["assignment"] in queries.QUEUE_ASSIGNMENTS:
        flash(request, _("Saved."), "info", more=_("It waits in the queue: re-route it to try the change."))
    elif seen.lead["assignment"] == "offered":
        flash(request, _("Saved."), more=_("The offer that is out keeps the view it was made with."))
    else:
        flash(request, _("Saved."))


def duplicate(request: Request) -> Any:
    """GET and POST /leads/{number}/duplicate: both side by side, and the decision."""
    seen = queries.find(request.db, request.matchdict["number"])
    assert seen.lead is not None
    other = seen.lead["suspected_duplicate_of"]
    twin = queries.by_id(request.db, other) if other else None
    if twin is None:
        raise NotFound
    if request.method == "POST":
        is_duplicate = request.POST.get("is") == "duplicate"
        try:
            with request.db.begin_nested():
                actions.settle_duplicate(request.db, seen.id, is_duplicate=is_duplicate)
        except Conflict as refusal:
            flash(request, refusal.message, "bad")
            return back(request, seen.number)
        if is_duplicate:
            text = _(
                "${number} is closed as a repeat of ${other}.",
                mapping={"number": seen.number, "other": twin["number"]},
            )
            flash(request, text)
            return HTTPSeeOther(request.route_path("queue"))
        lead = queries.by_id(request.db, seen.id)
        told_route(request, lead["offer_id"] if lead else None)
        return back(request, seen.number)
    values = {"seen": seen, "rows": _side_by_side(request, seen.lead, twin), "twin": twin}
    return render_to_response("leads/duplicate.jinja2", values, request=request)


def _side_by_side(request: Request, mine: Any, twin: Any) -> list[tuple[str, Any, Any, bool]]:
    """(label, this one, the other, whether they differ)."""
    catalogue = queries.catalogue(request.db)
    columns = []
    for lead in (mine, twin):
        account, contact = queries.customer(request.db, lead)
        raw = queries.raw_request(request.db, lead["id"])
        columns.append(
            {
                tr(_("Received")): request.fmt.when_text(lead["received_at"]),
                tr(_("Title")): lead["title"],
                tr(_("Customer")): account["name"] if account else "",
                tr(_("Contact")): ", ".join(
                    str(contact[key]) for key in ("contact", "email", "phone") if contact and contact[key]
                ),
                tr(_("Place")): words.place(lead),
                tr(_("Product lines")): catalogue.line_names(lead["product_lines"]),
                tr(_("Certifications")): catalogue.programme_names(lead["certifications"]),
                tr(_("Worth")): waybill.money(lead["amount"], lead["currency"]),
                tr(_("Need")): lead["need"],
                tr(_("Source")): words.word(words.SOURCES, lead["source"]),
                tr(_("External key")): lead["external_key"],
                tr(_("As received")): raw["body"] if raw else "",
            }
        )
    return [(key, columns[0][key], columns[1][key], columns[0][key] != columns[1][key]) for key in columns[0]]


def includeme(config: Any) -> None:
    """New, edit, duplicate."""
    number = r"{number:L-\d{1,18}}"
    for name, path, view, permission in (
        ("lead.new", "/leads/new", new, "lead.create"),
        ("lead.edit", f"/leads/{number}/edit", edit, "lead.edit"),
        ("lead.duplicate", f"/leads/{number}/duplicate", duplicate, "lead.queue"),
    ):
        config.add_route(name, path)
        config.add_view(view, route_name=name, request_method=("GET", "POST"), permission=permission)

"""The lead page for everybody who may see the lead, and what may be done from it. Lists are in lists.py, the partner's
inbox in inbox.py, the vendor's queue in queue.py."""

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response

from portal.companies.pages import record_id
from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.errors import Conflict, Invalid
from portal.leads import actions, file_views, forms, handover, queries, stages, telling, waybill, words
from portal.leads.queries import Catalogue, Seen
from portal.web.flash import flash
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.maps import pin_map
from portal.web.parts import Pin
from portal.web.sent import refused

INPUTS = {"body": "text", "next_step": "step", "next_step_on": "on"}
"""Inputs of the page whose names are not those of the fields they fill."""


def lead_page(request: Request) -> Response:
    """GET /leads/{number}: vendor, holder, offered or former partner, each its own sight of it."""
    seen = queries.find(request.db, request.matchdict["number"])
    if (
        seen.view == "offer"
        and seen.offer is not None
        and seen.offer["seen_at"] is None
        and request.may("offer.answer")
    ):
        actions.mark_seen(request.db, seen.offer["id"])
    return show(request, seen)


def show(request: Request, seen: Seen, refusal: Invalid | Conflict | None = None) -> Response:
    """The page; after a refusal with its reason on top and at its field, and what was typed still in its fields."""
    values = page_values(request, seen) | {"refusal": None}
    if refusal is not None:
        values["refusal"] = refused(request, refusal, tr(_("Nothing was changed.")), INPUTS)
    response = render_to_response("leads/lead.jinja2", values, request=request)
    if refusal is not None:
        response.status_int = 422 if isinstance(refusal, Invalid) else 409
    return response


def page_values(request: Request, seen: Seen) -> dict[str, Any]:
    """All that page and sheet show of a lead to this reader."""
    catalogue = queries.catalogue(request.db)
    values = {
        "seen": seen,
        "catalogue": catalogue,
        "entries": telling.timeline(request.db, seen, catalogue),
        "number": seen.number,
        "moves": _moves(request, seen),
        "reasons": words.chips,
        "today": fmt.today.isoformat(),
    }
    values |= (
        _as_vendor(request, seen, catalogue)
        if seen.view == "vendor"
        else _as_partner(request, seen, catalogue)
    )
    values["files"] = file_views.card(request, seen, values["other"])
    values["handover"] = handover.before(request.db, seen)
    return values


def _may(request: Request) -> dict[str, bool]:
    names = {
        "assign": "lead.assign",
        "answer": "offer.answer",
        "progress": "lead.progress",
        "edit": "lead.edit",
    }
    return {key: bool(request.may(permission)) for key, permission in names.items()} | {
        "comment": bool(request.may("lead.comment")),
        "decision": bool(request.may("decision.read")),
    }


def _moves(request: Request, seen: Seen) -> dict[str, stages.Move]:
    """Stages this reader may move the lead to now."""
    if seen.lead is None or seen.lead["assignment"] != "held" or not request.may("lead.progress"):
        return {}
    return stages.moves(seen.lead["stage"], "vendor" if seen.view == "vendor" else "holder")


def _as_vendor(request: Request, seen: Seen, catalogue: Catalogue) -> dict[str, Any]:
    session, lead, offer = request.db, seen.lead, seen.offer
    assert lead is not None
    account, contact = queries.customer(session, lead)
    vendor = vendor_id(session)
    names = queries.company_names(session, [vendor, offer["company_id"] if offer else None])
    partner = names.get(offer["company_id"], "") if offer else ""
    may = _may(request)
    place = queries.place_of(session, offer["location_id"]) if offer and _with_somebody(lead) else None
    groups = [
        waybill.what(lead, catalogue, waybill.money(lead["amount"], lead["currency"])),
        waybill.customer_open(lead, account, contact),
        waybill.deal(lead),
        waybill.vendor_facts(lead),
    ]
    return {
        "w": waybill.vendor_waybill(
            seen,
            account["name"] if account else "",
            partner,
            names.get(vendor, ""),
            may,
            _original(session, lead),
        ),
        "groups": [group for group in groups if group],
        "map": _map(lead, place, partner, account["name"] if account else ""),
        "next": waybill.next_strip(offer, False) if lead["assignment"] == "offered" else (),
        "other": partner if _with_somebody(lead) else "",
        "own": request.ctx.company_name,
        "may": may,
        "raw": queries.raw_request(session, seen.id),
        "assign": forms.assign_form(session, request.params) if may["assign"] and _assignable(lead) else None,
        "promises": (),
    }


def _original(session: PortalSession, lead: Any) -> str:
    """The number of the lead that this one, closed, was found to repeat."""
    if lead["stage"] != "duplicate" or lead["suspected_duplicate_of"] is None:
        return ""
    twin = queries.by_id(session, lead["suspected_duplicate_of"])
    return str(twin["number"]) if twin else ""


def _with_somebody(lead: Any) -> bool:
    return lead["assignment"] in ("offered", "held")


def _assignable(lead: Any) -> bool:
    """Whether it may be assigned by hand; what may be a repeat is decided on first."""
    waits = not _with_somebody(lead) and lead["stage"] not in queries.CLOSED
    return waits and lead["suspected_duplicate_of"] is None


def _as_partner(request: Request, seen: Seen, catalogue: Catalogue) -> dict[str, Any]:
    session, lead, offer = request.db, seen.lead, seen.offer
    assert offer is not None
    vendor = vendor_id(session)
    name = queries.company_names(session, [vendor])[vendor]
    may, own, account = _may(request), request.ctx.company_name or "", None
    distance = fmt.km(offer["distance_m"])
    if lead is None:
        brief = seen.brief
        over = seen.view == "past" or offer["state"] != "offered" or offer["deadline_at"] <= request.now
        groups = [waybill.what(brief, catalogue, waybill.band(brief.get("band")), distance)]
        groups.append(waybill.customer_withheld(brief, name, over))
    else:
        account, contact = queries.customer(session, lead)
        groups = [waybill.what(lead, catalogue, waybill.money(lead["amount"], lead["currency"]), distance)]
        groups.append(waybill.customer_open(lead, account, contact))
        progress = waybill.deal(lead)
        groups += [progress] if progress else []
    customer = account["name"] if account else tr(_("Customer"))
    place = queries.place_of(session, offer["location_id"]) if lead is not None else None
    return {
        "w": waybill.partner_waybill(seen, own, name, customer, request.now, may),
        "groups": groups,
        "map": _map(lead, place, own, customer),
        "next": waybill.next_strip(offer, True) if seen.view == "offer" else (),
        "other": "" if seen.view == "past" else name,
        "own": own,
        "may": may,
        "raw": None,
        "assign": None,
        "promises": (),
    }


def _map(lead: Any, place: Any, partner: str, customer: str) -> Any:
    """The customer and who has the lead on a small map; None when nobody has it or its place is not known."""
    if place is None or lead["lat"] is None or lead["lon"] is None:
        return None
    pins = [Pin(lead["lat"], lead["lon"], "customer", words.short_place(lead))]
    if place["lat"] is not None:
        pins.append(Pin(place["lat"], place["lon"], "first", f"{partner}, {place['city']}", ""))
    return pin_map(pins, tr(_("Where ${customer} is", mapping={"customer": customer})), 410, 164)


def back(request: Request, number: str) -> HTTPSeeOther:
    """To the lead page after something was done."""
    return HTTPSeeOther(request.route_path("lead", number=number))


def acting(action: Callable[[Request, Seen], Any]) -> Callable[[Request], Any]:
    """A POST from the lead page: does it, then back; a refusal shows the page again with what was typed."""

    def view(request: Request) -> Any:
        seen = queries.find(request.db, request.matchdict["number"])
        return attempt(request, seen, lambda: action(request, seen))

    view.__name__ = action.__name__
    view.__doc__ = action.__doc__
    return view


def attempt(request: Request, seen: Seen, do: Callable[[], Any]) -> Any:
    """Do something about a lead, then go back to it; a refusal shows its page again, filled in, and changes nothing."""
    try:
        with request.db.begin_nested():
            answer = do()
    except (Invalid, Conflict) as refusal:
        request.tm.doom()
        return show(request, queries.find(request.db, seen.number), refusal)
    return answer or back(request, seen.number)


@acting
def comment(request: Request, seen: Seen) -> None:
    """Say something to all in the lead, or to one's own company."""
    to_all = request.POST.get("audience") == "all"
    actions.comment(request.db, seen.id, request.POST.get("text", ""), to_all=to_all)
    flash(
        request,
        _("Posted."),
        more=_("Everybody in the lead reads it.") if to_all else _("Only your company reads it."),
    )


@acting
def move(request: Request, seen: Seen) -> None:
    """Move the stage."""
    post = request.POST
    given = forms.read_move(post)
    actions.move(request.db, seen.id, post.get("to", ""), **given)
    flash(request, _("Moved."))


@acting
def plan_step(request: Request, seen: Seen) -> None:
    """What happens next and by when."""
    step, on = forms.read_step(request.POST)
    actions.plan_step(request.db, seen.id, step, on)
    flash(request, _("Next step planned."))


@acting
def hand_back(request: Request, seen: Seen) -> None:
    """The holder gives the lead back."""
    actions.hand_back(request.db, seen.id, request.POST.get("reason", ""), request.POST.get("note"))
    flash(request, _("Handed back."), more=_("It is offered to the next partner."))


@acting
def withdraw(request: Request, seen: Seen) -> None:
    """The vendor takes the lead back; it is offered on."""
    actions.withdraw(request.db, seen.id, request.POST.get("reason", ""), request.POST.get("note"))
    flash(request, _("Withdrawn."), more=_("It is offered to the next partner."))


@acting
def assign(request: Request, seen: Seen) -> None:
    """The channel manager offers it by hand."""
    location, reason = forms.read_assign(request.db, request.POST)
    actions.assign(request.db, seen.id, location, reason)
    flash(request, _("Offered."), more=_("They have been told by e-mail."))


@acting
def reroute(request: Request, seen: Seen) -> None:
    """Route it once more."""
    told_route(request, actions.reroute(request.db, seen.id))


def told_route(request: Request, offer_id: int | None) -> None:
    """Flash what routing came to."""
    if offer_id is None:
        flash(
            request, _("Nobody can take it."), "warn", more=_("The decision says where each partner stopped.")
        )
        return
    name = queries.offered_companies(request.db, [offer_id]).get(offer_id, "")
    flash(request, _("Offered to ${name}.", mapping={"name": name}))


def accept(request: Request) -> Any:
    """POST /offers/{id}/accept: opens the lead at once."""
    offer_id = record_id(request)
    seen = queries.find(request.db, queries.number_of_offer(request.db, offer_id))

    def do() -> None:
        actions.accept(request.db, offer_id)
        flash(
            request, _("You accepted ${number}.", mapping={"number": seen.number}), more=_("Contact is open.")
        )

    return attempt(request, seen, do)


def decline(request: Request) -> Any:
    """POST /offers/{id}/decline with a reason; final, the next partner is asked."""
    offer_id = record_id(request)
    seen = queries.find(request.db, queries.number_of_offer(request.db, offer_id))

    def do() -> HTTPSeeOther:
        actions.decline(request.db, offer_id, request.POST.get("reason", ""), request.POST.get("note"))
        why = words.reason(request.POST.get("reason"))
        text = _("You declined ${number}: ${why}.", mapping={"number": seen.number, "why": why})
        flash(request, text, "info", more=_("It goes to the next partner."))
        return HTTPSeeOther(request.route_path("offers"))

    return attempt(request, seen, do)


def includeme(config: Any) -> None:
    """The lead page and everything posted from it."""
    number = r"{number:L-\d{1,18}}"
    config.add_route("lead", f"/leads/{number}")
    config.add_view(lead_page, route_name="lead", request_method="GET", permission="lead.read")
    posts = {
        "comment": (comment, "lead.comment"),
        "stage": (move, "lead.progress"),
        "step": (plan_step, "lead.progress"),
        "hand-back": (hand_back, "offer.answer"),
        "withdraw": (withdraw, "lead.assign"),
        "assign": (assign, "lead.assign"),
        "route": (reroute, "lead.assign"),
    }
    for name, (view, permission) in posts.items():
        config.add_route(f"lead.{name}", f"/leads/{number}/{name}")
        config.add_view(view, route_name=f"lead.{name}", request_method="POST", permission=permission)
    for name, answer in (("accept", accept), ("decline", decline)):
        config.add_route(f"offer.{name}", rf"/offers/{{id:\d{{1,19}}}}/{name}")
        config.add_view(answer, route_name=f"offer.{name}", request_method="POST", permission="offer.answer")

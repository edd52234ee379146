"""The channel manager's queue: what nobody could take, what may be a repeat, what came back; with why and what helps."""

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import select
from webob.multidict import MultiDict

from portal.errors import Conflict, NotFound
from portal.leads import actions, queries, words
from portal.leads.lists import WORTH
from portal.leads.models import Lead
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.flash import flash
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Action, Empty
from portal.web.tables import Column, Listing, ListSpec, apply, count, cut

MOST_AT_ONCE = 200
"""Leads re-routed by one click; each is a few statements in the same transaction."""


def why(row: Any) -> str:
    """Why a lead waits, in words."""
    if row["suspected_duplicate_of"] is not None:
        return tr(_("It may be the same request as another one."))
    if row["assignment"] == "unroutable":
        return words.queue_reason(row["assignment_reason"])[0]
    reason = words.reason(row["assignment_reason"])
    if row["assignment"] == "handed_back":
        return tr(_("Handed back: ${why}. Goes to the next partner.", mapping={"why": reason}))
    return tr(_("Taken back: ${why}. Goes to the next partner.", mapping={"why": reason}))


def cure(row: Any) -> str:
    """What helps."""
    if row["suspected_duplicate_of"] is not None:
        return tr(_("Look at both and decide."))
    return words.queue_reason(row["assignment_reason"])[1] if row["assignment"] == "unroutable" else ""


SPEC = ListSpec(
    [
        Column("number", _("Lead"), own=True),
        Column("title", _("What"), expr=Lead.title, sort=True),
        Column("account", _("Customer")),
        Column("place", _("Place"), value=words.place, expr=Lead.city, sort=True),
        WORTH,
        Column("assignment", _("Assignment"), "status:assignment", expr=Lead.assignment, filter="choice", off=True),
        Column("why", _("Why it waits"), own=True, value=why),
        Column("received", _("Received"), "when", expr=Lead.received_at, sort=True, value=lambda r: r["received_at"]),
        Column("do", _("What to do"), own=True, value=cure),
    ],
    default_sort="received", search=[Lead.number, Lead.title, Lead.city], tiebreak=Lead.id, name="queue",
    search_label=_("Number, title or town"),
)  # fmt: skip


def queue(request: Request) -> Response:
    """GET /leads/queue."""
    session = request.db
    state = remembered.state_of(request, SPEC)
    query = select(*Lead.__table__.c).where(Lead.realm_id == request.ctx.realm_id, queries.queue_condition())
    page = queries.named(*cut(query, state))
    if state.export:
        return export_response(state, stream(session, page, queries.as_dicts))
    rows = session.execute(page).mappings().all()
    listing = Listing(state, rows, count(session, query, state, len(rows)), noun=_("leads"))
    values = {
        "listing": listing,
        "cure": cure,
        "empty": Empty(
            _("Every lead is with a partner."), Action(tr(_("All leads")), "/leads?view=all", "get")
        ),
    }
    return render_to_response("leads/queue.jinja2", values, request=request)


def _shown(request: Request) -> list[int]:
    """All leads that the list's filter lets through, on whatever page, up to one more than are done at once."""
    shown = SPEC.parse(MultiDict(parse_qsl(request.POST.get("shown", ""))), request.path)
    waiting = select(Lead.id).where(Lead.realm_id == request.ctx.realm_id, queries.queue_condition())
    return list(request.db.scalars(apply(waiting, replace(shown, page=1), limit=MOST_AT_ONCE + 1)))


def reroute(request: Request) -> HTTPSeeOther:
    """POST /leads/queue/route: every chosen lead once more; those that changed meanwhile are told, not failed."""
    given = request.POST.getall("id")
    if request.POST.get("all"):
        given = [str(number) for number in _shown(request)]
    ids = [int(v) for v in given if v.isascii() and v.isdigit() and len(v) < 19]
    left, ids = len(ids[MOST_AT_ONCE:]), ids[:MOST_AT_ONCE]
    offered, nobody, passed = 0, 0, 0
    for lead_id in ids:
        try:
            with request.db.begin_nested():
                found = actions.reroute(request.db, lead_id)
        except (Conflict, NotFound):
            passed += 1
        else:
            offered, nobody = (offered + 1, nobody) if found else (offered, nobody + 1)
    if not ids:
        flash(request, _("Tick the leads to re-route first."), "info")
    else:
        parts = [ntr("${n} lead offered", "${n} leads offered", offered)]
        if nobody:
            parts.append(ntr("nobody for ${n}", "nobody for ${n}", nobody))
        if left:
            parts.append(tr(_("at most ${n} at once, the others still wait", mapping={"n": MOST_AT_ONCE})))
        if passed:
            parts.append(ntr("${n} had changed meanwhile", "${n} had changed meanwhile", passed))
        flash(request, ", ".join(parts) + ".", "good" if offered else "warn")
    return HTTPSeeOther(request.route_path("queue"))


def includeme(config: Any) -> None:
    """The queue and its bulk re-route."""
    config.add_route("queue", "/leads/queue")
    config.add_view(queue, route_name="queue", request_method="GET", permission="lead.queue")
    config.add_route("queue.route", "/leads/queue/route")
    config.add_view(reroute, route_name="queue.route", request_method="POST", permission="lead.queue")

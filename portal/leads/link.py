"""The confirm page behind a mail's link: accept or decline one offer without a password.

Following the link changes nothing, so a scanner that opens it (or asks HEAD) is harmless; only the form answers, and
with the answer every link of that offer is spent. Whoever reads the mailbox may act: the link is bound to one offer
and one recipient address. It never shows the customer's contact; that needs a sign-in.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from sqlalchemy import text

from portal.db import PortalSession
from portal.errors import Invalid, NotFound
from portal.leads import actions, facts, stages, words
from portal.security.permissions import permits
from portal.web.i18n import _, tr
from portal.web.parts import Action
from portal.web.sent import refused

OFFER = text("""
    select o.id, o.lead_number, o.state, o.brief, o.offered_at, o.deadline_at, c.name as company
    from offers o join companies c on c.id = o.company_id
    where o.id = app.subject()
""")


View = Callable[[Request], dict[str, Any]]


def with_link(view: View) -> View:
    """Answer 404 in the same words for a used, expired, foreign or invented token: it opens nobody's context."""

    @wraps(view)
    def checked(request: Request) -> dict[str, Any]:
        if permits(request.ctx, "offer.link"):
            return view(request)
        request.response.status_int = 404
        return {"done": "gone"}

    return checked


@with_link
def page(request: Request) -> dict[str, Any]:
    """The offer as the mail showed it, with the time left and the two answers. Changes nothing."""
    return {**shown(request), "done": None}


@with_link
def accept(request: Request) -> dict[str, Any]:
    """Take the lead for the company; says where its contact is."""
    before = shown(request)
    actions.accept(request.db, before["offer"].id)
    spend(request.db)
    return {**before, "done": "accepted"}


@with_link
def decline(request: Request) -> dict[str, Any]:
    """Refuse it for the reason given; the next partner is asked at once."""
    before = shown(request)
    reason, note = request.POST.get("reason", ""), request.POST.get("note")
    try:
        with request.db.begin_nested():
            actions.decline(request.db, before["offer"].id, reason, note)
    except Invalid as refusal:
        request.tm.doom()
        request.response.status_int = 422
        return {**before, "done": None, "refusal": refused(request, refusal, tr(_("Nothing was changed.")))}
    spend(request.db)
    return {**before, "done": "declined"}


def spend(session: PortalSession) -> None:
    """End all links of the offer that this link has answered."""
    session.execute(text("select app.use_link()"))


def shown(request: Request) -> dict[str, Any]:
    """What the template needs of the link's offer."""
    offer = request.db.execute(OFFER).first()
    if offer is None:
        raise NotFound
    fmt, token = request.fmt, request.matchdict["token"]
    names = facts.names(request.db)
    return {
        "offer": offer,
        "headline": facts.headline(offer.lead_number, offer.brief, tr),
        "facts": facts.facts(offer.brief, names, fmt, tr),
        "why": facts.why(offer.brief, names, fmt, tr),
        "open": offer.state == "offered" and offer.deadline_at > request.now,
        "accept": Action(_("Accept"), f"/o/{token}/accept", primary=True),
        "decline": Action(_("Decline"), f"/o/{token}/decline", reasons=words.chips(stages.DECLINE_REASONS)),
        "lead_url": f"/leads/{offer.lead_number}",
    }


def includeme(config: Configurator) -> None:
    """GET shows, POST answers. The token in the address is the credential (portal.security.policy). The pages are
    public so that a stranger is told about the link, not sent to sign in; `with_link` asks for offer.link."""
    for name, path, view, method in (
        ("offer_link", "/o/{token}", page, "GET"),
        ("offer_link_accept", "/o/{token}/accept", accept, "POST"),
        ("offer_link_decline", "/o/{token}/decline", decline, "POST"),
    ):
        config.add_route(name, path)
        config.add_view(
            view,
            route_name=name,
            request_method=method,
            renderer="leads/link.jinja2",
            permission="public",
        )

"""The lead sheet, GET /leads/{number}/sheet.pdf: on paper what this reader may see of a lead, and nothing else."""

import re
from dataclasses import replace
from typing import Any

import structlog
from pyramid.renderers import render
from pyramid.request import Request
from pyramid.response import Response

from integrations import pdf
from integrations.uploads import disposition
from portal.leads import queries
from portal.leads.telling import CHOSEN
from portal.leads.views import page_values
from portal.leads.waybill import THEIRS, YOURS
from portal.web.errors import answer
from portal.web.i18n import _, tr
from portal.web.parts import Entry, Waybill

log = structlog.get_logger(__name__)

MOST_ENTRIES = 40
# That somebody wrote something tells nothing without the words, and words stay on the page.
SAID = "message-circle"
# Chromium shows a PDF in a plug-in of its own, which our usual policy would keep out.
SHOWN = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none';"
    " base-uri 'none'"
)
WHY_NOT = {
    "no_pango": _(
        "Documents cannot be made on this machine: a library is missing. The operator sees which one."
    ),
    "too_long": _("This sheet takes too long to make. Nothing was changed; the page shows the same."),
    "busy": _("Many documents are being made at the moment. Try again in a few seconds."),
    "failed": _("This sheet could not be made. Nothing was changed; the page shows the same."),
}


def sheet(request: Request) -> Response:
    """The document; 503 with the reason in words when it cannot be made now."""
    seen = queries.find(request.db, request.matchdict["number"])
    try:
        made = pdf.render(document(request, seen))
    except pdf.PdfError as error:
        log.warning("no lead sheet", code=error.code, lead=seen.id)
        response = answer(request, 503, tr(WHY_NOT[error.code]))
        response.headers["Retry-After"] = "5"
        return response
    response = Response(made, content_type="application/pdf")
    response.content_disposition = disposition(f"{seen.number}.pdf", "inline")
    response.headers["Content-Security-Policy"] = SHOWN
    return response


def document(request: Request, seen: queries.Seen) -> str:
    """The sheet as HTML that needs nothing from outside itself."""
    values = page_values(request, seen)
    entries = [
        _on_paper(request, entry) for entry in values["entries"] if not (entry.private or entry.icon == SAID)
    ]
    values["w"] = replace(values["w"], turn=_turn(request, values["w"]))
    values |= {
        "entries": entries[:MOST_ENTRIES],
        "more": max(0, len(entries) - MOST_ENTRIES),
        "reader": request.ctx.person_name or "",
        "company": request.ctx.company_name or "",
    }
    return without_addresses(render("leads/sheet.jinja2", values, request=request))


def _on_paper(request: Request, entry: Entry) -> Entry:
    """Who 'You' are is not known to whoever finds the paper; words that were said stay on the page."""
    actor = (
        request.ctx.person_name if entry.actor == tr(_("You")) and request.ctx.person_name else entry.actor
    )
    if entry.actor == tr(CHOSEN):
        actor = tr(_("${company} was chosen", mapping={"company": request.ctx.company_name or ""}))
    return Entry(entry.at, actor, entry.text)


def _turn(request: Request, header: Waybill) -> str:
    """Whose turn it is, by name: the reader's own company, or the partner in the middle of the way."""
    whose = {YOURS: request.ctx.company_name, THEIRS: header.stops[1].name}.get(header.turn)
    return tr(_("Turn: ${company}", mapping={"company": whose}) if whose else header.turn)


def without_addresses(html: str) -> str:
    """A document names no address: none is read when it is made, and none is followed from paper."""
    return re.sub(r'\s(?:href|src)="(?!data:|#)[^"]*"', "", html)


def includeme(config: Any) -> None:
    """One address."""
    config.add_route("lead.sheet", r"/leads/{number:L-\d{1,18}}/sheet.pdf")
    config.add_view(sheet, route_name="lead.sheet", request_method="GET", permission="lead.read")

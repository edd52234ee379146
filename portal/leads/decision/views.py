"""The decision page: who got a lead and why, and why not another partner. A partner sees its own line only."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response

from portal.companies.queries import vendor_id
from portal.errors import NotFound
from portal.leads import queries as leads
from portal.leads import telling as lead_telling
from portal.leads import waybill
from portal.leads.decision import asking, queries, telling
from portal.leads.decision.asking import Asked
from portal.leads.decision.queries import Decided
from portal.leads.queries import Catalogue, Seen
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.parts import Pin, Tab
from rules import ALL_GATES

PAGE = 50
MOST_PINS = 120
RING_KM = 50


def decision_page(request: Request) -> Response:
    """GET /leads/{number}/decision."""
    seen = leads.find(request.db, request.matchdict["number"])
    catalogue = leads.catalogue(request.db)
    if seen.view != "vendor":
        return _own_line(request, seen, catalogue)
    all_of_them = queries.decisions_of(request.db, seen.id)
    if not all_of_them:
        return render_to_response(
            "decision/none.jinja2", {"number": seen.number, "w": _strip(request, seen)}, request=request
        )
    asked = asking.read(request, seen.number, all_of_them[0].id)
    decided = queries.load(request.db, seen.id, asked.decision, seen.offer)
    if decided is None:
        raise NotFound
    return render_to_response(
        "decision/decision.jinja2",
        _page(request, seen, asked, decided, all_of_them, catalogue),
        request=request,
    )


def _strip(request: Request, seen: Seen) -> Any:
    """The 48 px waybill; the same stops as the lead page."""
    session, may = request.db, {"assign": False}
    assert seen.lead is not None
    account, _contact = leads.customer(session, seen.lead)
    vendor = vendor_id(session)
    names = leads.company_names(session, [vendor, seen.offer["company_id"] if seen.offer else None])
    partner = names.get(seen.offer["company_id"], "") if seen.offer else ""
    return waybill.vendor_waybill(seen, account["name"] if account else "", partner, names[vendor], may)


def _page(
    request: Request, seen: Seen, asked: Asked, decided: Decided, all_of_them: Any, catalogue: Catalogue
) -> dict[str, Any]:
    if not decided.row.eligible and "tab" not in request.GET:
        asked = replace(asked, tab="refused")
    short = queries.near_misses(request.db, decided)
    still = bool(
        decided.offer and decided.offer["state"] in ("offered", "accepted") and not decided.offer["ended_at"]
    )
    why = asking.why_not(request, asked, decided, catalogue)
    values = {
        "number": seen.number,
        "w": _strip(request, seen),
        "can_route": _can_route(request, seen),
        "sentence": telling.sentence(decided, catalogue, still, _by_hand(request, seen, asked)),
        "decided": decided,
        "gates": telling.funnel(
            decided, lambda gate: asked.url(tab="refused", gate=gate) + "#candidates", catalogue
        ),
        "pins": _pins(request, decided, asked, short),
        "ring": RING_KM,
        "tabs": _tabs(asked, decided, short),
        "legend": telling.legend(decided.rules),
        "of": decided.rules.score.total,
        "asked": asked,
        "why": why,
        "others": _earlier(asked, all_of_them),
        "gate_words": telling.REFUSED,
        "title_funnel": tr(
            _(
                "From ${a} to ${b}",
                mapping={"a": fmt.num(decided.row.candidates), "b": fmt.num(decided.row.eligible)},
            )
        ),
    }
    return values | _rows(request, asked, decided, catalogue, short)


def _by_hand(request: Request, seen: Seen, asked: Asked) -> tuple[str, str] | None:
    """(who, to whom) of an assignment by hand that holds now, told with the newest decision only."""
    offer = seen.offer
    if offer is None or offer["decision_id"] is not None or not asked.current:
        return None
    if offer["state"] not in ("offered", "accepted") or offer["ended_at"]:
        return None
    partner = leads.company_names(request.db, [offer["company_id"]]).get(offer["company_id"], "")
    person = queries.assigned_by(request.db, seen.id, offer["id"])
    who = leads.people_names(request.db, [person]).get(person or 0)
    return who or tr(_("A channel manager")), partner


def _can_route(request: Request, seen: Seen) -> bool:
    lead = seen.lead
    assert lead is not None
    waits = lead["assignment"] not in ("offered", "held") and lead["stage"] not in leads.CLOSED
    return bool(request.may("lead.assign")) and waits and lead["suspected_duplicate_of"] is None


def _tabs(asked: Asked, decided: Decided, short: Mapping[int, str]) -> list[Tab]:
    refused = len(decided.gates) - decided.stopped_at("")
    items = (
        ("could", tr(_("Could take it")), decided.row.eligible),
        ("short", tr(_("One gate short")), len(short)),
        ("refused", tr(_("Refused")), refused),
    )
    return [
        Tab(
            label,
            asked.url(tab=key, gate=None) + "#candidates",
            asked.tab == key,
            n,
        )
        for key, label, n in items
    ]


def _earlier(asked: Asked, all_of_them: Any) -> list[Tab]:
    """Links to every decision of the lead when there are several, oldest first."""
    if len(all_of_them) < 2:
        return []
    base = f"/leads/{asked.number}/decision?decision="
    return [
        Tab(fmt.when_text(one.as_of), f"{base}{one.id}", one.id == asked.decision)
        for one in reversed(all_of_them)
    ]


def _rows(
    request: Request,
    asked: Asked,
    decided: Decided,
    catalogue: Catalogue,
    short: Mapping[int, str],
) -> dict[str, Any]:
    """The table of the open tab."""
    if asked.tab == "could":
        towns = queries.towns(request.db, (int(entry["id"]) for entry in decided.row.top))
        rows = [
            _ranked_row(decided, entry, rank, towns, catalogue)
            for rank, entry in enumerate(decided.row.top, 1)
        ]
        return {"rows": rows, "more": decided.row.eligible - len(rows), "pages": None}
    ids = list(short)
    if asked.tab == "refused":
        ids = [i for i, gate in decided.gates.items() if gate and asked.gate in (None, gate)]
    ids.sort(key=lambda i: (-_order(decided.gates[i]), decided.far(decided.candidate(i)), i))
    first = (asked.page - 1) * PAGE
    shown = ids[first : first + PAGE]
    towns = queries.towns(request.db, shown)
    pages = {
        "first": first + 1 if shown else 0,
        "last": first + len(shown),
        "total": len(ids),
        "before": asked.url(page=asked.page - 1) + "#candidates" if asked.page > 1 else None,
        "after": asked.url(page=asked.page + 1) + "#candidates" if first + PAGE < len(ids) else None,
    }
    rows = [_refused_row(decided, i, towns, catalogue, asked) for i in shown]
    return {"rows": rows, "more": 0, "pages": pages}


def _order(gate: str) -> int:
    """Later gates first: those came nearest."""
    return ALL_GATES.index(gate) if gate in ALL_GATES else -1


def _ranked_row(
    decided: Decided, entry: Any, rank: int, towns: Mapping[int, str], catalogue: Catalogue
) -> dict[str, Any]:
    candidate = decided.candidate(int(entry["id"]))
    level = catalogue.level(candidate.level if candidate else None)
    first = decided.row.top[0]
    metres = entry["distance_m"]
    return {
        "id": int(entry["id"]),
        "rank": rank,
        "name": telling.name_of(candidate),
        "town": towns.get(int(entry["id"]), ""),
        "outcome": "chosen" if rank == 1 else "ranked",
        "level": level,
        "km": None if metres is None else fmt.num(round(metres / 1000)),
        "terms": telling.terms(entry["terms"]),
        "score": telling.points(entry["score"]),
        "against": tr(_("Highest score")) if rank == 1 else telling.against_first(first, entry, level),
    }


def _refused_row(
    decided: Decided, location_id: int, towns: Mapping[int, str], catalogue: Catalogue, asked: Asked
) -> dict[str, Any]:
    candidate, gate = decided.candidate(location_id), decided.gates[location_id]
    metres = decided.metres(candidate)
    return {
        "id": location_id,
        "name": telling.name_of(candidate),
        "town": towns.get(location_id, ""),
        "outcome": "excluded" if gate == "excluded" else "short" if asked.tab == "short" else "refused",
        "level": catalogue.level(candidate.level if candidate else None),
        "km": None if metres is None else fmt.num(round(metres / 1000)),
        "gate": tr(telling.REFUSED[gate]),
        "url": asked.url(why=location_id) + "#why",
    }


def _pins(request: Request, decided: Decided, asked: Asked, short: Mapping[int, str]) -> list[Pin]:
    """Customer, ranked in order, near misses, the nearest refused."""
    place = decided.request.place
    if place.lat is None or place.lon is None:
        return []
    pins = [Pin(place.lat, place.lon, "customer", telling.place_word(decided))]
    for rank, entry in enumerate(decided.row.top, 1):
        candidate = decided.candidate(int(entry["id"]))
        if candidate is not None and candidate.lat is not None and candidate.lon is not None:
            kind = "first" if rank == 1 else "ranked"
            url = asked.url(why=candidate.id) + "#why"
            pins.append(Pin(candidate.lat, candidate.lon, kind, candidate.name, str(rank), url, rank <= 9))
    for candidate in queries.nearest(request.db, decided, MOST_PINS):
        kind = "short" if candidate.id in short else "refused"
        assert candidate.lat is not None and candidate.lon is not None
        pins.append(Pin(candidate.lat, candidate.lon, kind, candidate.name, "", None, kind == "short"))
    return pins


def _own_line(request: Request, seen: Seen, catalogue: Catalogue) -> Response:
    """A partner's own line, from what was fixed when it was offered."""
    why = seen.brief.get("why")
    if not why or seen.offer is None:
        raise NotFound
    vendor = vendor_id(request.db)
    name = leads.company_names(request.db, [vendor])[vendor]
    customer = tr(_("Customer"))
    if seen.lead is not None:
        account, _contact = leads.customer(request.db, seen.lead)
        customer = account["name"] if account else customer
    may = {"answer": False, "progress": False}
    values = {
        "number": seen.number,
        "w": waybill.partner_waybill(seen, request.ctx.company_name or "", name, customer, request.now, may),
        "sentence": _own_sentence(why, catalogue),
        "line": lead_telling.why_you(why, catalogue),
        "terms": telling.terms(why.get("terms") or ()),
        "score": telling.points(why["score"]) if "score" in why else "",
        "at": seen.offer["offered_at"],
        "certified": why.get("certified") or [],
        "why": why,
        "catalogue": catalogue,
    }
    return render_to_response("decision/own_line.jinja2", values, request=request)


def _own_sentence(why: Mapping[str, Any], catalogue: Catalogue) -> str:
    if why.get("by_hand"):
        return tr(_("You were chosen by hand."))
    facts = telling.praise(why.get("distance_m"), catalogue.level(why.get("level")))
    # Said alike whether there were others or not: how many could have taken it is not the partner's to know.
    return tr(_("Your location was chosen: ${facts}.", mapping={"facts": facts}))


def includeme(config: Any) -> None:
    """GET /leads/{number}/decision."""
    config.add_route("decision", r"/leads/{number:L-\d{1,18}}/decision")
    config.add_view(decision_page, route_name="decision", request_method="GET", permission="decision.read")

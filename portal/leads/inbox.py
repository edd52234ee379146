"""The partner's inbox: offers to answer, accepted ones, missed ones; beside it how fast it answers and what is due."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from statistics import median
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response

from integrations import charts
from portal.db import PortalSession
from portal.leads import queries, telling, waybill, words
from portal.leads.queries import Catalogue, OfferCounts
from portal.web.filters import one_of
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Offer, Tab
from rules import working_minutes_between

Mapped = Mapping[str, Any]
ANSWERS_DAYS = 30
SIDE_ROWS = 4
TABS = ("open", "accepted", "missed")


def inbox(request: Request) -> Response:
    """GET /offers?tab=."""
    session = request.db
    tab = one_of(request.GET, "tab", TABS, TABS[0])
    counts, catalogue = queries.offer_counts(session), queries.catalogue(session)
    missed = queries.past_offers(session, queries.MISSED, 50 if tab == "missed" else SIDE_ROWS)
    offers = queries.open_offers(session) if tab == "open" else []
    values = {
        "tab": tab,
        "tabs": _tabs(tab, counts),
        "title": _title(counts.waiting),
        "sub": _sub(offers),
        "offers": offer_cards(offers, catalogue, bool(request.may("offer.answer"))),
        "rows": [
            _line(o) for o in (queries.past_offers(session, ("accepted",)) if tab == "accepted" else missed)
        ],
        "answers": answer_times(session),
        "steps": queries.steps_due(session),
        "missed": [_line(o) for o in missed[:SIDE_ROWS]],
        "money": waybill.money,
    }
    return render_to_response("leads/inbox.jinja2", values, request=request)


def _tabs(tab: str, counts: OfferCounts) -> list[Tab]:
    return [
        Tab(tr(_("To answer")), "/offers", tab == "open", counts.waiting),
        Tab(tr(_("Accepted")), "/offers?tab=accepted", tab == "accepted", counts.accepted),
        Tab(tr(_("Missed")), "/offers?tab=missed", tab == "missed", counts.missed),
    ]


def _title(waiting: int) -> str:
    if not waiting:
        return tr(_("No offer waits for your answer"))
    return ntr("${n} offer waits for your answer", "${n} offers wait for your answer", waiting)


def _sub(offers: Sequence[Mapped]) -> str:
    today = f"{fmt.long_day(fmt.today)}, {fmt.time_text(fmt.now)}"
    if not offers:
        return today
    until = fmt.when_text(offers[0]["deadline_at"])
    return tr(_("The first until ${until}.", mapping={"until": until})) + " " + today


def offer_cards(offers: Sequence[Mapped], catalogue: Catalogue, may_answer: bool) -> list[Offer]:
    """Cards of open offers; the first has the focus and the filled button."""
    return [_card(offer, catalogue, may_answer, index == 0) for index, offer in enumerate(offers)]


def _card(offer: Mapped, catalogue: Catalogue, may_answer: bool, focused: bool) -> Offer:
    brief = offer["brief"]
    start = brief.get("start_on")
    starts = tr(_("starts ${day}", mapping={"day": fmt.day_text(date.fromisoformat(start))})) if start else ""
    return Offer(
        number=offer["lead_number"],
        title=brief["title"],
        url=f"/leads/{offer['lead_number']}",
        place=words.short_place(brief),
        distance=fmt.km(offer["distance_m"]),
        worth=waybill.band(brief.get("band")),
        until=offer["deadline_at"],
        started=offer["offered_at"],
        why=telling.why_you(brief.get("why") or {}, catalogue),
        opens=tr(_("company, contact, telephone, street, exact worth")),
        start=starts,
        files=brief.get("files") or 0,
        new=offer["seen_at"] is None,
        accept=waybill.accept_action(offer, tr(_("Accept"))) if may_answer else None,
        decline=waybill.decline_action(offer) if may_answer else None,
        focused=focused,
    )


def _line(offer: Mapped) -> dict[str, Any]:
    """An offer that is over, in two lines."""
    brief = offer["brief"]
    if offer["state"] == "accepted" and not offer["ended_at"]:
        how = tr(_("You accepted it ${at}.", mapping={"at": fmt.when_text(offer["answered_at"])}))
    else:
        how = waybill.ended(offer)
    return {
        "number": offer["lead_number"],
        "title": brief["title"],
        "place": words.place(brief),
        "how": how,
        "worth": waybill.band(brief.get("band")),
        "state": offer["state"],
        "at": offer["answered_at"] or offer["deadline_at"],
    }


def answer_times(session: PortalSession) -> dict[str, Any] | None:
    """The side card: median, dots against the promise, what ran out; None when nothing was answered yet.

    Hours are working hours of the place that was asked, the clock that the deadline follows too.
    """
    hours, lapsed, promise = [], [], 0.0
    rows = queries.answers_since(session, session.context.now - timedelta(days=ANSWERS_DAYS))
    kept = queries.calendars_of(session, (row["location_id"] for row in rows))
    for row in rows:
        calendar = kept.get(row["location_id"])
        if calendar is None:
            continue
        promise = promise or working_minutes_between(calendar, row["offered_at"], row["deadline_at"]) / 60
        if row["state"] == "expired":
            lapsed.append(row)
        elif row["answered_at"]:
            hours.append(working_minutes_between(calendar, row["offered_at"], row["answered_at"]) / 60)
    if not hours and not lapsed:
        return None
    # Deadlines cut by the wall clock promise less; the whole hours of the rule are what people know.
    promise = round(promise)
    label = tr(_("promise ${n} h", mapping={"n": promise}))
    chart = charts.dot_strip(
        tr(_("Your answer time")),
        sorted(hours),
        (tr(_("Hours")), tr(_("Answers"))),
        promise or None,
        label,
        len(lapsed),
    )
    return {
        "median": fmt.duration(median(hours) * 60) if hours else "",
        "chart": chart,
        "count": ntr("${n} answer", "${n} answers", len(hours)),
        "lapsed": _lapsed(lapsed),
    }


def _lapsed(rows: Sequence[Mapped]) -> str:
    if not rows:
        return ""
    number, day = rows[0]["lead_number"], fmt.day_text(fmt.local(rows[0]["deadline_at"]).date())
    return ntr(
        "One offer ran out without an answer, ${number} on ${day}.",
        "${n} offers ran out without an answer, the last ${number} on ${day}.",
        len(rows), number=number, day=day,
    )  # fmt: skip


def includeme(config: Any) -> None:
    """GET /offers."""
    config.add_route("offers", "/offers")
    config.add_view(inbox, route_name="offers", request_method="GET", permission="offer.answer")

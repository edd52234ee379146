"""Home: what needs me now, by persona, then how we are doing. The vendor's half is here, a partner's in home_partner.py."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import text

from integrations import charts
from portal.leads import figures, questions, words
from portal.leads.waybill import money
from portal.partners.proposals import queries as proposals
from portal.partners.proposals.kinds import KINDS
from portal.routing.snapshot import plan
from portal.web import home_partner
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.maps import region_map
from portal.web.parts import Action, Need
from portal.web.regions import ALPHA3, MAPPED, region_name

SOON = timedelta(hours=4)
CERTIFICATE_DAYS = 60
Row = Mapping[str, Any]


def home(request: Request) -> Response:
    """GET /."""
    values = home_partner.page(request) if request.ctx.kind == "partner" else vendor_page(request)
    return render_to_response("home/home.jinja2", frame(values), request=request)


def frame(values: dict[str, Any]) -> dict[str, Any]:
    """Sorted needs, the title that counts them, and the defaults of the template."""
    needs = sorted(values["needs"], key=lambda need: (not need.first, need.until or fmt.now))
    if needs and not any(need.action.primary for need in needs):
        needs[0] = primary(needs[0])
    title = tr(_("Nothing needs you"))
    if needs:
        title = ntr("${n} thing needs you", "${n} things need you", sum(need.more for need in needs))
        dues = [need.until for need in needs if need.until]
        late = sum(until <= fmt.now for until in dues)
        if late:
            title += ", " + ntr("${n} overdue", "${n} overdue", late)
        elif dues:
            title += ", " + tr(_("the first by ${when}", mapping={"when": fmt.when_text(min(dues))}))
    today = f"{fmt.long_day(fmt.today)}, {fmt.time_text(fmt.now)}"
    return (
        {"actions": [], "cards": [], "wide": None, "nothing": ""}
        | values
        | {"title": title, "today": today, "needs": needs}
    )


def primary(need: Need) -> Need:
    """The same row with the filled button: one per page, at the most urgent thing."""
    return replace(need, action=replace(need.action, primary=True))


def end_of(day: Any) -> datetime:
    """The end of a day in the reader's zone."""
    return datetime.combine(day, time(23, 59), tzinfo=fmt.tz)


def vendor_page(request: Request) -> dict[str, Any]:
    """The vendor's people: managers see what waits for a decision, sellers what lapses and what is late."""
    session = request.db
    if not request.may("lead.read"):
        return {"needs": []}
    needs: list[Need] = []
    if request.may("work.read"):
        needs += [_parked(row) for row in session.execute(PARKED)]
    if request.may("lead.queue"):
        waiting = figures.waiting_leads(session)
        needs += [_waiting(row) for row in waiting] + _rest(request.shell.waiting or 0, len(waiting))
        lapsing = figures.lapsing_certificates(session, CERTIFICATE_DAYS, asked=True)
        needs += [_certificate(row) for row in lapsing]
    if request.may("partner.edit"):
        needs += [_proposal(row) for row in proposals.waiting(session)]
    if request.may("lead.comment"):
        needs += [home_partner.question(row) for row in questions.unanswered(session)]
    needs += [_lapsing(row) for row in figures.lapsing_offers(session, SOON)]
    needs += [_overdue(row) for row in figures.overdue_steps(session)]
    new = Action(tr(_("New lead")), "/leads/new", "get", icon="plus")
    return {
        "needs": needs,
        "actions": [new] if request.may("lead.create") else [],
        "cards": [card for card in (accept_card(request), won_card(request), coverage_card(request)) if card],
        "wide": weeks_card(request),
    }


PARKED = text("select kind, items, reason, since from app.parked_work()")


def _parked(row: Any) -> Need:
    """Work that failed too often and waits for an operator."""
    what = ntr(
        "${n} piece of work is parked: ${kind}",
        "${n} pieces of work are parked: ${kind}",
        row.items,
        kind=row.kind,
    )
    values = {"reason": row.reason or "-", "at": fmt.when_text(row.since)}
    cause = tr(_("${reason}. Since ${at}. Mend the cause, then run: interline work retry", mapping=values))
    return Need(
        what, cause, "alert-triangle", "bad", Action(tr(_("How")), "/help/operator", "get"), "/help/operator"
    )


MOST_COUNTED = 1000


def _rest(total: int, shown: int) -> list[Need]:
    """A row that leads to the queue when more wait there than are shown."""
    if total <= shown:
        return []
    n = f"{fmt.num(MOST_COUNTED)}+" if total > MOST_COUNTED else fmt.num(total)
    action = Action(tr(_("All ${n}", mapping={"n": n})), "/leads/queue?view=all", "get")
    title = tr(_("${n} leads wait in the queue", mapping={"n": n}))
    cause = ntr("The newest one is above.", "The newest ${n} are above.", shown) if shown else ""
    return [
        Need(
            title, cause, "inbox", "neutral", action, "/leads/queue?view=all", first=True, more=total - shown
        )
    ]


def _waiting(row: Row) -> Need:
    number = row["number"]
    worth = money(row["amount"], row["currency"])
    if row["suspected_duplicate_of"] is not None:
        action = Action(tr(_("See both")), f"/leads/{number}/duplicate", "get")
        cause = tr(_("It may be the same request as another one, so nobody has been offered it."))
        return Need(f"{number} {row['title']}", cause, "copy", "warn", action, f"/leads/{number}", worth)
    action = Action(tr(_("Assign or re-route")), f"/leads/{number}#assign", "get")
    why, _cure = words.queue_reason(row["assignment_reason"])
    why += " " + tr(_("Received ${at}.", mapping={"at": fmt.when_text(row["received_at"])}))
    return Need(
        f"{number} {row['title']}", why, "route-off", "bad", action, f"/leads/{number}", worth, first=True
    )


def _lapsing(row: Row) -> Need:
    number, values = row["lead_number"], {"partner": row["partner"]}
    cause = _("${partner} has not opened the offer.", mapping=values)
    if row["seen_at"]:
        values["at"] = fmt.when_text(row["seen_at"])
        cause = _("${partner} opened it ${at} and has not answered.", mapping=values)
    action = Action(tr(_("Look at it")), f"/leads/{number}", "get")
    worth = money(row["amount"], row["currency"])
    return Need(
        f"{number} {row['title']}",
        tr(cause),
        "clock",
        "warn",
        action,
        f"/leads/{number}",
        worth,
        row["deadline_at"],
    )


def _certificate(row: Row) -> Need:
    name = row["programme_name"] or row["programme"]
    title = tr(_("${what} of ${who} lapses", mapping={"what": name, "who": row["name"]}))
    cause = ntr(
        "It was asked for in ${n} offer of the last 90 days.",
        "It was asked for in ${n} offers of the last 90 days.",
        row["leads"],
    )
    if not row["leads"]:
        cause = tr(_("Nobody asked for it in the last 90 days."))
    url = f"/partners/{row['company_id']}"
    return Need(
        title,
        cause,
        "certificate",
        "warn",
        Action(tr(_("Look at it")), url, "get"),
        url,
        "",
        end_of(row["expires"]),
    )


def _proposal(row: Any) -> Need:
    """A partner wants something changed that decides about its leads."""
    url = f"/proposals/{row.id}"
    values = {"partner": row.company, "what": tr(KINDS[row.kind].title)}
    title = tr(_("${partner} proposes: ${what}", mapping=values))
    cause = tr(
        _("Proposed ${at}. It counts when you approve it.", mapping={"at": fmt.when_text(row.proposed_at)})
    )
    return Need(title, cause, "pencil", "info", Action(tr(_("Review")), url, "get"), url)


def _overdue(row: Row) -> Need:
    number = row["number"]
    values = {"step": row["next_step"], "partner": row["partner"], "day": fmt.day_text(row["next_step_on"])}
    cause = tr(_("${partner} planned for ${day}: ${step}", mapping=values))
    action = Action(tr(_("Look at it")), f"/leads/{number}", "get")
    worth = money(row["amount"], row["currency"])
    until = end_of(row["next_step_on"])
    return Need(
        f"{number} {row['title']}",
        cause,
        "calendar-event",
        "neutral",
        action,
        f"/leads/{number}",
        worth,
        until,
    )


def accept_card(request: Request) -> dict[str, Any] | None:
    """Time to accept by partner against the promise."""
    rows = figures.time_to_accept(request.db)
    if not rows:
        return None
    promise = plan(request.db).rules.offer.answer_within_minutes / 60
    late = sum(1 for row in rows if row.slow_h > promise)
    n = len(rows)
    finding = ntr(
        "One of ${all} keeps a tenth of customers waiting past the promise.",
        "${n} of ${all} keep a tenth of customers waiting past the promise.", late, all=n,
    )  # fmt: skip
    if not late:
        finding = tr(_("The busiest partners all keep the promise. Working hours, last 90 days."))
    chart = charts.dumbbells(
        tr(_("Time to accept")),
        [charts.Dumbbell(r.name, r.median_h, r.slow_h, f"/partners/{r.company_id}") for r in rows],
        promise, tr(_("promise ${n} h", mapping={"n": fmt.num(round(promise, 1), 0 if promise == int(promise) else 1)})),
        (tr(_("Partner")), tr(_("median")), tr(_("slowest tenth"))),
    )  # fmt: skip
    return {
        "title": tr(_("Time to accept")),
        "finding": finding,
        "chart": chart,
        "url": "/partners?view=all",
        "label": tr(_("All partners")),
    }


def won_card(request: Request) -> dict[str, Any] | None:
    """What was won by region, against the 90 days before."""
    currency, rows, n = figures.won_by_region(request.db)
    if not rows:
        return None
    now, before = sum(r.now for r in rows), sum(r.before for r in rows)
    amount = f"{currency}\u00a0{fmt.num(round(now))}"
    finding = ntr(
        "${amount} in 90 days from ${n} lead", "${amount} in 90 days from ${n} leads", n, amount=amount
    )
    if before:
        change = round(100 * (now - before) / before)
        more = _("${share} more than in the 90 days before", mapping={"share": fmt.percent(change / 100)})
        less = _("${share} less than in the 90 days before", mapping={"share": fmt.percent(-change / 100)})
        finding += ", " + tr(more if change >= 0 else less)
    items = [
        charts.Bar(
            region_name(r.region),
            r.now / 1000,
            r.before / 1000 if before else None,
            fmt.num(round(r.now / 1000)),
            fmt.num(round(r.before / 1000)),
        )
        for r in rows
    ]
    chart = charts.bars(
        tr(_("Won by region")), items, (tr(_("Region")), tr(_("last 90 days")), tr(_("90 days before"))),
        unit=tr(_("${currency} thousand", mapping={"currency": currency})), label_room=120,
    )  # fmt: skip
    return {
        "title": tr(_("Won by region")),
        "finding": finding + ".",
        "chart": chart,
        "url": "/leads?stage=won",
        "label": tr(_("Won leads of all time")),
    }


def coverage_card(request: Request) -> dict[str, Any] | None:
    """Where partners are, on the map of the countries we can draw; None elsewhere."""
    counts = figures.locations_by_region(request.db)
    shown = [country for country in MAPPED if any(code in counts for code in MAPPED[country])]
    if not shown:
        return None
    values = {name: counts.get(code, 0) for country in shown for code, name in MAPPED[country].items()}
    none = [name for name, n in values.items() if not n]
    title = tr(_("Partner locations by region"))
    drawn = region_map([ALPHA3[country] for country in shown], values, title)
    if not drawn:
        return None
    finding = tr(_("Partner locations by region."))
    if none and len(none) <= 4:
        finding += " " + tr(_("Nobody in ${regions}.", mapping={"regions": ", ".join(none)}))
    elif none:
        finding += " " + ntr("Nobody in ${n} region.", "Nobody in ${n} regions.", len(none))
    rows = sorted(values.items(), key=lambda pair: (-pair[1], pair[0]))
    return {
        "title": tr(_("Coverage")),
        "finding": finding,
        "map": drawn,
        "rows": rows,
        "url": "/partners?view=all",
        "label": tr(_("All partners")),
    }


def weeks_card(request: Request) -> dict[str, Any] | None:
    """Leads received and won by week."""
    weeks = figures.by_week(request.db)
    received, won = sum(r for _w, r, _n in weeks), sum(n for _w, _r, n in weeks)
    if not received:
        return None
    chart = charts.lines(
        tr(_("Leads by week")),
        [fmt.day_text(week) for week, _r, _n in weeks],
        [
            charts.Series(tr(_("received")), [r for _w, r, _n in weeks], 1, True),
            charts.Series(tr(_("won")), [n for _w, _r, n in weeks], 4),
        ],
        tr(_("Week from")), width=640, height=180,
    )  # fmt: skip
    finding = tr(
        _(
            "${received} received and ${won} won in 13 weeks.",
            mapping={"received": fmt.num(received), "won": fmt.num(won)},
        )
    )
    return {
        "title": tr(_("Leads by week")),
        "finding": finding,
        "chart": chart,
        "url": "/leads?view=all",
        "label": tr(_("All leads")),
    }


def includeme(config: Any) -> None:
    """The frame of every page, and home."""
    config.include("portal.web.shell")
    config.include("portal.web.filter_views")
    config.add_route("home", "/")
    config.add_view(home, route_name="home", request_method="GET", permission="home")

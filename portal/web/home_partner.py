"""A partner's home: offers with their countdown, next steps due, certificates that lapse; its pipeline and its speed."""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from pyramid.request import Request

from integrations import charts
from portal.leads import facts, figures, queries, questions, telling, words
from portal.leads.inbox import answer_times
from portal.leads.waybill import band, money
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Action, Need
from portal.web.status import status_label

STEP_DAYS = 7
CERTIFICATE_DAYS = 60
Row = Mapping[str, Any]


def page(request: Request) -> dict[str, Any]:
    """Needs and cards by what the reader's roles permit."""
    session, needs, cards = request.db, [], []
    if request.may("lead.read"):
        catalogue = queries.catalogue(session)
        needs += [_offer(row, catalogue) for row in queries.open_offers(session, 10)]
        until = fmt.today + timedelta(days=STEP_DAYS)
        if request.may("lead.comment"):
            needs += [question(row) for row in questions.unanswered(session)]
        needs += [_step(row) for row in queries.steps_due(session, 10) if row["next_step_on"] <= until]
        cards += [pipeline_card(request), answer_card(request)]
    if request.may("company.edit"):
        rows = figures.lapsing_certificates(session, CERTIFICATE_DAYS, session.context.company_id)
        needs += [_certificate(row) for row in rows]
        needs += _team(figures.team(session))
    actions = [Action(tr(_("Offers")), "/offers", "get")] if request.may("offer.answer") else []
    return {"needs": needs, "cards": [card for card in cards if card], "actions": actions, "columns": 2}


def _offer(row: Row, catalogue: queries.Catalogue) -> Need:
    brief = row["brief"]
    number = row["lead_number"]
    why = telling.why_you(brief.get("why") or {}, catalogue)
    action = Action(tr(_("Answer")), f"/leads/{number}", "get")
    title = f"{number} {brief['title']}"
    return Need(
        title, why, "send", "info", action, f"/leads/{number}", band(brief.get("band")), row["deadline_at"]
    )


def question(row: Row) -> Need:
    """Somebody of the other company has asked; for both sides' home."""
    said = facts.one_line(row["body"] or "")
    title = tr(_("${who} asks: ${words}", mapping={"who": row["asker"], "words": said}))
    cause = f"{row['number']} {row['title']}, {fmt.when_text(row['at'])}"
    url = f"/leads/{row['number']}#say"
    return Need(title, cause, "message-circle", "info", Action(tr(_("Answer")), url, "get"), url)


def _end_of(day: date) -> datetime:
    return datetime.combine(day, time(23, 59), tzinfo=fmt.tz)


def _step(row: Row) -> Need:
    url = f"/leads/{row['number']}"
    late = row["next_step_on"] < fmt.today
    cause = f"{row['number']} {row['title']}"
    worth = money(row["amount"], row["currency"])
    action = Action(tr(_("Open it")), url, "get")
    return Need(
        row["next_step"],
        cause,
        "calendar-event",
        "warn" if late else "neutral",
        action,
        url,
        worth,
        _end_of(row["next_step_on"]),
    )


def _certificate(row: Row) -> Need:
    name = row["programme_name"] or row["programme"]
    title = tr(_("Your certification ${what} lapses", mapping={"what": name}))
    cause = ntr(
        "It was asked for in ${n} offer of the last 90 days.",
        "It was asked for in ${n} offers of the last 90 days.",
        row["leads"],
    )
    if not row["leads"]:
        cause = tr(_("Renew it in time to keep getting such leads."))
    return Need(
        title,
        cause,
        "certificate",
        "warn",
        Action(tr(_("Look at it")), "/company", "get"),
        "/company",
        "",
        _end_of(row["expires"]),
    )


def _team(row: Row) -> list[Need]:
    needs = []
    if not row["agreed"]:
        cause = tr(_("Without it your company is offered nothing."))
        action = Action(tr(_("Read and accept")), "/company/agreement", "get")
        needs.append(
            Need(
                tr(_("The agreement waits for you")), cause, "file-text", "bad", action, "/company/agreement"
            )
        )
    if row["invited"]:
        names = ", ".join(row["invited"][:3])
        title = ntr(
            "${n} invited person has not come yet",
            "${n} invited people have not come yet",
            len(row["invited"]),
        )
        action = Action(tr(_("People")), "/company/people", "get")
        needs.append(Need(title, names, "user", "neutral", action, "/company/people"))
    return needs


PIPELINE = ("new", "working", "qualified", "proposed")


def pipeline_card(request: Request) -> dict[str, Any] | None:
    """Open leads by stage: by worth where all is in one currency, else by number, with one sum for each currency."""
    leads, worth = figures.pipeline(request.db)
    if not leads:
        return None
    n = sum(leads.values())
    sums = {currency: sum(by_stage.values()) for currency, by_stage in worth.items()} or {"EUR": 0.0}
    if len(sums) == 1:
        (currency,) = sums
        thousands = {stage: worth[currency].get(stage, 0.0) / 1000 for stage in PIPELINE}
        items = [
            charts.Bar(
                f"{status_label('stage', stage)}, {fmt.num(leads.get(stage, 0))}",
                value,
                None,
                fmt.num(round(value)),
            )
            for stage, value in thousands.items()
        ]
        unit = tr(_("worth, ${currency} thousand", mapping={"currency": currency}))
        head = (tr(_("Stage, leads")), words.first_up(unit), "")
    else:
        counts = {stage: leads.get(stage, 0) for stage in PIPELINE}
        items = [
            charts.Bar(status_label("stage", stage), count, None, fmt.num(count))
            for stage, count in counts.items()
        ]
        unit, head = "", (tr(_("Stage")), tr(_("Leads")), "")
    chart = charts.bars(tr(_("Pipeline by stage")), items, head, unit=unit)
    told = ", ".join(f"{code}\u00a0{fmt.num(round(total))}" for code, total in sorted(sums.items()))
    finding = (
        ntr("${n} open lead", "${n} open leads", n) + ", " + tr(_("worth ${sums}.", mapping={"sums": told}))
    )
    return {
        "title": tr(_("Our pipeline")),
        "finding": finding,
        "chart": chart,
        "url": "/leads",
        "label": tr(_("Our leads")),
    }


def answer_card(request: Request) -> dict[str, Any] | None:
    """How fast offers were answered, against the promise."""
    found = answer_times(request.db)
    if found is None:
        return None
    finding = " ".join(
        part
        for part in (
            tr(_("Median ${time} in 30 days.", mapping={"time": found["median"]})) if found["median"] else "",
            found["lapsed"],
        )
        if part
    )
    return {
        "title": tr(_("Our answer time")),
        "finding": finding,
        "chart": found["chart"],
        "url": "/offers?tab=missed",
        "label": found["count"],
    }

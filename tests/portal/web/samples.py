"""The comps' pages (Halden Pumps and Danubia Technik) made from the parts: what preview, axe and overflow tests look at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import count
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field
from sqlalchemy import column

from integrations import charts
from portal.web import parts as p
from portal.web.forms import Form
from portal.web.tables import Column, Listing, ListSpec
from tests.portal.web.sheets import partner_page, vendor_page

VIENNA = ZoneInfo("Europe/Vienna")


def at(hour: int, minute: int = 0, day: int = 23) -> datetime:
    """A time in November 2026, Vienna."""
    return datetime(2026, 11, day, hour, minute, tzinfo=VIENNA)


ADDRESSES = count()  # the ids of a form's inputs follow from its address


def act(label: str, **more: Any) -> p.Action:
    """A POST to nowhere."""
    return p.Action(label, f"/x/{next(ADDRESSES)}", **more)


REASONS = (
    ("no_capacity", "No capacity"), ("too_far", "Too far"), ("not_our_field", "Not our field"),
    ("conflict", "Conflict with a customer"), ("dates", "Dates do not work"), ("other", "Other, say which"),
)  # fmt: skip

WAYBILL = p.Waybill(
    "L-10482", "Pump service contract, Linz", "assignment", "offered",
    [
        p.Stop("Halden Pumps", "past", ["received 09:46", "offered 09:48"]),
        p.Stop("Danubia Technik", "now", ["has the offer since 09:48", "you and Lukas Gruber were told"]),
        p.Stop("Customer", "next", ["Paper mill, Linz", "contact opens when you accept"]),
    ],
    "/leads/L-10482", "Your turn", True, at(16), at(9, 48), "Answer by", "your working hours",
    "Monday to Friday 07:00 to 17:00, Austrian holidays", [act("Accept lead", primary=True), act("Decline", reasons=REASONS)],
)  # fmt: skip

NEEDS = [
    p.Need("L-10488 ATEX repair frame agreement, Plzeň", "No partner left: two declined, one offer ran out. We promised the customer an answer.", "route-off", "bad", act("Assign or re-route", primary=True), "/leads/L-10488", "62,000", at(13, 30)),
    p.Need("L-10479 Vario drives retrofit, Salzburg", "Alpenhydro has not opened the offer. Salzkammer Fluid is next.", "clock", "warn", act("Remind Alpenhydro"), "/leads/L-10479", "38,400", at(14, 15)),
    p.Need("L-10477 Booster set with drives, Munich", "Isar Prozesstechnik asks: is the intake zone 1 or zone 2?", "message-circle", "info", act("Answer"), "/leads/L-10477", "128,000", at(16, 30)),
    p.Need("14 deliveries to Moravia Čerpadla failed", "Since 11:02 their system answers 401: it still checks the signing secret you replaced at 11:00.", "alert-triangle", "bad", act("Open the log"), None, "", at(17), "parked"),
    p.Need("Draft 8 of Bavaria waits for your review", "Tomáš Dvořák sent it at 09:10. 61 of 1,940 leads would move, 2 findings.", "git-pull-request", "neutral", act("Review"), None, "", at(12, 0, 24)),
    p.Need("ATEX Repair of Wachau Hydraulik lapses", "Would have cost 11 leads in the last 90 days. Lower Austria would keep one certified partner.", "certificate", "warn", act("Ask to renew"), None, "410,000", at(12, 50, 30)),
]  # fmt: skip

ENTRIES = [
    p.Entry(at(11, 20), "Lukas Gruber", "wrote a note", "If it is the mill I think it is, we serviced two stock pumps there in 2023. Ask for the vibration logs first.\nTwo people are free from 11 January, so the start works.", private="Danubia Technik"),
    p.Entry(at(10, 41), "Tomáš Dvořák", ", Halden Pumps, answered your question", "The dosing room is ATEX zone 1, the pump hall is not zoned.", "message-circle", "info"),
    p.Entry(at(10, 5), "You", "asked Halden Pumps", "Which of the 38 pumps stand in an explosion zone?", "message-circle"),
    p.Entry(at(9, 56), "You", "opened the offer", icon="eye"),
    p.Entry(at(9, 48), "Halden Pumps", "offered the lead to Danubia Technik", "Answer by 16:00. E-mail sent to Katrin Moser and Lukas Gruber.", "send", "info"),
    p.Entry(at(9, 47), "You were chosen", "by the vendor's routing", "12 km away, Gold, ATEX Repair valid until 31 Mar 2027, 6 of 10 open leads.", "arrows-split", "accent", url="/x", url_label="Why you"),
    p.Entry(at(9, 46), "Halden Pumps", "received the request from its web form", "Monday, 23 November 2026", "ticket"),
]  # fmt: skip

FACTS = [
    p.FactGroup("What", [p.Fact("Need", "Service contract, 3 years, 38 process pumps"), p.Fact("Where", "4020 Linz, 12 km from Ansfelden"), p.Fact("Product lines", "HX process pumps, Sentinel monitoring"), p.Fact("Worth", "EUR 50,000 to 100,000"), p.Fact("Start", "11 Jan 2027")]),
    p.FactGroup("Customer", [p.Fact("Company", withheld=True), p.Fact("Contact", withheld=True), p.Fact("Phone, e-mail", withheld=True), p.Fact("Street", withheld=True, rest="4020 Linz"), p.Fact("Files", withheld=True, rest="3 files, 2.1 MB"), p.Fact("Industry", "Paper and board"), p.Fact("Prefers", "Phone, 08:00 to 11:00, German")], "Name, contact and files open when you accept. Until then only Halden Pumps sees them."),
]  # fmt: skip

PINS = [
    p.Pin(48.306, 14.286, "customer", "Lenau Papier, Linz"), p.Pin(48.208, 14.288, "first", "Danubia Technik", "1", "/x"),
    p.Pin(48.222, 14.235, "ranked", "Traun", "2"), p.Pin(48.158, 14.025, "ranked", "Wels", "3"),
    p.Pin(48.511, 14.504, "ranked", "Freistadt", "4"), p.Pin(48.574, 13.46, "ranked", "Passau", "5"),
    p.Pin(47.918, 13.799, "ranked", "Gmunden", "6"), p.Pin(47.81, 13.04, "ranked", "Salzburg", "7"),
    p.Pin(48.975, 14.474, "ranked", "České Budějovice", "8"), p.Pin(48.41, 15.61, "ranked", "Krems", "9"),
    p.Pin(48.04, 14.42, "short", "Enns Antriebstechnik"), p.Pin(48.0, 13.65, "short", "x", show_label=False),
    p.Pin(48.2, 13.5, "refused", "y", show_label=False), p.Pin(48.2, 15.6, "refused", "z", show_label=False),
]  # fmt: skip


def terms(*points: int) -> list[p.Term]:
    """Score terms in their fixed order."""
    names = ("Level", "Distance", "Win rate", "Free capacity", "Fairness")
    return [p.Term(n, v, i + 1) for i, (n, v) in enumerate(zip(names, points, strict=True))]


CANDIDATES = [
    ("Danubia Technik", "chosen", "Gold", 12, terms(40, 27, 13, 5, 4)), ("Traun Pumpenservice", "ranked", "Silver", 10, terms(24, 28, 12, 6, 4)),
    ("Enzian Prozesstechnik", "ranked", "Gold", 26, terms(40, 20, 7, 2, 3)), ("Mühlviertel Fluid", "ranked", "Silver", 27, terms(24, 20, 11, 7, 5)),
]  # fmt: skip


def offers() -> list[p.Offer]:
    """Four offers of the inbox."""
    make = [
        ("L-10482", "Pump service contract, Linz", "Linz 4020", "12 km", "EUR 50,000 to 100,000", at(16), "12 km, Gold, ATEX Repair valid until 31 Mar 2027", "company, contact, phone, 3 files", "starts 11 Jan 2027", False),
        ("L-10486", "Dosing skid for waste water, Wels", "Wels 4600", "20 km", "EUR 20,000 to 50,000", at(16, 45), "20 km, Gold, two dosing skids won in Wels this year", "company, contact, phone, pipe plan", "quote by 4 Dec", True),
        ("L-10490", "Compressor inspection, České Budějovice", "370 01, Czechia", "87 km", "under EUR 10,000", at(9, 30, 24), "87 km, ATEX Repair valid, you list Czech", "company, contact, e-mail", "before 18 Dec", False),
    ]  # fmt: skip
    return [
        p.Offer(n, t, "/x", place, km, worth, until, at(9, 48), why, opens, start, new, act("Accept"), act("Decline", reasons=REASONS), focused=i == 0)
        for i, (n, t, place, km, worth, until, why, opens, start, new) in enumerate(make)
    ]  # fmt: skip


ACCEPT = charts.dumbbells(
    "Time to accept", [charts.Dumbbell(n, m, s) for n, m, s in [("Danubia Technik", 1.9, 4.2), ("Moravia Čerpadla", 2.4, 5.1), ("Isar Prozesstechnik", 2.8, 5.6), ("Donauwald Pumpen", 3.1, 6.4), ("Enzian Prozesstechnik", 3.6, 5.9), ("Traun Pumpenservice", 4.4, 7.8), ("Alpenhydro", 5.7, 9.6)]],
    6, "promise 6 h", ("Partner", "median", "slowest tenth"),
)  # fmt: skip
WON = charts.bars(
    "Won by region", [charts.Bar(n, v, b, url='/x') for n, v, b in [("Upper Austria", 612, 540), ("South Moravia", 488, 401), ("Bavaria", 431, 470), ("Vienna", 296, 310), ("Salzburg", 214, 160), ("South Bohemia", 121, 96), ("Styria", 88, 120)]],
    ("Region", "this quarter", "last quarter"), unit="EUR thousand, 1 Oct to today",
)  # fmt: skip
ANSWERS = charts.dot_strip("Your answer time", [0.4, 0.7, 0.8, 1.1, 1.3, 1.3, 1.4, 1.4, 1.4, 1.8, 1.9, 1.9, 2, 2, 2.2, 2.2, 2.4, 2.7, 3, 3.3, 3.6], ("Hours", "Answers"), 6, "promise 6 h", 1)  # fmt: skip
TREND = charts.lines("Leads a week", [f"W{n}" for n in range(35, 48)], [charts.Series("received", [31, 28, 40, 38, 44, 41, 52, 47, 39, 55, 61, 58, 49], 1, True), charts.Series("won", [5, 6, 4, 9, 8, 7, 11, 10, 9, 12, 14, None, 9], 4)], "Week")  # fmt: skip

SPEC = ListSpec(
    [
        Column("number", "Lead", expr=column("number"), sort=True, href=lambda r: "/leads/" + r["number"]),
        Column("title", "What", filter="text", expr=column("title")),
        Column("stage", "Stage", "status:stage", filter="choice", expr=column("stage"), sort=True),
        Column("partner", "Partner", filter="text", expr=column("partner"), sort=True),
        Column("worth", "Worth, EUR", "number", True, True, "number", expr=column("worth")),
        Column("received", "Received", "when", sort=True, filter="date", expr=column("received")),
        Column("source", "Source", off=True),
    ],
    "-received", search=[column("title")], name="leads", tiebreak=column("number"), search_label="Number, title or partner",
)  # fmt: skip
ROWS = [
    {"number": f"L-{10461 + i}", "title": t, "stage": s, "partner": n, "worth": w, "received": at(11) - timedelta(hours=7 * i)}
    for i, (t, s, n, w) in enumerate([("CIP pumps, Enns", "working", "Danubia Technik", 22400), ("Booster set, Traun", "proposed", "Traun Pumpenservice", 41000), ("Vario drives retrofit, Salzburg", "new", "Alpenhydro", 38400), ("HX overhaul, Krems", "won", "Wachau Hydraulik", 96400), ("Kiln cooling, Karlovy Vary", "lost", "Bohemia Fluid Systems", 61000)])
]  # fmt: skip


class NewPartner(BaseModel):
    """A form with one of each widget."""

    name: str = Field(title="Name", max_length=80, description="As it stands in the register.")
    email: str = Field("", title="E-mail", json_schema_extra={"widget": "email"})
    country: Literal["AT", "CZ"] = Field(
        title="Country", json_schema_extra={"labels": {"AT": "Austria", "CZ": "Czechia"}}
    )
    level: Literal["gold", "silver"] | None = Field(
        None, title="Level", json_schema_extra={"widget": "radio"}
    )
    lines: list[Literal["hx", "vario", "dosing"]] = Field(default_factory=list, title="Product lines")
    capacity: int = Field(title="Open leads at most", ge=1, le=500, json_schema_extra={"unit": "leads"})
    worth: int | None = Field(None, title="Limit", json_schema_extra={"widget": "money", "unit": "EUR"})
    since: date | None = Field(None, title="Partner since")
    note: str = Field("", title="Note", json_schema_extra={"widget": "textarea"})
    active: bool = Field(True, title="May get leads at once")


def bad_form() -> Form[NewPartner]:
    """The form as it comes back with two errors."""
    form = Form(NewPartner)
    form.parse({"name": "", "country": "AT", "capacity": "fifty", "note": "typed text stays"})
    return form


HEAD = """{% extends "base.jinja2" %}{% from "macros/ui.jinja2" import heading, crumbs as trail, action, tabs, segmented, card, data_card, tile, empty, alert, confirm, steps %}
{% from "macros/waybill.jinja2" import waybill, strip, offer_card, timeline, composer, facts, promises, needs_now %}
{% from "macros/charts.jinja2" import chart, funnel, score_bar, score_legend, candidate_map, coverage_map %}
{% from "macros/table.jinja2" import list_table %}{% from "macros/form.jinja2" import form as form_of %}
{% block title %}Sample{% endblock %}{% block content %}"""

HOME = (
    HEAD
    + """{% call heading('Six things need you, the first by 13:30', 'Monday, 23 November 2026, 12:48') %}<a class="btn" href="/leads/new">{{ icon('plus') }}New lead</a>{% endcall %}
{{ needs_now(needs, worth_head='Worth, EUR') }}
<div class="row-f sp mt-l mb"><h2>How we are doing</h2>{{ segmented([parts.Tab('30 days', '?d=30'), parts.Tab('Quarter', '?d=90', true), parts.Tab('Year', '?d=365')], 'Period') }}</div>
<div class="cols3">
{% call data_card('Time to accept', 'Two of seven keep a tenth of customers waiting past the promise by an hour or more.', '/x', 'All 61 partners') %}{{ chart(accept) }}{% endcall %}
{% call data_card('Won by region', 'EUR 2.25 m so far, 7 % more than in the whole of last quarter.', '/x', '118 won leads') %}{{ chart(won) }}{% endcall %}
{% call data_card('Coverage', 'Partners with ATEX Repair by region. Nobody in Vorarlberg and Karlovy Vary.', '/x', 'Table and map') %}{{ coverage_map(['aut', 'cze'], coverage, 'Partners by region', 'Region', 'Partners') }}{% endcall %}
</div><div class="mt">{% call card('Leads a week') %}{{ chart(trend, true) }}{% endcall %}</div>{% endblock %}"""
)

INBOX = (
    HEAD
    + """{{ heading('4 offers wait for your answer', 'The first until 16:00 today. Monday, 23 November 2026, 12:48') }}
{{ tabs([parts.Tab('To answer', '?', true, 4), parts.Tab('Accepted', '?t=a', false, 23), parts.Tab('Missed', '?t=m', false, 6)], 'Offers') }}
<div class="cols-side"><div class="stack">{{ alert('good', 'Accepted.', 'Contact is open.') }}{% for o in offers %}{{ offer_card(o) }}{% endfor %}</div>
<div class="stack">{% call card('Your answer time', link='/x', link_label='21 answers') %}<p><span class="big">1 h 54 min</span> <span class="muted">median, 30 days</span></p>{{ chart(answers) }}{% endcall %}</div></div>{% endblock %}"""
)

LEAD = (
    HEAD
    + """{{ trail([('Offers', '/x'), ('L-10482', none)]) }}{{ waybill(w) }}
<div class="cols-main"><div class="stack">{% call timeline(entries, [(next, 'without an answer the offer lapses and goes to another partner')]) %}{{ composer('/x', 'Danubia Technik', 'Halden Pumps') }}{% endcall %}
{{ promises([('After accepting you promise', 'First contact in 1 working day'), ('and from then on', 'News every 10 days or sooner'), ('Halden Pumps promises', 'Answers in 4 working hours')]) }}</div>
{% call facts(groups) %}<div class="map all">{{ pin_map(pins[:2], 'Linz and Ansfelden', 410, 164, 20) }}</div>{% endcall %}</div>{% endblock %}"""
)

DECISION = (
    HEAD
    + """{{ trail([('Leads', '/x'), ('L-10482', '/x'), ('Decision', none)]) }}{{ strip(w) }}
{% call heading('Danubia Technik got this lead: of the 9 partners that could take it, it is Gold and only 12 km from the customer.', 'Decided Mon 23 Nov 2026, 09:47', say=true) %}<a class="btn" href="/x">Re-route</a>{% endcall %}
<div class="cols-map">{% call card('From 214 partners to 9', body=false) %}{{ funnel(gates) }}{% endcall %}{{ candidate_map(pins, 'Map of the candidates', 50) }}</div>
<section class="card mt"><div class="card-header"><div class="row-f wrap-f"><h2>Candidates</h2>{{ segmented([parts.Tab('Could take it', '?', true, 9), parts.Tab('Refused', '?r', false, 198)], 'Outcome') }}</div>{{ score_legend([('Level', 40, 1), ('Distance', 30, 2), ('Win rate', 15, 3), ('Free capacity', 10, 4), ('Fairness', 5, 5)]) }}</div>
<table class="table tight t-cards"><thead><tr><th class="num">Rank</th><th>Partner</th><th>Outcome</th><th>Level</th><th class="num">Distance, km</th><th>Score by term, of 100</th></tr></thead><tbody>{% for name, out, level, km, t in candidates %}<tr data-row{% if loop.first %} class="sel"{% endif %}><td class="num" data-l="Rank">{{ loop.index }}</td><td class="first" data-l="Partner">{{ name }}</td><td data-l="Outcome">{{ status('candidate', out, plain=true) }}</td><td data-l="Level">{{ level }}</td><td class="num" data-l="Distance, km">{{ km }}</td><td>{{ score_bar(t) }}</td></tr>{% endfor %}</tbody></table></section>{% endblock %}"""
)

LIST = (
    HEAD
    + """{% call heading('Leads', '2,082 in the last 90 days') %}<a class="btn btn-primary" href="/x">New lead</a>{% endcall %}{{ list_table(listing, 'Leads', parts.Empty('No leads yet.')) }}
<div class="tiles mt">{{ tile('New', 38, 'companies that are not here yet', 'good', 'plus') }}{{ tile('Changed', 141, 'levels 22, certificates 97', 'info', 'pencil') }}{{ tile('Same', 29, 'left alone', 'neutral', 'equal') }}{{ tile('Wrong', 6, 'given back with the reason', 'bad', 'alert-triangle') }}</div>
<div class="mt">{{ steps(['File', 'Mapping and preview', 'Import', 'Result'], 1) }}</div>{{ needs_now([], 'Next deadline Tue 12:00') }}{% endblock %}"""
)

FORM = (
    HEAD
    + """{{ heading('New partner') }}{{ form_of(form, '/x', 'Save partner', '/partners') }}<div class="mt">{{ confirm(question) }}</div>{% endblock %}"""
)


class SignIn(BaseModel):
    """Two fields."""

    email: str = Field(
        title="Work e-mail", json_schema_extra={"widget": "email", "attrs": {"autocomplete": "username"}}
    )
    password: str = Field(
        title="Password",
        json_schema_extra={"widget": "password", "attrs": {"autocomplete": "current-password"}},
    )


SIGN = """{% extends "sign.jinja2" %}{% from "macros/form.jinja2" import form as form_of %}{% block title %}Sign in{% endblock %}
{% block content %}<h1>Sign in to the partner network</h1><p class="muted mb">Offers, carts and service cases between Halden Pumps and its partners.</p>{{ form_of(form, '/sign-in', 'Sign in') }}{% endblock %}
{% block under %}No account yet? Your company's administrator invites you.{% endblock %}"""

PUBLIC = """{% extends "public.jinja2" %}{% from "macros/waybill.jinja2" import waybill %}{% block title %}Accept{% endblock %}{% block size %}mini{% endblock %}
{% block content %}<h1>Accept pump service contract, Linz?</h1><p class="muted mb">12 km from you. Answer by today 16:00.</p><form method="post" action="/x">{{ csrf() }}<button class="btn btn-primary">Accept</button></form>{% endblock %}"""

COVERAGE = {"Oberösterreich": 6, "Niederösterreich": 2, "Wien": 6, "Burgenland": 1, "Steiermark": 3, "Kärnten": 1, "Salzburg": 5, "Tirol": 1, "Vorarlberg": 0, "Jihočeský": 2, "Jihomoravský": 6, "Karlovarský": 0, "Plzeňský": 1, "Prague": 5, "Zlínský": 3}  # fmt: skip


def pages() -> dict[str, tuple[str, Callable[[], dict[str, Any]]]]:
    """Name -> (template, variables)."""
    return {
        "home": (HOME, lambda: vendor_page() | {"needs": NEEDS, "accept": ACCEPT, "won": WON, "trend": TREND, "coverage": COVERAGE}),
        "inbox": (INBOX, lambda: partner_page() | {"offers": offers(), "answers": ANSWERS}),
        "lead": (LEAD, lambda: partner_page() | {"w": WAYBILL, "entries": ENTRIES, "groups": FACTS, "pins": PINS, "next": at(16)}),
        "decision": (DECISION, lambda: vendor_page() | {"w": WAYBILL, "pins": PINS, "candidates": CANDIDATES, "gates": [p.Gate("Partners", 214, "active on 23 November"), p.Gate("Cover Linz", 60, "154 work elsewhere", "/x"), p.Gate("Certified", 22, "38 lack ATEX Repair that day", "/x"), p.Gate("Authorised", 14, "8 may not sell Sentinel", "/x"), p.Gate("Free", 9, "4 at capacity, 1 on holiday", "/x")]}),
        "list": (LIST, lambda: vendor_page() | {"listing": Listing(SPEC.parse({"stage": ["won", "lost"], "received.from": "2026-11-01"}, "/leads"), ROWS, 1001, "leads")}),
        "form": (FORM, lambda: vendor_page() | {"form": bad_form(), "question": p.Confirm("Withdraw the offer to Danubia Technik?", ["Danubia Technik loses sight of the lead.", "The next best partner is offered it at once."], act("Withdraw", danger=True), "/x", "L-10482")}),
        "sign": (SIGN, lambda: {"site": p.Site("Halden Pumps"), "form": Form(SignIn)}),
        "public": (PUBLIC, lambda: {"site": p.Site("Halden Pumps"), "w": WAYBILL}),
        "error": ('{% extends "error.jinja2" %}', lambda: {"status": 409, "message": "Danubia Technik took it at 12:40.", "faults": ()}),
    }  # fmt: skip

"""Pages of rule sets: the list, one with its rows in words, two side by side, and the steps of its life."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from portal.companies.pages import add_pages
from portal.db import PortalSession
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.routing.models import RuleSetRow
from portal.routing.rulesets import actions, checks, compare, queries, telling
from portal.routing.rulesets.cells import written
from portal.routing.rulesets.columns import column
from portal.routing.rulesets.vocabulary import vocabulary
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.filters import one_of
from portal.web.flash import flash
from portal.web.forms import read_day
from portal.web.i18n import _, tr
from portal.web.parts import Action, Empty, Tab
from portal.web.status import choices
from portal.web.tables import Column, Listing, ListSpec, apply, count
from rules import RuleSet

BASE = "/rules"
MOST_VERSION = 2**31 - 1
SHOWN_ROWS = 200
"""Rows of a rule set on one page."""


# -- the list ----------------------------------------------------------------------------------------------------------


def spec() -> ListSpec:
    """The columns."""
    row = RuleSetRow
    columns = [
        Column("version", _("Version"), "num", expr=row.version, sort=True, value=lambda r: r.version,
               href=lambda r: f"{BASE}/{r.version}"),
        Column("name", _("Name"), expr=row.name, sort=True, value=lambda r: r.name, href=lambda r: f"{BASE}/{r.version}"),
        Column("state", _("State"), "status:ruleset", expr=queries.look(), sort=True, filter="choice",
               choices=choices("ruleset"), value=lambda r: r.look),
        Column("rows", _("Rows"), "num", value=lambda r: r.rows),
        Column("editor", _("Last changed by"), value=lambda r: r.editor or ""),
        Column("updated", _("Last changed"), "when", expr=row.updated_at, sort=True,
               value=lambda r: r.updated_at or r.created_at),
        Column("published", _("In force from"), "when", expr=row.published_at, sort=True,
               value=lambda r: r.published_at or r.publish_at),
    ]  # fmt: skip
    return ListSpec(
        columns,
        "-version",
        search=[row.name],
        tiebreak=row.version.desc(),
        name="rule-sets",
        search_label=_("Name"),
    )


def all_of_them(request: Request) -> Any:
    """GET /rules."""
    session = request.db
    state = remembered.state_of(request, spec())
    query = queries.table(session)
    if state.export:
        return export_response(state, stream(session, apply(query, state)))
    listing = Listing(
        state, session.execute(apply(query, state)).all(), count(session, query, state), noun=_("versions")
    )
    return {
        "listing": listing,
        "empty": Empty(_("There is no rule set yet."), Action(tr(_("Begin a draft")), f"{BASE}/draft")),
        "current": actions.in_force(session),
        "reviewed": actions.review_needed(session),
        "may_edit": request.may("rules.edit"),
        "may_require": request.may("rules.require"),
    }


def begin(request: Request) -> Any:
    """POST /rules/draft: a copy of the one in force."""
    made = actions.draft(request.db)
    return HTTPSeeOther(f"{BASE}/{made.version}/edit")


def review(request: Request) -> Any:
    """POST /rules/review: whether a second person has to approve."""
    required = request.POST.get("required") == "1"
    actions.require_review(request.db, required)
    flash(
        request,
        _("A second person has to approve from now on.")
        if required
        else _("Nobody has to approve from now on."),
    )
    return HTTPSeeOther(BASE)


# -- one rule set ------------------------------------------------------------------------------------------------------


def version_of(request: Request) -> int:
    """The version in the address."""
    given = str(request.matchdict["version"])
    if len(given) > 10 or int(given) > MOST_VERSION:
        raise NotFound
    return int(given)


def one(request: Request) -> dict[str, Any]:
    """GET /rules/{version}."""
    return page_of(request, actions.find(request.db, version_of(request)))


TABS = {
    "rows": _("Rows"),
    "settings": _("Ranking and deadlines"),
    "examples": _("Examples"),
    "history": _("History"),
}


def page_of(
    request: Request, found: RuleSetRow, refusal: str = "", typed: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The page, also with a refusal and what was typed."""
    session = request.db
    rules = RuleSet.parse(found.body)
    words = vocabulary(session, found.body["rules"])
    tab = one_of(request.GET, "tab", TABS, "rows")
    results = checks.examples(rules)
    first = _first(request, len(found.body["rules"]))
    shown = found.body["rules"][first : first + SHOWN_ROWS]
    past = queries.history(session, found.id) if tab == "history" else None
    counts = {"rows": len(rules.rules), "examples": len(results)}
    url = f"{BASE}/{found.version}"
    return {
        "set": found,
        "look": queries.look_of(found),
        "url": url,
        "tab": tab,
        "tabs": [
            Tab(tr(word), f"{url}?tab={key}", key == tab, counts.get(key)) for key, word in TABS.items()
        ],
        "rows": [(n, row, telling.reading(row, words)) for n, row in enumerate(shown, first + 1)],
        "pages": (first, len(shown), len(found.body["rules"])),
        "settings": _settings(found.body),
        "results": results,
        "failing": sum(not one.passed for one in results),
        "entries": telling.entries(past.events, past.people, past.said) if past else [],
        "names": queries.people(
            session, (found.updated_by, found.submitted_by, found.approved_by, found.published_by)
        ),
        "others": [one for one in queries.versions(session) if one[0] != found.version],
        "may_edit": request.may("rules.edit"),
        "reviewed": actions.review_needed(session),
        "refusal": refusal,
        "typed": typed or {},
        "own": request.ctx.person_id in (found.submitted_by, found.created_by),
    }


def _first(request: Request, total: int) -> int:
    given = request.GET.get("from", "")
    first = int(given) if given.isascii() and given.isdigit() and len(given) < 6 else 0
    return first - first % SHOWN_ROWS if first < total else 0


def _settings(body: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """(name, value) of everything around the rows but the examples."""
    found = compare.compare_settings({}, body)
    return [
        (telling.setting(change.path), setting_words(change.after))
        for change in found
        if change.path.startswith(("score.", "offer.", "note")) and change.after not in ("", None)
    ]


def setting_words(value: Any) -> str:
    """A setting's value."""
    if value is None:
        return ""
    if isinstance(value, list):
        return tr(_("${n} entries", mapping={"n": len(value)}))
    return tr(SHARES.get(value, value)) if isinstance(value, str) else str(value)


SHARES: Mapping[str, Any] = {"equal": _("alike for all"), "capacity": _("by capacity")}


# -- two side by side --------------------------------------------------------------------------------------------------


def side_by_side(request: Request) -> dict[str, Any]:
    """GET /rules/{version}/compare?with=14: what differs from the other to this one, row by row."""
    session = request.db
    after = actions.find(session, version_of(request))
    other = request.GET.get("with", "")
    if other and not (other.isascii() and other.isdigit() and len(other) <= 9):
        raise NotFound
    current = actions.in_force(session)
    base = int(other) if other else after.based_on or (current.version if current else after.version)
    before = actions.find(session, base)
    words = vocabulary(session, [*before.body["rules"], *after.body["rules"]])
    rows = compare.compare_rows(before.body["rules"], after.body["rules"])
    everything = request.GET.get("all") == "1"
    shown = [change for change in rows if everything or change.kind != "same"]
    return {
        "before": before,
        "after": after,
        "url": f"{BASE}/{after.version}",
        "rows": [_difference(change, words) for change in shown[:1000]],
        "more": max(0, len(shown) - 1000),
        "same": sum(change.kind == "same" for change in rows),
        "everything": everything,
        "settings": [
            (telling.setting(c.path), setting_words(c.before), setting_words(c.after))
            for c in compare.compare_settings(before.body, after.body)
        ],
        "others": [one for one in queries.versions(session) if one[0] != after.version],
        "look_before": queries.look_of(before),
        "look_after": queries.look_of(after),
    }  # fmt: skip


def _difference(change: compare.RowChange, words: Any) -> dict[str, Any]:
    cells = []
    for key in change.cells:
        found = column(key)
        if found is not None:
            sides = [
                written(found, found.of(row), words) if row else "" for row in (change.before, change.after)
            ]
            cells.append((found.label, *sides))
    return {
        "change": change,
        "word": tr(telling.KINDS.get(change.kind, _("the same"))),
        "before": telling.reading(change.before, words) if change.before else "",
        "after": telling.reading(change.after, words) if change.after else "",
        "cells": cells,
    }


# -- steps -------------------------------------------------------------------------------------------------------------


def moment(request: Request) -> datetime:
    """A day and a time as the reader's zone has them."""
    day, time = request.POST.get("day", ""), request.POST.get("time", "") or "00:00"
    try:
        return datetime.fromisoformat(f"{read_day(day)}T{time}").replace(tzinfo=ZoneInfo(request.time_zone))
    except (ValueError, KeyError) as error:
        message = tr(_("Give the day as 2026-11-23 and the time as 09:30"))
        raise Invalid(Fault("when", day[:40], message, "date")) from error


Step = Callable[[PortalSession, int, int, Request], int | None]


def _rolled_back(session: PortalSession, version: int, _revision: int, _request: Request) -> int:
    return int(actions.roll_back(session, version).version)


def _copied(session: PortalSession, version: int, _revision: int, _request: Request) -> int:
    return int(actions.draft(session, version).version)


# step -> (what it does; where it leads, '' for the page; what is said)
STEPS: Mapping[str, tuple[Step, str, Any]] = {
    "draft": (
        _copied,
        "/edit",
        _("A draft of your own: change it as you like, nothing happens before it is published."),
    ),
    "submit": (lambda s, v, r, _q: actions.submit(s, v, r), "", _("Submitted for review.")),
    "take_back": (lambda s, v, r, _q: actions.take_back(s, v, r), "", _("It is a draft again.")),
    "approve": (lambda s, v, r, _q: actions.approve(s, v, r), "", _("Approved.")),
    "refuse": (
        lambda s, v, r, q: actions.refuse(s, v, r, q.POST.get("reason", "")),
        "",
        _("Sent back as a draft."),
    ),
    "drop": (lambda s, v, r, _q: actions.drop(s, v, r), "", _("Put aside. It can still be read and copied.")),
    "roll_back": (_rolled_back, "", _("Rolled back: a copy of that version decides from now on.")),
}


def step(request: Request) -> Any:
    """POST /rules/{version}/{step}: one step of its life; a refusal shows the page with the reason."""
    version, name = version_of(request), str(request.matchdict["step"])
    do, leads_to, said = STEPS[name]
    try:
        with request.db.begin_nested():
            made = do(request.db, version, revision_of(request), request)
    except (Invalid, Conflict) as error:
        request.tm.doom()
        request.response.status_int = 422 if isinstance(error, Invalid) else 409
        why = error.faults[0].message if isinstance(error, Invalid) else error.message
        typed = {key: str(value) for key, value in request.POST.items() if isinstance(value, str)}
        return page_of(request, actions.find(request.db, version), str(why), typed)
    flash(request, said)
    return HTTPSeeOther(f"{BASE}/{made or version}{leads_to}")


def revision_of(request: Request) -> int:
    """The revision that the form was filled in on; 0, which none has, when it says none."""
    given = request.POST.get("revision", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0


VERSION = r"{version:\d+}"
ONE = "rulesets/one.jinja2"
PAGES = [
    ("rules", BASE, all_of_them, "GET", "rules.read", "rulesets/list.jinja2"),
    ("rules_draft", f"{BASE}/draft", begin, "POST", "rules.edit", "rulesets/list.jinja2"),
    ("rules_review", f"{BASE}/review", review, "POST", "rules.require", "rulesets/list.jinja2"),
    ("rules_one", f"{BASE}/{VERSION}", one, "GET", "rules.read", ONE),
    ("rules_compare", f"{BASE}/{VERSION}/compare", side_by_side, "GET", "rules.read", "rulesets/compare.jinja2"),
    ("rules_step", f"{BASE}/{VERSION}/{{step:{'|'.join(STEPS)}}}", step, "POST", "rules.edit", ONE),
]  # fmt: skip


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, ONE, PAGES)

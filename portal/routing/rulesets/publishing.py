"""The page on which a rule set is published: examples, findings to acknowledge, what differs, what would move."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from sqlalchemy import select

from portal.companies.models import Company
from portal.companies.pages import add_pages
from portal.db import PortalSession
from portal.errors import Conflict, Invalid
from portal.partners import queries as partners
from portal.routing import coverage
from portal.routing.models import Decision, RuleSetRow
from portal.routing.rehearsing import MOST_DAYS
from portal.routing.rulesets import actions, checks, compare, queries, rehearsals
from portal.routing.rulesets.maps import Map, maps
from portal.routing.rulesets.rehearsal_views import place, told
from portal.routing.rulesets.views import BASE, VERSION, moment, revision_of, version_of
from portal.routing.snapshot import NoRuleSet, plan
from portal.web.flash import flash
from portal.web.i18n import _, tr
from rules import Request as Asked
from rules import RuleSet, State
from rules.rehearsal import Past, rehearse_rules

MOST_PAST = 2_000
"""The last requests that are decided anew for the page."""
SHOWN_PARTNERS = 8


@dataclass(frozen=True, slots=True)
class Moved:
    """What the draft would have changed for the last requests: how many, and (partner, gained, lost) by company."""

    total: int
    moved: int
    unroutable: int
    routable: int
    partners: list[tuple[str, int, int]]
    others: int


def rehearsed(session: PortalSession, rules: RuleSet) -> Moved | None:
    """The effect of the rules alone on the last requests, with today's partners; None when nothing is in force."""
    try:
        current = plan(session)
    except NoRuleSet:
        return None
    query = (
        select(Decision.request, Decision.state)
        .where(Decision.realm_id == session.context.realm_id, Decision.subject_type == actions.LEADS)
        .order_by(Decision.id.desc())
        .limit(MOST_PAST)
    )
    past = [Past(Asked.from_json(row.request), State.from_json(row.state)) for row in session.execute(query)]
    effect = None
    for progress in rehearse_rules(current.rules, rules, current.snapshot, past):
        effect = progress.effect
    if effect is None:
        return None
    flows = {company: flow for company, flow in effect.companies.items() if company is not None}
    ids = sorted(flows, key=lambda one: (-flows[one].gained - flows[one].lost, one))
    named = select(Company.id, Company.name).where(Company.id.in_(ids[:SHOWN_PARTNERS]))
    names = {row.id: row.name for row in session.execute(named)}
    rows = [(names.get(one, ""), flows[one].gained, flows[one].lost) for one in ids[:SHOWN_PARTNERS]]
    return Moved(
        len(past),
        len(effect.moves),
        effect.unroutable,
        effect.routable,
        rows,
        max(0, len(ids) - SHOWN_PARTNERS),
    )


@dataclass(frozen=True, slots=True)
class Covered:
    """What the draft does to coverage today: the first regions and lines that change, how many more, and two maps."""

    rows: list[tuple[str, str, int, int]]
    others: int
    maps: list[Map]


def covered(session: PortalSession, rules: RuleSet) -> Covered | None:
    """Before and after, with the partners of today; None when nothing is in force."""
    try:
        before = coverage.grid(session, coverage.LEAST)
    except NoRuleSet:
        return None
    after = coverage.grid(session, coverage.LEAST, rules=rules)
    found = coverage.changes(before, after)
    if not found:
        return Covered([], 0, [])
    names = dict(partners.product_lines(session))
    lines = sorted({one.line for one in found})
    rows = [
        (place(one.region), names.get(one.line, one.line), one.before, one.after)
        for one in found[:SHOWN_PARTNERS]
    ]
    sides = ((tr(_("Now")), before), (tr(_("With this rule set")), after))
    return Covered(
        rows,
        len(found) - len(rows),
        maps([(title, coverage.thinnest(of, 0, lines)) for title, of in sides]),
    )


def page(request: Request, refusal: str = "", typed: Mapping[str, str] | None = None) -> dict[str, Any]:
    """GET /rules/{version}/publishing."""
    session = request.db
    found = actions.find(session, version_of(request))
    rules = RuleSet.parse(found.body)
    noted = checks.findings(session, found, rules)
    current = actions.in_force(session)
    before = current.body if current else {"rules": []}
    rows = compare.compare_rows(before["rules"], found.body["rules"])
    waits = found.state in ("draft", "in_review", "scheduled")
    newest = rehearsals.newest(session, found.version)
    by = (int(one["by"]) for one in found.acknowledged.values() if str(one.get("by", "")).isdigit())
    return {
        "set": found,
        "look": queries.look_of(found),
        "url": f"{BASE}/{found.version}",
        "current": current,
        "results": checks.examples(rules),
        "findings": noted,
        "people": queries.people(session, by),
        "open": checks.open_findings(found, noted),
        "blocks": checks.blocks(session, found) if waits else [],
        "approval": actions.review_needed(session) and found.approved_by is None,
        "counts": {
            kind: sum(one.kind == kind for one in rows) for kind in ("added", "removed", "changed", "moved")
        },
        "settings": len(compare.compare_settings(before, found.body)) if current else 0,
        "moved": rehearsed(session, rules) if waits else None,
        "waits": waits,
        "covered": covered(session, rules) if waits else None,
        "rehearsal": told(newest, found, current) if newest else None,
        "most_days": MOST_DAYS,
        "may": request.may("rules.edit") and waits,
        "refusal": refusal,
        "typed": typed or {},
    }


def send(request: Request) -> Any:
    """POST: acknowledge what is ticked; then publish, or set a moment, when asked to."""
    version, do = version_of(request), request.POST.get("do", "")
    try:
        with request.db.begin_nested():
            said = _sent(request.db, request, actions.find(request.db, version), do)
    except (Invalid, Conflict) as error:
        request.tm.doom()
        request.response.status_int = 422 if isinstance(error, Invalid) else 409
        why = error.faults[0].message if isinstance(error, Invalid) else error.message
        typed = {key: str(value) for key, value in request.POST.items() if isinstance(value, str)}
        typed["read"] = " ".join(request.POST.getall("read"))
        return page(request, str(why), typed)
    flash(request, said)
    return HTTPSeeOther(f"{BASE}/{version}" + ("" if do in ("publish", "schedule") else "/publishing"))


def _sent(session: PortalSession, request: Request, found: RuleSetRow, do: str) -> Any:
    read, revision = set(request.POST.getall("read")), revision_of(request)
    if request.POST.getall("finding"):
        names = {name: name in read for name in request.POST.getall("finding")}
        actions.acknowledge(session, found.version, revision, names)
        revision = actions.find(session, found.version).revision
    if do == "publish":
        actions.publish(session, found.version, revision)
        return _("Published. It decides from now on.")
    if do == "schedule":
        actions.schedule(session, found.version, revision, moment(request))
        return _("It will be published then.")
    return _("Noted, with your name.")


TEMPLATE = "rulesets/publishing.jinja2"
PAGES = [("rules_publishing", f"{BASE}/{VERSION}/publishing", page, "GET", "rules.read", TEMPLATE)]


def includeme(config: Configurator) -> None:
    """Route and views."""
    add_pages(config, TEMPLATE, PAGES)
    options = {"request_method": "POST", "permission": "rules.edit", "renderer": TEMPLATE}
    config.add_view(send, route_name="rules_publishing", **options)

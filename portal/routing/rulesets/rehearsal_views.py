"""Pages of rehearsals: start one, see how far it is, what would move and who gains and loses; the moves as a file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request
from sqlalchemy import Select, and_, case, column, func, or_, select, table
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import BigInteger, Numeric, String, Text

from portal.companies.models import Company, Location
from portal.companies.pages import add_pages, record_id
from portal.db import PortalSession
from portal.errors import Conflict
from portal.partners import queries as partners
from portal.routing.models import Rehearsal, RehearsalMove, RuleSetRow
from portal.routing.rehearsing import EFFECTS, MOST_DAYS
from portal.routing.rulesets import actions, queries, rehearsals
from portal.routing.rulesets.views import BASE, VERSION, version_of
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.filters import one_of
from portal.web.flash import flash
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Empty, Tab
from portal.web.regions import region_name
from portal.web.status import choices
from portal.web.tables import Column, Listing, ListSpec, apply, count
from rules import minor_per_major

USUAL_DAYS = 90
REFRESH_S = 2
"""A page of a running rehearsal asks for itself again, with or without scripts."""
MOST_ROWS = 12
"""Partners, regions and lines with the largest change that are named; the others are summed."""

# What is read of leads, whose room is another's.
leads = table(
    "leads", column("id", BigInteger), column("number", String), column("title", String), column("amount", Numeric),
    column("currency", String), column("country", String), column("subdivision", String),
    column("product_lines", ARRAY(Text)),
)  # fmt: skip


# -- in words ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A finished or stopped rehearsal in one sentence, and whether it still is of this draft against what is in force."""

    row: Rehearsal
    sentence: str
    stale: str


def told(row: Rehearsal, found: RuleSetRow, current: RuleSetRow | None) -> Told:
    """The sentence of its full effect, or of the rules alone where it came no further."""
    effect = row.effects.get("full") or row.effects.get("rules") or {}
    stale = ""
    if row.hash != found.hash:
        stale = tr(_("The rule set has changed since: rehearse it again."))
    elif current is not None and row.against_hash != current.hash and found.state != "published":
        values = {"n": row.against, "m": current.version}
        stale = tr(_("It was compared with version ${n}; version ${m} is in force by now.", mapping=values))
    return Told(row, sentence(effect, row.total), stale)


def sentence(effect: Mapping[str, Any], total: int) -> str:
    """'214 of 5,320 leads would move, 12 would find no partner; EUR 1,200,000 changes hands.'"""
    moved = effect.get("moved", 0)
    if not moved:
        return (
            ntr("The one lead stays where it is.", "All ${n} leads stay where they are.", total)
            if total
            else tr(_("There was no lead in that time."))
        )
    parts = [ntr("${m} of ${n} lead would move", "${m} of ${n} leads would move", total, m=fmt.num(moved))]
    if effect["unroutable"]:
        parts.append(ntr("one would find no partner", "${n} would find no partner", effect["unroutable"]))
    if effect["routable"]:
        parts.append(ntr("one would find one at last", "${n} would find one at last", effect["routable"]))
    worth = amounts(effect["minor"])
    hands = "; " + tr(_("${worth} changes hands", mapping={"worth": worth})) if worth else ""
    return ", ".join(parts) + hands + "."


def amounts(minor: Mapping[str, int]) -> str:
    """'EUR 84,000, USD 12,000'; currencies are never added up."""
    return ", ".join(fmt.money(n, currency) for currency, n in minor.items())


# -- pages -------------------------------------------------------------------------------------------------------------


def listed(request: Request) -> dict[str, Any]:
    """GET /rules/{version}/rehearsals: start one, and those there are."""
    return _list_page(request)


def _list_page(request: Request, refusal: str = "", days: str = "") -> dict[str, Any]:
    session, version = request.db, version_of(request)
    found, current = actions.find(session, version), actions.in_force(session)
    rows = rehearsals.all_of(session, version)
    return {
        "set": found,
        "url": f"{BASE}/{version}",
        "current": current,
        "rows": [told(row, found, current) for row in rows],
        "people": queries.people(session, (row.started_by for row in rows)),
        "may": request.may("rules.edit"),
        "days": days or str(USUAL_DAYS),
        "most": MOST_DAYS,
        "refusal": refusal,
        "running": any(row.state in rehearsals.OPEN for row in rows),
    }


def start(request: Request) -> Any:
    """POST /rules/{version}/rehearsals: days=90."""
    session, version = request.db, version_of(request)
    given = request.POST.get("days", "").strip()
    if not (given.isascii() and given.isdigit() and len(given) < 5 and 1 <= int(given) <= MOST_DAYS):
        request.tm.doom()
        request.response.status_int = 422
        message = tr(_("Give a number of days from 1 to ${n}.", mapping={"n": MOST_DAYS}))
        return _list_page(request, message, given[:20] or " ")
    try:
        with session.begin_nested():
            made = rehearsals.start(session, version, int(given))
    except Conflict as error:
        request.tm.doom()
        request.response.status_int = 409
        return _list_page(request, error.message, given)
    return HTTPSeeOther(f"{BASE}/{version}/rehearsals/{made}")


def stop(request: Request) -> Any:
    """POST /rules/{version}/rehearsals/{rehearsal}/stop."""
    version, rehearsal_id = version_of(request), record_id(request, "rehearsal")
    rehearsals.stop(request.db, version, rehearsal_id)
    flash(request, _("It stops; what it has found so far stays."), "info")
    return HTTPSeeOther(f"{BASE}/{version}/rehearsals/{rehearsal_id}")


def one(request: Request) -> Any:
    """GET /rules/{version}/rehearsals/{rehearsal}: how far it is, or what would move."""
    session, version = request.db, version_of(request)
    row = rehearsals.one(session, version, record_id(request, "rehearsal"))
    found, current = actions.find(session, version), actions.in_force(session)
    running = row.state in rehearsals.OPEN
    if running:
        request.response.headers["Refresh"] = str(REFRESH_S)
    has = [name for name in reversed(EFFECTS) if name in row.effects]
    which = one_of(request.GET, "effect", EFFECTS, has[0] if has else "full")
    effect = row.effects.get(which)
    url = f"{BASE}/{version}/rehearsals/{row.id}"
    listing = None
    if not running:
        state = remembered.state_of(request, spec(session))
        query = moves(session, row, which)
        if state.export:
            return export_response(state, stream(session, apply(query, state)))
        rows = session.execute(apply(query, state)).all()
        listing = Listing(state, rows, count(session, query, state, len(rows)), noun=_("leads"))
    return {
        "set": found,
        "row": row,
        "url": url,
        "told": told(row, found, current),
        "may": request.may("rules.edit"),
        "running": running,
        "refresh": REFRESH_S,
        "who": queries.people(session, [row.started_by]).get(row.started_by or 0, ""),
        "share": (row.done / row.total if row.total else 0) / 2 + (0.5 if row.phase == "full" else 0),
        "both": _both(row),
        "tabs": [Tab(tr(word), f"{url}?effect={name}", name == which) for name, word in WHICH.items()],
        "which": which,
        "flows": _flows(session, effect) if effect else [],
        "shifts": _shifts(session, effect) if effect else [],
        "listing": listing,
        "empty": Empty(_("No lead would move.")),
    }


WHICH = {"full": _("With capacity and turns"), "rules": _("The rules alone")}


def _both(row: Rehearsal) -> list[tuple[str, list[str]]]:
    """(what, of each effect) side by side."""
    sides = [row.effects.get(name) for name in WHICH]

    def cells(of: Any) -> list[str]:
        return [of(side) if side else "" for side in sides]

    return [
        (tr(_("Leads looked at")), cells(lambda e: fmt.num(e["done"]))),
        (tr(_("of which decided again")), cells(lambda e: fmt.num(e["decided"]))),
        (tr(_("Would move")), cells(lambda e: fmt.num(e["moved"]))),
        (tr(_("Would find no partner")), cells(lambda e: fmt.num(e["unroutable"]))),
        (tr(_("Would find one at last")), cells(lambda e: fmt.num(e["routable"]))),
        (tr(_("Changes hands")), cells(lambda e: amounts(e["minor"]))),
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """A row of gains and losses; `net` in leads."""

    name: str
    gained: int
    lost: int
    won: str
    gone: str
    url: str | None = None

    @property
    def net(self) -> int:
        """Leads more or fewer."""
        return self.gained - self.lost


def _flows(session: PortalSession, effect: Mapping[str, Any]) -> list[Line]:
    """By partner, the largest change first; the others summed, so that columns add up."""
    flows = effect["companies"]
    order = sorted(flows, key=lambda one: (-flows[one]["gained"] - flows[one]["lost"], one))
    ids = [int(one) for one in order if one.isdigit()]
    names = {
        r.id: r.name for r in session.execute(select(Company.id, Company.name).where(Company.id.in_(ids)))
    }
    found = []
    for one in order[:MOST_ROWS]:
        name, link = names.get(int(one), one) if one.isdigit() else one, None
        if one.isdigit():
            link = f"/partners/{one}"
        elif one.startswith("rep:"):
            name = tr(_("${who}, in-house", mapping={"who": one[4:]}))
        else:
            name = tr(_("Nobody"))
        found.append(_line(name, [flows[one]], link))
    rest = [flows[one] for one in order[MOST_ROWS:]]
    if rest:
        found.append(_line(ntr("One other", "${n} others", len(rest)), rest))
    return found


def _line(name: str, flows: list[Mapping[str, Any]], url: str | None = None) -> Line:
    minor: dict[str, dict[str, int]] = {"gained_minor": {}, "lost_minor": {}}
    for flow in flows:
        for side, sums in minor.items():
            for currency, n in flow[side].items():
                sums[currency] = sums.get(currency, 0) + n
    return Line(
        name,
        sum(flow["gained"] for flow in flows),
        sum(flow["lost"] for flow in flows),
        amounts(minor["gained_minor"]),
        amounts(minor["lost_minor"]),
        url,
    )


def _shifts(
    session: PortalSession, effect: Mapping[str, Any]
) -> list[tuple[str, str, list[tuple[str, Any, str]]]]:
    """(title, head, rows) by region, product line and amount; each row is (name, shift, worth)."""
    lines = dict(partners.product_lines(session))
    by_region = [(place(code), shift) for code, shift in effect["regions"].items()]
    by_line = [
        (lines.get(code, code) or tr(_("None named")), shift) for code, shift in effect["lines"].items()
    ]
    by_band = [(band_words(one["band"]), one) for one in effect["bands"]]
    return [
        (title, head, [(name, shift, amounts(shift["minor"])) for name, shift in _largest(rows)])
        for title, head, rows in (
            (tr(_("By region")), tr(_("Region")), by_region),
            (tr(_("By product line")), tr(_("Product line")), by_line),
            (tr(_("By worth")), tr(_("Worth")), by_band),
        )
    ]


def _largest(rows: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return sorted(rows, key=lambda row: (-row[1]["moved"], row[0]))[:MOST_ROWS]


def place(code: str) -> str:
    """'Oberösterreich' for AT-4, 'Austria' for AT."""
    if not code:
        return tr(_("Unknown"))
    return fmt.country(code) if len(code) == 2 else region_name(code)


def band_words(band: Mapping[str, Any] | None) -> str:
    """An amount band whose edges are whole units."""
    if band is None:
        return tr(_("Unknown"))
    unit = minor_per_major(band["currency"])
    low, high = (None if edge is None else edge * unit for edge in (band["low"], band["high"]))
    return fmt.band(low, high, band["currency"])


# -- the leads that would move -----------------------------------------------------------------------------------------


def moves(session: PortalSession, row: Rehearsal, which: str) -> Select[Any]:
    """One row per lead that would move; names as they are today."""
    sides: list[Any] = []
    query: Any = select(
        leads.c.number, leads.c.title, leads.c.amount, leads.c.currency, leads.c.country, leads.c.subdivision,
        leads.c.product_lines, RehearsalMove.id, _becomes().label("becomes"),
    )  # fmt: skip
    query = query.select_from(RehearsalMove).join(leads, leads.c.id == RehearsalMove.lead_id)
    for side in ("from", "to"):
        at = getattr(RehearsalMove, f"{side}_location")
        company = Company.__table__.alias(f"{side}_c")
        location = Location.__table__.alias(f"{side}_l")
        query = query.outerjoin(company, company.c.id == getattr(RehearsalMove, f"{side}_company"))
        query = query.outerjoin(location, location.c.id == at)
        sides += [company.c.name.label(f"{side}_name"), location.c.name.label(f"{side}_place")]
        sides.append(getattr(RehearsalMove, f"{side}_rep"))
    found: Select[Any] = query.add_columns(*sides).where(
        RehearsalMove.rehearsal_id == row.id, RehearsalMove.effect == which
    )
    return found


def _becomes() -> Any:
    nobody = [
        and_(
            getattr(RehearsalMove, f"{side}_location").is_(None),
            getattr(RehearsalMove, f"{side}_rep").is_(None),
        )
        for side in ("from", "to")
    ]
    return case((nobody[1], "unroutable"), (nobody[0], "routable"), else_="moved")


def _who(row: Any, side: str) -> str:
    name, at = getattr(row, f"{side}_name"), getattr(row, f"{side}_place")
    if name:
        return f"{name}, {at}" if at and at != name else str(name)
    rep = getattr(row, f"{side}_rep")
    return tr(_("${who}, in-house", mapping={"who": rep})) if rep else tr(_("Nobody"))


class _Named:
    """The name of a move's side, as a text filter asks for it."""

    def __init__(self, side: str) -> None:
        self.company = getattr(RehearsalMove, f"{side}_company")
        self.rep = getattr(RehearsalMove, f"{side}_rep")

    def icontains(self, value: str, **options: Any) -> Any:
        """SQL of 'the company's or rep's name holds this'."""
        named = select(Company.id).where(Company.name.icontains(value, **options))
        return or_(self.company.in_(named), self.rep.icontains(value, **options))


def spec(session: PortalSession) -> ListSpec:
    """The columns of the moves."""
    lines = dict(partners.product_lines(session))

    def line_names(row: Any) -> str:
        return ", ".join(lines.get(code, code) for code in row.product_lines or ())

    region = func.coalesce(leads.c.subdivision, leads.c.country)
    worth = (
        (_("Worth"), lambda r: r.amount),
        (_("Currency"), lambda r: r.currency if r.amount is not None else None),
    )
    return ListSpec(
        [
            Column("lead", _("Lead"), value=lambda r: r.number, href=lambda r: f"/leads/{r.number}/decision",
                   expr=leads.c.number, sort=True),
            Column("title", _("What"), value=lambda r: r.title, expr=leads.c.title, sort=True),
            Column("worth", _("Worth"), num=True, expr=leads.c.amount, sort=True, filter="number", sheet=worth,
                   value=lambda r: fmt.money(_minor(r.amount, r.currency), r.currency)),
            Column("region", _("Region"), expr=region, sort=True,
                   value=lambda r: place(r.subdivision or r.country or "")),
            Column("lines", _("Product lines"), value=line_names, off=True),
            Column("before", _("Goes to"), value=lambda r: _who(r, "from"), filter="text", expr=_Named("from")),
            Column("after", _("Would go to"), value=lambda r: _who(r, "to"), filter="text", expr=_Named("to")),
            Column("becomes", _("Becomes"), "status:move", expr=_becomes(), sort=True, filter="choice",
                   choices=choices("move"), value=lambda r: r.becomes),
        ],
        "-worth", search=[leads.c.number, leads.c.title], tiebreak=RehearsalMove.id, name="rehearsal",
        keep=("effect",), search_label=_("Number or title"),
    )  # fmt: skip


def _minor(amount: Any, currency: str | None) -> int | None:
    return None if amount is None else int(amount * minor_per_major(currency))


ONE = "rulesets/rehearsal.jinja2"
LIST = "rulesets/rehearsals.jinja2"
REHEARSAL = rf"{BASE}/{VERSION}/rehearsals/{{rehearsal:\d+}}"
PAGES = [
    ("rules_rehearsals", f"{BASE}/{VERSION}/rehearsals", listed, "GET", "rules.read", LIST),
    ("rules_rehearsal", REHEARSAL, one, "GET", "rules.read", ONE),
    ("rules_rehearsal_stop", f"{REHEARSAL}/stop", stop, "POST", "rules.edit", ONE),
]


def includeme(config: Configurator) -> None:
    """Routes and views."""
    add_pages(config, ONE, PAGES)
    options = {"request_method": "POST", "permission": "rules.edit", "renderer": LIST}
    config.add_view(start, route_name="rules_rehearsals", **options)

"""Coverage: how many partners could take a lead, by region and product line, today and when certificates end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import select

from portal.companies.models import Company, Location
from portal.db import PortalSession
from portal.leads import queries, words
from portal.leads.decision.search import tabs
from portal.leads.queries import Catalogue
from portal.routing import coverage
from portal.routing.coverage import AHEAD, Grid
from portal.routing.rulesets.maps import maps
from portal.web import remembered
from portal.web.exports import export_response
from portal.web.filters import BadParameter, one_of
from portal.web.formatting import fmt
from portal.web.i18n import _, forms, ntr, tr
from portal.web.parts import Empty, Tab
from portal.web.regions import region_name
from portal.web.tables import COUNT_LIMIT, EXPORT_LIMIT, Column, Listing, ListSpec, ListState

KINDS = (("now", _("Too few today")), ("coming", _("Too few soon")), ("enough", _("Enough")))
DAYS = (0, *AHEAD)
ALL_WELL = forms(
    "Every region has a partner for each product line.",
    "Every region has ${n} partners for each product line.",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """A region and line with its counts per day looked at."""

    region: str
    place: str
    country: str
    line: str
    line_name: str
    counts: tuple[int, ...]
    kind: str
    partly: int | None
    why: str


def spec(catalogue: Catalogue, of: Grid) -> ListSpec:
    """The columns; rows are made in memory, so that filters and order are asked of `Cell`."""
    countries = sorted({one.country for one in of.places if one.country})

    def counted(n: int) -> Column:
        label = _("Today") if n == 0 else _("In ${n} days", mapping={"n": DAYS[n]})
        return Column(f"d{DAYS[n]}", label, "number", num=True, sort=True, value=lambda cell: cell.counts[n])

    return ListSpec(
        [
            Column("region", _("Region"), sort=True, value=lambda cell: cell.place),
            Column("country", _("Country"), filter="choice", off=True, value=lambda cell: words.country(cell.country),
                   choices=[(code, words.country(code)) for code in countries]),
            Column("line", _("Product line"), sort=True, filter="choice", value=lambda cell: cell.line_name,
                   choices=[(code, catalogue.lines.get(code, code)) for code in of.lines]),
            *(counted(n) for n in range(len(DAYS))),
            Column("kind", _("Enough?"), filter="choice", choices=KINDS, value=lambda cell: tr(dict(KINDS)[cell.kind])),
            Column("partly", _("Cover a part"), num=True, off=True, value=lambda cell: cell.partly),
            Column("why", _("Who leaves"), value=lambda cell: cell.why),
        ],
        "d0", name="coverage", keep=("least", "programme", "ahead"),
    )  # fmt: skip


ORDER: Mapping[str, Any] = {
    "region": lambda cell: cell.place,
    "line": lambda cell: cell.line_name,
    **{f"d{day}": (lambda cell, n=n: cell.counts[n]) for n, day in enumerate(DAYS)},
}


def least_of(params: Mapping[str, str]) -> int:
    """How many are enough."""
    given = (params.get("least") or "").strip() or str(coverage.LEAST)
    if not (
        given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= coverage.MOST_LEAST
    ):
        cure = _("give a whole number from ${a} to ${b}", mapping={"a": 1, "b": coverage.MOST_LEAST})
        raise BadParameter("least", given, tr(cure), tr(_("Partners wanted")))
    return int(given)


def cover(request: Request) -> Response:
    """GET /decisions/coverage."""
    session, catalogue = request.db, queries.catalogue(request.db)
    least = least_of(request.GET)
    programme = one_of(request.GET, "programme", ("none", *catalogue.programmes))
    ahead = int(one_of(request.GET, "ahead", [str(day) for day in AHEAD], str(AHEAD[-1])))
    of = coverage.grid(session, least, programme)
    state = remembered.state_of(request, spec(catalogue, of))
    every = cells(session, of, least, catalogue)
    rows = shown(every, state)
    if state.export:
        return export_response(state, rows[: EXPORT_LIMIT + 1])
    page = rows[state.offset : state.offset + state.per]
    lines = tuple(state.filters.get("line", ()))
    day = DAYS.index(ahead)
    pictures = (
        (tr(_("Today")), coverage.thinnest(of, 0, lines)),
        (tr(_("In ${n} days", mapping={"n": ahead})), coverage.thinnest(of, day, lines)),
    )
    values = {
        "listing": Listing(state, page, min(len(rows), COUNT_LIMIT + 1)),
        "sentence": sentence(every, least),
        "least": least,
        "programme": programme,
        "programmes": catalogue.programmes,
        "kept": [
            (name, value) for name, value in state.params() if name not in ("least", "programme", "page")
        ],
        "needs": [
            (catalogue.lines.get(line, line), catalogue.programme_names(asked))
            for line, asked in sorted(of.needs.items())
            if asked
        ],
        "maps": maps(pictures),
        "of": catalogue.line_names(lines),
        "ahead": [Tab(tr(_("${n} days", mapping={"n": n})), _ahead(state, n), n == ahead) for n in AHEAD],
        "tabs": tabs(request, "coverage"),
        "empty": Empty(_("There is no active partner, or no product line.")),
    }
    return render_to_response("decision/coverage.jinja2", values, request=request)


def _ahead(state: ListState, days: int) -> str:
    kept = tuple((key, value) for key, value in state.kept if key != "ahead")
    return replace(state, kept=(*kept, ("ahead", str(days)))).url(page=1)


def sentence(every: Sequence[Cell], least: int) -> str:
    """'12 of 96 regions and lines have fewer than 2 partners today, 3 more within 90 days.'"""
    now, coming = (sum(cell.kind == kind for cell in every) for kind in ("now", "coming"))
    if not now and not coming:
        return ntr(*ALL_WELL, least)
    values = {"now": fmt.num(now), "all": fmt.num(len(every)), "least": least, "more": fmt.num(coming)}
    said = tr(
        _(
            "${now} of ${all} pairs of region and product line have fewer than ${least} partners today",
            mapping=values,
        )
    )
    return said + (", " + tr(_("${more} more within 90 days", mapping=values)) if coming else "") + "."


def cells(session: PortalSession, of: Grid, least: int, catalogue: Catalogue) -> list[Cell]:
    """Every region with every line."""
    leaving = {one.candidate_id for gap in of.gaps.values() for one in gap.leaving}
    names = _names(session, leaving)
    found = []
    for at, place in enumerate(of.places):
        code = coverage.code_of(place)
        name = region_name(code) if place.subdivision else words.country(code)
        for n, line in enumerate(of.lines):
            counts = tuple(int(count) for count in of.found.qualified[:, at, n])
            gap = of.gaps.get((code, line))
            kind = "now" if counts[0] < least else "coming" if min(counts) < least else "enough"
            why = "; ".join(_leaves(one, names, catalogue) for one in gap.leaving) if gap else ""
            line_name, partly = catalogue.lines.get(line, line), gap.partly if gap else None
            found.append(Cell(code, name, place.country or "", line, line_name, counts, kind, partly, why))
    return found


def _names(session: PortalSession, locations: set[int]) -> dict[int, str]:
    if not locations:
        return {}
    query = select(Location.id, Company.name).join(Company, Company.id == Location.company_id)
    return {row.id: row.name for row in session.execute(query.where(Location.id.in_(locations)))}


def _leaves(one: Any, names: Mapping[int, str], catalogue: Catalogue) -> str:
    values = {
        "who": names.get(one.candidate_id, ""),
        "what": catalogue.programme_names([one.programme] if one.programme else []),
    }
    if one.expires is None:
        return str(values["who"])
    return tr(_("${who}: ${what} ends ${day}", mapping=values | {"day": fmt.day_text(one.expires)}))


def shown(every: Sequence[Cell], state: ListState) -> list[Cell]:
    """What the filters let through, in order; equal ones by region and line."""
    rows = [
        cell for cell in every if all(getattr(cell, key) in value for key, value in state.filters.items())
    ]
    rows.sort(key=lambda cell: (cell.place, cell.line_name))
    rows.sort(key=ORDER[state.sort], reverse=state.desc)
    return rows


def includeme(config: Any) -> None:
    """GET /decisions/coverage."""
    config.add_route("decisions_coverage", "/decisions/coverage")
    config.add_view(cover, route_name="decisions_coverage", request_method="GET", permission="load.read")

"""Decisions searched: whom a gate stopped, in which period, what it was worth, who got it. For the vendor's people."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import BigInteger, Select, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY

from portal.companies.models import Company, Location
from portal.db import PortalSession
from portal.leads import queries, words
from portal.leads.decision import outcomes, telling
from portal.leads.decision.outcomes import Found
from portal.leads.lists import AMOUNT, AnyOf, occurring
from portal.leads.models import Lead
from portal.leads.queries import Catalogue
from portal.leads.waybill import money
from portal.routing.models import Decision
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.filters import BadParameter
from portal.web.formatting import fmt, zone
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Empty, Tab
from portal.web.regions import NAMES as REGIONS
from portal.web.regions import region_name
from portal.web.tables import Column, Listing, ListSpec, ListState, apply, count, filtered

USUAL = timedelta(days=90)
"""Days that are searched when the reader names none."""

WORDS = {
    "chosen": _("was offered it"),
    "ranked": _("could take it, another was ahead"),
    **telling.REFUSED,
}


class ByTime:
    """When it was decided: compared by the stored time, ordered by the id, which counts the milliseconds."""

    nullable = False

    def __ge__(self, moment: datetime) -> Any:
        return Decision.as_of >= moment

    def __lt__(self, moment: datetime) -> Any:
        return Decision.as_of < moment

    def desc(self) -> Any:
        """The newest first."""
        return Decision.id.desc()

    def asc(self) -> Any:
        """The oldest first."""
        return Decision.id.asc()


class Elsewhere:
    """A filter that is no condition of the statement: the outcomes are looked up before it."""

    def in_(self, _values: Sequence[str]) -> Any:
        """Always."""
        return true()

    def icontains(self, _value: str, **_options: Any) -> Any:
        """Always."""
        return true()


class Region:
    """A region by its code, or all of a country by its two letters."""

    def in_(self, values: Sequence[str]) -> Any:
        """SQL of 'in one of these'."""
        countries = [value for value in values if len(value) == 2]
        return Lead.subdivision.in_(values) | Lead.country.in_(countries)


def spec(catalogue: Catalogue, countries: Sequence[str]) -> ListSpec:
    """The columns."""
    regions = [(code, words.country(code)) for code in countries]
    regions += sorted(
        ((code, name) for code, name in REGIONS.items() if code[:2] in countries), key=lambda p: p[1]
    )
    gates = [(name, words.first_up(tr(word))) for name, word in WORDS.items()]
    nobody = Decision.chosen_location_id.is_(None)
    return ListSpec(
        [
            Column("lead", _("Lead"), value=lambda r: r.number,
                   href=lambda r: f"/leads/{r.number}/decision?decision={r.id}"),
            Column("title", _("What"), value=lambda r: r.title),
            Column("at", _("Decided"), "when", expr=ByTime(), sort=True, filter="date", value=lambda r: r.as_of),
            Column("region", _("Region"), expr=Region(), filter="choice", choices=regions,
                   value=lambda r: region_name(r.subdivision) or words.country(r.country)),
            Column("lines", _("Product lines"), filter="choice", choices=list(catalogue.lines.items()), off=True,
                   expr=AnyOf(Lead.product_lines), value=lambda r: catalogue.line_names(r.product_lines)),
            Column("worth", _("Worth"), num=True, expr=Lead.amount, sort=True, filter="number",
                   value=lambda r: money(r.amount, r.currency), sheet=[(label, _field(of)) for label, of in AMOUNT]),
            Column("partner", _("Partner"), expr=Elsewhere(), filter="text", off=True, value=lambda r: r.partner),
            Column("location", _("Location"), expr=Elsewhere(), filter="text", off=True, value=lambda r: r.location),
            Column("gate", _("What became of it"), expr=Elsewhere(), filter="choice", choices=gates,
                   value=lambda r: r.outcome),
            Column("winner", _("Offered to"), value=lambda r: r.winner or tr(_("Nobody"))),
            Column("found", _("Found"), off=True, filter="choice", expr=_Found(nobody),
                   choices=[("somebody", _("Somebody")), ("nobody", _("Nobody"))],
                   value=lambda r: tr(_("Somebody")) if r.winner else tr(_("Nobody"))),
            Column("stage", _("Stage"), "status:stage", expr=Lead.stage, filter="choice", value=lambda r: r.stage),
        ],
        "-at", tiebreak=Decision.id.desc(), name="decisions",
    )  # fmt: skip


def _field(of: Any) -> Any:
    return lambda row: of({"amount": row.amount, "currency": row.currency})


class _Found:
    def __init__(self, nobody: Any) -> None:
        self.nobody = nobody

    def in_(self, values: Sequence[str]) -> Any:
        """SQL of 'somebody could take it' or 'nobody could'."""
        return true() if len(set(values)) > 1 else self.nobody if "nobody" in values else ~self.nobody


@dataclass(frozen=True, slots=True)
class Row:
    """A decision as the list shows it."""

    id: int
    number: str
    title: str
    as_of: datetime
    country: str | None
    subdivision: str | None
    product_lines: Sequence[str]
    amount: Any
    currency: str | None
    stage: str
    winner: str | None
    partner: str = ""
    location: str = ""
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whom the search is about: names as typed and as found, and what became of them (None: about nobody); `narrowed`:
    only decisions with one of these outcomes are meant, else all of the period."""

    name: str = ""
    location: str = ""
    found: Found | None = None
    narrowed: bool = False


def search(request: Request) -> Response:
    """GET /decisions."""
    session, catalogue = request.db, queries.catalogue(request.db)
    state = remembered.state_of(request, spec(catalogue, countries(session)))
    since, until = period(state)
    asked = looked_up(session, state, since, until)
    query = statement(session, state, asked, since, until)
    if state.export:
        rows = (_row(row, asked) for row in stream(session, apply(query, state)))
        return export_response(state, rows)
    rows_now = [_row(row, asked) for row in session.execute(apply(query, state))]
    listing = Listing(state, rows_now, count(session, query, state, len(rows_now)), noun=_("decisions"))
    values = {
        "listing": listing,
        "asked": asked,
        "sum": totals(session, query, state),
        "since": since.astimezone(zone(fmt.zone_name)).date(),
        "until": (until - timedelta(seconds=1)).astimezone(zone(fmt.zone_name)).date(),
        "periods": _periods(state),
        "tabs": tabs(request, "decisions"),
        "empty": Empty(_("Nothing was decided in that time.")),
    }
    return render_to_response("decision/search.jinja2", values, request=request)


PAGES = (
    ("decisions", _("Decisions"), "/decisions", "decision.search"),
    ("load", _("Load and fairness"), "/decisions/load", "load.read"),
    ("coverage", _("Coverage"), "/decisions/coverage", "load.read"),
)


def tabs(request: Request, now: str) -> list[Tab]:
    """The vendor's pages over many decisions."""
    return [Tab(tr(label), url, name == now) for name, label, url, may in PAGES if request.may(may)]


def countries(session: PortalSession) -> list[str]:
    """Countries that leads come from."""
    return occurring(session)["country"]


def period(state: ListState) -> tuple[datetime, datetime]:
    """From when up to when is searched: the days of the filter in the reader's zone, else the last 90 days."""
    first, last = state.filters.get("at", (None, None))
    today = fmt.today
    if first is None:
        first = (last or today) - USUAL
    return moment_of(first), moment_of((last or today) + timedelta(days=1))


def moment_of(day: date) -> datetime:
    """The first moment of a day in the reader's zone."""
    return datetime.combine(day, time(), tzinfo=zone(fmt.zone_name)).astimezone(UTC)


def looked_up(session: PortalSession, state: ListState, since: datetime, until: datetime) -> Asked:
    """What became of the partner that the filters name; BadParameter where nobody or too many are meant."""
    words_of = {key: str(state.filters.get(key, "")) for key in ("partner", "location")}
    gates = state.filters.get("gate", ())
    if not any(words_of.values()):
        if gates:
            raise BadParameter(
                "gate",
                ", ".join(gates),
                tr(_("name a partner or a location too")),
                tr(_("What became of it")),
            )
        return Asked()
    named = outcomes.companies_named(session, words_of["partner"]) if words_of["partner"] else None
    if named is not None and not 0 < len(named) <= outcomes.MOST_COMPANIES:
        cure = (
            _("no partner has that name")
            if not named
            else _("name it more exactly: too many partners have that in their name")
        )
        raise BadParameter("partner", words_of["partner"], tr(cure), tr(_("Partner")))
    locations = outcomes.locations_of(
        session, None if named is None else [i for i, _name in named], words_of["location"]
    )
    if not locations:
        raise BadParameter(
            "location", words_of["location"], tr(_("no location has that name")), tr(_("Location"))
        )
    found = outcomes.outcomes(session, locations, since, until)
    if gates:
        found = found.only([outcomes.CODES[gate] for gate in gates])
    return Asked(", ".join(name for _id, name in named or ()), words_of["location"], found, bool(gates))


def statement(
    session: PortalSession, state: ListState, asked: Asked, since: datetime, until: datetime
) -> Select[Any]:
    """Decisions with their leads and whom they chose."""
    query: Select[Any] = (
        select(
            Decision.id, Decision.as_of, Lead.number, Lead.title, Lead.country, Lead.subdivision, Lead.product_lines,
            Lead.amount, Lead.currency, Lead.stage, Company.name.label("winner"),
        )
        .join(Lead, Lead.id == Decision.subject_id)
        .outerjoin(Location, Location.id == Decision.chosen_location_id)
        .outerjoin(Company, Company.id == Location.company_id)
        .where(Decision.realm_id == session.context.realm_id, Decision.subject_type == "lead")
        .where(Decision.as_of >= since, Decision.as_of < until)
    )  # fmt: skip
    if asked.found is not None and asked.narrowed:
        ids = bindparam("ids", asked.found.ids.tolist(), type_=ARRAY(BigInteger))
        query = query.where(Decision.id.in_(select(func.unnest(ids))))
    return query


def _row(row: Any, asked: Asked) -> Row:
    code = None if asked.found is None else asked.found.code(row.id)
    told = "" if code is None else tr(WORDS[outcomes.NAMES[code]])
    return Row(
        *(getattr(row, name) for name in PLAIN), partner=asked.name, location=asked.location, outcome=told
    )


PLAIN = (
    "id",
    "number",
    "title",
    "as_of",
    "country",
    "subdivision",
    "product_lines",
    "amount",
    "currency",
    "stage",
    "winner",
)


@dataclass(frozen=True, slots=True)
class Totals:
    """Decisions, the leads they were of, and the leads' worth by currency."""

    decisions: int
    leads: int
    worth: str

    @property
    def words(self) -> str:
        """'37 decisions on 35 leads, worth EUR 1,200,000'."""
        said = ntr("${n} decision", "${n} decisions", self.decisions) + " "
        said += ntr("on ${n} lead", "on ${n} leads", self.leads)
        return said + (", " + tr(_("worth ${worth}", mapping={"worth": self.worth})) if self.worth else "")


def totals(session: PortalSession, query: Select[Any], state: ListState) -> Totals:
    """Of all pages; a lead counts once, whatever its decisions."""
    bare = filtered(query, state).with_only_columns(
        Lead.id, Lead.currency, Lead.amount, func.count().label("n"), maintain_column_froms=True
    )
    each = bare.order_by(None).group_by(Lead.id, Lead.currency, Lead.amount).subquery()
    rows = session.execute(
        select(
            each.c.currency,
            func.sum(each.c.amount).label("worth"),
            func.count().label("leads"),
            func.sum(each.c.n).label("n"),
        )
        .group_by(each.c.currency)
        .order_by(func.sum(each.c.amount).desc().nulls_last())
    ).all()
    worth = ", ".join(money(row.worth, row.currency) for row in rows if row.worth)
    return Totals(sum(int(row.n) for row in rows), sum(row.leads for row in rows), worth)


def periods() -> list[tuple[Any, date | None, date | None]]:
    """(word, first day, last day) of usual periods; None: the last 90 days, today."""
    today = fmt.today
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    before = quarter - timedelta(days=1)
    last = date(before.year, (before.month - 1) // 3 * 3 + 1, 1)
    return [
        (_("90 days"), None, None),
        (_("This quarter"), quarter, None),
        (_("Last quarter"), last, before),
        (_("This year"), date(today.year, 1, 1), None),
    ]


def _periods(state: ListState) -> list[Tab]:
    """Usual periods as links."""
    found = []
    for label, first, last in periods():
        filters = {key: value for key, value in state.filters.items() if key != "at"}
        days = None if first is None else (first, last)
        if days is not None:
            filters["at"] = days
        found.append(Tab(tr(label), state.url(filters=filters), state.filters.get("at") == days))
    return found


def includeme(config: Any) -> None:
    """GET /decisions."""
    config.add_route("decisions", "/decisions")
    config.add_view(search, route_name="decisions", request_method="GET", permission="decision.search")

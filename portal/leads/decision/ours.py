"""A partner's own lines: of each decision in which one of its locations took part what became of it, and what would have
helped. Nothing of anybody else: no name, no figure, not how many; of a lead only what an offer view shows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import BigInteger, Date, Integer, Select, bindparam, column, func, select, true
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from portal.companies.models import Location
from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.leads import queries, words
from portal.leads.decision.outcomes import CODES, NAMES
from portal.leads.queries import Catalogue
from portal.leads.waybill import band
from portal.partners.models import Authorisation, Certification
from portal.routing.blocks import CHOSEN, TOOK_PART
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from portal.web.parts import Action, Empty
from portal.web.regions import region_name
from portal.web.tables import COUNT_LIMIT, EXPORT_LIMIT, Column, Listing, ListSpec, ListState, apply, count
from rules import ALL_GATES, ELIGIBLE, certified, why_not_certified
from rules import Certification as Held

USUAL = timedelta(days=90)

SHORT = {
    "chosen": _("You were offered it"),
    "ranked": _("Another was ahead"),
    "certified": _("Certification"),
    "authorised": _("Product lines"),
    "capacity": _("No room"),
    "opens": _("Not open in time"),
    "excludes": _("Left out by a rule"),
    "requires": _("A rule asks for more"),
    "cap": _("Share of leads"),
    "claimed": _("Went another way"),
    "house": _("Went another way"),
    "exclusive": _("Went another way"),
    "pool": _("Went another way"),
    "distributor": _("Went another way"),
}
"""What became of it, in a word or two, for the filter."""
RULED = ("claimed", "house", "exclusive", "pool", "distributor")
"""Gates of which a partner is told no more than that a rule gave the lead another way: they speak of others."""
TONES = {"chosen": ("good", "circle-check"), "ranked": ("neutral", "arrow-down")}
RECORDED = func.app.own_decisions(
    bindparam("since", type_=Date),
    bindparam("until", type_=Date),
    bindparam("codes", type_=ARRAY(Integer)),
    bindparam("most", type_=BigInteger),
).table_valued(
    column("place", BigInteger), column("day", Date), column("location_id", BigInteger), column("outcome", Integer),
    column("fact", JSONB), name="own",
)  # fmt: skip


class Became:
    """The outcomes asked for are given to the function, which stops when it has enough of them."""

    def in_(self, _values: Sequence[str]) -> Any:
        """Always."""
        return true()


def codes_of(values: Sequence[str]) -> list[int] | None:
    """Codes of the outcomes asked for, None for all; the ways that are told as one are asked for as one."""
    found = [CODES[gate] for value in values for gate in (RULED if value == "way" else (value,))]
    return found or None


def spec(catalogue: Catalogue, places: Mapping[int, str]) -> ListSpec:
    """The columns."""
    asked = ["chosen", "ranked", *ALL_GATES[TOOK_PART:]]
    choices = [(name, SHORT[name]) for name in asked if name not in RULED] + [("way", SHORT["claimed"])]
    several = len(places) > 1
    named = [(str(i), name) for i, name in places.items()]
    return ListSpec(
        [
            Column("day", _("Day"), "date", expr=RECORDED.c.day, sort=True, filter="date", value=lambda r: r.day),
            Column("region", _("Region"), value=lambda r: r.region),
            Column("lines", _("Product lines"), value=lambda r: r.lines),
            Column("worth", _("Worth"), value=lambda r: r.worth),
            Column("location", _("Location"), value=lambda r: r.location, off=not several, choices=named,
                   expr=_Text(RECORDED.c.location_id), filter="choice" if several else None),
            Column("became", _("What became of it"), expr=Became(), filter="choice", choices=choices,
                   value=lambda r: r.line, href=lambda r: f"/leads/{r.number}" if r.number else None),
        ],
        "-day", tiebreak=RECORDED.c.place, name="why",
    )  # fmt: skip


class _Text:
    """Ids that an address writes as text."""

    def __init__(self, expr: Any) -> None:
        self.expr = expr

    def in_(self, values: Sequence[str]) -> Any:
        """SQL of 'one of these'."""
        return self.expr.in_([int(value) for value in values])


@dataclass(frozen=True, slots=True)
class Line:
    """One decision as a partner reads it; the number only of what it was offered."""

    day: date
    region: str
    lines: str
    worth: str
    location: str
    line: str
    number: str | None


@dataclass(slots=True)
class Own:
    """What the own company holds and held: (valid from, valid to) with the fact."""

    certificates: list[tuple[datetime, datetime | None, Held]] = field(default_factory=list)
    lines: dict[str, list[tuple[datetime, datetime | None]]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def held(self, day: date) -> list[Held]:
        """Certificates on record on a day."""
        return [one for start, end, one in self.certificates if _on(day, start, end)]

    def sells(self, day: date) -> set[str]:
        """Product lines authorised on a day."""
        return {line for line, dated in self.lines.items() if any(_on(day, *pair) for pair in dated)}


def _on(day: date, start: datetime, end: datetime | None) -> bool:
    noon = datetime.combine(day, time(12), UTC)
    return start.astimezone(UTC).date() <= day and (end is None or end > noon)


def read_own(session: PortalSession, company_id: int) -> Own:
    """Two statements, of the own rows alone."""
    found = Own()
    for row in session.scalars(select(Certification).where(Certification.company_id == company_id)):
        held = Held(
            row.programme, row.level, row.issued or row.valid_from.date(), row.expires, row.product_line
        )
        found.certificates.append((row.valid_from, row.valid_to, held))
    for one in session.scalars(select(Authorisation).where(Authorisation.company_id == company_id)):
        found.lines[one.product_line].append((one.valid_from, one.valid_to))
    return found


def why(request: Request) -> Response:
    """GET /why."""
    session, catalogue = request.db, queries.catalogue(request.db)
    company = int(request.ctx.company_id)
    places = {
        row.id: row.name
        for row in session.execute(
            select(Location.id, Location.name)
            .where(Location.company_id == company)
            .order_by(Location.name, Location.id)
        )
    }
    state = remembered.state_of(request, spec(catalogue, places))
    query = statement(state)
    vendor = vendor_id(session)
    told = Teller(
        catalogue, places, read_own(session, company), queries.company_names(session, [vendor])[vendor]
    )
    if state.export:
        return export_response(state, (told.line(row) for row in stream(session, apply(query, state))))
    rows = [told.line(row) for row in session.execute(apply(query, state))]
    listing = Listing(state, rows, count(session, query, state, len(rows)))
    empty = Empty(
        _("No lead near you was decided in that time."), Action(tr(_("Our company")), "/company", "get")
    )
    values = {"listing": listing, "empty": empty, "days": USUAL.days, "asked": "day" in state.filters}
    return render_to_response("decision/ours.jinja2", values, request=request)


def statement(state: ListState) -> Select[Any]:
    """The own lines of the days asked for, else of the last 90."""
    first, last = state.filters.get("day", (None, None))
    until = last or fmt.today + timedelta(days=1)  # days are UTC days, which may have begun
    since = first or until - USUAL
    codes = codes_of(state.filters.get("became", ()))
    # Newest first and not narrowed further: lines beyond this page and the count are not even unpacked.
    capped = state.desc and not state.export and "location" not in state.filters
    most = max(state.offset + state.per, COUNT_LIMIT) + 1 if capped else EXPORT_LIMIT + 1
    shown = select(RECORDED.c.day, RECORDED.c.location_id, RECORDED.c.outcome, RECORDED.c.fact)
    return shown.params(since=since, until=until, codes=codes, most=most)


@dataclass(frozen=True, slots=True)
class Teller:
    """Says lines in words."""

    catalogue: Catalogue
    places: Mapping[int, str]
    own: Own
    vendor: str

    def line(self, row: Any) -> Line:
        """One decision."""
        fact = row.fact
        return Line(
            row.day,
            region_name(fact.get("subdivision")) or words.country(fact.get("country")),
            self.catalogue.line_names(fact.get("lines")),
            band(fact.get("band")),
            self.places.get(row.location_id, ""),
            self.sentence(row.outcome, fact, row.day),
            fact.get("number"),
        )

    def sentence(self, outcome: int, fact: Mapping[str, Any], day: date) -> str:
        """What became of it, and what would have made it eligible."""
        gate = NAMES.get(outcome, "")
        if outcome == CHOSEN:
            return tr(_("You were offered it: ${number}.", mapping={"number": fact.get("number", "")}))
        if outcome == ELIGIBLE:
            return tr(_("You could have taken it, and another partner was ahead."))
        if gate == "certified":
            return self._certified(fact, day)
        if gate == "authorised":
            return self._authorised(fact, day)
        return tr(_(FIXED.get(gate, ANOTHER_WAY), mapping={"vendor": self.vendor}))

    def _certified(self, fact: Mapping[str, Any], day: date) -> str:
        held, said = self.own.held(day), {}
        for programme in fact.get("certifications", ()):
            for line in fact.get("lines") or (None,):
                if not certified(held, programme, line, day):
                    said[self._missing(why_not_certified(held, programme, line, day), day)] = None
        if not said:
            what = self.catalogue.programme_names(fact.get("certifications"))
            return tr(
                _(
                    "You would have needed ${what}, valid on ${day}.",
                    mapping={"what": what, "day": fmt.day_text(day)},
                )
            )
        return " ".join(said)

    def _missing(self, one: Mapping[str, Any], day: date) -> str:
        values = {"what": self.catalogue.programme_names([one["programme"]]), "day": fmt.day_text(day)}
        match one["reason"]:
            case "expired":
                values["end"] = fmt.day_text(date.fromisoformat(one["expires"])) if one["expires"] else ""
                return tr(
                    _(
                        "Your certification ${what} expired on ${end}; it had to be valid on ${day}.",
                        mapping=values,
                    )
                )
            case "not_yet":
                values["start"] = fmt.day_text(date.fromisoformat(one["issued"]))
                return tr(
                    _(
                        "Your certification ${what} begins on ${start}; it had to be valid on ${day}.",
                        mapping=values,
                    )
                )
            case "other_line":
                values["line"] = self.catalogue.line_names([one["product_line"]])
                return tr(_("Your certification ${what} is not for ${line}.", mapping=values))
        return tr(_("You would need the certification ${what}, valid on ${day}.", mapping=values))

    def _authorised(self, fact: Mapping[str, Any], day: date) -> str:
        asked, sells = fact.get("lines") or [], self.own.sells(day)
        what = self.catalogue.line_names([line for line in asked if line not in sells] or asked)
        return tr(_("You would need the authorisation to sell ${what}.", mapping={"what": what}))


ANOTHER_WAY = _("A rule of ${vendor} gave it another way.")
FIXED = {
    "capacity": _("You had as many open leads as you take; with room you would have been in the running."),
    "opens": _("You would not have opened in time; longer hours would have helped."),
    "excludes": _("A rule of ${vendor} left you out of leads like this; ask them which."),
    "requires": _("A rule of ${vendor} asks for more than you have for leads like this; ask them what."),
    "cap": _("You had had as many leads as a rule of ${vendor} allows in that time."),
}


def includeme(config: Any) -> None:
    """GET /why."""
    config.add_route("why", "/why")
    config.add_view(why, route_name="why", request_method="GET", permission="decision.own")

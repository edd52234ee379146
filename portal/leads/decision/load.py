"""Load and fairness: what each partner or location was offered in a period, against its capacity and against its turns."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pyramid.renderers import render_to_response
from pyramid.request import Request
from pyramid.response import Response
from sqlalchemy import BigInteger, Float, Integer, Select, String, select, text

from integrations import charts
from portal.leads import words
from portal.leads.decision.search import moment_of, periods, tabs
from portal.leads.lists import occurring
from portal.web import remembered
from portal.web.exports import export_response, stream
from portal.web.filters import BadParameter, one_of
from portal.web.formatting import fmt
from portal.web.forms import read_day
from portal.web.i18n import _, tr
from portal.web.parts import Empty, Tab
from portal.web.tables import Column, Listing, ListSpec, ListState, apply, count, filtered

USUAL = timedelta(days=90)
MOST_BARS = 12
BY = {"company": _("By partner"), "location": _("By location")}
KEYS = {"company": "company_id", "location": "location_id"}

# One row per key with anything to tell: offers of the period, room today, turns that were due. `ruled` are the offers
# that the rules made: a person's own assignment pays no turn.
LOAD = """
    with made as (
        select o.{key} as key, count(*) as offers, count(*) filter (where o.decision_id is not null) as ruled,
               count(*) filter (where o.state = 'accepted') as accepted,
               count(*) filter (where o.state = 'declined') as declined,
               count(*) filter (where o.state = 'expired') as expired,
               count(*) filter (where o.state = 'offered') as waiting,
               count(*) filter (where o.state = 'accepted' and l.stage = 'won') as won,
               count(*) filter (where o.state = 'accepted' and l.stage in ('won', 'lost')) as closed,
               percentile_cont(0.5) within group (order by extract(epoch from o.answered_at - o.offered_at) / 3600)
                   filter (where o.state in ('accepted', 'declined')) as hours
        from offers o join leads l on l.id = o.lead_id
        where o.realm_id = :realm and o.offered_at >= :since and o.offered_at < :until group by 1
    ), room as (
        select f.{key} as key, sum(f.capacity) as capacity, sum(coalesce(s.open, 0)) as open, min(f.country) as country
        from location_facts f left join routing_states s on s.location_id = f.location_id
        where f.realm_id = :realm and f.valid_to is null and f.active group by 1
    ), turns as (
        select c.{key} as key, sum(cast(e.value as bigint)) / 1e6 as due
        from decision_blocks b join decision_columns c on c.block_id = b.id and c.shares is not null
        cross join lateral jsonb_each_text(c.shares) e
        where b.realm_id = :realm and b.last_at >= :since and b.first_at < :until
          and e.key >= :first and e.key <= :last group by 1
    )
    select r.key, {company} as company_id, k.name as partner, {place} as location, r.country,
           coalesce(m.offers, 0) as offers, coalesce(m.accepted, 0) as accepted, coalesce(m.declined, 0) as declined,
           coalesce(m.expired, 0) as expired, coalesce(m.waiting, 0) as waiting, r.open, r.capacity,
           case when r.capacity > 0 then cast(r.open as float) / r.capacity end as used,
           t.due, case when t.due is not null then coalesce(m.ruled, 0) - t.due end as ahead,
           m.hours, coalesce(m.closed, 0) as closed,
           case when m.closed > 0 then cast(m.won as float) / m.closed end as win_rate
    from room r left join made m on m.key = r.key left join turns t on t.key = r.key
    {join}
"""
PARTS = {
    "company": {
        "company": "r.key",
        "place": "''",
        "join": "join companies k on k.id = r.key",
    },
    "location": {
        "company": "k.id",
        "place": "p.name",
        "join": "join locations p on p.id = r.key join companies k on k.id = p.company_id",
    },
}


def _statement(by: str) -> Any:
    made = text(LOAD.format(key=KEYS[by], **PARTS[by]))
    whole = dict.fromkeys(("key", "company_id", "capacity", "open"), BigInteger)
    counts = dict.fromkeys(("offers", "accepted", "declined", "expired", "waiting", "closed"), Integer)
    shares = dict.fromkeys(("used", "due", "ahead", "hours", "win_rate"), Float)
    names = dict.fromkeys(("partner", "location", "country"), String)
    return made.columns(**whole, **counts, **shares, **names).subquery("load")


STATEMENTS = {by: _statement(by) for by in BY}


def _num(value: Any, digits: int = 0) -> str:
    return "" if value is None else str(fmt.num(float(value), digits))


def _rounded(key: str, digits: int) -> Any:
    return lambda row: None if getattr(row, key) is None else round(float(getattr(row, key)), digits)


def spec(by: str, countries: list[str]) -> ListSpec:
    """The columns; figures that a spreadsheet adds up stay numbers there."""
    t = STATEMENTS[by].c

    def figure(key: str, label: str, *, off: bool = False) -> Column:
        return Column(key, label, "number", num=True, expr=t[key], sort=True, filter="number", off=off)

    def part(key: str, label: str, shown: Any, digits: int) -> Column:
        return Column(
            key, label, num=True, expr=t[key], sort=True, value=shown, sheet=((label, _rounded(key, digits)),)
        )

    place = [Column("location", _("Location"), expr=t.location, sort=True)] if by == "location" else []
    return ListSpec(
        [
            Column("partner", _("Partner"), expr=t.partner, sort=True, filter="text",
                   href=lambda r: f"/partners/{r.company_id}"),
            *place,
            Column("country", _("Country"), expr=t.country, filter="choice", off=True,
                   choices=[(code, words.country(code)) for code in countries], value=lambda r: words.country(r.country)),
            figure("offers", _("Offers")),
            figure("accepted", _("Accepted")),
            figure("declined", _("Declined")),
            figure("expired", _("Lapsed")),
            figure("waiting", _("Waiting"), off=True),
            part("used", _("Room used"), lambda r: _room(r), 3),
            part("due", _("Turns due"), lambda r: _num(r.due, 1), 3),
            part("ahead", _("Ahead of its turns"), lambda r: _signed(r.ahead), 3),
            part("hours", _("Answers after, h"), lambda r: _num(r.hours, 1), 2),
            part("win_rate", _("Won"), lambda r: _rate(r), 3),
            figure("closed", _("Closed"), off=True),
        ],
        "-offers", tiebreak=t.key, name=f"load-{by}", keep=("by", "from", "to"),
    )  # fmt: skip


def _room(row: Any) -> str:
    used = "" if row.used is None else f" ({fmt.percent(row.used)})"
    values = {"open": fmt.num(int(row.open)), "capacity": fmt.num(int(row.capacity))}
    return tr(_("${open} of ${capacity}", mapping=values)) + used


def _signed(value: Any) -> str:
    if value is None:
        return ""
    number = round(float(value), 1)
    return ("+" if number > 0 else "\u2212" if number < 0 else "") + fmt.num(abs(number), 1)


def _rate(row: Any) -> str:
    """Never without its n: two of three is not two hundred of three hundred."""
    if row.win_rate is None:
        return ""
    values = {"share": fmt.percent(row.win_rate), "n": fmt.num(row.closed)}
    return tr(_("${share} of ${n}", mapping=values))


@dataclass(frozen=True, slots=True)
class Period:
    """Days, both included."""

    first: date
    last: date

    @property
    def values(self) -> dict[str, Any]:
        """Of the statement."""
        return {
            "since": moment_of(self.first),
            "until": moment_of(self.last + timedelta(days=1)),
            "first": self.first.isoformat(),
            "last": self.last.isoformat(),
        }


def period(params: Mapping[str, str]) -> Period:
    """The days of the address, else the last 90."""
    days = {}
    for key in ("from", "to"):
        given = params.get(key, "")
        try:
            days[key] = read_day(given) if given else None
        except ValueError:
            raise BadParameter(key, given, tr(_("give a date as 2026-11-23")), tr(_("Period"))) from None
        if days[key] is not None and not date(1900, 1, 1) <= days[key] <= date(9000, 1, 1):  # type: ignore[operator]
            raise BadParameter(key, given, tr(_("give a date as 2026-11-23")), tr(_("Period")))
    last = days["to"] or fmt.today
    return Period(days["from"] or last - USUAL, last)


def load(request: Request) -> Response:
    """GET /decisions/load."""
    session, by = request.db, one_of(request.GET, "by", BY, "company")
    when = period(request.GET)
    state = remembered.state_of(request, spec(by, occurring(session)["country"]))
    values = when.values | {"realm": request.ctx.realm_id}
    query: Select[Any] = select(STATEMENTS[by]).params(**values)
    if state.export:
        return export_response(state, stream(session, apply(query, state)))
    rows = session.execute(apply(query, state)).all()
    noun = _("partners") if by == "company" else _("locations")
    return render_to_response(
        "decision/load.jinja2",
        {
            "listing": Listing(state, rows, count(session, query, state, len(rows)), noun=noun),
            "when": when,
            "periods": _periods(state, when, by),
            "by": [Tab(tr(word), _url(by=name, when=when), name == by) for name, word in BY.items()],
            "chart": chart(session.execute(_busiest(query, state, by)).all(), by),
            "tabs": tabs(request, "load"),
            "empty": Empty(_("There is no active partner.")),
        },
        request=request,
    )  # fmt: skip


def _url(by: str, when: Period) -> str:
    return f"/decisions/load?by={by}&from={when.first}&to={when.last}"


def _periods(state: ListState, when: Period, by: str) -> list[Tab]:
    found = []
    for label, first, last in periods():
        mine = Period(first or (last or fmt.today) - USUAL, last or fmt.today)
        found.append(Tab(tr(label), _url(by, mine), mine == when))
    return found


def _busiest(query: Select[Any], state: ListState, by: str) -> Select[Any]:
    t = STATEMENTS[by].c
    return filtered(query, state).where(t.offers > 0).order_by(t.offers.desc(), t.key).limit(MOST_BARS)


def chart(rows: Any, by: str) -> charts.Chart | None:
    """Offers as bars, and as a tick what turns alone would have given."""
    if not rows:
        return None
    items = [
        charts.Bar(
            row.location if by == "location" and row.location else row.partner,
            row.offers,
            None if row.due is None else float(row.due),
            fmt.num(row.offers),
            _num(row.due, 1),
        )
        for row in rows
    ]
    head = (tr(BY[by]), tr(_("Offers")), tr(_("Turns due")))
    return charts.bars(
        tr(_("Offers against the turns that were due")), items, head, width=720, label_room=220
    )


def includeme(config: Any) -> None:
    """GET /decisions/load."""
    config.add_route("decisions_load", "/decisions/load")
    config.add_view(load, route_name="decisions_load", request_method="GET", permission="load.read")

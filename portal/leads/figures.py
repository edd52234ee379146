"""Numbers behind the charts of home: each one statement, limited, over the last 90 days and the 90 before."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median, quantiles
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import text
from sqlalchemy.engine import Engine

from portal.clocks import calendars
from portal.db import PortalSession
from rules import Calendar, working_minutes_between

PERIOD = timedelta(days=90)
# A figure over this many rows is kept for a minute: nobody sees a difference, and the page stays fast.
LARGE, KEEP = 5_000, timedelta(seconds=60)
MOST_PARTNERS = 7
ANSWERS_EACH = 120
WEEKS = 13


_kept: WeakKeyDictionary[Engine, dict[tuple[str, int], tuple[datetime, Any]]] = WeakKeyDictionary()


def _keeping(name: str, session: PortalSession, read: Callable[[PortalSession], tuple[Any, int]]) -> Any:
    """What `read` found, with the number of rows behind it; the vendor's figures only, which are alike for its people."""
    ctx = session.context
    kept, key = _kept.setdefault(session.get_bind().engine, {}), (name, ctx.realm_id)
    made, found = kept.get(key, (None, None))
    if made is not None and timedelta(0) <= ctx.now - made < KEEP:
        return found
    found, rows = read(session)
    if rows > LARGE:
        kept[key] = (ctx.now, found)
    else:
        kept.pop(key, None)
    return found


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a partner accepts, in working hours of the place that was asked."""

    company_id: int
    name: str
    median_h: float
    slow_h: float
    answers: int


# The partners with the most acceptances, and the newest acceptances of each.
ACCEPTANCES = text("""
    with busiest as (
        select company_id, count(*) as n, sum(count(*)) over () as behind from offers
        where realm_id = :realm and state = 'accepted' and offered_at >= :since
        group by company_id order by count(*) desc, company_id limit :partners
    )
    select c.id, c.name, b.behind, o.offered_at, o.answered_at, o.location_id, f.calendar
    from busiest b join companies c on c.id = b.company_id
    cross join lateral (
        select offered_at, answered_at, location_id from offers
        where company_id = b.company_id and state = 'accepted' and offered_at >= :since
        order by id desc limit :each) o
    join location_facts f on f.location_id = o.location_id and f.valid_to is null
""")


def time_to_accept(session: PortalSession) -> list[Speed]:
    """The busiest partners, the fastest first."""
    found: list[Speed] = _keeping("time to accept", session, _time_to_accept)
    return found


def _time_to_accept(session: PortalSession) -> tuple[list[Speed], int]:
    ctx = session.context
    rows = session.execute(
        ACCEPTANCES,
        {"realm": ctx.realm_id, "since": ctx.now - PERIOD, "partners": MOST_PARTNERS, "each": ANSWERS_EACH},
    )
    hours: dict[tuple[int, str], list[float]] = defaultdict(list)
    kept: dict[int, Calendar] = {}
    behind = 0
    for row in rows:
        behind = int(row.behind)
        calendar = kept.get(row.location_id)
        if calendar is None:
            calendar = kept[row.location_id] = calendars.load(row.calendar)
        minutes = working_minutes_between(calendar, row.offered_at, row.answered_at)
        hours[(row.id, row.name)].append(minutes / 60)
    found = [
        Speed(i, name, round(median(h), 1), round(slowest_tenth(h), 1), len(h))
        for (i, name), h in hours.items()
    ]
    return sorted(found, key=lambda one: (one.median_h, one.name)), behind


def slowest_tenth(hours: Sequence[float]) -> float:
    """The ninth decile; the longest of fewer than ten."""
    return quantiles(hours, n=10, method="inclusive")[8] if len(hours) >= 10 else max(hours)


@dataclass(frozen=True, slots=True)
class Won:
    """What was won in a region, in whole units of the currency."""

    region: str
    now: float
    before: float


def won_by_region(session: PortalSession, most: int = 7) -> tuple[str, list[Won], int]:
    """(currency, regions with the most won in this period, leads won in it); the currency most used."""
    currency, regions, n = _keeping("won by region", session, _won_by_region)
    return currency, regions[:most], n


def _won_by_region(session: PortalSession) -> tuple[tuple[str, list[Won], int], int]:
    ctx = session.context
    today = ctx.now.date()
    rows = session.execute(
        text("""
            select coalesce(currency, 'EUR') as currency, coalesce(subdivision, country, '') as region,
                   won_on >= :since as recent, sum(won_amount) as total, count(*) as n
            from leads where realm_id = :realm and stage = 'won' and won_on >= :before and won_on <= :today
            group by 1, 2, 3
        """),
        {"realm": ctx.realm_id, "since": today - PERIOD, "before": today - 2 * PERIOD, "today": today},
    ).all()
    used: dict[str, int] = defaultdict(int)
    for row in rows:
        used[row.currency] += row.n
    currency = max(used, key=lambda code: (used[code], code), default="EUR")
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        if row.currency == currency:
            sums[row.region][0 if row.recent else 1] += float(row.total or 0)
    found = sorted((Won(region, now, before) for region, (now, before) in sums.items()), key=lambda w: -w.now)
    recent = sum(row.n for row in rows if row.recent and row.currency == currency)
    return (currency, found, recent), sum(row.n for row in rows)


def by_week(session: PortalSession) -> list[tuple[date, int, int]]:
    """(Monday, received, won) of the last weeks, oldest first."""
    found: list[tuple[date, int, int]] = _keeping("by week", session, _by_week)
    return found


def _by_week(session: PortalSession) -> tuple[list[tuple[date, int, int]], int]:
    ctx = session.context
    first = monday(ctx.now) - timedelta(weeks=WEEKS - 1)
    rows = session.execute(
        text("""
            select cast(date_trunc('week', received_at) as date) as week, count(*) as received, 0 as won
            from leads where realm_id = :realm and received_at >= :first group by 1
            union all
            select cast(date_trunc('week', won_on) as date), 0, count(*)
            from leads where realm_id = :realm and stage = 'won' and won_on >= :first group by 1
        """),
        {"realm": ctx.realm_id, "first": first},
    ).all()
    weeks = [first + timedelta(weeks=n) for n in range(WEEKS)]
    counts: dict[date, list[int]] = {week: [0, 0] for week in weeks}
    for row in rows:
        if row.week in counts:
            counts[row.week][0] += row.received
            counts[row.week][1] += row.won
    return [(week, counts[week][0], counts[week][1]) for week in weeks], sum(map(sum, counts.values()))


def monday(moment: datetime) -> date:
    """The Monday of a moment's week."""
    return moment.date() - timedelta(days=moment.weekday())


REGIONS = text("""
    select f.subdivision, count(*) as n from location_facts f
    join standings s on s.company_id = f.company_id and s.valid_to is null and s.status = 'active'
    where f.realm_id = :realm and f.valid_to is null and f.active and f.subdivision is not null group by 1
""")
_regions: WeakKeyDictionary[Engine, dict[int, tuple[int, Mapping[str, int]]]] = WeakKeyDictionary()


def locations_by_region(session: PortalSession) -> Mapping[str, int]:
    """ISO 3166-2 code -> active partner locations in it, for the vendor; kept until the directory's version moves."""
    ctx, kept = session.context, _regions.setdefault(session.get_bind().engine, {})
    version, found = kept.get(ctx.realm_id, (-1, {}))
    if version < ctx.directory_version:
        found = {row.subdivision: row.n for row in session.read(REGIONS, {"realm": ctx.realm_id})}
        kept[ctx.realm_id] = (ctx.directory_version, found)
    return found


PIPELINE = text("select stage, currency, n, worth from app.pipeline()")


def pipeline(session: PortalSession) -> tuple[dict[str, int], dict[str, dict[str, float]]]:
    """(stage -> leads, currency -> stage -> worth) of the own company's open leads; currencies are never added up."""
    leads: dict[str, int] = defaultdict(int)
    worth: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in session.read(PIPELINE):
        leads[row.stage] += row.n
        if row.worth:
            worth[row.currency][row.stage] += float(row.worth)
    return leads, worth


Row = Mapping[Any, Any]


def lapsing_offers(session: PortalSession, within: timedelta, limit: int = 5) -> list[Row]:
    """Offers whose deadline is near, with the partner's name."""
    now = session.context.now
    query = text("""
        select o.lead_number, o.deadline_at, o.seen_at, o.brief ->> 'title' as title, c.name as partner, l.amount, l.currency
        from offers o join companies c on c.id = o.company_id join leads l on l.id = o.lead_id
        where o.realm_id = :realm and o.state = 'offered' and o.deadline_at between :now and :until
        order by o.deadline_at, o.id limit :n
    """)
    values = {"realm": session.context.realm_id, "now": now, "until": now + within, "n": limit}
    return list(session.execute(query, values).mappings())


def waiting_leads(session: PortalSession, limit: int = 6) -> list[Row]:
    """The queue's leads that a person must look at: those nobody could take, then suspected repeats."""
    query = text("""
        select number, title, city, amount, currency, assignment, assignment_reason, suspected_duplicate_of, received_at
        from leads where realm_id = :realm and stage not in ('won', 'lost', 'invalid', 'duplicate')
          and (assignment = 'unroutable' or (assignment = 'unrouted' and suspected_duplicate_of is not null))
        order by (assignment = 'unroutable') desc, received_at desc, id desc limit :n
    """)
    return list(session.execute(query, {"realm": session.context.realm_id, "n": limit}).mappings())


LAPSING = text("""
    with soon as (
        select distinct on (x.company_id, x.programme) x.company_id, x.programme, x.expires
        from certifications x
        join standings s on s.company_id = x.company_id and s.valid_to is null and s.status = 'active'
        where x.realm_id = :realm and x.valid_to is null and x.expires between :today and :until
          and (cast(:company as bigint) is null or x.company_id = :company)
          and not exists (select 1 from certifications y where y.company_id = x.company_id and y.valid_to is null
                          and y.programme = x.programme and y.product_line is not distinct from x.product_line
                          and (y.expires is null or y.expires > :until))
        order by x.company_id, x.programme, x.expires
    ), nearest as (
        select n.*, c.name from (select * from soon order by expires, company_id limit :most) n
        join companies c on c.id = n.company_id order by n.expires, c.name offset 0
    )
    select n.company_id, n.name, n.programme, p.name as programme_name, n.expires, asked.leads
    from nearest n
    cross join lateral (
        select count(*) as leads from offers o where o.company_id = n.company_id and o.offered_at >= :since
           and o.brief -> 'certifications' ? n.programme) asked
    left join programmes p on p.realm_id = :realm and p.code = n.programme
    where asked.leads > 0 or not :asked order by n.expires, n.name limit :n
""")
# How many lapsing ones are looked at when only those that offers asked for are wanted.
MOST_LAPSING = 50


def lapsing_certificates(
    session: PortalSession, days: int, company: int | None = None, limit: int = 5, *, asked: bool = False
) -> list[Row]:
    """Certificates about to lapse without a successor, with how many offers asked for them in the last 90 days;
    asked: only those that any did ask for."""
    ctx = session.context
    today = ctx.now.date()
    values = {
        "realm": ctx.realm_id,
        "today": today,
        "until": today + timedelta(days=days),
        "company": company,
    }
    most = MOST_LAPSING if asked else limit
    values |= {"since": ctx.now - PERIOD, "most": most, "asked": asked, "n": limit}
    return list(session.read(LAPSING, values).mappings())


def overdue_steps(session: PortalSession, limit: int = 5) -> list[Row]:
    """Next steps whose day is past, in leads that partners hold."""
    ctx = session.context
    values = {"realm": ctx.realm_id, "today": ctx.now.date(), "n": limit}
    return list(session.read(OVERDUE, values).mappings())


OVERDUE = text("""
    select l.number, l.title, l.next_step, l.next_step_on, l.amount, l.currency, c.name as partner
    from (select id, number, title, next_step, next_step_on, amount, currency, holder_company_id from leads
          where realm_id = :realm and assignment = 'held' and holder_company_id is not null and next_step_on < :today
            and stage not in ('won', 'lost', 'invalid', 'duplicate')
          order by next_step_on desc, id limit :n) l
    join companies c on c.id = l.holder_company_id
    order by l.next_step_on desc, l.id
""")


def team(session: PortalSession) -> Row:
    """Of the own company: invited people who have not come yet, and whether the agreement in force is accepted."""
    query = text("""
        select (select array_agg(distinct p.name) from people p join memberships m on m.person_id = p.id
                where m.company_id = :company and p.status = 'invited') as invited,
               exists (select 1 from agreements a join realms r on r.id = a.realm_id
                       where a.company_id = :company and a.valid_to is null and a.version = r.agreement_version) as agreed
    """)
    return session.execute(query, {"company": session.context.company_id}).mappings().one()

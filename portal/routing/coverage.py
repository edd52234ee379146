"""Where the channel is thin: partners that could take a lead, by region and product line, today and when certificates end.

Regions are those of the countries in which somebody works: all of them where our map knows them, else those that
partners' places and territories name. What a line needs is what its leads asked for more often than not.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import select, text
from sqlalchemy.engine import Engine

from portal.companies.models import LocationFact
from portal.db import PortalSession
from portal.partners import queries as partners
from portal.routing.snapshot import Plan, plan
from portal.web.regions import MAPPED
from rules import Place, RuleSet, Snapshot
from rules.coverage import AHEAD, Coverage, Gap, coverage

MOST_REGIONS = 1_000
KEPT = 4
LEAST, MOST_LEAST = 2, 50
"""Fewer partners than this are a gap, unless the reader says otherwise."""

ASKED = text("""
    with asked as (
        select id, product_lines, certifications from leads
        where realm_id = :realm and received_at >= :since order by received_at desc limit 20000
    ), of_line as (select line, count(*) as n from asked, unnest(product_lines) line group by line),
    both_of as (
        select line, programme, count(*) as n from asked, unnest(product_lines) line, unnest(certifications) programme
        group by line, programme)
    select b.line, b.programme from both_of b join of_line l on l.line = b.line where b.n * 2 > l.n order by 1, 2
""")
PERIOD = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Grid:
    """Counts of `found` by place and line; `gaps` by (place, line) as positions, `names` of those who leave."""

    places: Sequence[Place]
    lines: Sequence[str]
    needs: Mapping[str, tuple[str, ...]]
    found: Coverage
    gaps: Mapping[tuple[str, str], Gap]

    def count(self, day: int, region: str, line: str) -> int:
        """Qualified on a day (position in `found.days`)."""
        at = next(n for n, one in enumerate(self.places) if code_of(one) == region)
        return int(self.found.qualified[day, at, self.lines.index(line)])


def code_of(place: Place) -> str:
    """AT-4, or AT where a country has no regions here."""
    return place.subdivision or place.country or ""


def regions(session: PortalSession, snapshot: Snapshot) -> list[Place]:
    """The regions that are looked at, by country and code."""
    named: dict[str, set[str]] = defaultdict(set)
    for one in snapshot.candidates:
        if one.active and one.country:
            named[one.country].update(MAPPED.get(one.country, ()))
        for territory in one.territories if one.active else ():
            if territory.country and territory.kind != "nationwide":
                named[territory.country].update(MAPPED.get(territory.country, ()))
            if territory.kind == "subdivision" and territory.code and territory.country:
                code = territory.code
                named[territory.country].add(code if "-" in code else f"{territory.country}-{code}")
    query = select(LocationFact.country, LocationFact.subdivision).where(
        LocationFact.realm_id == session.context.realm_id,
        LocationFact.valid_to.is_(None),
        LocationFact.subdivision.is_not(None),
    )
    for country, code in session.execute(query.distinct()).all():
        if country in named and country not in MAPPED:
            named[country].add(code if "-" in code else f"{country}-{code}")
    found = []
    for country in sorted(named):
        found += [Place(country, code) for code in sorted(named[country])] or [Place(country)]
    return found[:MOST_REGIONS]


def needs(session: PortalSession, programme: str) -> dict[str, tuple[str, ...]]:
    """Product line -> programmes that a lead of it needs: `programme` for all of them, none for 'none', else what its
    leads of the last 90 days asked for more often than not."""
    if programme:
        only = () if programme == "none" else (programme,)
        return {code: only for code, _name in partners.product_lines(session)}
    ctx, found = session.context, defaultdict(list)
    for row in session.execute(ASKED, {"realm": ctx.realm_id, "since": ctx.now - PERIOD}):
        found[row.line].append(row.programme)
    return {line: tuple(programmes) for line, programmes in found.items()}


_kept: WeakKeyDictionary[Engine, OrderedDict[Any, Grid]] = WeakKeyDictionary()


def grid(
    session: PortalSession,
    least: int,
    programme: str = "",
    rules: RuleSet | None = None,
    today: date | None = None,
) -> Grid:
    """The grid of `rules` (None: those in force) with the partners of today; NoRuleSet when nothing is in force."""
    current: Plan = plan(session)
    chosen, day = rules or current.rules, today or session.context.now.date()
    asked = needs(session, programme)
    lines = [code for code, _name in partners.product_lines(session)]
    key = (
        session.context.realm_id,
        current.version,
        chosen.hash,
        day,
        least,
        tuple(sorted(asked.items())),
        tuple(lines),
    )
    kept = _kept.setdefault(session.get_bind().engine, OrderedDict())
    if key not in kept:
        places = regions(session, current.snapshot)
        found = coverage(chosen, current.snapshot, places, lines, day, least, AHEAD, asked)
        gaps = {(code_of(gap.place), gap.line): gap for gap in found.gaps}
        kept[key] = Grid(places, lines, asked, found, gaps)
        while len(kept) > KEPT:
            kept.popitem(last=False)
    return kept[key]


@dataclass(frozen=True, slots=True)
class Change:
    """A region and line in which a draft lets in more or fewer, today."""

    region: str
    line: str
    before: int
    after: int


def changes(before: Grid, after: Grid) -> list[Change]:
    """Cells that differ today, those that lose everybody first, then by how much."""
    pairs = zip(before.found.qualified[0], after.found.qualified[0], strict=True)
    found = [
        Change(code_of(before.places[at]), line, int(was[n]), int(now[n]))
        for at, (was, now) in enumerate(pairs)
        for n, line in enumerate(before.lines)
        if was[n] != now[n]
    ]
    return sorted(found, key=lambda one: (one.after > 0, one.after - one.before, one.region, one.line))


def thinnest(of: Grid, day: int, lines: Sequence[str] = ()) -> dict[str, int]:
    """Region -> the fewest partners over its lines (default all) on a day."""
    columns = [n for n, line in enumerate(of.lines) if not lines or line in lines]
    if not columns:
        return {}
    fewest = of.found.qualified[day][:, columns].min(axis=1)
    return {code_of(place): int(fewest[at]) for at, place in enumerate(of.places)}

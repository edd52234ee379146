"""A draft on the requests of the past: which would move, from whom to whom, and what each partner gains and loses.

The rule effect asks of each request alone what the rows do to it: both versions decide it with the state that was read
then, and only requests to which a changed row applies are decided at all. The full effect lets both versions route the
requests one after the other from the same start, each taking capacity and turns as it goes.

Both are iterators: they tell how far they are and may be left at any point; the effect then holds for the requests done.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from heapq import heappop, heappush

from .answers import Decision, Engine, State
from .axes import Asked
from .case import Case, cap_window
from .model import Request, Snapshot
from .money import AmountBand, amount_band
from .places import full_subdivision
from .plan import Plan
from .rows import Row
from .ruleset import RuleSet

STEP = 500  # requests between two reports of progress
NOT_ROUTING = ("name", "version", "note", "rules", "examples", "amount_bands")  # parts that decide nothing
UNORDERED = ("require", "exclude", "boost")  # effects for which the order and the ids of rows do not matter

Engines = Callable[[RuleSet, Snapshot], Engine]
Amounts = Counter[str]  # minor units by currency; "" without a currency
Taker = int | str | None  # a location, the vendor's rep who keeps it, or nobody


@dataclass(frozen=True, slots=True)
class Past:
    """A request as it came, the state its decision read, and when its place was free again; None: it still is taken."""

    request: Request
    state: State = field(default_factory=State)
    freed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A request that somebody else would be offered first, or would keep."""

    request_id: int
    before: Taker
    after: Taker


@dataclass(slots=True)
class Flow:
    """What a location or a company gains and loses: requests, and their amounts."""

    gained: int = 0
    lost: int = 0
    gained_minor: Amounts = field(default_factory=Counter)
    lost_minor: Amounts = field(default_factory=Counter)


@dataclass(slots=True)
class Shift:
    """Of the requests of one region, product line or band: how many move, of which from or to nobody, and how much."""

    moved: int = 0
    routable: int = 0
    unroutable: int = 0
    moved_minor: Amounts = field(default_factory=Counter)


@dataclass(slots=True)
class Effect:
    """What changes for the first `done` requests, of which `decided` had to be decided anew.

    `None` among locations and companies is nobody: what it gains is unroutable, what it loses routable again; text is a
    rep of the vendor. A request of several product lines counts in each of them; one without a region, a line or a band
    under "" or None.
    """

    done: int = 0
    decided: int = 0
    moves: list[Move] = field(default_factory=list)
    locations: dict[Taker, Flow] = field(default_factory=dict)
    companies: dict[Taker, Flow] = field(default_factory=dict)
    regions: dict[str, Shift] = field(default_factory=dict)
    lines: dict[str, Shift] = field(default_factory=dict)
    bands: dict[AmountBand | None, Shift] = field(default_factory=dict)

    @property
    def routable(self) -> int:
        """Requests that nobody could take and somebody can."""
        return self.locations.get(None, Flow()).lost

    @property
    def unroutable(self) -> int:
        """Requests that somebody could take and nobody can."""
        return self.locations.get(None, Flow()).gained


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rehearsal is. `effect` is the same object in every report and grows with them."""

    done: int
    total: int
    effect: Effect


def rehearse_rules(
    before: RuleSet,
    after: RuleSet,
    snapshot: Snapshot,
    past: Sequence[Past],
    engines: Engines = Plan,
) -> Iterator[Progress]:
    """The rule effect: each request by itself, with the state of then."""
    tally = _Tally(after, snapshot)
    yield Progress(0, len(past), tally.effect)
    touched = _Touched(before, after, snapshot)
    if not touched.nothing:
        old, new = engines(before, snapshot), engines(after, snapshot)
    for number, one in enumerate(_in_time(past), 1):
        if touched(one.request):
            tally.effect.decided += 1
            first = winner(old.decide(one.request, old.shortlist(one.request), one.state))
            tally.add(
                one.request, first, winner(new.decide(one.request, new.shortlist(one.request), one.state))
            )
        tally.effect.done = number
        if number % STEP == 0 or number == len(past):
            yield Progress(number, len(past), tally.effect)


def rehearse_sequence(
    before: RuleSet,
    after: RuleSet,
    snapshot: Snapshot,
    past: Sequence[Past],
    start: State,
    engines: Engines = Plan,
    held: Iterable[tuple[datetime, int]] = (),
) -> Iterator[Progress]:
    """The full effect: the requests in the order of their times, each offered to the first, who takes it.

    `held` are places of `start` that were free again later: when, and of which location.

    A request that no changed row touches, and whose candidates stand alike in both versions, is decided once.
    """
    tally = _Tally(after, snapshot)
    yield Progress(0, len(past), tally.effect)
    touched = _Touched(before, after, snapshot)
    old, new = engines(before, snapshot), engines(after, snapshot)
    places = sorted(held)
    mine, theirs = Ledger(before, snapshot, start, places), Ledger(after, snapshot, start, places)
    # Counts of caps and turns of pools are not compared: where there are any, everything is decided twice.
    always = any(row.effect in ("cap", "pool") for rules in (before, after) for row in rules.rules)
    apart: set[int] = set()  # locations whose load or credit differs between the versions
    for number, one in enumerate(_in_time(past), 1):
        request = one.request
        changed = mine.until(request.as_of) | theirs.until(request.as_of)
        _compare(changed, mine, theirs, apart)
        shortlist = old.shortlist(request)
        then = old.decide(request, shortlist, mine.state)
        now = then
        if always or touched(request) or not apart.isdisjoint(shortlist.ids):
            tally.effect.decided += 1
            now = new.decide(request, new.shortlist(request), theirs.state)
        tally.add(request, winner(then), winner(now))
        changed = mine.offer(request, then, one.freed) | theirs.offer(request, now, one.freed)
        _compare(changed, mine, theirs, apart)
        tally.effect.done = number
        if number % STEP == 0 or number == len(past):
            yield Progress(number, len(past), tally.effect)


def _in_time(past: Sequence[Past]) -> list[Past]:
    """By time: an engine prepares each day once."""
    return sorted(past, key=lambda one: (one.request.as_of, one.request.id))


def winner(decision: Decision) -> Taker:
    """To whom the request is offered first, or who keeps it."""
    return decision.ranked[0].id if decision.ranked else decision.handling.rep


class Ledger:
    """Load, turns and caps as they go: what is offered takes a place until it is freed, as those `held` (sorted) do."""

    def __init__(
        self, rules: RuleSet, snapshot: Snapshot, start: State, held: Sequence[tuple[datetime, int]] = ()
    ) -> None:
        self._rules, self._snapshot = rules, snapshot
        self._load, self._credit = dict(start.load), dict(start.credit)
        self._pools = {pool: dict(credit) for pool, credit in start.pools.items()}
        self._taken = {row: dict(count) for row, count in start.taken.items()}
        self._caps = [row for row in rules.rules if row.effect == "cap"]
        self._period: dict[str, datetime] = {}
        self._held: list[tuple[datetime, int]] = list(held)
        self.state = State(self._load, self._credit, self._taken, self._pools)

    def until(self, moment: datetime) -> set[int]:
        """Free what is over by then, begin the periods that have begun; the locations concerned."""
        found = set()
        while self._held and self._held[0][0] <= moment:
            _freed, one = heappop(self._held)
            self._load[one] -= 1
            found.add(one)
        for row in self._caps:
            first, _following = cap_window(row.terms.per, moment)
            if self._period.setdefault(row.id, first) != first:
                self._period[row.id] = first
                self._taken[row.id] = {}
        return found

    def offer(self, request: Request, decision: Decision, freed: datetime | None) -> set[int]:
        """The first takes it; the locations concerned."""
        if not decision.ranked:
            return set()
        first, pool = decision.ranked[0].id, decision.handling.pool_name
        self._count(request, first)
        self._load[first] = self._load.get(first, 0) + 1
        turns = self._credit if pool is None else self._pools.setdefault(pool, {})
        turns.update(decision.credits)
        if freed is not None:
            heappush(self._held, (freed, first))
        return {first, *decision.credits}

    def _count(self, request: Request, first: int) -> None:
        position = self._snapshot.position(first) if self._caps else None
        if position is not None:
            case = Case.of(self._rules, self._snapshot, request, self.state)
            for row in case.in_force("cap"):
                if case.meets(row, self._snapshot.candidates[position]):
                    counts = self._taken.setdefault(row.id, {})
                    counts[first] = counts.get(first, 0) + 1

    def of(self, location_id: int) -> tuple[int, int]:
        """Load and credit of a location."""
        return self._load.get(location_id, 0), self._credit.get(location_id, 0)


def _compare(ids: Iterable[int], mine: Ledger, theirs: Ledger, apart: set[int]) -> None:
    for one in ids:
        if mine.of(one) == theirs.of(one):
            apart.discard(one)
        else:
            apart.add(one)


class _Touched:
    """Whether two versions may decide a request differently, given the same state."""

    def __init__(self, before: RuleSet, after: RuleSet, snapshot: Snapshot) -> None:
        self._rates = snapshot.rates
        self._all = _general(before) != _general(after)
        self._rows = changed_rows(before, after)

    @property
    def nothing(self) -> bool:
        return not self._all and not self._rows

    def __call__(self, request: Request) -> bool:
        if self._all:
            return True
        asked = Asked(request, self._rates)
        return any(row.applies(asked) for row in self._rows)


def _general(rules: RuleSet) -> dict[str, object]:
    return {name: value for name, value in rules.to_json().items() if name not in NOT_ROUTING}


def changed_rows(before: RuleSet, after: RuleSet) -> list[Row]:
    """Rows of one version that the other does not have, names and notes aside.

    Of effects whose rows are read in order, or counted by name, all of them when anything about them changed.
    """
    rows: list[Row] = []
    plain = [
        Counter(replace(row, id="", note="") for row in rules.rules if row.effect in UNORDERED)
        for rules in (before, after)
    ]
    rows += [*(plain[0] - plain[1]), *(plain[1] - plain[0])]
    effects = {row.effect for rules in (before, after) for row in rules.rules} - set(UNORDERED)
    for effect in sorted(effects):
        own = [
            [replace(row, note="") for row in rules.rules if row.effect == effect]
            for rules in (before, after)
        ]
        if own[0] != own[1]:
            rows += [*own[0], *own[1]]
    return rows


class _Tally:
    """Counts what moves."""

    def __init__(self, rules: RuleSet, snapshot: Snapshot) -> None:
        self.effect = Effect()
        self._bands = rules.amount_bands
        self._company: Mapping[Taker, Taker] = {one.id: one.company_id for one in snapshot.candidates}

    def add(self, request: Request, before: Taker, after: Taker) -> None:
        if before == after:
            return
        effect = self.effect
        effect.moves.append(Move(request.id, before, after))
        currency, amount = request.currency or "", request.amount_minor or 0
        for flows, loser, gainer in (
            (effect.locations, before, after),
            (effect.companies, self._company.get(before, before), self._company.get(after, after)),
        ):
            lost, gained = flows.setdefault(loser, Flow()), flows.setdefault(gainer, Flow())
            lost.lost += 1
            lost.lost_minor[currency] += amount
            gained.gained += 1
            gained.gained_minor[currency] += amount
        place = request.place
        region = full_subdivision(place.subdivision, place.country) or place.country or ""
        band = amount_band(self._bands, request.amount_minor, request.currency)
        shifts = [effect.regions.setdefault(region, Shift()), effect.bands.setdefault(band, Shift())]
        shifts += [effect.lines.setdefault(line, Shift()) for line in request.product_lines or ("",)]
        for shift in shifts:
            shift.moved += 1
            shift.routable += before is None
            shift.unroutable += after is None
            shift.moved_minor[currency] += amount

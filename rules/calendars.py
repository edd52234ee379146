"""Business calendars: when a location works, and what that makes of a promise in working minutes.

Hours are wall-clock minutes of the local day (0 to 1440), Monday first, any number of spans a day. A span is
turned into an interval of real time, so a day on which the clocks change has its real length: minutes that the
clock skips are not worked, a span runs to the later of two equal wall times. Everything in and out
is an aware datetime; results are in UTC. Nothing here asks what time it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from .errors import CalendarError, NeverOpens

DAY_MINUTES = 1440
HORIZON_DAYS = 400  # closed for so long counts as never open: longer than any year with its holidays
_MINUTE = timedelta(minutes=1)

Spans = tuple[tuple[int, int], ...]


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise CalendarError("time_zone", name, "must be a name such as Europe/Vienna") from error


@dataclass(frozen=True, slots=True)
class Calendar:
    """`weekly[0]` is Monday's spans of (start, end) minutes, end exclusive, up to 1440; `holidays` are local dates."""

    time_zone: str
    weekly: tuple[Spans, ...]
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        _zone(self.time_zone)
        if len(self.weekly) != 7:
            raise CalendarError("weekly", self.weekly, "must have seven days, Monday first")
        for day, spans in enumerate(self.weekly):
            before = 0
            for start, end in spans:
                if not before <= start < end <= DAY_MINUTES:
                    cure = "must be spans of minutes from 0 to 1440, in order, not overlapping"
                    raise CalendarError(f"weekly[{day}]", spans, cure)
                before = end

    def spans_on(self, day: date) -> Spans:
        """The wall-clock spans worked on a local date; none on a holiday."""
        return () if day in self.holidays else self.weekly[day.weekday()]


ALWAYS_OPEN = Calendar("UTC", (((0, DAY_MINUTES),),) * 7)
NEVER_OPEN = Calendar("UTC", ((),) * 7)


def _transition(zone: ZoneInfo, low: datetime, high: datetime) -> datetime:
    """The instant in (low, high] at which the zone's offset changes, to the second, by bisection."""
    before = low.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


@lru_cache(maxsize=65_536)
def _instant(zone_name: str, day: date, minute: int, last: bool) -> datetime:
    """The UTC instant of a wall-clock minute: the first or `last` of two equal ones; the change if skipped."""
    zone = _zone(zone_name)
    if minute == DAY_MINUTES:
        day, minute = day + timedelta(days=1), 0
    wall = datetime.combine(day, time(minute // 60, minute % 60))
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    if second < first:  # the wall time does not exist that day
        return _transition(zone, second, first)
    return second if last else first


def windows(calendar: Calendar, start: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Open intervals in UTC that end after `start`, in order, the first cut at `start`; stops after a year of none."""
    name = calendar.time_zone
    cursor = start.astimezone(UTC)
    # Yesterday too: where clocks go back at midnight its last span may end later than today begins.
    day = start.astimezone(_zone(name)).date() - timedelta(days=1)
    empty = 0
    while empty <= HORIZON_DAYS and day < date.max - timedelta(days=1):
        empty += 1
        for begin, end in calendar.spans_on(day):
            opened, closed = _instant(name, day, begin, False), _instant(name, day, end, True)
            opened = max(opened, cursor)
            if opened < closed:
                yield opened, closed
                cursor, empty = closed, 0
        day += timedelta(days=1)


def next_opening(calendar: Calendar, start: datetime) -> datetime | None:
    """The first instant at or after `start` at which the calendar is open; None when it never opens."""
    return next((opened for opened, _closed in windows(calendar, start)), None)


def opens_within(calendar: Calendar, start: datetime, cap_minutes: int) -> bool:
    """Whether it is open at some instant in [start, start + cap_minutes of wall clock)."""
    opened = next_opening(calendar, start)
    # In UTC first: adding to a local time would add wall-clock minutes over a change of the clocks.
    return opened is not None and opened < start.astimezone(UTC) + cap_minutes * _MINUTE


def add_working(calendar: Calendar, start: datetime, minutes: int) -> datetime:
    """The instant at which `minutes` of working time have passed since `start`; 0 minutes give the next opening.

    Raises NeverOpens when the calendar has not that much working time within reach.
    """
    left = minutes * _MINUTE
    for opened, closed in windows(calendar, start):
        if closed - opened >= left:
            return opened + left
        left -= closed - opened
    raise NeverOpens(
        "calendar", calendar.time_zone, "never opens; give it working hours or use the wall-clock cap"
    )


def deadline(calendar: Calendar, start: datetime, minutes: int, cap_minutes: int) -> datetime:
    """`add_working`, but never later than `cap_minutes` of wall clock after `start`; works for every calendar."""
    cap = start.astimezone(UTC) + cap_minutes * _MINUTE
    left = minutes * _MINUTE
    for opened, closed in windows(calendar, start):
        if opened >= cap:
            break
        if closed - opened >= left:
            return min(cap, opened + left)
        left -= closed - opened
    return cap


def working_minutes_between(calendar: Calendar, start: datetime, end: datetime) -> int:
    """Whole working minutes from `start` to `end`, negative when `end` is the earlier one."""
    start, end = start.astimezone(UTC), end.astimezone(UTC)
    if end < start:
        return -working_minutes_between(calendar, end, start)
    worked = timedelta()
    for opened, closed in windows(calendar, start):
        if opened >= end:
            break
        worked += min(closed, end) - opened
    return worked // _MINUTE

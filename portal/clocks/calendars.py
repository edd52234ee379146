"""Business calendars as stored: JSON in location_facts.calendar <-> rules.Calendar.

{"time_zone": "Europe/Vienna", "weekly": [[[540, 1020]], ...seven days, Monday first], "holidays": ["2026-12-25"]}
Minutes are wall-clock minutes of the local day; the end is exclusive.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import pairwise
from typing import Any

from portal.errors import Fault, Invalid
from portal.web.i18n import _, tr
from rules import Calendar, CalendarError

OFFICE_DAYS = 5
OFFICE_START, OFFICE_END = 9 * 60, 17 * 60
MAX_HOLIDAYS = 400
DAY = 24 * 60
SPAN = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?", re.ASCII)


def office_hours(
    time_zone: str,
    start: int = OFFICE_START,
    end: int = OFFICE_END,
    days: int = OFFICE_DAYS,
    holidays: Iterable[date] = (),
) -> dict[str, Any]:
    """Monday to Friday (`days` from Monday), `start` to `end` minutes, as stored."""
    return {
        "time_zone": time_zone,
        "weekly": [[[start, end]] if day < days else [] for day in range(7)],
        "holidays": sorted(day.isoformat() for day in holidays),
    }


def calendar_of(stored: Mapping[str, Any]) -> Calendar:
    """The calendar of a stored form; raises rules.CalendarError for one that cannot be."""
    return Calendar(
        time_zone=stored["time_zone"],
        weekly=tuple(tuple((int(a), int(b)) for a, b in spans) for spans in stored["weekly"]),
        holidays=frozenset(date.fromisoformat(day) for day in stored.get("holidays", ())),
    )


def dump(calendar: Calendar) -> dict[str, Any]:
    """What is stored for `calendar`; equal calendars give equal JSON."""
    return {
        "time_zone": calendar.time_zone,
        "weekly": [[list(span) for span in spans] for spans in calendar.weekly],
        "holidays": sorted(day.isoformat() for day in calendar.holidays),
    }


def checked(stored: Mapping[str, Any], field: str = "calendar") -> dict[str, Any]:
    """`stored` in its one form, or Invalid naming the part that cannot be."""
    try:
        calendar = calendar_of(stored)
    except CalendarError as error:
        raise Invalid(Fault(field, stored.get("time_zone"), str(error))) from error
    except (KeyError, TypeError, ValueError) as error:
        message = "must have time_zone, weekly (seven lists of [start, end] minutes) and holidays (dates)"
        raise Invalid(Fault(field, None, message)) from error
    if len(calendar.holidays) > MAX_HOLIDAYS:
        raise Invalid(Fault(field, len(calendar.holidays), f"may hold at most {MAX_HOLIDAYS} holidays"))
    return dump(calendar)


def day_text(spans: Iterable[Iterable[int]]) -> str:
    """A day's spans as people write them: '09:00-12:00, 13:00-17:00'; '' when closed."""
    return ", ".join("-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in span) for span in spans)


def parse_day(words: str) -> list[list[int]]:
    """Spans of a day from '9-12, 13:00-17:30'; '' is closed. Raises ValueError with the cure."""
    spans = [_span(part) for part in words.replace("–", "-").split(",") if part.strip()]
    if sorted(spans) != spans or any(a[1] > b[0] for a, b in pairwise(spans)):
        raise ValueError(
            tr(_("Write the hours in order and without overlap, such as 09:00-12:00, 13:00-17:00."))
        )
    return spans


def _span(part: str) -> list[int]:
    found = SPAN.fullmatch(part.strip())
    if found is not None:
        start, end = (int(found[h]) * 60 + int(found[m] or 0) for h, m in ((1, 2), (3, 4)))
        if start < end <= DAY and int(found[2] or 0) < 60 and int(found[4] or 0) < 60:
            return [start, end]
    raise ValueError(tr(_("Write hours as 09:00-17:00; several with a comma; leave empty when closed.")))


load = calendar_of

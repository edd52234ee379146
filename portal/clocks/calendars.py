"""Business calendars as stored: JSON in location_facts.calendar <-> rules.Calendar.

{"time_zone": "Europe/Vienna", "weekly": [[[540, 1020]], ...seven days, Monday first], "holidays": ["2026-12-25"]}
Minutes are wall-clock minutes of the local day; the end is exclusive.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from portal.errors import Fault, Invalid
from rules import Calendar, CalendarError

OFFICE_DAYS = 5
OFFICE_START, OFFICE_END = 9 * 60, 17 * 60
MAX_HOLIDAYS = 400


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


def load(stored: Mapping[str, Any]) -> Calendar:
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
        calendar = load(stored)
    except CalendarError as error:
        raise Invalid(Fault(field, stored.get("time_zone"), str(error))) from error
    except (KeyError, TypeError, ValueError) as error:
        message = "must have time_zone, weekly (seven lists of [start, end] minutes) and holidays (dates)"
        raise Invalid(Fault(field, None, message)) from error
    if len(calendar.holidays) > MAX_HOLIDAYS:
        raise Invalid(Fault(field, len(calendar.holidays), f"may hold at most {MAX_HOLIDAYS} holidays"))
    return dump(calendar)

"""Working time over weekends, holidays and the two nights on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import (
    ALWAYS_OPEN,
    NEVER_OPEN,
    Calendar,
    CalendarError,
    NeverOpens,
    add_working,
    deadline,
    next_opening,
    opens_within,
    working_minutes_between,
)
from tests.rules.worlds import OFFICE

VIENNA = ZoneInfo("Europe/Vienna")
ALL_WEEK = (((0, 1440),),) * 7


def vienna(month: int, day: int, hour: int, minute: int = 0, fold: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=VIENNA, fold=fold)


def test_within_a_day_over_lunch_over_a_weekend_and_over_a_holiday() -> None:
    assert add_working(OFFICE, vienna(11, 23, 10), 60) == vienna(11, 23, 11)
    assert add_working(OFFICE, vienna(11, 23, 11, 30), 60) == vienna(11, 23, 13, 30)
    assert add_working(OFFICE, vienna(11, 27, 16, 30), 60) == vienna(11, 30, 9, 30)
    assert add_working(OFFICE, vienna(12, 7, 16, 30), 60) == vienna(12, 9, 9, 30)


def test_the_end_of_a_span_counts_as_reached_and_nothing_left_opens_the_next() -> None:
    assert add_working(OFFICE, vienna(11, 23, 9), 180) == vienna(11, 23, 12)
    assert add_working(OFFICE, vienna(11, 23, 12), 0) == vienna(11, 23, 13)


def test_next_opening_now_later_or_never() -> None:
    assert next_opening(OFFICE, vienna(11, 23, 10)) == vienna(11, 23, 10)
    assert next_opening(OFFICE, vienna(11, 23, 17)) == vienna(11, 24, 9)
    assert next_opening(OFFICE, vienna(11, 28, 3)) == vienna(11, 30, 9)
    assert next_opening(NEVER_OPEN, vienna(11, 23, 10)) is None


def test_results_are_utc() -> None:
    assert add_working(OFFICE, vienna(11, 23, 10), 5).tzinfo is UTC


def test_opens_within_excludes_the_cap_itself() -> None:
    start = vienna(11, 23, 8)
    assert not opens_within(OFFICE, start, 60)
    assert opens_within(OFFICE, start, 61)
    assert not opens_within(NEVER_OPEN, start, 10**6)


def test_local_times_in_mean_the_same_as_utc() -> None:
    """Minutes are real minutes: 02:00 of a spring night is an hour of the clock, not of time."""
    calendar = Calendar("Europe/Vienna", (((180, 240),),) * 7)
    assert opens_within(calendar, vienna(3, 29, 1, 30), 31)
    assert not opens_within(calendar, vienna(3, 29, 1, 30), 30)
    assert opens_within(calendar, vienna(10, 25, 1, 30), 151)
    assert not opens_within(calendar, vienna(10, 25, 1, 30), 150)
    always = Calendar("Europe/Vienna", ALL_WEEK)
    assert working_minutes_between(always, vienna(10, 25, 2, 30), vienna(10, 25, 2, 30, fold=1)) == 60
    assert working_minutes_between(always, vienna(10, 25, 2, 30, fold=1), vienna(10, 25, 2, 30)) == -60


def test_a_calendar_that_never_opens_has_no_working_time() -> None:
    start = vienna(11, 23, 8)
    with pytest.raises(NeverOpens, match="never opens"):
        add_working(NEVER_OPEN, start, 1)
    assert deadline(NEVER_OPEN, start, 60, 120) == start + timedelta(hours=2)
    assert working_minutes_between(NEVER_OPEN, start, start + timedelta(days=30)) == 0


def test_deadline_is_the_earlier_of_working_time_and_cap() -> None:
    start = vienna(11, 27, 16, 30)
    assert deadline(OFFICE, start, 60, 10_000) == vienna(11, 30, 9, 30)
    assert deadline(OFFICE, start, 60, 600) == start + timedelta(hours=10)
    assert deadline(OFFICE, start, 20, 600) == start + timedelta(minutes=20)


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25), (10, 26, 24)])
def test_a_day_has_its_real_length_when_clocks_change(month: int, day: int, hours: int) -> None:
    calendar = Calendar("Europe/Vienna", ALL_WEEK)
    start = vienna(month, day, 0)
    next_midnight = datetime(2026, month, day, tzinfo=VIENNA) + timedelta(days=1)
    assert working_minutes_between(calendar, start, next_midnight) == hours * 60
    assert add_working(calendar, start, hours * 60) == next_midnight


def test_hours_that_the_clock_skips_are_not_worked() -> None:
    night = Calendar("Europe/Vienna", (((60, 240),),) * 7)  # 01:00 to 04:00
    assert working_minutes_between(night, vienna(3, 29, 0), vienna(3, 29, 12)) == 120
    assert working_minutes_between(night, vienna(10, 25, 0), vienna(10, 25, 12)) == 240
    gap = Calendar("Europe/Vienna", (((150, 210),),) * 7)  # 02:30 to 03:30; 02:30 does not exist on 29 March
    assert next_opening(gap, vienna(3, 29, 0)) == vienna(3, 29, 3)
    assert working_minutes_between(gap, vienna(3, 29, 0), vienna(3, 29, 12)) == 30
    ends_in_gap = Calendar("Europe/Vienna", (((60, 150),),) * 7)
    assert working_minutes_between(ends_in_gap, vienna(3, 29, 0), vienna(3, 29, 12)) == 60
    inside_gap = Calendar("Europe/Vienna", (((130, 170),),) * 7)
    assert working_minutes_between(inside_gap, vienna(3, 29, 0), vienna(3, 29, 12)) == 0


def test_a_span_that_ends_in_the_repeated_hour_runs_to_the_second_of_the_two() -> None:
    calendar = Calendar(
        "Europe/Vienna", (((60, 150),),) * 7
    )  # 01:00 to 02:30; 02:30 comes twice on 25 October
    assert add_working(calendar, vienna(10, 25, 0), 150) == vienna(10, 25, 2, 30, fold=1).astimezone(UTC)
    assert next_opening(calendar, vienna(10, 25, 2, 15, fold=1)) == vienna(10, 25, 2, 15, fold=1).astimezone(
        UTC
    )
    two_spans = Calendar("Europe/Vienna", (((60, 150), (150, 240)),) * 7)
    assert working_minutes_between(two_spans, vienna(10, 25, 0), vienna(10, 25, 12)) == 240


def test_a_gap_at_midnight_and_a_zone_half_an_hour_off() -> None:
    cairo = Calendar("Africa/Cairo", ALL_WEEK)  # clocks go from 00:00 to 01:00 on 24 April 2026
    start = datetime(2026, 4, 23, tzinfo=ZoneInfo("Africa/Cairo"))
    assert working_minutes_between(cairo, start, start.astimezone(UTC) + timedelta(days=2)) == 2880
    lord_howe = Calendar("Australia/Lord_Howe", ALL_WEEK)  # shifts by 30 minutes
    first = datetime(2026, 4, 5, tzinfo=ZoneInfo("Australia/Lord_Howe"))
    assert working_minutes_between(lord_howe, first, first + timedelta(days=1)) == 1470


def test_midnight_that_comes_twice() -> None:
    """In Havana 1 November 2026 begins twice, an hour apart: a span to midnight runs to the second one."""
    havana = ZoneInfo("America/Havana")
    evening = Calendar("America/Havana", (((1200, 1440),),) * 7)
    between = datetime(2026, 11, 1, 0, 30, tzinfo=havana).astimezone(UTC)
    assert next_opening(evening, between) == between
    assert working_minutes_between(evening, between, between + timedelta(hours=6)) == 30
    assert (
        working_minutes_between(Calendar("America/Havana", ALL_WEEK), between, between + timedelta(days=2))
        == 2880
    )


def test_a_local_day_far_from_utc() -> None:
    kiritimati = Calendar("Pacific/Kiritimati", (((540, 1020),),) * 5 + ((), ()))  # UTC+14
    sunday_evening = datetime(2026, 11, 22, 20, tzinfo=UTC)  # Monday 10:00 there
    assert next_opening(kiritimati, sunday_evening) == sunday_evening


@pytest.mark.parametrize(
    ("zone", "weekly", "path"),
    [
        ("Europe/Atlantis", ALL_WEEK, "time_zone"),
        ("../etc/passwd", ALL_WEEK, "time_zone"),
        ("UTC", ALL_WEEK[:6], "weekly"),
        ("UTC", (((600, 540),), *ALL_WEEK[1:]), "weekly[0]"),
        ("UTC", (*ALL_WEEK[:6], ((0, 1441),)), "weekly[6]"),
        ("UTC", (((0, 700), (600, 800)), *ALL_WEEK[1:]), "weekly[0]"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(
    zone: str, weekly: tuple[tuple[tuple[int, int], ...], ...], path: str
) -> None:
    with pytest.raises(CalendarError) as caught:
        Calendar(zone, weekly)
    assert caught.value.path == path


_starts = st.integers(0, 366 * 86_400).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
_calendars = st.sampled_from(
    [
        ALWAYS_OPEN,
        OFFICE,
        Calendar("America/New_York", (((0, 90), (100, 180)),) * 7, frozenset({date(2026, 7, 3)})),
        Calendar("Pacific/Chatham", (((1200, 1440),),) * 7),
    ]
)


@given(_calendars, _starts, st.integers(1, 5_000))
def test_adding_and_measuring_agree(calendar: Calendar, start: datetime, minutes: int) -> None:
    end = add_working(calendar, start, minutes)
    assert working_minutes_between(calendar, start, end) == minutes
    assert working_minutes_between(calendar, end, start) == -minutes
    assert end >= start + timedelta(minutes=minutes)


@given(_calendars, _starts, st.integers(1, 3_000), st.integers(1, 3_000))
def test_time_worked_in_two_parts_is_time_worked(
    calendar: Calendar, start: datetime, one: int, two: int
) -> None:
    assert add_working(calendar, add_working(calendar, start, one), two) == add_working(
        calendar, start, one + two
    )

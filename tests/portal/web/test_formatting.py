"""Numbers, money and times as readers see them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from portal.web.formatting import Formatter
from portal.web.i18n import languages
from tests.portal.web.sheets import NOW

VIENNA = Formatter(NOW, "Europe/Vienna", "en")


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A UTC time in November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (at(23, 15), "today 16:00"),
        (at(24, 8, 30), "tomorrow 09:30"),
        (at(22, 8), "yesterday 09:00"),
        (at(24, 23, 30), "Wed 25 Nov, 00:30"),
        (at(6, 10, 15), "6 Nov, 11:15"),
        (datetime(2027, 3, 31, 10, tzinfo=UTC), "31 Mar 2027, 12:00"),
        (at(23, 23, 30), "tomorrow 00:30"),
    ],
)
def test_when_is_short_in_the_readers_zone(moment, text):
    assert VIENNA.when_text(moment) == text


def test_the_full_time_is_on_hover_and_machine_readable():
    assert VIENNA.when(at(23, 15)) == (
        '<time datetime="2026-11-23T15:00:00Z" title="Monday, 23 November 2026, 16:00 CET">today 16:00</time>'
    )
    assert VIENNA.when(None) == ""


@pytest.mark.parametrize(
    ("away", "text", "tone"),
    [
        (timedelta(hours=3, minutes=12), "3 h 12 min left", ""),
        (timedelta(minutes=42), "42 min left", "bad"),
        (timedelta(hours=2), "2 h left", ""),
        (timedelta(minutes=87), "1 h 27 min left", "warn"),
        (timedelta(days=7), "7 days left", ""),
        (timedelta(days=1, hours=3), "1 day left", ""),
        (timedelta(minutes=-5), "overdue by 5 min", "bad"),
        (timedelta(0), "0 min left", "bad"),
    ],
)
def test_time_left_in_words_and_tone(away, text, tone):
    assert VIENNA.left_text(NOW + away) == text
    assert VIENNA.left_tone(NOW + away) == tone


def test_share_of_a_clock_stays_within_its_bar():
    assert VIENNA.left_share(NOW - timedelta(hours=1), NOW + timedelta(hours=1)) == 50
    assert VIENNA.left_share(NOW - timedelta(hours=2), NOW - timedelta(hours=1)) == 0
    assert VIENNA.left_share(None, NOW) == 0


def test_money_numbers_and_distances():
    assert VIENNA.money(8_400_000, "EUR") == "EUR\u00a084,000"
    assert VIENNA.money(8_400_050, "EUR") == "EUR\u00a084,000.50"
    assert VIENNA.money(84_000, "JPY") == "JPY\u00a084,000"
    assert VIENNA.money(None, "EUR") == ""
    assert VIENNA.band(5_000_000, 10_000_000, "EUR") == "EUR\u00a050,000 to 100,000"
    assert VIENNA.band(None, 1_000_000, "EUR") == "under EUR\u00a010,000"
    assert VIENNA.band(100_000_000, None, "EUR") == "over EUR\u00a01,000,000"
    assert (VIENNA.km(12_300), VIENNA.km(0.0), VIENNA.km(None)) == ("12\u00a0km", "under 1 km", "")
    assert (VIENNA.count(1000), VIENNA.count(1001)) == ("1,000", "1,000+")
    assert (VIENNA.size(2_100_000), VIENNA.size(12), VIENNA.percent(0.074)) == (
        "2.1\u00a0MB",
        "12\u00a0B",
        "7\u00a0%",
    )
    assert VIENNA.signed(-21) == "\u221221"


def test_german_reads_german():
    german = Formatter(NOW, "Europe/Vienna", "de")
    assert german.num(84000.5, 1) == "84.000,5"
    assert german.day_text(date(2026, 11, 24)) == "24. Nov"
    assert "November" in german.long_day(date(2026, 11, 24))


def test_words_are_the_formatters_own_where_there_is_no_request():
    german = Formatter(NOW, "Europe/Vienna", "de")
    assert german.band(2_500_000, 5_000_000, "EUR") == "EUR\u00a025.000 bis 50.000"
    assert german.left_text(NOW + timedelta(hours=22, minutes=2)) == "noch 22 h 2 min"
    assert german.left_text(NOW - timedelta(minutes=5)) == "seit 5 min überfällig"
    assert german.left_text(NOW - timedelta(days=1, hours=5)) == "seit 1 Tag überfällig"
    assert german.left_text(NOW - timedelta(days=3, hours=5)) == "seit 3 Tagen überfällig"
    assert VIENNA.left_text(NOW - timedelta(days=3, hours=5)) == "overdue by 3 days"
    assert german.when_text(NOW) == "heute 12:48"


def test_zone_label_unknown_zone_and_naive_time():
    assert VIENNA.zone_label == "Vienna (CET)"
    assert Formatter(NOW, "Mars/Olympus").zone_label == "Olympus (UTC)"
    with pytest.raises(ValueError, match="aware"):
        VIENNA.when_text(datetime(2026, 1, 1))  # noqa: DTZ001 - naive on purpose


@pytest.mark.parametrize("language", languages())
def test_a_short_date_ends_a_sentence_with_one_full_stop(language: str) -> None:
    fmt = Formatter(NOW, "Europe/Vienna", language)
    for month in range(1, 13):
        for year in (NOW.year, NOW.year - 1):
            for weekday in (False, True):
                assert not fmt.day_text(date(year, month, 10), weekday).endswith("."), (month, year, weekday)

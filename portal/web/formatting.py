"""How numbers, money, distances and times read: in the reader's language and time zone, the full form on hover."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from babel import Locale, dates, numbers
from markupsafe import Markup, escape
from pyramid.threadlocal import get_current_request

from portal.web.i18n import _, counted_in, localizer_of, said_in

SOON_MINUTES = 60
"""Below this much time left a deadline is red (UX.md: red and amber only within the first two hours)."""
NEAR_MINUTES = 120
"""Below this much time left a deadline is amber."""
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LONG_MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
               "December")  # fmt: skip
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@lru_cache(maxsize=256)
def zone(name: str | None) -> ZoneInfo:
    """Time zone by name; UTC for an unknown one, so that a wrong setting never breaks a page."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=1)
def zone_names() -> dict[str, str]:
    """Time zones that a person may choose: name -> 'America/New York'."""
    named = {}
    for name in available_timezones():
        area, slash, place = name.partition("/")
        if slash and area not in ("Etc", "SystemV", "US"):
            named[name] = f"{area}/{place}".replace("_", " ")
    return {"UTC": "UTC", **dict(sorted(named.items(), key=lambda pair: pair[1]))}


@lru_cache(maxsize=64)
def _locale(name: str) -> Locale:
    """Babel's locale; plain English reads day before month, as the channel's countries do."""
    return Locale.parse("en_GB" if name == "en" else name.replace("-", "_"))


@lru_cache(maxsize=64)
def _day_pattern(locale: str, skeleton: str) -> str:
    """How a language orders the parts of a short date, its month standing alone."""
    known = _locale(locale).datetime_skeletons
    return str(known[dates.match_skeleton(skeleton, known)].pattern).replace("MMM", "LLL")


@lru_cache(maxsize=256)
def _city(zone_name: str, locale: str) -> str:
    """The city a time zone is named after, in the reader's language; the zone's own word where Babel has none."""
    if zone(zone_name).key == zone_name and "/" in zone_name:
        return str(dates.get_timezone_location(zone_name, locale=_locale(locale), return_city=True))
    return zone_name.rsplit("/", 1)[-1].replace("_", " ")


@lru_cache(maxsize=64)
def currency_digits(currency: str) -> int:
    """Minor digits of a currency: 2 for EUR, 0 for JPY."""
    return int(numbers.get_currency_precision(currency))


@dataclass(frozen=True)
class Formatter:
    """Formats for one reader. now: aware, the realm's clock."""

    now: datetime
    zone_name: str = "UTC"
    locale: str = "en"
    _english: bool = field(init=False, default=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_english", self.locale.split("_")[0].split("-")[0] == "en")

    def tr(self, marked: Any) -> str:
        """A marked string in the reader's language, which is not always the request's: a worker has no request."""
        return said_in(localizer_of(self.locale), marked)

    def ntr(self, singular: str, plural: str, n: int, **values: Any) -> str:
        """A counted sentence in the reader's language."""
        return counted_in(localizer_of(self.locale), singular, plural, n, **values)

    @cached_property
    def tz(self) -> ZoneInfo:
        """The reader's zone."""
        return zone(self.zone_name)

    @cached_property
    def today(self) -> date:
        """The reader's date."""
        return self.now.astimezone(self.tz).date()

    @property
    def zone_label(self) -> str:
        """'Vienna (CET)' for the footer."""
        city = _city(self.zone_name, self.locale)
        return f"{city} ({self.now.astimezone(self.tz).tzname()})"

    # numbers

    def country(self, code: str | None) -> str:
        """'Österreich' for AT in the reader's language; an unknown code as it is, '' for none."""
        return str(_locale(self.locale).territories.get(code.upper(), code)) if code else ""

    def num(self, value: float | Decimal | None, digits: int | None = None) -> str:
        """Grouped number, '' for None; `digits` fixes the decimals."""
        if value is None:
            return ""
        if self._english:
            return f"{value:,}" if digits is None else f"{value:,.{digits}f}"
        pattern = None if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
        return str(numbers.format_decimal(value, format=pattern, locale=_locale(self.locale)))

    @property
    def decimal_comma(self) -> bool:
        """Whether the reader, and so the reader's spreadsheet, writes 12,5."""
        return str(numbers.get_decimal_symbol(_locale(self.locale))) == ","

    def signed(self, value: int) -> str:
        """Number with its sign, a true minus: '+41', '−21'."""
        return ("+" if value > 0 else "\u2212" if value < 0 else "") + self.num(abs(value))

    def count(self, value: int, limit: int = 1000) -> str:
        """Exact up to the limit, then '1,000+'."""
        return self.num(value) if value <= limit else self.num(limit) + "+"

    def percent(self, share: float, digits: int = 0) -> str:
        """Share 0..1 as '7 %'."""
        return f"{self.num(share * 100, digits)}\u00a0%"

    def amount(self, minor: int | None, currency: str | None) -> str:
        """Minor units without the currency word, cents only when there are any; for columns with the unit in the head."""
        if minor is None:
            return ""
        digits = currency_digits(currency or "EUR")
        value = Decimal(minor).scaleb(-digits)
        return self.num(value, 0) if value == value.to_integral_value() else self.num(value, digits)

    def money(self, minor: int | None, currency: str | None) -> str:
        """Minor units as 'EUR 84,000'; '' for None."""
        return "" if minor is None else f"{currency or 'EUR'}\u00a0{self.amount(minor, currency)}"

    def band(self, low: int | None, high: int | None, currency: str | None) -> str:
        """An amount band in minor units: 'EUR 50,000 to 100,000', 'under EUR 10,000', 'over EUR 1,000,000'."""
        if low and high:
            return self.tr(
                _("${a} to ${b}", mapping={"a": self.money(low, currency), "b": self.amount(high, currency)})
            )
        if high:
            return self.tr(_("under ${a}", mapping={"a": self.money(high, currency)}))
        return self.tr(_("over ${a}", mapping={"a": self.money(low, currency)})) if low else ""

    def km(self, metres: float | None) -> str:
        """Metres as '12 km', under 1 km 'under 1 km'; '' for None."""
        if metres is None:
            return ""
        return self.tr(_("under 1 km")) if metres < 1000 else f"{self.num(round(metres / 1000))}\u00a0km"

    def size(self, octets: int) -> str:
        """Octets as '2.1 MB'."""
        value, unit = float(octets), "B"
        for step in ("kB", "MB", "GB"):
            if value < 1000:
                break
            value, unit = value / 1000, step
        return (
            f"{self.num(round(value), 0) if unit == 'B' or value >= 100 else self.num(value, 1)}\u00a0{unit}"
        )

    # times

    def local(self, moment: datetime) -> datetime:
        """In the reader's zone; a naive time is an error of the caller."""
        if moment.tzinfo is None:
            raise ValueError(f"time {moment!r} has no zone; give an aware datetime (UTC from the database)")
        return moment.astimezone(self.tz)

    def day_text(self, day: date, weekday: bool = False) -> str:
        """'24 Nov', 'Tue 24 Nov', with the year when it is another one.

        Months stand in their stand-alone form (CLDR), in German 'Nov' and not 'Nov.': sentences end with a date, and
        would end with two full stops.
        """
        year = day.year != self.today.year
        if self._english:
            text = f"{day.day} {MONTHS[day.month - 1]}" + (f" {day.year}" if year else "")
            return f"{DAYS[day.weekday()]} {text}" if weekday else text
        skeleton = ("y" if year else "") + "MMM" + ("E" if weekday else "") + "d"
        return str(dates.format_date(day, _day_pattern(self.locale, skeleton), locale=_locale(self.locale)))

    def time_text(self, moment: datetime) -> str:
        """'16:00' in the reader's zone."""
        return self.local(moment).strftime("%H:%M")

    def when_text(self, moment: datetime) -> str:
        """'today 16:00', 'tomorrow 09:30', 'Tue 24 Nov, 12:00' within a week, else '6 Nov, 11:15'."""
        return self._when_text(self.local(moment))

    def _when_text(self, local: datetime) -> str:
        time, away = f"{local.hour:02}:{local.minute:02}", (local.date() - self.today).days
        if away == 0:
            return self.tr(_("today ${time}", mapping={"time": time}))
        if away == 1:
            return self.tr(_("tomorrow ${time}", mapping={"time": time}))
        if away == -1:
            return self.tr(_("yesterday ${time}", mapping={"time": time}))
        return f"{self.day_text(local.date(), weekday=abs(away) <= 7)}, {time}"

    def full_text(self, moment: datetime) -> str:
        """'Monday, 23 November 2026, 16:00 CET'."""
        return self._full_text(self.local(moment))

    def _full_text(self, local: datetime) -> str:
        return f"{self.long_day(local.date())}, {local.hour:02}:{local.minute:02} {local.tzname()}"

    def long_day(self, day: date | datetime) -> str:
        """'Monday, 23 November 2026'."""
        if isinstance(day, datetime):
            day = self.local(day).date()
        if self._english:
            return f"{LONG_DAYS[day.weekday()]}, {day.day} {LONG_MONTHS[day.month - 1]} {day.year}"
        return str(dates.format_date(day, "full", locale=_locale(self.locale)))

    def _time(self, moment: datetime, text: str, more: str = "", local: datetime | None = None) -> Markup:
        utc = moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat()
        full = escape(self._full_text(local or self.local(moment)))
        return Markup(f'<time datetime="{utc}Z" title="{full}"{more}>{escape(text)}</time>')  # nosec

    def when(self, moment: datetime | None) -> Markup:
        """Short absolute time with the full one on hover; '' for None."""
        if moment is None:
            return Markup("")
        local = self.local(moment)  # once: a list has a hundred of these
        return self._time(moment, self._when_text(local), local=local)

    def time(self, moment: datetime | None) -> Markup:
        """Time of day alone, full on hover: under a day's heading."""
        return Markup("") if moment is None else self._time(moment, self.time_text(moment))

    def date(self, day: date | datetime | None, weekday: bool = False) -> Markup:
        """Short date with the full one on hover; a datetime is taken in the reader's zone."""
        if day is None:
            return Markup("")
        day = self.local(day).date() if isinstance(day, datetime) else day
        full, text = escape(self.long_day(day)), escape(self.day_text(day, weekday))
        return Markup(f'<time datetime="{day.isoformat()}" title="{full}">{text}</time>')  # nosec

    def duration(self, length: timedelta | float) -> str:
        """A timedelta or minutes: '42 min', '3 h 12 min', '2 days'."""
        minutes = int(length.total_seconds() // 60) if isinstance(length, timedelta) else int(length)
        if minutes < 60:
            return self.tr(_("${n} min", mapping={"n": minutes}))
        if minutes < 24 * 60:
            h, m = divmod(minutes, 60)
            both, whole = _("${h} h ${m} min", mapping={"h": h, "m": m}), _("${h} h", mapping={"h": h})
            return self.tr(both if m else whole)
        return self.ntr("${n} day", "${n} days", minutes // (24 * 60))

    def left_text(self, until: datetime) -> str:
        """'3 h 12 min left', or 'overdue by 5 min' when it has run out."""
        rest = until - self.now
        if rest <= -timedelta(days=1):  # a sentence of its own: German says 3 Tage, but "seit 3 Tagen"
            return self.ntr("overdue by ${n} day", "overdue by ${n} days", -rest // timedelta(days=1))
        if rest < timedelta(0):
            return self.tr(_("overdue by ${time}", mapping={"time": self.duration(-rest)}))
        return self.tr(_("${time} left", mapping={"time": self.duration(rest)}))

    def left_tone(self, until: datetime) -> str:
        """'bad' within the last hour, 'warn' within two, else ''."""
        minutes = (until - self.now).total_seconds() / 60
        return "bad" if minutes < SOON_MINUTES else "warn" if minutes < NEAR_MINUTES else ""

    def left(self, until: datetime | None) -> Markup:
        """Time left, ticking where scripts run."""
        if until is None:
            return Markup("")
        tone = self.left_tone(until)
        return self._time(
            until, self.left_text(until), f' class="left{" t-" + tone if tone else ""}" data-until'
        )

    def left_share(self, started: datetime | None, until: datetime) -> int:
        """How much of a clock is left, 0 to 100."""
        if started is None or until <= started:
            return 0
        return max(0, min(100, round(100 * ((until - self.now) / (until - started)))))


def formatter(request: Any) -> Formatter:
    """The reader's formatter: request.now, request.time_zone and request.locale_name decide."""
    try:
        now = getattr(request, "now", None)
    except Exception:  # an error page is drawn where the database, and so the realm's clock, cannot be asked
        now = None
    now = now or datetime.now(UTC)
    return Formatter(
        now, getattr(request, "time_zone", None) or "UTC", getattr(request, "locale_name", None) or "en"
    )


class CurrentFormatter:
    """`fmt` in templates and macros: stands for the current request's formatter, UTC English without one."""

    def __getattr__(self, name: str) -> Any:
        request = get_current_request()
        own = getattr(request, "fmt", None) if request is not None else None
        return getattr(own or formatter(request), name)


fmt = CurrentFormatter()

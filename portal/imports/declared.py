"""What a mapping declares besides the file, in short forms a person can write: working hours and territories."""

import re
from datetime import date
from typing import Any
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from portal.imports.records import CalendarRecord, TerritoryRecord

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)-([01]?\d|2[0-4]):([0-5]\d)")


class Holidays(BaseModel):
    """Public holidays of a country (or one of its areas) in some years, observed days included."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    country: str
    area: str | None = None
    years: tuple[int, int]

    def days(self) -> list[date]:
        """The days, sorted."""
        import holidays

        first, last = self.years
        try:
            found = holidays.country_holidays(self.country, subdiv=self.area, years=range(first, last + 1))
        except NotImplementedError as error:
            raise ValueError(f"no holidays are known for {self.country} {self.area or ''}".strip()) from error
        return sorted(found)


class OfficeHours(BaseModel):
    """Working hours in short: {time_zone: Europe/Vienna, days: mon-fri, hours: "9:00-17:00", holidays: {...}}."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    time_zone: str
    days: str = "mon-fri"
    hours: list[str] = Field(default_factory=lambda: ["9:00-17:00"])
    holidays: Holidays | None = None

    @field_validator("hours", mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError("there is no such time zone; use a name such as Europe/Vienna")
        return name

    def stored(self) -> CalendarRecord:
        """The form that locations keep: minutes of the day by weekday, Monday first."""
        spans = sorted(_span(text) for text in self.hours)
        open_days = _days(self.days)
        return {
            "time_zone": self.time_zone,
            "weekly": [[list(span) for span in spans] if day in open_days else [] for day in range(7)],
            "holidays": [day.isoformat() for day in self.holidays.days()] if self.holidays else [],
        }


def _span(text: str) -> tuple[int, int]:
    match = _HOURS.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} are no hours; write 9:00-17:00")
    start, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if not start < end <= 24 * 60:
        raise ValueError(f"{text!r} end before they begin; write 9:00-17:00")
    return start, end


def _days(text: str) -> set[int]:
    days: set[int] = set()
    for part in text.lower().replace(" ", "").split(","):
        first, _, last = part.partition("-")
        if first not in DAYS or (last and last not in DAYS):
            raise ValueError(f"{part!r} are no days; write mon-fri or mon,wed,fri")
        start, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % 7 for day in range(start, end + 1 if end >= start else end + 8)}
    return days


def territory(given: str | dict[str, Any]) -> TerritoryRecord:
    """A territory from "US-MD" (area), "AT" (country), "AT:40" (postal prefix), "nationwide AT" or its full form."""
    if isinstance(given, dict):
        return TypeAdapter(TerritoryRecord).validate_python(given, strict=True)
    text = given.strip()
    if match := re.fullmatch(r"([A-Z]{2})-[A-Z0-9]{1,3}", text):
        return {"kind": "subdivision", "country": match[1], "code": text}
    if re.fullmatch(r"[A-Z]{2}", text):
        return {"kind": "country", "country": text}
    if match := re.fullmatch(r"([A-Z]{2}):([A-Z0-9 -]{1,10})", text):
        return {"kind": "postal_prefix", "country": match[1], "code": match[2]}
    if match := re.fullmatch(r"nationwide ([A-Z]{2})", text):
        return {"kind": "nationwide", "country": match[1]}
    raise ValueError(f"{text!r} is no territory; write US-MD, AT, AT:40 or nationwide AT")


def expanded(path: str, value: Any) -> Any:
    """A declared value in the form that records have."""
    name = path.rpartition(".")[2]
    if name == "calendar" and isinstance(value, dict) and "weekly" not in value:
        return OfficeHours.model_validate(value).stored()
    if name == "territories":
        return [territory(one) for one in ([value] if isinstance(value, str) else value)]
    return value

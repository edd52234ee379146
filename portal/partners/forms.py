"""Forms of the partner pages: what may be typed, in which words. Rules that need the database stand in the actions."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, Field, field_validator

from portal.clocks import calendars
from portal.web.formatting import zone_names
from portal.web.forms import read_day, written_day
from portal.web.i18n import _, tr

STATUS_WORDS = {
    "prospect": _("Prospect"),
    "active": _("Active"),
    "suspended": _("Suspended"),
    "ended": _("Ended"),
}
KIND_WORDS = {
    "country": _("A country"),
    "subdivision": _("A region (ISO 3166-2)"),
    "postal_prefix": _("Postal codes that begin with"),
    "circle": _("A circle around a point"),
    "nationwide": _("Everywhere"),
}
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOURS = _("Such as 09:00-12:00, 13:00-17:00. Empty when closed.")

ZONES: Any = {"suggest": zone_names}


class OwnCompanyForm(BaseModel):
    """What a company says of itself and may change itself."""

    website: str | None = Field(None, title=_("Website"), max_length=200, json_schema_extra={"widget": "url"})
    phone: str | None = Field(None, title=_("Phone"), max_length=40, json_schema_extra={"widget": "tel"})
    description: str | None = Field(
        None,
        title=_("Description"),
        description=_("What the company does, for whoever looks for a partner."),
        max_length=4000,
        json_schema_extra={"widget": "textarea"},
    )
    time_zone: str = Field(
        "UTC",
        title=_("Time zone"),
        description=_("Such as Europe/Vienna."),
        max_length=60,
        json_schema_extra=ZONES,
    )


class NamedForm(BaseModel):
    """What comes first on the vendor's form of a partner."""

    name: str = Field(title=_("Name"), max_length=200)
    level: str | None = Field(None, title=_("Level"))


class PartnerForm(OwnCompanyForm, NamedForm):
    """What the vendor may change: name and programme level first, then what the company says of itself."""


class LocationForm(BaseModel):
    """A place from which a partner works."""

    name: str = Field(title=_("Name of the location"), max_length=200)
    street: str | None = Field(None, title=_("Street"), max_length=200)
    postal: str | None = Field(None, title=_("Postal code"), max_length=20)
    city: str | None = Field(None, title=_("Town"), max_length=100)
    country: str | None = Field(
        None, title=_("Country"), description=_("Two letters, such as AT."), max_length=2
    )
    subdivision: str | None = Field(
        None, title=_("Region"), description=_("ISO 3166-2 code, such as AT-4."), max_length=6
    )
    lat: float | None = Field(
        None,
        title=_("Latitude"),
        description=_("Degrees, such as 48.2097. Found from the address when both stay empty."),
    )
    lon: float | None = Field(None, title=_("Longitude"), description=_("Degrees, such as 14.2903."))
    phone: str | None = Field(None, title=_("Phone"), max_length=40, json_schema_extra={"widget": "tel"})
    capacity: int = Field(
        10,
        title=_("Capacity"),
        description=_("How many offers and leads it can have in hand at a time."),
        ge=0,
        le=100_000,
        json_schema_extra={"unit": _("leads")},
    )
    active: bool = Field(True, title=_("Takes offers"))


class OwnLocationForm(BaseModel):
    """What a partner may change of its location itself."""

    phone: str | None = Field(None, title=_("Phone"), max_length=40, json_schema_extra={"widget": "tel"})
    capacity: int = Field(
        10,
        title=_("Capacity"),
        description=_("How many offers and leads you can have in hand at a time."),
        ge=0,
        le=100_000,
        json_schema_extra={"unit": _("leads")},
    )


class NewPartnerForm(PartnerForm):
    """A partner with its first location."""

    status: Literal["prospect", "active"] = Field(
        "prospect", title=_("Status"), json_schema_extra={"labels": STATUS_WORDS}
    )
    street: str | None = Field(None, title=_("Street"), max_length=200)
    postal: str | None = Field(None, title=_("Postal code"), max_length=20)
    city: str = Field(title=_("Town"), max_length=100)
    country: str = Field(title=_("Country"), description=_("Two letters, such as AT."), max_length=2)


class CertificationForm(BaseModel):
    """A certification of the company."""

    programme: str = Field(title=_("Programme"))
    level: str | None = Field(None, title=_("Level of the certification"), max_length=60)
    number: str | None = Field(None, title=_("Number"), max_length=60)
    issued: date | None = Field(None, title=_("Issued on"))
    expires: date | None = Field(
        None, title=_("Expires on"), description=_("The last day it holds. Empty when it does not end.")
    )
    product_line: str | None = Field(
        None, title=_("Only for product line"), description=_("None: for all of them.")
    )


class LinesForm(BaseModel):
    """What the partner may sell."""

    product_lines: list[str] = Field(default_factory=list, title=_("Product lines the partner may sell"))


class TerritoryForm(BaseModel):
    """Where a location works."""

    kind: Literal["country", "subdivision", "postal_prefix", "circle", "nationwide"] = Field(
        title=_("Kind"), json_schema_extra={"widget": "radio", "labels": KIND_WORDS}
    )
    country: str | None = Field(
        None,
        title=_("Country"),
        description=_("Two letters, such as AT; for a country or postal codes."),
        max_length=2,
    )
    code: str | None = Field(
        None,
        title=_("Code"),
        description=_("The region, such as AT-4, or the first characters."),
        max_length=12,
    )
    lat: float | None = Field(None, title=_("Latitude of the circle"))
    lon: float | None = Field(None, title=_("Longitude of the circle"))
    radius_km: float | None = Field(None, title=_("Radius"), json_schema_extra={"unit": "km"})


class CalendarForm(BaseModel):
    """When a location works."""

    time_zone: str = Field(
        title=_("Time zone"), description=_("Such as Europe/Vienna."), max_length=60, json_schema_extra=ZONES
    )
    monday: str | None = Field(None, title=_("Monday"), description=HOURS, max_length=100)
    tuesday: str | None = Field(None, title=_("Tuesday"), max_length=100)
    wednesday: str | None = Field(None, title=_("Wednesday"), max_length=100)
    thursday: str | None = Field(None, title=_("Thursday"), max_length=100)
    friday: str | None = Field(None, title=_("Friday"), max_length=100)
    saturday: str | None = Field(None, title=_("Saturday"), max_length=100)
    sunday: str | None = Field(None, title=_("Sunday"), max_length=100)
    holidays: str | None = Field(
        None,
        title=_("Holidays"),
        description=_("One date in each line, such as 2026-12-25."),
        max_length=6000,
        json_schema_extra={"widget": "textarea"},
    )

    @field_validator(*DAYS)
    @classmethod
    def _hours(cls, value: str | None) -> str | None:
        calendars.parse_day(value or "")
        return value

    @field_validator("holidays")
    @classmethod
    def _dates(cls, value: str | None) -> str | None:
        for line in (value or "").split():
            try:
                read_day(line)
            except ValueError as error:
                raise ValueError(tr(_("Write each holiday as 2026-12-25."))) from error
        return value

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Self:
        """The form filled from a stored calendar."""
        days: Sequence[Any] = stored["weekly"]
        words = {name: calendars.day_text(days[n]) for n, name in enumerate(DAYS)}
        holidays = [written_day(date.fromisoformat(day)) for day in stored.get("holidays", ())]
        return cls(time_zone=stored["time_zone"], holidays="\n".join(holidays), **words)

    def stored(self) -> dict[str, Any]:
        """As location_facts keeps it."""
        return {
            "time_zone": self.time_zone,
            "weekly": [calendars.parse_day(getattr(self, day) or "") for day in DAYS],
            "holidays": sorted({read_day(day).isoformat() for day in (self.holidays or "").split()}),
        }


class InviteForm(BaseModel):
    """Somebody who shall be able to sign in."""

    email: str = Field(title=_("E-mail"), max_length=254, json_schema_extra={"widget": "email"})
    name: str = Field(title=_("Name"), max_length=200)
    roles: list[str] = Field(title=_("Roles"), min_length=1)

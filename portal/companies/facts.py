"""What a company and a location may say of themselves: checks that name field, value and cure."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pycountry

from portal.clocks import calendars
from portal.errors import Fault, Invalid
from portal.web.i18n import _, tr

MAX_NAME, MAX_LINE, MAX_TEXT = 200, 200, 4000
MAX_CAPACITY = 100_000
PRECISIONS = ("exact", "postal", "city", "subdivision", "country")

COMPANY_FIELDS = ("name", "website", "phone", "description", "language", "time_zone", "external_key")
LOCATION_FIELDS = (
    "street",
    "city",
    "postal",
    "subdivision",
    "country",
    "lat",
    "lon",
    "precision",
    "phone",
    "capacity",
    "calendar",
    "active",
)


class Faults(list[Fault]):
    """Collects faults, so that one answer names them all."""

    def add(self, field: str, value: object, message: str) -> None:
        """One more fault; the message is translated here."""
        self.append(Fault(field, value, tr(message)))

    def refuse(self) -> None:
        """Raise Invalid when there is any."""
        if self:
            raise Invalid(*self)


def company(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` with texts stripped (empty ones None); Invalid when a field cannot be used."""
    faults = Faults()
    made = {name: _text(value) for name, value in given.items() if name in COMPANY_FIELDS}
    if "name" in made and not made["name"]:
        faults.add("name", given["name"], _("Give the company a name."))
    for name, value in made.items():
        most = MAX_TEXT if name == "description" else MAX_NAME
        if value and len(value) > most:
            faults.add(name, value[:40], _("Shorten this to ${n} characters.", mapping={"n": most}))
    zone = made.get("time_zone")
    if "time_zone" in made and not _is_zone(zone):
        faults.add("time_zone", zone, _("Choose a time zone such as Europe/Vienna."))
    site = made.get("website")
    if site and not site.startswith(("http://", "https://")):
        made["website"] = f"https://{site}"
    faults.refuse()
    return made


def location(given: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of a location in their stored form; only those given. Invalid when one cannot be used."""
    faults = Faults()
    made = {name: value for name, value in given.items() if name in LOCATION_FIELDS}
    for name in ("street", "city", "postal", "subdivision", "country", "precision", "phone"):
        if name in made:
            made[name] = _text(made[name])
            if made[name] and len(made[name]) > MAX_LINE:
                faults.add(
                    name, made[name][:40], _("Shorten this to ${n} characters.", mapping={"n": MAX_LINE})
                )
    if made.get("country"):
        made["country"] = made["country"].upper()
        if not is_country(made["country"]):
            faults.add("country", made["country"], _("Use a country's two letters (ISO 3166-1), such as AT."))
    if made.get("subdivision"):
        made["subdivision"] = made["subdivision"].upper()
        if not is_subdivision(made["subdivision"]):
            faults.add("subdivision", made["subdivision"], _("Use a region's ISO 3166-2 code, such as AT-4."))
    if made.get("precision") and made["precision"] not in PRECISIONS:
        faults.add("precision", made["precision"], _("Choose how well the position is known from the list."))
    _coordinates(made, faults)
    capacity = made.get("capacity", 0)
    if not isinstance(capacity, int) or isinstance(capacity, bool) or not 0 <= capacity <= MAX_CAPACITY:
        message = _("Give a whole number from 0 to ${n}.", mapping={"n": MAX_CAPACITY})
        faults.add("capacity", made.get("capacity"), message)
    faults.refuse()
    if "calendar" in made:
        made["calendar"] = calendars.checked(made["calendar"])
    return made


def _coordinates(made: dict[str, Any], faults: Faults) -> None:
    if ("lat" in made) != ("lon" in made) or (made.get("lat") is None) != (made.get("lon") is None):
        faults.add("lat", made.get("lat"), _("Give latitude and longitude together, or neither."))
        return
    for name, most in (("lat", 90), ("lon", 180)):
        value = made.get(name)
        if value is not None and not (isinstance(value, float | int) and -most <= value <= most):
            faults.add(name, value, _("Give degrees from -${n} to ${n}.", mapping={"n": most}))


def is_country(code: str) -> bool:
    """True for an ISO 3166-1 alpha-2 code."""
    return len(code) == 2 and pycountry.countries.get(alpha_2=code) is not None


def is_subdivision(code: str) -> bool:
    """True for an ISO 3166-2 code."""
    return pycountry.subdivisions.get(code=code) is not None


def day(value: date | None, field: str, faults: Faults) -> None:
    """A day that a certificate can carry: the years 1900 to 2199."""
    if value is not None and not 1900 <= value.year < 2200:
        faults.add(field, value, _("Give a day between 1900 and 2199."))


def _text(value: Any) -> str | None:
    return str(value).strip() or None if value is not None else None


def _is_zone(name: str | None) -> bool:
    try:
        return bool(name) and ZoneInfo(str(name)) is not None
    except (KeyError, ValueError, OSError):
        return False

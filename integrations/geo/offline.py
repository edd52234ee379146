"""Places from what is on this machine: no address ever leaves it, and the same question always has the same answer."""

from dataclasses import dataclass
from typing import Literal, Protocol

from integrations.geo import codes, us, world

Precision = Literal["exact", "postal", "city", "subdivision", "country"]


@dataclass(frozen=True, slots=True)
class Located:
    """A place: degrees (WGS 84; 0.0 is a coordinate), how precise they are, and what else follows from it."""

    lat: float
    lon: float
    precision: Precision
    subdivision: str | None = None
    city: str | None = None
    time_zone: str | None = None


class Geocoder(Protocol):
    """What finds the place of an address."""

    def locate(
        self, country: str, postal: str | None = None, city: str | None = None, subdivision: str | None = None
    ) -> Located | None:
        """The most precise place known for an address; None when not even the country is known."""
        ...


class OfflineGeocoder:
    """Postal codes of the United States, towns of the world, areas and countries, from packages we ship with."""

    def locate(
        self, country: str, postal: str | None = None, city: str | None = None, subdivision: str | None = None
    ) -> Located | None:
        """As the protocol. A postal code wins over the town, the town over the area, the area over the country.

        `country` and `subdivision` may be codes or names. A town is looked for in the given area only; when the area
        is given but not understood it is left out of the question.
        """
        country_code = codes.country(country) if country else None
        if country_code is None:
            return None
        area = codes.subdivision(country_code, subdivision) if subdivision else None
        if country_code == "US":
            return _in_the_us(postal, city, area) or _middle(country_code, area)
        found = world.find(country_code, city, area) if city else None
        if found:
            lat, lon = found.point
            return Located(lat, lon, "city", found.area or area, found.name, found.time_zone)
        return _middle(country_code, area)

    def warm(self, country: str = "US") -> None:
        """Load what the first question for `country` would load (up to a second)."""
        self.locate(country, postal="00000", city="-", subdivision="DC" if country == "US" else None)


def _in_the_us(postal: str | None, city: str | None, area: str | None) -> Located | None:
    code = us.find(postal) if postal else None
    if code and code.point and (area is None or area == f"US-{code.state}"):
        return Located(*code.point, "postal", _iso(code.state), code.city, code.time_zone)
    state = area[3:] if area else code.state if code else None
    town = us.town(city, state) if city and state else None
    if town and town.point:
        return Located(*town.point, "city", _iso(town.state), town.city, town.time_zone)
    # The ZIP codes know every town; the world's towns are asked only for one without a state, where people count.
    found = world.find("US", city) if city and not state else None
    if found:
        return Located(*found.point, "city", found.area or area, found.name, found.time_zone)
    middle = us.middle_of_state(state) if state else None
    if middle and state:
        return Located(*middle[0], "subdivision", _iso(state), None, middle[1])
    return None


def _iso(state: str) -> str | None:
    """ISO 3166-2 of a state as USPS writes it; None for the military's AA, AE and AP."""
    return f"US-{state}" if state in us.STATES else None


def _middle(country: str, area: str | None) -> Located | None:
    found = world.middle(country, area) if area else None
    if found:
        return Located(*found[0], "subdivision", area, None, found[1])
    found = world.middle(country)
    return Located(*found[0], "country", area, None, found[1]) if found else None


class FakeGeocoder:
    """Knows only what a test tells it: (country, postal or town) -> place. `asked` lists the questions."""

    def __init__(self, known: dict[tuple[str, str], Located] | None = None) -> None:
        self.known = known or {}
        self.asked: list[tuple[str, str | None, str | None, str | None]] = []

    def locate(
        self, country: str, postal: str | None = None, city: str | None = None, subdivision: str | None = None
    ) -> Located | None:
        """What was told for the postal code, else for the town."""
        self.asked.append((country, postal, city, subdivision))
        return self.known.get((country, postal or "")) or self.known.get((country, city or ""))

"""Real towns for the demo, read from towns.csv (GeoNames, CC BY 4.0), and how their countries speak and pay."""

import csv
import random
import unicodedata
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("towns.csv")


@dataclass(frozen=True, slots=True)
class Country:
    """Language, time zone, currency, EUR to currency, telephone prefix, share of leads and of partners in percent."""

    language: str
    zone: str
    currency: str
    rate: float
    phone: str
    leads: int
    partners: int
    street: str


COUNTRIES = {
    "AT": Country("de", "Europe/Vienna", "EUR", 1.0, "+43", 34, 26, "{s}straße {n}"),
    "DE": Country("de", "Europe/Berlin", "EUR", 1.0, "+49", 28, 30, "{s}weg {n}"),
    "CH": Country("de", "Europe/Zurich", "CHF", 0.95, "+41", 12, 12, "{s}gasse {n}"),
    "CZ": Country("cs", "Europe/Prague", "CZK", 25.0, "+420", 10, 12, "{s}ova {n}"),
    "IT": Country("it", "Europe/Rome", "EUR", 1.0, "+39", 9, 11, "Via {s} {n}"),
    "FR": Country("fr", "Europe/Paris", "EUR", 1.0, "+33", 7, 9, "rue {s} {n}"),
}
FRENCH_CANTONS = ("CH-GE", "CH-VD", "CH-NE", "CH-JU", "CH-FR", "CH-VS")


@dataclass(frozen=True, slots=True)
class Town:
    """A town with its ISO 3166-2 subdivision, one postal code, degrees and inhabitants."""

    country: str
    subdivision: str
    city: str
    postal: str
    lat: float
    lon: float
    people: int

    @property
    def language(self) -> str:
        """What its companies write in."""
        if self.subdivision in FRENCH_CANTONS:
            return "fr"
        if self.country not in COUNTRIES:
            return "de"
        return "it" if self.subdivision == "CH-TI" else COUNTRIES[self.country].language


def load() -> dict[str, list[Town]]:
    """Towns by country, the largest first."""
    found: dict[str, list[Town]] = {}
    with FILE.open(encoding="utf-8") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            town = Town(
                row["country"],
                row["subdivision"],
                row["city"],
                row["postal"],
                float(row["lat"]),
                float(row["lon"]),
                int(row["population"]),
            )
            found.setdefault(town.country, []).append(town)
    return found


def pick(chance: random.Random, towns: list[Town]) -> Town:
    """A town; large ones more often, but not in proportion."""
    return chance.choices(towns, [town.people**0.5 for town in towns])[0]


def slug(name: str) -> str:
    """A name as it stands in an address: ascii, words joined with hyphens."""
    plain = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return "-".join("".join(c if c.isalnum() else " " for c in plain).split())

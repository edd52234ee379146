"""Counts by region side by side on the map, for the countries that it knows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from portal.web.regions import ALPHA3, MAPPED


@dataclass(frozen=True, slots=True)
class Map:
    """One picture: its title, countries as the outlines call them, and the number of each region by name."""

    title: str
    countries: list[str]
    values: dict[str, int]


def maps(sides: Sequence[tuple[str, Mapping[str, int]]]) -> list[Map]:
    """A map per (title, region code -> number), all of the same countries; none where the map knows none of them."""
    shown = [
        country
        for country in MAPPED
        if any(code in side for code in MAPPED[country] for _title, side in sides)
    ]
    if not shown:
        return []
    return [
        Map(
            title,
            [ALPHA3[country] for country in shown],
            {name: side[code] for country in shown for code, name in MAPPED[country].items() if code in side},
        )
        for title, side in sides
    ]

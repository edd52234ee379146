"""Who covers a place: areas by key, circles by a grid of whole degrees with an exact check of those a cell names.

An area few cover is kept as its words that are not empty, one that many cover as a whole bitmap. A circle is compared
by the cosine of its angle; where rounding could change the answer, by the metres of `distance_m`, as `covers` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import cos, floor, radians, sin

import numpy as np
from numpy.typing import NDArray

from ..gates import covers
from ..geo import EARTH_RADIUS_M
from ..model import Candidate, Place, Territory
from ..reference import Area, area_of, areas_at
from .bits import WORD, Slots, Words, nothing, of_slots

_DENSE = 4  # an area is kept whole when more than one in so many words is not empty
_BLUR = 1e-14  # of a cosine: many times what its computation can be off; nearer than that the metres decide
_WHOLE = ("nationwide", "country")  # kinds of area that hold every place of a country
_ONE = np.uint64(1)
_FEW = 12  # circles entered one by one, which is quicker than a call for all
_COUNTRIES = 300  # whole countries kept as one bitmap; there are fewer codes than that
_MARGIN = 1e-6  # degrees added to a circle's box, for the rounding of its computation


@dataclass(frozen=True, slots=True)
class Few:
    """The words of a bitmap that are not empty."""

    at: Slots
    words: Words


Posting = Few | Words


def posting(slots: Slots, words: int) -> Posting:
    """The smaller of the two forms of these slots (rising)."""
    at, start = np.unique(slots >> 6, return_index=True)
    if at.size > words // _DENSE:
        return of_slots(slots, words)
    bits = np.left_shift(np.uint64(1), (slots & 63).astype(WORD))
    return Few(at, np.bitwise_or.reduceat(bits, start))


def add_slot(old: Posting | None, slot: int, words: int) -> Posting:
    """The posting with one more slot; the old one stays as it is."""
    if old is None:
        return posting(np.array([slot]), words)
    made = nothing(words)
    add(made, old)
    made[slot >> 6] |= np.uint64(1 << (slot & 63))
    at = made.nonzero()[0]
    return made if at.size > words // _DENSE else Few(at, made[at])


def add(covered: Words, found: Posting) -> None:
    """Unite in place."""
    if isinstance(found, Few):
        covered[found.at] |= found.words
    else:
        np.bitwise_or(covered, found, out=covered)


class Circles:
    """Circles in a grid of one degree: for each cell those whose box touches it."""

    def __init__(self, circles: Sequence[tuple[int, Territory]]) -> None:
        known = [(slot, one) for slot, one in circles if _is_whole(one)]
        self._circles = [one for _slot, one in known]
        self._slots = np.array([slot for slot, _one in known], np.intp)
        lat = np.radians(np.array([one.lat for one in self._circles], np.float64))
        lon = np.radians(np.array([one.lon for one in self._circles], np.float64))
        flat = np.cos(lat)
        self._unit = np.stack((flat * np.cos(lon), flat * np.sin(lon), np.sin(lat)), axis=-1).reshape(-1, 3)
        # Metres are whole before they are compared, so the border lies half a metre beyond the last whole one.
        edge = np.array([floor((one.radius_km or 0.0) * 1000) + 0.5 for one in self._circles], np.float64)
        self._cosine = np.cos(np.minimum(edge / EARTH_RADIUS_M, np.pi))
        self._first, self._numbers = self._grid(lat, lon, edge)

    @staticmethod
    def _grid(
        lat: NDArray[np.float64], lon: NDArray[np.float64], edge: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each cell (row of latitude, column of longitude) its circles, as offsets and numbers."""
        angle = edge / EARTH_RADIUS_M
        low, high = np.degrees(lat - angle) - _MARGIN, np.degrees(lat + angle) + _MARGIN
        # A circle's widest half in longitude; all of it where the circle holds a pole.
        polar = (low <= -90) | (high >= 90)
        ratio = np.where(polar, 0.0, np.sin(np.minimum(angle, np.pi / 2)) / np.where(polar, 1.0, np.cos(lat)))
        half = np.where(polar, 180.0, np.degrees(np.arcsin(np.minimum(ratio, 1.0))) + _MARGIN)
        centre = np.degrees(lon)
        rows = np.floor(np.clip(low, -90, 90)).astype(np.int64) + 90
        tall = np.floor(np.clip(high, -90, 90)).astype(np.int64) + 91 - rows
        west = np.floor(centre - half).astype(np.int64) + 180
        wide = np.minimum(np.floor(centre + half).astype(np.int64) + 181 - west, 360)
        cells = tall * wide
        numbers = np.repeat(np.arange(len(cells)), cells)
        step = np.arange(int(cells.sum())) - np.repeat(np.cumsum(cells) - cells, cells)
        row = rows[numbers] + step // wide[numbers]
        column = (west[numbers] + step % wide[numbers]) % 360
        cell = row * 360 + column
        order = np.argsort(cell, kind="stable")
        first = np.searchsorted(cell[order], np.arange(181 * 360 + 1))
        return first, numbers[order]

    def covering(self, place: Place) -> Slots:
        """Slots of the circles that cover the place; a slot may stand twice."""
        if place.lat is None or place.lon is None or not len(self._slots):
            return self._slots[:0]
        cell = (floor(place.lat) + 90) * 360 + (floor(place.lon) + 180) % 360
        numbers = self._numbers[self._first[cell] : self._first[cell + 1]]
        if not numbers.size:
            return self._slots[:0]
        lat, lon = radians(place.lat), radians(place.lon)
        flat = cos(lat)
        beyond = self._unit[numbers] @ np.array((flat * cos(lon), flat * sin(lon), sin(lat)))
        beyond -= self._cosine[numbers]
        inside = beyond > 0
        if np.abs(beyond).min() < _BLUR:
            for at in (np.abs(beyond) < _BLUR).nonzero()[0].tolist():
                inside[at] = covers(self._circles[int(numbers[at])], place)
        found: Slots = self._slots[numbers[inside]]
        return found


def _is_whole(circle: Territory) -> bool:
    return (
        circle.lat is not None
        and circle.lon is not None
        and (circle.radius_km or 0.0) >= 0
        and circle.radius_km is not None
    )


class Territories:
    """Who covers what, of all candidates; plans of successive versions share what did not change."""

    def __init__(self, candidates: Iterable[Candidate], words: int) -> None:
        self._words = words
        found: dict[Area, list[int]] = {}
        circles: list[tuple[int, Territory]] = []
        for slot, candidate in enumerate(candidates):
            for one in candidate.territories:
                if one.kind == "circle":
                    circles.append((slot, one))
                elif area := area_of(one):
                    found.setdefault(area, []).append(slot)
        self._areas = {area: posting(np.array(slots), words) for area, slots in found.items()}
        self._circles = Circles(circles)
        self._whole: dict[str | None, Words] = {}
        self._more: tuple[tuple[int, Territory], ...] = ()  # circles of candidates changed since

    def changed(self, slot: int, candidate: Candidate) -> Territories:
        """With one more candidate."""
        made = object.__new__(Territories)
        made._words, made._circles, made._more = self._words, self._circles, self._more
        made._areas, made._whole = dict(self._areas), {}
        for one in candidate.territories:
            if one.kind == "circle":
                made._more += ((slot, one),)
            elif area := area_of(one):
                made._areas[area] = add_slot(made._areas.get(area), slot, made._words)
        return made

    def covering(self, place: Place) -> Words:
        """The bitmap of all who cover the place."""
        covered = self._in_country(place.country).copy()
        for area in areas_at(place):
            if area[0] not in _WHOLE:
                found = self._areas.get(area)
                if found is not None:
                    add(covered, found)
        slots = self._circles.covering(place)
        if len(slots) > _FEW:
            np.bitwise_or.at(covered, slots >> 6, np.left_shift(_ONE, (slots & 63).astype(WORD)))
        else:
            for slot in slots.tolist():
                covered[slot >> 6] |= np.uint64(1 << (slot & 63))
        for slot, circle in self._more:
            if covers(circle, place):
                covered[slot >> 6] |= np.uint64(1 << (slot & 63))
        return covered

    def _in_country(self, country: str | None) -> Words:
        """Those who cover all of a country, kept once asked for: (nearly) every place is in one."""
        known = self._whole.get(country)
        if known is None:
            known = nothing(self._words)
            for area in areas_at(Place(country)):
                found = self._areas.get(area)
                if found is not None:
                    add(known, found)
            if len(self._whole) < _COUNTRIES:
                self._whole[country] = known
        return known

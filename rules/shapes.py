"""Areas on the globe: circles in whole metres, and polygons decided exactly in integers of 1e-7 degrees.

A polygon is one of GeoJSON (RFC 7946): rings of [longitude, latitude], the first around the area, the others holes,
edges straight in longitude and latitude. An edge takes the shorter way round, so a ring may cross the antimeridian
as it is. A point on the edge belongs to the area, on the edge of a hole too. No ring goes around a pole: an area
with a pole in it is not what these edges describe; a circle says it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .errors import ConflictError
from .geo import distance_m
from .reading import Node

DEGREE = 10**7  # units of a degree: about a centimetre
TURN = 360 * DEGREE
MAX_RADIUS_M = 20_100_000  # half the circumference of the earth
MAX_RINGS = 100
MAX_POINTS = 1_000  # in one ring

Ring = tuple[
    tuple[int, int], ...
]  # (longitude, latitude), unwrapped: neighbours differ by less than half a turn
_Edge = tuple[tuple[int, int], tuple[int, int], int]  # lower end, upper end, its place in the ring
Point = tuple[float, float]  # (latitude, longitude) in degrees, as a fact


@dataclass(frozen=True, slots=True)
class Circle:
    """All points at most `radius_m` from the centre, measured on the sphere and rounded to metres."""

    lat: float
    lon: float
    radius_m: int

    def holds(self, point: Point) -> bool:
        return distance_m(self.lat, self.lon, *point) <= self.radius_m

    def to_json(self) -> dict[str, object]:
        return {"lat": self.lat, "lon": self.lon, "radius_m": self.radius_m}


@dataclass(frozen=True, slots=True)
class Polygon:
    """The outer ring without its holes."""

    rings: tuple[Ring, ...]

    def holds(self, point: Point) -> bool:
        lat, lon = round(point[0] * DEGREE), round(point[1] * DEGREE)
        outer, *holes = self.rings
        return side(outer, lon, lat) >= 0 and all(side(hole, lon, lat) <= 0 for hole in holes)

    def to_json(self) -> dict[str, object]:
        rings = [[[_wrapped(x) / DEGREE, y / DEGREE] for x, y in (*ring, ring[0])] for ring in self.rings]
        return {"type": "Polygon", "coordinates": rings}


Shape = Circle | Polygon


def _wrapped(x: int) -> int:
    """A longitude within half a turn of Greenwich; both ends of the range stay what they are."""
    return x if -TURN // 2 <= x <= TURN // 2 else (x + TURN // 2) % TURN - TURN // 2


def side(ring: Ring, lon: int, lat: int) -> int:
    """1 inside the ring, 0 on it, -1 outside, whatever turn of the globe the longitude is counted in."""
    low, high = min(x for x, _y in ring), max(x for x, _y in ring)
    return max((_side(ring, x, lat) for x in (lon - TURN, lon, lon + TURN) if low <= x <= high), default=-1)


def _side(ring: Ring, x: int, y: int) -> int:
    inside = False
    for (x1, y1), (x2, y2) in pairwise((*ring, ring[0])):
        turn = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if turn == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return 0
        # The half-open rule: an edge counts where it leaves its lower end, not where it reaches the upper one.
        if (y1 > y) != (y2 > y) and (turn > 0) == (y2 > y1):
            inside = not inside
    return 1 if inside else -1


# Reading --------------------------------------------------------------------------------------------------------------


def read_shape(node: Node) -> Shape | None:
    """A circle {lat, lon, radius_m} or a GeoJSON polygon; None and a fault when it is neither."""
    if isinstance(node.value, Mapping) and "type" in node.value:
        return _read_polygon(node)
    if not node.keys(("lat", "lon", "radius_m")):
        return None
    lat, lon = node["lat"].number(-90, 90), node["lon"].number(-180, 180)
    return Circle(lat, lon, node["radius_m"].integer(1, MAX_RADIUS_M))


def _read_polygon(node: Node) -> Polygon | None:
    if not node.keys(("type", "coordinates")):
        return None
    node["type"].choice(("Polygon",))
    items = node["coordinates"].items(MAX_RINGS, least=1)
    rings = [ring for item in items if (ring := _read_ring(item)) is not None]
    if not rings or len(rings) < len(items):
        return None
    for hole, item in zip(rings[1:], items[1:], strict=True):
        if any(side(rings[0], x, y) < 0 for x, y in hole):
            item.fault(
                ConflictError(item.path, item.value, "is a hole outside its polygon; move or remove it")
            )
    return Polygon(tuple(rings))


def _read_ring(node: Node) -> Ring | None:
    """A ring without its closing point, or None with one fault."""
    before = len(node.faults)
    points: list[tuple[int, int]] = []
    for item in node.items(MAX_POINTS + 1, least=4):
        pair = item.items(2, least=2)
        if len(pair) != 2:
            break
        x, y = round(pair[0].number(-180, 180) * DEGREE), round(pair[1].number(-90, 90) * DEGREE)
        if not points or (x, y) != points[-1]:
            points.append((x, y))
    if len(node.faults) > before or not points:
        return None
    if points[0] != points[-1]:
        cure = "must end where it begins: repeat its first point"
    else:
        ring, cure = _unwrapped(points[:-1])
        if ring is not None:
            return ring
    node.fault(ConflictError(node.path, node.value, cure))
    return None


def _unwrapped(points: Sequence[tuple[int, int]]) -> tuple[Ring | None, str]:
    """The ring with every longitude next to the one before, or what is wrong with it."""
    ring: list[tuple[int, int]] = []
    for x, y in (*points, *points[:1]):
        last = ring[-1][0] if ring else x
        step = (x - last + TURN // 2) % TURN - TURN // 2
        if step == -TURN // 2:
            return None, "has an edge of half a turn: add a point in between to say which way it goes"
        ring.append((last + step, y))
    if ring.pop()[0] != ring[0][0]:
        return None, "goes around a pole; use a circle"
    if len(set(ring)) < 3 or crosses(ring):
        return None, "crosses or touches itself; keep its outline simple"
    return tuple(ring), ""


def crosses(ring: Sequence[tuple[int, int]]) -> bool:
    """Whether two edges that are not neighbours meet, or two neighbours run back over each other."""
    count = len(ring)
    edges: list[_Edge] = []
    for index in range(count):
        one, two = ring[index], ring[(index + 1) % count]
        edges.append((min(one, two), max(one, two), index))
    active: list[_Edge] = []
    for low, high, index in sorted(edges):
        active = [edge for edge in active if edge[1][0] >= low[0]]
        for other_low, other_high, other in active:
            neighbours = (index - other) % count in (1, count - 1)
            if neighbours and not (count > 2 and _overlap(low, high, other_low, other_high)):
                continue
            if neighbours or _meet(low, high, other_low, other_high):
                return True
        active.append((low, high, index))
    return False


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    cross = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (cross > 0) - (cross < 0)


def _overlap(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int], d: tuple[int, int]) -> bool:
    """Two edges that share an end: whether they lie on one line and on the same side of it."""
    if _turn(a, b, c) or _turn(a, b, d):
        return False
    return min(b, d) > max(a, c)


def _meet(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int], d: tuple[int, int]) -> bool:
    if max(a[1], b[1]) < min(c[1], d[1]) or max(c[1], d[1]) < min(a[1], b[1]):
        return False
    if b < c or d < a:  # ends are sorted: one lies wholly before the other
        return False
    return _turn(a, b, c) * _turn(a, b, d) <= 0 and _turn(c, d, a) * _turn(c, d, b) <= 0

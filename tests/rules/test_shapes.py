"""Circles and polygons against shapely (plane geometry) and pyproj (the ellipsoid), which nobody here wrote."""

from __future__ import annotations

from typing import Any

import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pyproj import Geod

from rules import Circle, Polygon, RuleSetError, distance_m
from rules.reading import Node
from rules.shapes import read_shape

GEOD = Geod(ellps="WGS84")


def polygon(*rings: list[tuple[float, float]]) -> Polygon:
    """From rings of (longitude, latitude), closed here."""
    node = Node({"type": "Polygon", "coordinates": [[*map(list, (*ring, ring[0]))] for ring in rings]})
    shape = read_shape(node)
    if node.faults:
        raise RuleSetError(node.faults)
    assert isinstance(shape, Polygon)
    return shape


SQUARE = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
HOLE = [(4.0, 4.0), (6.0, 4.0), (6.0, 6.0), (4.0, 6.0)]
FIJI = [(177.0, -20.0), (-178.0, -20.0), (-178.0, -16.0), (177.0, -16.0)]


@pytest.mark.parametrize(
    ("rings", "point", "inside"),
    [
        ((SQUARE,), (5, 5), True),
        ((SQUARE,), (5, 10.0000001), False),
        ((SQUARE,), (5, 10), True),
        ((SQUARE,), (0, 0), True),
        ((SQUARE,), (10, 5), True),
        ((SQUARE, HOLE), (5, 5), False),
        ((SQUARE, HOLE), (4, 5), True),
        ((SQUARE, HOLE), (3.9999999, 5), True),
        ((SQUARE[::-1], HOLE), (5, 5), False),
        ((FIJI,), (-18, 179), True),
        ((FIJI,), (-18, -179), True),
        ((FIJI,), (-18, 180), True),
        ((FIJI,), (-18, -180), True),
        ((FIJI,), (-18, 176), False),
        ((FIJI,), (-18, -177), False),
        ((FIJI,), (-18, 0), False),
        (([(-170.0, 0.0), (170.0, 0.0), (0.0, 80.0)],), (1, 180), False),
    ],
)
def test_where_a_polygon_ends(
    rings: tuple[list[tuple[float, float]], ...], point: tuple[float, float], inside: bool
) -> None:
    if rings[0][0] == (-170.0, 0.0):  # its base goes the short way, over the antimeridian: around the pole
        with pytest.raises(RuleSetError, match="around a pole"):
            polygon(*rings)
        return
    assert polygon(*rings).holds(point) is inside


@pytest.mark.parametrize(
    ("ring", "cure"),
    [
        ([(0, 0), (10, 10), (10, 0), (0, 10)], "crosses"),
        ([(0, 0), (5, 0), (10, 0)], "crosses"),
        ([(0, 0), (10, 0), (5, 0), (5, 5)], "crosses"),
        ([(0, 0), (10, 0), (10, 10), (5, 0), (0, 10)], "crosses"),
        ([(0, 0), (180, 0), (90, 50)], "half a turn"),
        ([(0, 80), (120, 80), (-120, 80)], "around a pole"),
    ],
)
def test_an_outline_that_is_none_is_refused(ring: list[tuple[float, float]], cure: str) -> None:
    with pytest.raises(RuleSetError, match=cure):
        polygon(ring)


def test_a_hole_outside_is_refused() -> None:
    with pytest.raises(RuleSetError, match="hole outside"):
        polygon(SQUARE, [(20.0, 0.0), (21.0, 0.0), (21.0, 1.0)])


_steps = st.integers(-12, 12).map(float)
_rings = st.lists(st.tuples(_steps, _steps), min_size=3, max_size=9, unique=True)


@settings(max_examples=600, deadline=None)
@given(_rings, st.lists(st.tuples(st.integers(-26, 26), st.integers(-26, 26)), min_size=20, max_size=20))
def test_polygons_agree_with_shapely(ring: list[tuple[float, float]], halves: list[tuple[int, int]]) -> None:
    """On a coarse grid, so that points often lie on edges and corners, where mistakes are made."""
    other = shapely.Polygon(ring)
    assume(other.area > 0)
    if not other.is_valid:
        with pytest.raises(RuleSetError, match="crosses"):
            polygon(ring)
        return
    ours = polygon(ring)
    for x, y in halves:
        assert ours.holds((y / 2, x / 2)) is other.covers(shapely.Point(x / 2, y / 2))


def test_polygons_with_holes_over_the_antimeridian_agree_with_shapely() -> None:
    """Shapely is asked in a plane whose longitudes are moved to the middle of it."""
    hole = [(179.0, -19.0), (-179.0, -19.0), (-179.0, -17.0), (179.0, -17.0)]
    ours = polygon(FIJI, hole)

    def moved(ring: list[tuple[float, float]]) -> list[tuple[float, float]]:
        return [(x % 360, y) for x, y in ring]

    other = shapely.Polygon(moved(FIJI), [moved(hole)])
    seen = set()
    for step in range(80):
        for y in (-20.0, -19.0, -18.3, -17.0, -16.5, -15.0):
            x = (176 + step / 10 + 180) % 360 - 180
            inside = ours.holds((y, x))
            assert inside is other.covers(shapely.Point(x % 360, y)), (x, y)
            seen.add(inside)
    assert seen == {True, False}


_points = st.tuples(st.floats(-89.9, 89.9), st.floats(-180, 180))


@settings(max_examples=500, deadline=None)
@given(_points, _points)
def test_distances_agree_with_the_ellipsoid_as_far_as_a_sphere_can(
    one: tuple[float, float], two: tuple[float, float]
) -> None:
    """pyproj's geodesic; a sphere of the mean radius is within 0.56 % of it."""
    _, _, metres = GEOD.inv(one[1], one[0], two[1], two[0])
    assert distance_m(*one, *two) == pytest.approx(metres, rel=0.0057, abs=1)


@settings(max_examples=300, deadline=None)
@given(_points, st.integers(1, 3_000_000), st.floats(0, 360), st.sampled_from([0.99, 1.01]))
def test_circles_agree_with_the_ellipsoid_away_from_their_edge(
    centre: tuple[float, float], radius: int, bearing: float, share: float
) -> None:
    lon, lat, _ = GEOD.fwd(centre[1], centre[0], bearing, radius * share)
    assume(radius > 500)
    assert Circle(*centre, radius).holds((lat, lon)) is (share < 1)


def test_a_shape_comes_back_as_it_was_written() -> None:
    written: Any = {"type": "Polygon", "coordinates": [[list(point) for point in (*FIJI, FIJI[0])]]}
    shape = read_shape(Node(written))
    assert shape is not None
    assert shape.to_json() == written
    assert read_shape(Node(shape.to_json())) == shape

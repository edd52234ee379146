"""Distances on the sphere against values computed by hand and the geometry of the sphere."""

from __future__ import annotations

from math import pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import EARTH_RADIUS_M, Place, RequestError, Snapshot, State, decide, default_ruleset, distance_m
from tests.rules.worlds import candidate, request

QUARTER = round(EARTH_RADIUS_M * pi / 2)
DEGREE = round(EARTH_RADIUS_M * pi / 180)


@pytest.mark.parametrize(
    ("one", "two", "metres"),
    [
        ((0.0, 0.0), (0.0, 0.0), 0),
        ((0.0, 0.0), (0.0, 1.0), DEGREE),
        ((0.0, 0.0), (1.0, 0.0), DEGREE),
        ((0.0, 0.0), (0.0, 90.0), QUARTER),
        ((90.0, 0.0), (0.0, 123.0), QUARTER),
        ((90.0, 10.0), (90.0, -100.0), 0),
        ((0.0, 0.0), (0.0, 180.0), 2 * QUARTER),
        ((90.0, 0.0), (-90.0, 0.0), 2 * QUARTER),
        ((0.0, 179.5), (0.0, -179.5), DEGREE),
        ((0.0, -180.0), (0.0, 180.0), 0),
    ],
)
def test_distances_that_geometry_gives(
    one: tuple[float, float], two: tuple[float, float], metres: int
) -> None:
    assert distance_m(*one, *two) == pytest.approx(metres, abs=1)


@pytest.mark.parametrize(
    ("one", "two", "km"),
    [
        ((48.2082, 16.3738), (50.0755, 14.4378), 251),  # Vienna, Prague
        ((38.9072, -77.0369), (39.2904, -76.6122), 56),  # Washington, Baltimore
        ((51.5074, -0.1278), (40.7128, -74.0060), 5570),  # London, New York
        ((-36.8485, 174.7633), (-13.8333, -171.7667), 2893),  # Auckland, Apia: over the antimeridian
    ],
)
def test_distances_between_towns(one: tuple[float, float], two: tuple[float, float], km: int) -> None:
    assert distance_m(*one, *two) / 1000 == pytest.approx(km, rel=0.005)


_points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@given(_points, _points, _points)
def test_a_distance_is_symmetric_whole_bounded_and_the_shortest(
    one: tuple[float, float], two: tuple[float, float], three: tuple[float, float]
) -> None:
    metres = distance_m(*one, *two)
    assert isinstance(metres, int)
    assert metres == distance_m(*two, *one)
    assert 0 <= metres <= 2 * QUARTER + 1
    assert metres <= distance_m(*one, *three) + distance_m(*three, *two) + 2


def test_zero_is_a_coordinate_and_none_is_none() -> None:
    snapshot = Snapshot(1, (candidate(1, lat=0.0, lon=0.0), candidate(2), candidate(3, lat=0.0)))
    ranked = decide(default_ruleset(), snapshot, request(place=Place("AT", lat=0.0, lon=0.0)), State()).ranked
    distances = {one.id: (one.distance_m, dict(one.terms)["distance"]) for one in ranked}
    assert distances == {1: (0, 35_000), 2: (None, 0), 3: (None, 0)}


@pytest.mark.parametrize("place", [{"lat": 90.1}, {"lon": -181.0}, {"lat": float("nan")}])
def test_a_place_off_the_globe_is_refused(place: dict[str, float]) -> None:
    with pytest.raises(RequestError, match="degrees"):
        Place(**place)  # type: ignore[arg-type]

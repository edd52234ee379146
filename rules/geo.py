"""Distances on the sphere, in whole metres.

The sphere has the mean radius of the WGS 84 ellipsoid (R1 = (2a + b) / 3, IUGG), so a distance is within 0.56 %
of the one on the ellipsoid. Rounding to metres before anything compares keeps results the same on machines whose
libm differs in the last bit. Latitude and longitude are decimal degrees; 0.0 is a coordinate, only None is none.
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_M = 6_371_008.8


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> int:
    """Great-circle metres between two points (haversine); right across the antimeridian and at the poles."""
    phi1, phi2 = radians(lat1), radians(lat2)
    half_lat = sin((phi2 - phi1) / 2)
    half_lon = sin(radians(lon2 - lon1) / 2)
    square = half_lat * half_lat + cos(phi1) * cos(phi2) * half_lon * half_lon
    return round(2 * EARTH_RADIUS_M * asin(min(1.0, sqrt(square))))


def between_m(lat1: float | None, lon1: float | None, lat2: float | None, lon2: float | None) -> int | None:
    """Like `distance_m`, None when either side has no coordinates."""
    if lat1 is None or lon1 is None or lat2 is None or lon2 is None:
        return None
    return distance_m(lat1, lon1, lat2, lon2)

"""Maps: projection, clipping, pins that do not cover each other, and pages without the outlines installed."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.demo.towns import load
from portal.web import maps
from portal.web.maps import OUTLINES, TOWNS, clip, pin_map, region_map, spread, view_of
from portal.web.parts import Pin

PLACES = [(48.31, 14.29), (48.21, 14.29), (47.81, 13.04), (0.0, 0.0)]


def test_all_places_lie_in_the_window_and_zero_is_a_place():
    view = view_of(PLACES, 640, 340)
    for lat, lon in PLACES:
        x, y = view.xy(lat, lon)
        assert 0 <= x <= 640
        assert 0 <= y <= 340


def test_one_place_does_not_divide_by_zero_and_kilometres_fit():
    view = view_of([(48.31, 14.29)], 640, 340)
    north = view.xy(48.31 + 10 / maps.KM_PER_DEGREE, 14.29)
    assert abs(view.xy(48.31, 14.29)[1] - north[1]) == pytest.approx(view.km(10), rel=0.01)


@given(st.lists(st.tuples(st.floats(-500, 1500), st.floats(-500, 1500)), min_size=3, max_size=30))
def test_a_clipped_ring_stays_in_its_window(points):
    for x, y in clip(points, 640, 340):
        assert -2.001 <= x <= 642.001
        assert -2.001 <= y <= 342.001


def test_clipping_keeps_what_is_inside():
    square = [(10.0, 10.0), (20.0, 10.0), (20.0, 20.0), (10.0, 20.0)]
    assert sorted(clip(square, 640, 340)) == sorted(square)


def test_marks_move_apart_and_the_customer_stays():
    moved = spread([(100, 100), (101, 100), (100, 100)], {0})
    assert moved[0] == (100, 100)
    assert math.dist(moved[0], moved[1]) > 15


def test_names_are_escaped_and_links_make_a_group():
    evil = '<script>"'
    drawn = pin_map(
        [Pin(48.3, 14.3, "customer", evil), Pin(48.2, 14.3, "first", evil, "1", url='/x"y')], evil
    )
    assert "<script>" not in drawn
    assert 'role="group"' in drawn
    assert 'role="img"' in pin_map([Pin(48.3, 14.3, "customer", "a")], "t")


def test_without_outlines_the_pins_are_still_there(monkeypatch):
    monkeypatch.setattr(maps, "_outlines", lambda: None)
    maps.ground.cache_clear()
    assert "pin first" in pin_map([Pin(48.3, 14.3, "first", "a", "1")], "t")
    assert region_map(["aut"], {}, "t") == ""
    maps.ground.cache_clear()


@pytest.mark.skipif(not OUTLINES.exists(), reason="browser assets are not installed")
def test_regions_are_coloured_by_their_number():
    drawn = region_map(["aut"], {"Wien": 6, "Vorarlberg": 0, "Tirol": 1}, "t")
    assert "<title>Wien 6</title>" in drawn
    assert 'class="k0"' in drawn
    assert 'class="k3"' in drawn
    assert "Vorarlberg" in maps.region_names("aut")


def landmarks(drawn: str) -> list[str]:
    """The towns a map names, without its pins' labels."""
    return re.findall(r">([^<]+)</text>", drawn.partition('<g class="towns"')[2])


@pytest.mark.skipif(not TOWNS.exists(), reason="browser assets are not installed")
def test_a_company_inland_has_a_map_that_says_where_it_is():
    """Linz: no border and no shore within the window, which was one plain ground with a pin."""
    drawn = pin_map([Pin(48.306, 14.286, "first", "Danubia Technik")], "t", 640, 220)
    assert "L642.0" in drawn or "M642.0" in drawn, "the ground fills the window: nothing but land"
    assert {"Linz", "Traun", "Wels"} <= set(landmarks(drawn))
    labelled = pin_map([Pin(48.306, 14.286, "first", "Danubia Technik, Linz")], "t", 640, 220)
    assert "Linz" not in landmarks(labelled), "said already"


@pytest.mark.skipif(not TOWNS.exists(), reason="browser assets are not installed")
@given(st.floats(-60, 70), st.floats(-180, 180))
@settings(max_examples=60, deadline=None)
def test_wherever_it_is_a_map_has_landmarks_or_is_widened_for_them(lat: float, lon: float):
    view = maps._with_landmarks(maps.view_of([(lat, lon)], 640, 220))
    assert len(maps.landmarks(view)) >= maps.FEWEST_LANDMARKS or view.km(maps.WIDEST_KM) <= view.width
    assert all(0 <= x <= 640 and 0 <= y <= 220 for _name, x, y in maps.landmarks(view))


@pytest.mark.skipif(not TOWNS.exists(), reason="browser assets are not installed")
def test_every_place_of_the_demo_company_has_landmarks():
    for town in (town for country in load().values() for town in country):
        drawn = pin_map([Pin(town.lat, town.lon, "first", "x")], "t", 640, 220)
        assert landmarks(drawn), town


def test_without_towns_the_pins_are_still_there(monkeypatch):
    monkeypatch.setattr(maps, "_towns", lambda: None)
    maps.landmarks.cache_clear()
    drawn = pin_map([Pin(48.306, 14.286, "first", "a", "1")], "t")
    assert "pin first" in drawn and landmarks(drawn) == []
    maps.landmarks.cache_clear()

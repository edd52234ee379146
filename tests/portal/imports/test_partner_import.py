"""The Maryland directory comes in whole, once; a second run changes nothing; what people changed stays."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, text

from portal.companies import actions as company_actions
from portal.companies.actions import ensure_vendor
from portal.companies.models import Company, Location, LocationFact
from portal.db import transaction
from portal.imports import actions, sources
from portal.imports.actions import Report
from portal.partners import actions as partner_actions
from portal.security.context import Acting
from tests.conftest import Database, shared_file
from tests.world import World

MARYLAND = "partners/maryland_mbe_snapshot2.json.gz"

Firm = dict[str, Any]


def firm(number: str, name: str, **given: Any) -> Firm:
    """A row as the directory has them."""
    return {
        "name": name,
        "certification_number": number,
        "certification_date": "2014-06-11T00:00:00.000",
        "naics_code": "541611-MBE/DBE/SBE, 238210-MBE-ONLY",
        "address": "1 MAIN STREET",
        "city": "BALTIMORE",
        "state": "MD",
        "zip": "21201",
        "phone": "4105550100",
        **given,
    }


def vendor(database: Database) -> int:
    with transaction(database.worker, Acting()) as session:
        return ensure_vendor(session, "State", "America/New_York")


@pytest.fixture
def load(database: Database) -> Callable[..., Report]:
    """Import rows of the directory on this test's database."""
    company = vendor(database)

    def run(*firms: Firm) -> Report:
        content = json.dumps(firms).encode()
        return actions.run(
            database.worker, sources.from_bytes("partners", "maryland", "firms.json", content), company
        )

    return run


def counts(report: Report) -> tuple[int, int, int, int]:
    return (report.new, report.changed, report.same, report.wrong)


def test_the_whole_directory_comes_in_once(database: Database) -> None:
    company = vendor(database)
    source = sources.from_path("partners", "maryland", shared_file(MARYLAND))
    first = actions.run(database.worker, source, company)
    assert counts(first) == (1000, 0, 0, 0)
    second = actions.run(
        database.worker, sources.from_path("partners", "maryland", shared_file(MARYLAND)), company
    )
    assert counts(second) == (0, 0, 1000, 0)
    with transaction(database.worker, Acting()) as session:
        row = session.execute(
            text("""
                select count(*) filter (where lat is null) as nowhere,
                       count(*) filter (where precision = 'exact') as exact,
                       count(*) filter (where capacity = 50) as fifty,
                       count(distinct location_id) as places, count(*) as facts
                from location_facts
            """)
        ).one()
        assert (row.nowhere, row.exact, row.fifty, row.places, row.facts) == (0, 636, 1000, 1000, 1000)
        assert session.execute(text("select count(*) from territories")).scalar_one() == 6000
        assert (
            session.execute(text("select count(*) from agreements where how = 'import'")).scalar_one() == 1000
        )
        expiring = text("select count(*) from certifications where expires is not null")
        assert session.execute(expiring).scalar_one() == 0
        created = text("select count(*) from events where type = 'partner.created'")
        assert session.execute(created).scalar_one() == 1000
    raw = gzip.decompress(shared_file(MARYLAND).read_bytes())
    assert len(json.loads(raw)) == 1000


def test_one_code_becomes_three_certifications_on_a_line(
    database: Database, load: Callable[..., Report]
) -> None:
    assert counts(load(firm("16-119", "1ST NEEDS MEDICAL, LLC"))) == (1, 0, 0, 0)
    with transaction(database.worker, Acting()) as session:
        rows = session.execute(
            text("select programme, product_line, number, expires from certifications order by 2, 1")
        ).all()
        assert [tuple(row) for row in rows] == [
            ("MBE", "238210", "16-119", None),
            ("DBE", "541611", "16-119", None),
            ("MBE", "541611", "16-119", None),
            ("SBE", "541611", "16-119", None),
        ]
        lines = session.execute(text("select product_line from authorisations order by 1")).scalars().all()
        assert lines == ["238210", "541611"]


def test_a_lost_certification_ends_and_a_move_is_dated(
    database: Database, load: Callable[..., Report]
) -> None:
    load(firm("1", "One"), firm("2", "Two"))
    report = load(firm("1", "One", naics_code="541611-MBE", address="2 SIDE STREET"), firm("2", "Two"))
    assert counts(report) == (0, 1, 1, 0)
    with transaction(database.worker, Acting()) as session:
        one = session.execute(select(Company.id).where(Company.external_key == "1")).scalar_one()
        held = text("select count(*) from certifications where company_id = :c and valid_to is null")
        assert session.execute(held, {"c": one}).scalar_one() == 1
        facts = session.execute(
            select(LocationFact).where(LocationFact.company_id == one).order_by(LocationFact.id)
        ).scalars()
        assert [(fact.street, fact.valid_to is None) for fact in facts] == [
            ("1 Main Street", False),
            ("2 Side Street", True),
        ]
        told = session.execute(text("select type from events where subject_id = :c order by id"), {"c": one})
        assert list(told.scalars()) == ["partner.created", "partner.changed"]


def test_what_people_changed_since_stays(database: Database, load: Callable[..., Report]) -> None:
    load(firm("1", "One"))
    company = vendor(database)
    with transaction(database.worker, Acting(kind="vendor", company_id=company)) as session:
        one = session.execute(select(Company.id).where(Company.external_key == "1")).scalar_one()
        location = session.execute(select(Location.id).where(Location.company_id == one)).scalar_one()
        company_actions.change_location(session, location, capacity=3)
        partner_actions.put_level(session, "gold", "Gold", 3)
        partner_actions.set_standing(session, one, status="suspended", level="gold")
        partner_actions.put_programme(session, "ISO", "ISO 9001")
        partner_actions.add_certification(session, one, partner_actions.Certificate("ISO", number="77"))
    assert counts(load(firm("1", "One"))) == (0, 0, 1, 0)
    with transaction(database.worker, Acting()) as session:
        row = session.execute(
            text("""
                select f.capacity, s.status, s.level,
                       (select count(*) from certifications c where c.programme = 'ISO' and c.valid_to is null) as iso
                from location_facts f join standings s on s.company_id = f.company_id and s.valid_to is null
                where f.valid_to is null
            """)
        ).one()
        assert tuple(row) == (3, "suspended", "gold", 1)


def test_an_empty_cell_never_erases(database: Database, load: Callable[..., Report]) -> None:
    load(firm("1", "One", website="http://one.example"))
    assert counts(load(firm("1", "One", phone="", website=""))) == (0, 0, 1, 0)
    with transaction(database.worker, Acting()) as session:
        one = session.execute(select(Company).where(Company.external_key == "1")).scalar_one()
        assert one.phone
        assert one.website == "http://one.example"


def test_wrong_rows_come_back_with_their_reasons(database: Database, load: Callable[..., Report]) -> None:
    report = load(
        firm("1", "One"), firm("2", ""), firm("1", "Once more"), firm("3", "=cmd|x", naics_code="nonsense")
    )
    assert counts(report) == (1, 0, 0, 3)
    written = actions.wrong_file(report.wrong_rows).decode("utf-8-sig").splitlines()
    assert written[0].endswith(",reason")
    assert "name: is empty" in written[1]
    assert "stands in row 1 already" in written[2]
    assert "'=cmd|x" in written[3]
    with transaction(database.worker, Acting()) as session:
        kept = session.execute(
            text(
                "select kind, expires_at - created_at as kept from texts where subject_type = 'import' order by id"
            )
        ).all()
        assert [(row.kind, row.kept.days) for row in kept] == [("import.file", 30), ("import.wrong", 30)]
        run = session.execute(text("select state, new, wrong from imports")).one()
        assert tuple(run) == ("done", 1, 3)


def test_a_partner_of_an_import_sees_what_was_told_of_it(world: World) -> None:
    source = sources.from_bytes("partners", "maryland", "f.json", json.dumps([firm("1", "One")]).encode())
    actions.run(world.database.worker, source, world.vendor_id)
    with world.acting("katrin@danubia.example") as session:
        assert session.execute(text("select count(*) from events")).scalar_one() == 0
        assert session.execute(text("select count(*) from companies where name = 'One'")).scalar_one() == 0
    with world.acting("ingrid@halden.example") as session:
        types = session.execute(text("select type from events order by id")).scalars().all()
        assert types == ["partner.created", "import.done"]

"""Leads from files: the real Maryland requests come out as their numbers say; one bad row costs itself only."""

import json
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from portal.db import transaction
from portal.imports import actions as imports
from portal.imports import sources
from portal.leads import exporting
from portal.leads.importing import LeadImport
from portal.security.context import Acting
from tests.conftest import shared_file
from tests.portal.leads.test_flow import given
from tests.world import World

MARYLAND = "leads/maryland_requests.csv.gz"


def vendor(world: World) -> Any:
    acting = Acting(kind="vendor", company_id=world.vendor_id, now=world.now)
    return transaction(world.database.worker, acting)


def apply(world: World, *records: dict[str, Any], **options: Any) -> tuple[list[str], LeadImport]:
    importer = LeadImport(**options)
    with vendor(world) as session:
        outcomes = importer.apply(session, list(enumerate(records, 1)))
    return [outcome.result for outcome in outcomes], importer


def count(world: World, what: str) -> int:
    with world.system() as session:
        return int(session.execute(text(f"select count(*) from {what}")).scalar_one())


def test_rows_become_leads_with_offers_and_repeats_change_nothing(world: World) -> None:
    rows = [given(external_key="A"), given(external_key="B", contact={"email": "b@b.example"})]
    assert apply(world, *rows)[0] == ["new", "new"]
    assert count(world, "offers where state = 'offered'") == 2
    assert apply(world, *rows)[0] == ["same", "same"]
    assert count(world, "leads") == 2


def test_the_same_key_twice_in_one_file(world: World) -> None:
    first = given(external_key="A", amount=None, place={"country": "AT", "city": "Linz"})
    results, _ = apply(world, first, given(external_key="A"), given(external_key="A", amount=None))
    assert results == ["new", "changed", "same"]
    with world.system() as session:
        lead = session.execute(text("select amount, postal from leads")).one()
    assert (lead.amount, lead.postal) == (Decimal(84000), "4020")


def test_an_empty_cell_never_erases_unless_the_mapping_says_so(world: World) -> None:
    apply(world, given(external_key="A"))
    assert apply(world, given(external_key="A", amount=None, certifications=[]))[0] == ["same"]
    erased = given(external_key="A", amount=None, certifications=[], erase=["amount", "certifications", "id"])
    assert apply(world, erased)[0] == ["changed"]
    assert apply(world, erased)[0] == ["same"]
    with world.system() as session:
        lead = session.execute(text("select amount, certifications, postal from leads")).one()
    assert tuple(lead) == (None, [], "4020")


def test_the_same_request_under_another_key_waits(world: World) -> None:
    results, importer = apply(world, given(external_key="A"), given(external_key="B"))
    assert results == ["new", "new"]
    assert importer.duplicates == 1
    assert count(world, "leads where suspected_duplicate_of is not null and assignment = 'unrouted'") == 1


def test_a_row_that_cannot_be_stored_costs_itself_only(world: World) -> None:
    bad = given(external_key="B", amount=Decimal(10) ** 30, contact={"email": "b@b.example"})
    results, importer = apply(
        world, given(external_key="A"), bad, given(external_key="C", contact={"email": "c@c.example"})
    )
    assert results == ["new", "wrong", "new"]
    assert importer.duplicates == 0
    assert count(world, "leads") == 2
    assert count(world, "events where type = 'lead.received'") == 2
    assert count(world, "decisions") == 2


def test_an_unknown_line_is_kept_and_becomes_unroutable(world: World) -> None:
    assert apply(world, given(external_key="A", product_lines=["NOBODY"]))[0] == ["new"]
    with world.system() as session:
        lead = session.execute(text("select assignment, assignment_reason from leads")).one()
    assert tuple(lead) == ("unroutable", "nobody_authorised")


def test_leads_can_be_taken_in_without_routing(world: World) -> None:
    apply(world, given(external_key="A"), routed=False)
    assert count(world, "offers") == 0
    assert count(world, "leads where assignment = 'unrouted'") == 1


def test_decisions_are_exported_with_who_and_why(world: World) -> None:
    apply(
        world, given(external_key="A"), given(external_key="B"), given(external_key="C", product_lines=["X"])
    )
    with vendor(world) as session:
        rows = {row["external_key"]: row for row in exporting.decisions(session)}
        leads = list(exporting.export(session))
    assert rows["A"]["partner"] == "Danubia Technik"
    assert rows["A"]["distance_km"] == pytest.approx(10.7, abs=0.1)
    assert rows["A"]["certified_until"] == "ATEX until 2027-12-31"
    assert rows["A"]["reason"].startswith("First of 3 that could take it, out of 3: level gold, 10.7 km away")
    assert rows["B"]["outcome"] == "suspected_duplicate"
    assert rows["A"]["number"] in rows["B"]["reason"]
    assert rows["C"]["outcome"] == "unroutable"
    assert "product line" in rows["C"]["reason"]
    assert len({tuple(row) for row in rows.values()}) == 1
    assert leads[0]["product_lines"] == "HX"


def test_the_maryland_requests_come_out_as_their_numbers_say(world: World) -> None:
    path = shared_file(MARYLAND)
    said = json.loads(shared_file("EXPECTED.json").read_text())[MARYLAND]
    source = sources.from_path("leads", "maryland", path)
    report = imports.run(world.database.worker, source, world.vendor_id, options={"routed": False})
    assert report.new == said["new (distinct right refs)"]
    assert report.same == said["repeat of a ref: same"]
    assert report.changed == said["repeat of a ref: changed (fills an empty zip)"]
    assert report.wrong == said["wrong"]
    assert report.duplicates == said["same request under another ref (pairs)"]
    columns = [reason.split(": ")[1] for _, reason in report.wrong_rows]
    assert {name: columns.count(name) for name in columns} == said["wrong by column"]
    again = imports.run(world.database.worker, source, world.vendor_id, options={"routed": False})
    assert (again.new, again.changed, again.wrong) == (0, 0, said["wrong"])

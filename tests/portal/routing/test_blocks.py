"""Decisions over columns: they say what the decisions say, grow block by block, and a company reads its own lines alone."""

import zlib
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from portal.routing import blocks
from portal.security.context import Acting
from rules import ALL_GATES
from tests.portal.leads.test_flow import intake
from tests.portal.routing.test_commands import leads
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

OWN = "select day, location_id, outcome, fact from app.own_decisions(:a, :b, :codes, :most)"
ALWAYS = {"a": date(2020, 1, 1), "b": date(2030, 1, 1), "codes": None, "most": 1000}
CERTIFIED = ALL_GATES.index("certified") + 1


def written(world: World) -> int:
    return blocks.write(world.database.worker, Acting(now=world.now), settled_s=-1)


def own(world: World, email: str, **period: Any) -> list[Any]:
    with world.acting(email) as session:
        return list(session.execute(text(OWN), ALWAYS | period))


def without_certificate(world: World, name: str) -> None:
    with world.system() as session:
        session.execute(text("delete from certifications where company_id = :c"), {"c": world.company(name)})


def test_columns_say_what_the_decisions_say(world: World) -> None:
    without_certificate(world, TRAUN)
    leads(world, 5)
    assert written(world) == 5
    with world.system() as session:
        rows = session.execute(text("select * from decisions order by id")).all()
        columns = session.execute(text("select location_id, outcomes from decision_columns")).all()
    by_location = {row.location_id: row.outcomes for row in columns}
    places = sorted(by_location)
    for n, row in enumerate(rows):
        gates = zlib.decompress(row.gates)
        for at, location in enumerate(places):
            wanted = blocks.CHOSEN if location == row.chosen_location_id else gates[at]
            assert by_location[location][n] == wanted


def test_a_block_grows_until_it_is_full(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 3)
    monkeypatch.setattr(blocks, "SMALLEST", 1)
    leads(world, 2)
    assert written(world) == 2 and written(world) == 0
    for n in range(2):
        who = {"name": "A", "email": f"m{n}@b.example"}
        intake(world, external_key=f"M{n}", account={"name": f"More {n}"}, contact=who)
    assert written(world) == 3 + 1
    with world.system() as session:
        found = session.execute(text("select decisions, closed from decision_blocks order by last_id")).all()
        every = session.execute(text("select array_agg(id order by id) from decisions")).scalar_one()
        columns = session.execute(text("select count(*) from decision_columns")).scalar_one()
    assert [row.closed for row in found] == [True, False] and columns == 2 * 3
    assert [i for row in found for i in row.decisions] == every


def test_young_decisions_wait_and_nothing_is_written_twice(world: World) -> None:
    leads(world, 2)
    assert blocks.write(world.database.worker, Acting(now=world.now)) == 0
    assert written(world) == 2 and written(world) == 0


def test_a_company_reads_its_own_lines(world: World) -> None:
    without_certificate(world, TRAUN)
    leads(world, 3)
    written(world)
    traun, alpen = (own(world, f"sales@{name}.example") for name in ("traun", "alpenhydro"))
    assert [row.outcome for row in traun] == [CERTIFIED] * 3
    assert {row.location_id for row in traun} == {world.location(TRAUN)}
    assert all("number" not in row.fact for row in traun)
    danubia = own(world, "katrin@danubia.example")
    got = [row for row in danubia + alpen if row.outcome == blocks.CHOSEN]
    assert len(got) == 3 and all(row.fact["number"].startswith("L-") for row in got)
    assert all("number" not in row.fact for row in danubia + alpen if row.outcome != blocks.CHOSEN)
    assert own(world, "ingrid@halden.example") == []
    assert {tuple(sorted(row.fact)) for row in traun} == {
        ("band", "certifications", "country", "day", "lines", "subdivision")
    }


def test_lines_are_of_the_outcomes_asked_for_and_no_more_blocks_than_needed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 2)
    monkeypatch.setattr(blocks, "SMALLEST", 1)
    leads(world, 6)
    written(world)
    every = own(world, "katrin@danubia.example")
    got = own(world, "katrin@danubia.example", codes=[blocks.CHOSEN])
    assert len(every) == 6 and got == [row for row in every if row.outcome == blocks.CHOSEN]
    assert own(world, "katrin@danubia.example", codes=[CERTIFIED]) == []
    assert own(world, "katrin@danubia.example", most=3) == every[:4], "two blocks of three"


def test_lines_are_of_the_days_asked_for(world: World) -> None:
    leads(world, 2)
    written(world)
    day = world.now.date()
    count = len(own(world, "katrin@danubia.example", a=day, b=day))
    assert count == 2
    assert own(world, "katrin@danubia.example", a=date(2020, 1, 1), b=date(2026, 11, 22)) == []
    assert own(world, "katrin@danubia.example", a=date(2026, 11, 24), b=date(2030, 1, 1)) == []


@pytest.mark.parametrize(
    "sql",
    [
        "update standings set status = 'suspended' where company_id = :c",
        "delete from agreements where company_id = :c",
        "delete from territories where company_id = :c",
    ],
)
def test_who_did_not_cover_the_place_took_no_part(world: World, sql: str) -> None:
    with world.system() as session:
        session.execute(text(sql), {"c": world.company(ALPENHYDRO)})
    leads(world, 2)
    written(world)
    assert own(world, "sales@alpenhydro.example") == []
    assert len(own(world, "katrin@danubia.example")) == 2, DANUBIA


def test_the_tables_themselves_are_the_vendors(world: World) -> None:
    leads(world, 2)
    written(world)
    for table, rows in (("decision_blocks", 1), ("decision_columns", 3)):
        for email, seen in (("ingrid@halden.example", rows), ("lukas@danubia.example", 0)):
            with world.acting(email) as session:
                assert session.execute(text(f"select count(*) from {table}")).scalar_one() == seen


def test_turns_that_were_due_are_the_credit_that_grew(world: World) -> None:
    """Over the same decisions: what was due less what was offered is what the engine's own credit says."""
    leads(world, 7)
    written(world)
    with world.system() as session:
        rows = session.execute(text("select location_id, shares from decision_columns")).all()
        offered = dict(session.execute(text("select location_id, count(*) from offers group by 1")).all())
        credit = dict(session.execute(text("select location_id, credit from routing_states")).all())
    assert sum(sum((row.shares or {}).values()) for row in rows) == pytest.approx(7_000_000, abs=30)
    for row in rows:
        fluid = sum((row.shares or {}).values()) / 1_000_000
        assert fluid - offered.get(row.location_id, 0) == pytest.approx(
            credit[row.location_id] / 2**32, abs=0.001
        )
        assert set(row.shares or {}) <= {"2026-11-23"}


def test_where_bands_come_first_no_turn_is_told(world: World) -> None:
    class Score:
        order = "turns"
        bands = ()

    class Rules:
        score = Score()

    class Row:
        rule_set_version, top = 1, [{"id": "5", "score": 1, "terms": []}]

    assert blocks.due([Row()], {1: Rules()}, {}) == blocks.due([Row()], {}, {}) == {}  # type: ignore[dict-item]

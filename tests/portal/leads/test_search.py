"""Decisions searched by the vendor, and a partner's own lines: what is found, added up and told, and what is not."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from portal.leads.decision import outcomes
from portal.routing import blocks
from portal.security.context import Acting
from tests.portal.leads.test_flow import intake
from tests.portal.visitors import visitor
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

INGRID = "ingrid@halden.example"
KATRIN, TRAUNS, ALPENS = "katrin@danubia.example", "sales@traun.example", "sales@alpenhydro.example"


def leads(world: World, n: int, **more: Any) -> None:
    for i in range(n):
        who = {"name": "A", "email": f"a{i}@b.example"}
        intake(world, external_key=f"K{i}", account={"name": f"Customer {i}"}, contact=who, **more)


def written(world: World) -> None:
    blocks.write(world.database.worker, Acting(now=world.now), settled_s=-1)


def changed(world: World, sql: str, name: str = TRAUN) -> None:
    with world.system() as session:
        session.execute(text(sql), {"c": world.company(name)})


def found(world: World, query: str, email: str = INGRID) -> list[str]:
    """Rows of the list as they are read."""
    page = visitor(world, email).get(f"/decisions?view=all&{query}")
    return [" ".join(row.get_text(" ").split()) for row in page.html.select("#list tbody tr")]


def lines(world: World, email: str, query: str = "") -> list[str]:
    page = visitor(world, email).get(f"/why?view=all&{query}")
    return [" ".join(row.get_text(" ").split()) for row in page.html.select("#list tbody tr")]


NO_CERTIFICATE = "delete from certifications where company_id = :c"


@pytest.mark.parametrize("in_blocks", [True, False])
def test_every_lead_a_partner_lost_to_a_gate(world: World, in_blocks: bool) -> None:
    changed(world, NO_CERTIFICATE)
    leads(world, 3)
    if in_blocks:
        written(world)
    rows = found(world, "partner=traun&gate=certified")
    assert len(rows) == 3 and all(
        "Not certified on the day" in row or "not certified on the day" in row for row in rows
    )
    page = visitor(world, INGRID).get("/decisions?view=all&partner=traun&gate=certified")
    assert "3 decisions on 3 leads, worth EUR\u00a0252,000" in page
    assert f"What became of {TRAUN}." in page
    assert found(world, "partner=traun&gate=ranked") == []
    winners = [name for name in (DANUBIA, ALPENHYDRO) for _row in found(world, f"partner={name}&gate=chosen")]
    assert len(winners) == 3


def test_blocks_and_the_newest_are_one_answer(world: World) -> None:
    changed(world, NO_CERTIFICATE)
    leads(world, 2)
    written(world)
    intake(world, external_key="N", account={"name": "New"}, contact={"name": "N", "email": "n@b.example"})
    assert len(found(world, "partner=traun&gate=certified")) == 3
    assert len(found(world, "partner=traun")) == len(found(world, "")) == 3


@pytest.mark.parametrize(
    ("query", "n"),
    [
        ("at.from=2026-11-23", 2),
        ("at.to=2026-11-22", 0),
        ("at.from=2026-11-24", 0),
        ("region=AT-4", 2),
        ("region=AT", 2),
        ("lines=SENTINEL", 0),
        ("lines=HX", 2),
        ("worth.from=84000", 2),
        ("worth.from=84001", 0),
        ("stage=won", 0),
        ("stage=new", 2),
        ("found=nobody", 0),
        ("found=somebody", 2),
        ("sort=at", 2),
        ("sort=worth", 2),
        ("location=Traun", 2),
    ],
)
def test_filters_narrow(world: World, query: str, n: int) -> None:
    leads(world, 2)
    written(world)
    if "region=AT" in query:
        changed(world, "update leads set country = 'AT', subdivision = coalesce(subdivision, 'AT-4')")
    assert len(found(world, query)) == n


@pytest.mark.parametrize(
    ("query", "cure"),
    [
        ("gate=certified", "name a partner or a location too"),
        ("partner=nobody-of-that-name", "no partner has that name"),
        ("location=nowhere-at-all", "no location has that name"),
        ("partner=traun&gate=nonsense", "choose from"),
    ],
)
def test_what_cannot_be_searched_is_refused_with_its_cure(world: World, query: str, cure: str) -> None:
    leads(world, 1)
    assert cure in visitor(world, INGRID).get(f"/decisions?{query}", status=400)


def test_too_many_partners_under_one_name_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes, "MOST_COMPANIES", 1)
    assert "name it more exactly" in visitor(world, INGRID).get("/decisions?partner=a", status=400)


def test_a_lead_counts_once_whatever_its_decisions(world: World) -> None:
    leads(world, 1)
    with world.system() as session:
        session.execute(
            text("""insert into decisions select company_id, subject_type, subject_id, request, as_of, seed,
                rule_set_version, rule_set_hash, directory_version, state, counts, top, gates, candidates, eligible,
                chosen_location_id, result_hash, id + 1, realm_id from decisions""")
        )
    assert "2 decisions on 1 lead, worth EUR\u00a084,000" in visitor(world, INGRID).get("/decisions?view=all")


def test_the_list_is_a_file_too(world: World) -> None:
    leads(world, 2)
    rows = visitor(world, INGRID).get("/decisions?partner=traun&export=csv").text.splitlines()
    assert len(rows) == 3 and "What became of it" in rows[0]
    assert visitor(world, INGRID).get("/decisions?export=xlsx").body.startswith(b"PK")


def test_who_may_search(world: World) -> None:
    for email in (KATRIN, "lukas@danubia.example"):
        visitor(world, email).get("/decisions", status=404)
    visitor(world, INGRID).get("/why", status=404)


# -- a partner's own lines ---------------------------------------------------------------------------------------------


def test_a_partner_reads_whether_it_got_a_lead(world: World) -> None:
    leads(world, 3)
    written(world)
    said = {email: lines(world, email) for email in (KATRIN, TRAUNS, ALPENS)}
    assert [len(rows) for rows in said.values()] == [3, 3, 3]
    got = [row for rows in said.values() for row in rows if "You were offered it: L-" in row]
    behind = [row for rows in said.values() for row in rows if "another partner was ahead" in row]
    assert len(got) == 3 and len(behind) == 6
    assert all(
        "Oberösterreich" in row and "Heat exchangers HX" in row and "EUR" in row for row in got + behind
    )
    assert not any("84,000" in row for row in got + behind)
    for email, rows in said.items():
        assert lines(world, email, "became=chosen") == [row for row in rows if "offered it" in row]


@pytest.mark.parametrize(
    ("sql", "said", "became"),
    [
        (NO_CERTIFICATE, "You would need the certification ATEX explosion protection, valid on", "certified"),
        (
            "update certifications set expires = '2026-11-01' where company_id = :c",
            "Your certification ATEX explosion protection expired on 1 Nov",
            "certified",
        ),
        (
            "update certifications set issued = '2026-12-01' where company_id = :c",
            "Your certification ATEX explosion protection begins on 1 Dec",
            "certified",
        ),
        (
            "update certifications set product_line = 'SENTINEL' where company_id = :c",
            "Your certification ATEX explosion protection is not for Heat exchangers HX.",
            "certified",
        ),
        (
            "delete from authorisations where product_line = 'HX' and company_id = :c",
            "You would need the authorisation to sell Heat exchangers HX.",
            "authorised",
        ),
        (
            "update location_facts set capacity = 0 where company_id = :c",
            "with room you would have been in the running",
            "capacity",
        ),
    ],
)
def test_a_partner_reads_what_stopped_it(world: World, sql: str, said: str, became: str) -> None:
    changed(world, sql)
    leads(world, 2)
    written(world)
    rows = lines(world, TRAUNS)
    assert len(rows) == 2 and all(said in row for row in rows), rows
    assert lines(world, TRAUNS, f"became={became}") == rows
    assert lines(world, TRAUNS, "became=ranked") == []
    with world.system() as session:
        session.execute(text("update people set language = 'de'"))
    german = lines(world, TRAUNS)
    assert len(german) == 2 and not any(said in row for row in german)


def test_nothing_of_others_stands_there(world: World) -> None:
    changed(world, NO_CERTIFICATE)
    leads(world, 3)
    written(world)
    page = visitor(world, TRAUNS).get("/why?view=all")
    csv = visitor(world, TRAUNS).get("/why?view=all&export=csv").text
    with world.system() as session:
        numbers = list(session.scalars(text("select number from leads")))
    for word in (*numbers, DANUBIA, ALPENHYDRO, "Customer", "Plant", "84,000", "84000", "b.example"):
        assert word not in page.text and word not in csv, word
    assert len(csv.splitlines()) == 4


def test_days_are_filtered(world: World) -> None:
    leads(world, 1)
    written(world)
    day = world.now.date()
    assert len(lines(world, KATRIN, f"day.from={day}&day.to={day}")) == 1
    assert lines(world, KATRIN, f"day.to={day - timedelta(days=1)}") == []
    assert lines(world, KATRIN, f"day.from={day + timedelta(days=2)}") == []

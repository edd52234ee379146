"""The pages of rule sets: who reads and edits them, rows in words, two side by side, steps with what the reader saw."""

from typing import Any

import pytest
from sqlalchemy import text

from portal.routing.rulesets import actions
from rules import RuleSet, default_ruleset
from tests.portal.visitors import visitor
from tests.world import World

INGRID, ANNA, OPERATOR = "ingrid@halden.example", "anna@halden.example", "operator@halden.example"
ROWS = [
    {
        "id": "atex-upper-austria",
        "when": {"country": ["AT"], "subdivision": ["AT-4"], "product_lines": ["HX"],
                 "amount": {"currency": "EUR", "from": 50_000}},
        "who": {"level": ["gold"], "certification": ["ATEX"]},
        "effect": {"kind": "require"}, "valid_from": "2026-12-01",
    },
    {"id": "near", "when": {}, "who": {"country": ["AT", "CZ"]}, "effect": {"kind": "boost", "points": -5}},
]  # fmt: skip


def draft(world: World, rows: Any = ROWS, **changes: Any) -> int:
    with world.acting(INGRID) as session:
        made = actions.draft(session)
        rules = RuleSet.parse(default_ruleset().to_json() | {"rules": rows} | changes)
        actions.save(session, made.version, 1, rules)
        return int(made.version)


def german(world: World) -> None:
    with world.system() as session:
        session.execute(text("update people set language = 'de'"))


def test_the_list_says_which_one_decides(world: World) -> None:
    draft(world)
    page = visitor(world, INGRID).get("/rules")
    assert "Version 1, First rules, decides who is offered which lead." in page.text
    assert "Draft" in page and "Published" in page and "Ingrid Hall" in page


def test_rows_read_in_plain_words(world: World) -> None:
    version = draft(world)
    page = visitor(world, INGRID).get(f"/rules/{version}")
    said = " ".join(page.html.find("table").get_text(" ").split())
    assert (
        "When a lead comes from Austria" in said and "For every lead: partners in Austria or Czechia" in said
    )


def sentences(page: Any) -> str:
    """What stands in the first table, as it is read."""
    said = " ".join(page.html.find("table").get_text("").split())
    return said.replace("\u00a0", " ")


def test_a_sentence_says_every_cell(world: World) -> None:
    said = sentences(visitor(world, INGRID).get(f"/rules/{draft(world)}"))
    assert (
        "When a lead comes from Austria, comes from the region Oberösterreich, asks for Heat exchangers HX and is worth"
        " EUR 50,000 or more: only partners at level Gold and with the certificate ATEX explosion protection may get it,"
        " from 1 Dec on."
    ) in said
    assert "For every lead: partners in Austria or Czechia get 5 points less." in said


def test_rows_read_in_german(world: World) -> None:
    version = draft(world)
    german(world)
    page = visitor(world, INGRID).get(f"/rules/{version}")
    said = " ".join(page.html.find("table").get_text(" ").split())
    assert "Wenn ein Lead aus Österreich kommt" in said and "nur Partner" in said and "Tschechien" in said


@pytest.mark.parametrize("tab", ["rows", "settings", "examples", "history"])
def test_each_part_has_its_page(world: World, tab: str) -> None:
    version = draft(world)
    page = visitor(world, INGRID).get(f"/rules/{version}?tab={tab}")
    wanted = {
        "settings": "Points for the level",
        "examples": "Passes",
        "history": "row 1 atex-upper-austria added",
    }
    assert wanted.get(tab, "In plain words") in page.text


def test_a_part_that_there_is_not_is_refused(world: World) -> None:
    visitor(world, INGRID).get(f"/rules/{draft(world)}?tab=nonsense", status=400)


def test_two_are_compared_row_by_row(world: World) -> None:
    first = draft(world)
    with world.acting(INGRID) as session:
        second = actions.draft(session, first).version
        rows = [ROWS[1], ROWS[0] | {"who": {"level": ["silver"]}}]
        changed = default_ruleset().to_json() | {"rules": rows, "note": "Silver is enough"}
        actions.save(session, second, 1, RuleSet.parse(changed))
    page = visitor(world, INGRID).get(f"/rules/{second}/compare?with={first}")
    said = " ".join(page.html.find("main").get_text(" ").split())
    assert "Level: Gold → Silver" in said and "Certificate: ATEX explosion protection → –" in said
    assert "moved" in said and "Silver is enough" in said
    assert "One row is the same in both" not in said
    visitor(world, INGRID).get(f"/rules/{second}/compare?with=99", status=404)
    visitor(world, INGRID).get(f"/rules/{second}/compare?with=x", status=404)


def test_who_reads_and_who_edits(world: World) -> None:
    version = draft(world)
    for email in (ANNA, OPERATOR):
        page = visitor(world, email).get(f"/rules/{version}")
        assert "atex-upper-austria" in page.text and "/publishing" not in page.text
        client = visitor(world, email)
        form = next(f for f in client.get("/me").forms.values() if "csrf_token" in f.fields)
        token = form["csrf_token"].value
        for path in ("publishing", "drop", "edit"):
            client.post(f"/rules/{version}/{path}", {"csrf_token": token}, status=404)
    for email in ("tomas@halden.example", "lukas@danubia.example", "katrin@danubia.example"):
        for path in ("/rules", f"/rules/{version}", f"/rules/{version}/compare"):
            assert "atex" not in visitor(world, email).get(path, status=404).text


def test_a_step_on_an_old_page_is_refused_with_who_was_faster(world: World) -> None:
    version = draft(world)
    page = visitor(world, INGRID).get(f"/rules/{version}")
    form = next(f for f in page.forms.values() if f.action.endswith("/drop"))
    with world.acting(INGRID) as session:
        actions.acknowledge(session, version, 2, {"x": True})
    refused = form.submit(status=409)
    assert "Ingrid Hall changed it" in refused.text and "Nothing was changed." in refused.text
    with world.system() as session:
        assert actions.find(session, version).state == "draft"


def test_publish_and_roll_back_are_one_step_each(world: World) -> None:
    version = draft(world, rows=[])
    page = visitor(world, INGRID).get(f"/rules/{version}/publishing")
    form = next(f for f in page.forms.values() if f.action.endswith("/publishing"))
    done = form.submit("do", value="publish").follow()
    assert "Published. It decides from now on." in done.text and "In force since" in done.text
    old = visitor(world, INGRID).get("/rules/1")
    done = next(f for f in old.forms.values() if f.action.endswith("/roll_back")).submit().follow()
    assert done.request.path == "/rules/3" and "Published 3" in done.text


def test_the_operator_asks_for_a_second_person(world: World) -> None:
    page = visitor(world, OPERATOR).get("/rules")
    done = next(f for f in page.forms.values() if f.action == "/rules/review").submit("required").follow()
    assert "A second person has to approve before a rule set is published." in done.text
    version = draft(world)
    page = visitor(world, INGRID).get(f"/rules/{version}")
    assert "Submit for review" in page.text and "/publishing" not in page.text

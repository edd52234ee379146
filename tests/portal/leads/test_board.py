"""The board of one's leads: what stands in its columns, what a move asks for and refuses, and what it costs."""

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from portal.leads import actions, board
from tests.portal.leads.test_flow import intake, lead_of
from tests.portal.leads.test_views import KATRIN, LUKAS, MANAGER, accept
from tests.portal.leads.test_views_lists import counted
from tests.portal.visitors import visitor
from tests.world import DANUBIA, World


def held(world: World, n: int = 1, first: int = 0, **changes: Any) -> list[Any]:
    """Leads that Danubia has accepted."""
    with world.system() as session:
        session.execute(text("update location_facts set capacity = 500"))
        session.execute(
            text("update location_facts set active = false where company_id <> :d"),
            {"d": world.company(DANUBIA)},
        )
    got = []
    for i in range(first, first + n):
        contact, account = {"name": f"B{i}", "email": f"b{i}@x.example"}, {"name": f"Customer {i}"}
        got.append(intake(world, contact=contact, account=account, **changes))
        accept(world, got[-1])
    return got


def column(page: Any, stage: str) -> str:
    """The text of one column."""
    found = re.search(rf'<section class="col[^"]*" data-col="{stage}".*?</section>', page.text, re.S)
    return found[0] if found else ""


def post(app: Any, number: str, to: str, **more: str) -> Any:
    token = re.search(r'name="csrf_token" value="([^"]+)"', app.get("/leads/board?view=all").text)[1]
    sent = {"csrf_token": token, "number": number, "to": to, "back": "view=all"} | more
    return app.post("/leads/board/move", sent, status="*")


def test_cards_stand_in_their_stage_with_count_and_worth(world: World) -> None:
    one, two = held(world, 2, amount=10_000, currency="EUR")
    with world.acting(KATRIN) as session:
        actions.move(session, two.lead_id, "working")
        actions.plan_step(session, two.lead_id, "Call the plant", world.now.date() + timedelta(days=2))
    page = visitor(world, KATRIN).get("/leads/board")
    new, working = column(page, "new"), column(page, "working")
    assert one.number in new and "Customer 0" in new and two.number not in new
    assert two.number in working and "Call the plant" in working and "25 Nov" in working and "left" in working
    assert 'class="cnt">1</span>' in working and "EUR\xa010,000" in working
    assert list(re.findall(r'data-col="(\w+)"', page.text)) == list(board.COLUMNS)


def test_a_vendor_has_no_board_and_others_see_nothing(world: World) -> None:
    (got,) = held(world)
    assert visitor(world, MANAGER).get("/leads/board", status=404)
    theirs = visitor(world, "sales@traun.example")
    assert got.number not in theirs.get("/leads/board")
    assert "What you accept stands here." in theirs.get("/leads/board")
    assert post(theirs, got.number, "working").status_int == 404
    assert lead_of(world, got.lead_id).stage == "new"


def test_a_plain_form_moves_a_card(world: World) -> None:
    (got,) = held(world)
    app = visitor(world, KATRIN)
    form = next(f for f in app.get("/leads/board").forms.values() if f.action == "/leads/board/move")
    assert [v for v, *_ in form["to"].options] == ["working", "lost", "invalid", "nurture"], (
        "only what stages.py allows"
    )
    form["to"] = "working"
    page = form.submit(status=303).follow()
    assert f"{got.number} is now working." in page and got.number in column(page, "working")
    assert lead_of(world, got.lead_id).stage == "working"


def test_a_move_that_needs_a_reason_asks_for_it_first(world: World) -> None:
    (got,) = held(world)
    app = visitor(world, KATRIN)
    asked = post(app, got.number, "lost").follow()
    assert f"Move {got.number} to Lost" in asked and 'value="competitor"' in asked
    assert lead_of(world, got.lead_id).stage == "new"
    wrong = post(app, got.number, "lost", asked="1", note="They chose another")
    assert wrong.status_int == 422 and "Nothing was moved." in wrong and 'value="They chose another"' in wrong
    assert post(app, got.number, "lost", asked="1", reason="competitor").status_int == 303
    lead = lead_of(world, got.lead_id)
    assert (lead.stage, lead.stage_reason) == ("lost", "competitor")


def test_won_asks_for_amount_and_day(world: World) -> None:
    (got,) = held(world, amount=10_000, currency="EUR")
    with world.acting(KATRIN) as session:
        for stage in ("working", "qualified"):
            actions.move(session, got.lead_id, stage)
    app = visitor(world, KATRIN)
    assert 'name="won_amount"' in post(app, got.number, "won").follow()
    bad = post(app, got.number, "won", asked="1", won_amount="much", won_on="2026-11-20")
    assert bad.status_int == 422 and 'value="much"' in bad
    assert post(app, got.number, "won", asked="1", won_amount="9500", won_on="2026-11-20").status_int == 303
    assert "EUR\xa09,500" in column(app.get("/leads/board?view=all"), "won")


def test_a_refused_move_says_why_and_changes_nothing(world: World) -> None:
    (got,) = held(world)
    app = visitor(world, KATRIN)
    answer = post(app, got.number, "proposed")
    assert answer.status_int == 409 and "A lead that is new cannot become proposed. Possible:" in answer
    with world.acting(LUKAS) as session:
        actions.hand_back(session, got.lead_id, "dates", None)
    gone = post(app, got.number, "working")
    assert gone.status_int == 409 and "is no longer with your company" in gone
    assert post(app, "L-99999999", "working").status_int == 404


def test_a_refusal_is_drawn_on_the_board_as_it_was_filtered(world: World) -> None:
    one, two = held(world, 2)
    with world.acting(KATRIN) as session:
        actions.move(session, two.lead_id, "working")
        actions.move(session, two.lead_id, "qualified")
    app = visitor(world, KATRIN)
    sent = {"back": "days=90&state=qualified", "asked": "1", "won_on": "2026-11-20"}
    opened = app.get("/leads/board?days=90&state=qualified").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', opened)[1]
    wrong = app.post(
        "/leads/board/move",
        {"csrf_token": token, "number": two.number, "to": "won", "won_amount": "abc", **sent},
        status="*",
    )
    assert wrong.status_int == 422 and "Nothing was moved." in wrong and 'value="abc"' in wrong
    assert column(wrong, "qualified") and not column(wrong, "new"), "filtered as before"
    assert 'name="back" value="days=90&amp;state=qualified"' in wrong
    assert "/leads/board/move?" not in wrong, "every link leads to the board"
    late = app.post(
        "/leads/board/move",
        {"csrf_token": token, "number": one.number, "to": "proposed", "back": "state=qualified"},
        status="*",
    )
    assert late.status_int == 409 and "cannot become proposed" in late
    bad = {"csrf_token": token, "number": one.number, "to": "proposed", "back": "state=nonsense"}
    assert app.post("/leads/board/move", bad, status="*").status_int == 400


def test_the_board_exports_what_it_shows_with_the_columns_of_the_list(world: World) -> None:
    one, two, three = held(world, 3, amount=10_000, currency="EUR")
    with world.acting(KATRIN) as session:
        actions.move(session, two.lead_id, "lost", reason="price")
        actions.move(session, three.lead_id, "nurture", reason="later")
    app = visitor(world, KATRIN)
    page = app.get("/leads/board")
    (link,) = [a["href"] for a in page.html.find_all("a", {"aria-label": "Export as CSV"})]
    of_list = app.get("/leads?view=all&export=csv").body.decode("utf-8-sig").splitlines()

    def numbers(address: str) -> set[str]:
        lines = app.get(address).body.decode("utf-8-sig").splitlines()
        assert lines[0] == of_list[0]
        return {line.partition(",")[0] for line in lines[1:]}

    assert numbers(link) == {one.number, two.number}, "nurture has no column"
    assert numbers("/leads/board?state=lost&export=csv") == {two.number}
    with world.system() as session:
        session.execute(text("update shares set at = at - interval '40 days'"))
    assert numbers("/leads/board?view=all&export=csv") == {one.number}, "lost longer ago than the board shows"
    assert numbers("/leads/board?days=90&export=csv") == {one.number, two.number}
    assert app.get("/leads/board?view=all&export=xlsx").content_type.endswith("sheet")
    theirs = visitor(world, "sales@traun.example").get("/leads/board?view=all&export=csv")
    assert one.number not in theirs


def test_won_and_lost_leave_after_the_period(world: World) -> None:
    (got,) = held(world)
    with world.acting(KATRIN) as session:
        actions.move(session, got.lead_id, "lost", reason="price")
    with world.system() as session:
        session.execute(text("update shares set at = at - interval '40 days'"))
    app = visitor(world, KATRIN)
    assert got.number not in column(app.get("/leads/board"), "lost")
    assert got.number in column(app.get("/leads/board?days=90"), "lost")
    assert app.get("/leads/board?days=nonsense", status=400)


def test_filters_are_those_of_the_list(world: World) -> None:
    one, two = held(world, 2)
    app = visitor(world, KATRIN)
    with world.system() as session:
        session.execute(text("update leads set title = 'Dosing skid' where id = :i"), {"i": one.lead_id})
    page = app.get("/leads/board?q=dosing")
    assert one.number in page and two.number not in page
    page = app.get("/leads/board?state=working")
    assert column(page, "working") and not column(page, "new")
    assert app.get("/leads/board?state=nonsense", status=400)


def test_the_filter_offers_the_states_that_have_a_column(world: World) -> None:
    app = visitor(world, KATRIN)
    offered = [box["value"] for box in app.get("/leads/board").html.select("#board input[name=state]")]
    assert sorted(offered) == sorted(board.COLUMNS)
    listed = [box["value"] for box in app.get("/leads?view=all").html.select("#list input[name=state]")]
    assert set(listed) > set(offered), "the list has them all"
    app.get("/leads/board?state=lost")
    refused = app.get("/leads/board?state=nurture", status=400)
    assert "State: “nurture” cannot be used; choose from: New (new)," in refused.html.main.get_text(" ")
    with world.system() as session:
        session.execute(text("update list_memories set query = 'state=nurture' where list = 'board'"))
    app.get("/leads/board", status=200)


def test_long_columns_are_cut_and_lead_to_the_list(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    held(world, 3)
    monkeypatch.setattr(board, "MOST_CARDS", 2)
    app = visitor(world, KATRIN)
    new = column(app.get("/leads/board"), "new")
    assert new.count("<li class") == 2 and "All 3 in the list" in new
    url = re.search(r'href="(/leads\?[^"]*)"[^>]*>All 3', new)[1].replace("&amp;", "&")
    assert app.get(url).text.count("<tr data-row") == 3


def test_the_board_costs_the_same_however_many_leads(world: World) -> None:
    held(world, 1)
    app = visitor(world, KATRIN)
    costs = []
    for more in (0, 5):
        held(world, more, first=10)
        app.get("/leads/board")
        with counted(app) as seen:
            app.get("/leads/board")
        costs.append(len(seen))
    assert costs[0] == costs[1] <= 15


def test_a_phone_shows_one_column_and_the_others_are_links(world: World) -> None:
    held(world)
    page = visitor(world, KATRIN).get("/leads/board?col=working")
    assert '<section class="col on" data-col="working"' in page
    assert page.text.count('class="col on"') == 1 and "col=lost" in page

"""A refused form of the lead page, the link page or the board: said at its field and above, and nothing typed is lost."""

from typing import Any

import pytest
from bs4 import BeautifulSoup
from sqlalchemy import text

from portal.errors import Invalid
from portal.leads import actions
from tests.portal.leads.test_flow import intake, lead_of, offers_of, run
from tests.portal.leads.test_link import app, outbox, paths
from tests.portal.visitors import visitor
from tests.world import World

__all__ = ["app", "outbox", "paths"]
MANAGER, KATRIN = "ingrid@halden.example", "katrin@danubia.example"
WHICH = "Say in a few words which other reason."


def held(world: World, *stages: str) -> Any:
    """A lead that Katrin accepted and moved on."""
    got = intake(world)
    with world.acting(KATRIN) as session:
        actions.accept(session, offers_of(world, got.lead_id)[0].id)
        for stage in stages:
            actions.move(session, got.lead_id, stage)
    return got


def at_field(page: Any, url: str, name: str, to: str = "") -> tuple[Any, str]:
    """The input of a refused form and what stands at it; checks that focus and the summary lead there."""
    html: BeautifulSoup = page.html
    forms = [
        f for f in html.find_all("form", action=url) if not to or f.find("input", {"name": "to", "value": to})
    ]
    focus = [n for form in forms for n in form.select("[autofocus]")]
    (there,) = focus
    assert name in (there.get("name"), there["id"].rpartition("-")[2]), "the first wrong input has the focus"
    said = [html.find(id=one) for one in there["aria-describedby"].split()]
    box = html.find(attrs={"role": "alert"})
    assert box.find("a", href=f"#{there['id']}"), "the summary links to the field"
    for folded in there.find_parents("details"):
        assert folded.has_attr("open"), "a folded form is open"
    return there, " ".join(n.get_text(" ", strip=True) for n in said)


CASES = [
    # who, stages it is moved through first, form, what is sent, input, what is said, what must still be there
    (KATRIN, (), "comment", {"text": "  ", "audience": "all"}, "text", "Write 1 to", {"audience": "all"}),
    (KATRIN, (), "step", {"step": "Call Eva", "on": "2020-01-01"}, "on", "This day is over", {"step": "Call Eva"}),
    (KATRIN, (), "step", {"step": "Call Eva", "on": "soon"}, "on", "Say by which day", {"step": "Call Eva"}),
    (KATRIN, (), "step", {"step": " ", "on": "2030-01-01"}, "step", "1 to 200", {"on": "2030-01-01"}),
    (KATRIN, (), "hand-back", {"reason": "other", "note": " "}, "note", WHICH, {}),
    (KATRIN, (), "hand-back", {"reason": "boredom"}, "reason", "Choose one of: no capacity", {}),
    (KATRIN, (), "stage", {"to": "lost", "reason": "other"}, "note", WHICH, {}),
    (KATRIN, (), "stage", {"to": "lost", "reason": "boredom", "note": "so"}, "reason", "Choose one of", {"note": "so"}),
    (KATRIN, ("working", "qualified"), "stage", {"to": "won", "won_amount": "much", "won_on": "2026-11-20"},
     "won_amount", "Write the amount", {"won_amount": "much", "won_on": "2026-11-20"}),
    (KATRIN, ("working", "qualified"), "stage", {"to": "won", "won_amount": "9000", "won_on": "2999-01-01"},
     "won_on", "in the future", {"won_amount": "9000"}),
    (MANAGER, (), "withdraw", {"reason": "other"}, "note", WHICH, {}),
    (MANAGER, (), "withdraw", {"reason": ""}, "reason", "Choose one of", {}),
]  # fmt: skip


@pytest.mark.parametrize(("email", "before", "form", "given", "name", "words", "kept"), CASES)
def test_a_refusal_stands_at_its_field(
    world: World, email: str, before: Any, form: str, given: Any, name: str, words: str, kept: Any
) -> None:
    got = held(world, *before)
    stood = lead_of(world, got.lead_id)
    app, url = visitor(world, email), f"/leads/{got.number}"
    token = app.get(url).html.find("input", {"name": "csrf_token"})["value"]
    page = app.post(f"{url}/{form}", {"csrf_token": token, **given}, status=422)
    _there, said = at_field(page, f"{url}/{form}", name, given.get("to", ""))
    assert words in said
    assert (
        page.html.find(attrs={"role": "alert"}).get_text(" ", strip=True).startswith("Nothing was changed.")
    )
    mine = [
        f
        for f in page.html.find_all("form", action=f"{url}/{form}")
        if f.find(attrs={"name": next(iter(given))})
    ]
    for key, value in kept.items():
        assert any(_holds(one, key, value) for one in mine), (key, value)
    assert lead_of(world, got.lead_id)._mapping == stood._mapping


def _holds(form: Any, name: str, value: str) -> bool:
    found = form.find_all(attrs={"name": name})
    if found and found[0].get("type") == "radio":
        return [n["value"] for n in found if n.has_attr("checked")] == [value]
    return any((n.get("value") or n.get_text()) == value for n in found)


def test_only_the_refused_form_is_filled_in(world: World) -> None:
    got = held(world)
    app, url = visitor(world, KATRIN), f"/leads/{got.number}"
    token = app.get(url).html.find("input", {"name": "csrf_token"})["value"]
    page = app.post(f"{url}/hand-back", {"csrf_token": token, "reason": "other", "note": ""}, status=422)
    assert len(page.html.select(".invalid-feedback:not([hidden])")) == 1
    assert len(page.html.select("[aria-invalid]")) == 1
    assert [s.get_text(strip=True) for s in page.html.select("details[open] > summary")] == ["Hand back"]


def test_assigning_by_hand_keeps_what_was_typed(world: World) -> None:
    got = intake(
        world, place={"country": "CZ", "postal": "602 00", "city": "Brno", "lat": 49.19, "lon": 16.61}
    )
    app, url = visitor(world, MANAGER), f"/leads/{got.number}"
    token = app.get(url).html.find("input", {"name": "csrf_token"})["value"]
    given = {"csrf_token": token, "location": "Nobody, Nowhere", "why": "no"}
    page = app.post(f"{url}/assign", given, status=422)
    there, said = at_field(page, f"{url}/assign", "why")
    assert "Say in 3 to 500 characters why this partner." in said and there["value"] == "no"
    other = page.html.find("input", {"name": "location"})
    assert other["aria-invalid"] == "true" and other["value"] == "Nobody, Nowhere"
    assert "is not one of them" in page.html.find(id=other["aria-describedby"]).get_text()
    assert len(page.html.find(attrs={"role": "alert"}).find_all("a")) == 2
    page = app.post(f"{url}/assign", given | {"location": " "}, status=422)
    other = page.html.find("input", {"name": "location"})
    assert (
        page.html.find(id=other["aria-describedby"]).get_text(strip=True) == "Choose a partner from the list."
    )


def test_a_move_that_is_not_possible_names_the_stages_as_labels(world: World) -> None:
    got = held(world)
    with world.system() as session:
        session.execute(text("update people set language = 'de' where email = :e"), {"e": KATRIN})
    app, url = visitor(world, KATRIN), f"/leads/{got.number}"
    token = app.get(url).html.find("input", {"name": "csrf_token"})["value"]
    page = app.post(f"{url}/stage", {"csrf_token": token, "to": "proposed"}, status=409)
    assert "Der Lead steht auf „Neu“ und kann nicht auf „Angebot abgegeben“ gehen." in page


def test_declining_for_another_reason_says_which(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0].id
    app = visitor(world, KATRIN)
    token = app.get("/offers").html.find("input", {"name": "csrf_token"})["value"]
    url = f"/offers/{offer}/decline"
    page = app.post(url, {"csrf_token": token, "reason": "other", "note": "  "}, status=422)
    assert WHICH in at_field(page, url, "note")[1]
    assert offers_of(world, got.lead_id)[0].state == "offered"
    app.post(url, {"csrf_token": token, "reason": "other", "note": "We move house"}, status=303)
    assert offers_of(world, got.lead_id)[0].state == "declined"


def test_a_file_that_is_none_is_told_at_the_field(world: World) -> None:
    got = held(world)
    app, url = visitor(world, KATRIN), f"/leads/{got.number}"
    token = app.get(url).html.find("input", {"name": "csrf_token"})["value"]
    page = app.post(f"{url}/files", {"csrf_token": token, "audience": "shared"}, status=422)
    assert "Choose a file." in at_field(page, f"{url}/files", "file")[1]
    assert page.html.find("select", {"name": "audience"}).find("option", selected=True)["value"] == "shared"


def test_who_may_see_a_file_is_chosen_by_label_not_by_code(world: World) -> None:
    got = held(world)
    for email in (KATRIN, MANAGER):
        app, url = visitor(world, email), f"/leads/{got.number}"
        shown = app.get(url).html
        labels = [o.get_text() for o in shown.find("select", {"name": "audience"}).find_all("option")]
        token = shown.find("input", {"name": "csrf_token"})["value"]
        page = app.post(f"{url}/files", {"csrf_token": token, "audience": "everybody"}, status=422)
        said = at_field(page, f"{url}/files", "audience")[1]
        assert labels and f"Choose one of: {', '.join(labels)}." in said


def test_the_link_page_says_it_at_the_field_too(world: World, app: Any, paths: list[str]) -> None:
    token = app.get(paths[0]).forms[0]["csrf_token"].value
    url = f"{paths[0]}/decline"
    page = app.post(url, {"csrf_token": token, "reason": "other", "note": ""}, status=422)
    assert WHICH in at_field(page, url, "note")[1] and "Pump service contract" in page
    assert "note:" not in page.html.find("main").get_text(), "no name of a field"
    page = app.post(url, {"csrf_token": token, "reason": "boredom"}, status=422)
    assert "Choose one of: no capacity" in at_field(page, url, "reason")[1]
    done = app.post(url, {"csrf_token": token, "reason": "other", "note": "We move house"})
    assert "Declined" in done
    run(world)


def test_the_board_says_it_at_the_field_too(world: World) -> None:
    got = held(world)
    app = visitor(world, KATRIN)
    token = app.get("/leads/board").html.find("input", {"name": "csrf_token"})["value"]
    given = {
        "csrf_token": token,
        "number": got.number,
        "to": "lost",
        "asked": "1",
        "reason": "other",
        "note": "",
    }
    page = app.post("/leads/board/move", given, status=422)
    assert WHICH in at_field(page, "/leads/board/move", "note", "lost")[1]
    assert page.html.find("input", {"value": "other"}).has_attr("checked")
    given |= {"reason": "", "note": "They chose another"}
    page = app.post("/leads/board/move", given, status=422)
    assert "Choose one of" in at_field(page, "/leads/board/move", "reason", "lost")[1]
    assert lead_of(world, got.lead_id).stage == "new"


def test_other_needs_words_whoever_asks(world: World) -> None:
    got = intake(world)
    offer = offers_of(world, got.lead_id)[0].id
    with world.acting(KATRIN) as session:
        with pytest.raises(Invalid) as refusal:
            actions.decline(session, offer, "other", " ")
        assert [(f.field, f.code) for f in refusal.value.faults] == [("note", "missing")]
        actions.accept(session, offer)
        for act in (
            lambda: actions.hand_back(session, got.lead_id, "other"),
            lambda: actions.move(session, got.lead_id, "lost", reason="other", note=""),
            lambda: actions.move(session, got.lead_id, "nurture", reason="other"),
        ):
            with pytest.raises(Invalid, match="few words"):
                act()
    with world.acting(MANAGER) as session:
        with pytest.raises(Invalid, match="few words"):
            actions.withdraw(session, got.lead_id, "other", reroute=False)
        actions.withdraw(session, got.lead_id, "other", "The budget is gone", reroute=False)
    page = visitor(world, MANAGER).get(f"/leads/{got.number}")
    assert "The budget is gone" in page
    assert "The budget is gone" not in visitor(world, KATRIN).get(f"/leads/{got.number}")

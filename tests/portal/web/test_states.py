"""The states of pages: empty, loading, error, forbidden; each made once, with a next step."""

import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, text
from webtest import TestApp

from portal.web import tables
from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_views import KATRIN, LUKAS, MANAGER, SALES_REP
from tests.portal.pages import main_form
from tests.portal.site import signed_in, site
from tests.portal.visitors import visitor
from tests.world import World

STATIC = Path(__file__).parents[3] / "portal" / "web" / "static"
LISTS = [
    (MANAGER, "/leads"), (MANAGER, "/leads/queue"), (MANAGER, "/imports"), (MANAGER, "/proposals"),
    (MANAGER, "/proposals?tab=decided"), (SALES_REP, "/leads"), (KATRIN, "/leads"), (KATRIN, "/leads?tab=past"),
    (KATRIN, "/leads/board"), (LUKAS, "/company/proposals"), (LUKAS, "/lists/my-leads"),
]  # fmt: skip


def form_token(page: Any) -> str:
    """The CSRF token of a page's first form."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found
    return found[1]


@pytest.mark.parametrize(("email", "path"), LISTS)
def test_an_empty_list_says_one_sentence_and_offers_one_step(world: World, email: str, path: str) -> None:
    page = visitor(world, email).get(path)
    found = re.search(r'<div class="empty"><p>([^<]+)</p>\s*<(a|form)\b', page.text)
    assert found and found[1].strip().endswith("."), path
    assert page.text.count('class="empty"') == 1


def test_a_filter_that_lets_nothing_through_can_be_cleared(world: World) -> None:
    page = visitor(world, MANAGER).get("/partners?q=nobody+at+all")
    assert "Nothing matches this filter." in page and "Clear the filter" in page


def test_a_page_past_the_end_says_so_and_leads_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        contact = {"name": f"B{n}", "email": f"b{n}@x.example"}
        intake(world, contact=contact, account={"name": f"Customer {n}"})
    app = visitor(world, MANAGER)
    for query, last in (("view=all&per=2", "/leads?per=2&page=2"), ("stage=new", "/leads?stage=new")):
        page = app.get(f"/leads?{query}&page=9999")
        (told,) = page.html.select("#list .empty")
        assert told.p.text == "The list ends before page 9999." and told.a.text == "To its last page"
        assert told.a["href"] == last and app.get(last).html.select("#list tbody tr")
        assert not page.html.select("#list [rel=prev]"), "the page before is past the end, too"
    monkeypatch.setattr(tables, "COUNT_LIMIT", 1)
    (told,) = app.get("/leads?view=all&page=9999").html.select("#list .empty")
    assert (told.a.text, told.a["href"]) == ("To its first page", "/leads?view=all"), (
        "how long it is is not known"
    )
    assert "Nothing matches" in app.get("/leads?stage=won&page=9"), (
        "where there is no entry, that is what is said"
    )


def test_a_stranger_is_not_sent_to_a_search_that_is_not_there(world: World) -> None:
    page = site(world.database).get("/nothing/at/all", status=404)
    assert "or sign in and open it again" in page and "search at the top" not in page
    assert "search at the top" in visitor(world, MANAGER).get("/nothing/at/all", status=404)


def test_a_list_that_is_fetched_shows_grey_rows_after_300_ms_and_no_spinner(world: World) -> None:
    page = visitor(world, MANAGER).get("/partners")
    assert 'hx-indicator="#list"' in page
    css = (STATIC / "css" / "interline.css").read_text(encoding="utf-8")
    rule = re.search(r"\.htmx-request \.t-body td[^{]*\{([^}]*)\}", css)
    assert rule and ".3s" in rule[1] and "36px" in rule[1]
    assert "thead" not in css[css.index("@keyframes bars") :][:400], "the head stays"


def test_a_part_that_does_not_come_has_its_words_ready(world: World) -> None:
    page = visitor(world, MANAGER).get("/partners")
    told = page.text[page.text.index('<template id="failed">') :]
    for words in (
        "did not work.",
        "could not be reached",
        "on our side",
        "what you typed is still here",
        "Try again",
    ):
        assert words in told, words


@pytest.mark.parametrize(
    ("email", "path"),
    [(MANAGER, "/leads/board"), (MANAGER, "/company"), (MANAGER, "/nothing/at/all"), (KATRIN, "/partners/1")],
)
def test_forbidden_and_unknown_read_the_same_and_lead_home(world: World, email: str, path: str) -> None:
    page = visitor(world, email).get(path, status=404)
    assert "There is nothing here for you" in page and 'class="btn btn-primary" href="/"' in page


def failing(config: Any) -> None:
    """A page whose form fails on the server."""

    def fail(_request: Any) -> None:
        raise RuntimeError("broken for the test")

    config.add_route("broken", "/broken")
    config.add_view(fail, route_name="broken", permission="home", request_method="POST")


def test_a_failed_form_is_given_back_to_be_sent_again(world: World) -> None:
    app = signed_in(world, MANAGER, failing)
    token = form_token(app.get("/leads"))
    page = app.post("/broken", {"csrf_token": token, "title": 'A "title" <b>', "need": "x"}, status=500)
    form = main_form(page)
    assert form.action == "/broken" and form["title"].value == 'A "title" <b>' and form["need"].value == "x"
    assert "What you typed is kept on this page." in page and "Nothing was changed half" in page
    secret = app.post("/broken", {"csrf_token": token, "password": "hunter2 hunter2"}, status=500)
    assert "hunter2" not in secret and "Send it again" not in secret


def test_the_page_for_a_database_that_is_away_is_static_and_styled(world: World) -> None:
    app = site(world.database)
    app.set_cookie("interline", world.sessions[MANAGER])
    token = form_token(app.get("/leads"))
    engine, tries = app.interline.registry.app_engine, []
    engine.dispose()

    @event.listens_for(engine, "do_connect")
    def refuse(*_: Any) -> None:
        tries.append(1)
        raise psycopg.OperationalError("connection refused")

    page = app.get("/leads?stage=new", status=503)
    once = len(tries)
    assert once <= 3, "once for each attempt of the request, not for the page"
    assert page.headers["Retry-After"] and "cannot reach its database" in page
    assert "Nothing is lost." in page and 'href="/leads?stage=new"' in page
    sheet = re.search(r'href="(/static/css/[^"]+)"', page.text)
    assert sheet and app.get(sheet[1]).content_type == "text/css", "its sheet comes without the database"
    sent = app.post("/leads/new", {"csrf_token": token, "title": "Pump service", "need": "six"}, status=503)
    assert 'name="title" value="Pump service"' in sent and "Send it again" in sent
    answer = app.get("/api/v1/leads/L-1", headers={"Authorization": "Bearer x"}, status=503)
    assert answer.content_type == "application/problem+json"


def test_what_is_too_large_is_told_in_megabytes(world: World) -> None:
    app = signed_in(world, MANAGER)
    page = app.post("/leads/L-1/comment", {"text": "x" * 1_100_000}, status=413)
    assert "Send at most 1 MB at once." in page and "bytes" not in page.html.main.text


WRONG = [
    ("/leads?stage=gone", "Stage: “gone” cannot be used; choose from: New (new),"),
    ("/leads?worth.from=much", "Worth, from: “much” cannot be used; give a number"),
    ("/leads?sort=zzz", "Sort: “zzz” cannot be used; sort by one of: What (title), Customer (account)"),
    ("/leads?cols=zzz", "Columns: “zzz” cannot be used; choose columns from: Lead (number), What (title)"),
    ("/leads?per=7000", "Rows of a page: “7000” cannot be used; give a whole number from 1 to 200."),
    ("/leads?export=zzz", "Export: “zzz” cannot be used; choose from: csv, xlsx."),
    ("/proposals?tab=zzz", "Tab: “zzz” cannot be used; choose from: decided."),
]
WRONG_OF_PARTNERS = [
    ("/offers?tab=zzz", "Tab: “zzz” cannot be used; choose from: open, accepted, missed."),
    ("/leads?tab=zzz", "Tab: “zzz” cannot be used; choose from: past."),
    ("/leads/board?export=zzz", "Export: “zzz” cannot be used; choose from: csv, xlsx."),
    ("/leads/board?days=zzz", "Period: “zzz” cannot be used; choose from: 30, 90, 365."),
    ("/leads/board?days=31&view=all", "Period: “31” cannot be used; choose from: 30, 90, 365."),
    ("/leads/board?col=zzz", "Column: “zzz” cannot be used; choose from: new,"),
]


@pytest.mark.parametrize(("path", "said"), WRONG)
def test_a_filter_that_cannot_be_used_is_told_by_its_label(world: World, path: str, said: str) -> None:
    refused(signed_in(world, MANAGER), path, said)


@pytest.mark.parametrize(("path", "said"), WRONG_OF_PARTNERS)
def test_a_partners_address_that_cannot_be_used_is_refused(world: World, path: str, said: str) -> None:
    refused(signed_in(world, KATRIN), path, said)


def refused(app: TestApp, path: str, said: str) -> None:
    page = app.get(path, status=400)
    words = " ".join(page.html.main.get_text(" ").split())
    assert said in words and "=" not in words
    assert page.headers["X-Field"] == path.partition("?")[2].partition("=")[0]


def test_a_saved_filter_with_an_outdated_parameter_opens_and_says_what_was_left_out(world: World) -> None:
    page = signed_in(world, KATRIN).get("/leads?view=7&state=won&export=zip&sort=worth", status=200)
    words = " ".join(page.html.main.get_text(" ").split())
    assert "Export: zip" in words and "Sort: worth" in words


SAME = {"Sec-Fetch-Site": "same-origin"}
NOTE = {"text": 'Eva said "Friday" <b>', "audience": "all"}


def test_a_form_sent_after_the_session_has_ended_is_given_back(world: World) -> None:
    app = site(world.database)
    page = app.post("/leads/L-1/comment", NOTE, headers=SAME, status=401)
    form = next(f for f in page.forms.values() if "text" in f.fields)
    assert (
        form.action == "/leads/L-1/comment"
        and form["text"].value == NOTE["text"]
        and "You are signed out." in page
    )
    for origin, status in (("http://other.example", 302), (page.request.host_url, 401)):
        app.post("/leads/L-1/comment", NOTE, headers={"Origin": origin}, status=status)
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
        assert "Friday" not in app.post("/leads/L-1/comment", NOTE, headers=headers, status=302)
    for secret in ({"new_password": "hunter2 hunter2"}, {"code": "123456"}):
        app.post("/leads/L-1/comment", NOTE | secret, headers=SAME, status=302)
    files = [("file", "a.png", b"png")]
    app.post("/leads/L-1/files", {"audience": "own"}, upload_files=files, headers=SAME, status=302)
    app.post("/leads/L-1/comment", {"text": "a\x00b"}, headers=SAME, status=302)
    assert page.headers["X-Given-Back"]


def test_a_form_with_an_old_token_comes_back_with_a_fresh_one(world: World) -> None:
    app = signed_in(world, MANAGER, failing)
    old = {"csrf_token": "0" * 40}
    page = app.post("/broken", NOTE | old, headers=SAME, status=400)
    form = next(f for f in page.forms.values() if "text" in f.fields)
    assert form["text"].value == NOTE["text"] and form["csrf_token"].value == form_token(app.get("/leads"))
    form.submit(headers=SAME, status=500)  # the token counts: it comes as far as the failure
    foreign = app.post("/broken", NOTE | old, headers={"Sec-Fetch-Site": "cross-site"}, status=400)
    assert "Friday" not in foreign and "too old" in foreign
    assert "hunter2" not in app.post("/broken", old | {"password": "hunter2"}, headers=SAME, status=400)


def test_what_cannot_be_read_is_told_in_the_readers_language(world: World) -> None:
    """Also where the browser says nothing of a language: neither cookie nor header, only who is signed in."""
    with world.system() as session:
        session.execute(text("update people set language = 'de' where email = :e"), {"e": MANAGER})
    app = signed_in(world, MANAGER, failing)
    app.cookies.pop("language", None)
    token = form_token(app.get("/leads"))
    foreign = app.post(
        "/broken", {"csrf_token": "0" * 40}, headers={"Sec-Fetch-Site": "cross-site"}, status=400
    )
    assert "Dieses Formular ist zu alt." in foreign
    nul = app.post("/broken", {"csrf_token": token, "text": "a\x00b"}, status=400)
    assert "Zeichen, das nicht gespeichert werden kann (NUL)" in nul
    query = app.get("/leads?q=%ff", status=400)
    assert '<html lang="de"' in query and "Es wurde nichts geändert" in query
    assert '<html lang="en"' in site(world.database).get("/leads?q=%ff", status=400)

"""What lists remember: columns and last filter per person, filters saved under a name, shared, deleted, opened first."""

import csv
import io
import re
import zipfile
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import event, text

from portal.leads import actions, queue
from portal.web import tables
from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_views import KATRIN, LUKAS, MANAGER, SALES_REP
from tests.portal.visitors import visitor
from tests.world import World


def save(app: Any, page: Any, name: str, shared: bool = False) -> Any:
    """Save what a list shows, as its form does."""
    form = page.forms["save-filter"]
    sent = {"csrf_token": form["csrf_token"].value, "query": form["query"].value, "name": name}
    return app.post(form.action, sent | ({"shared": "1"} if shared else {}), status="*")


def do(app: Any, list_: str, number: int, **sent: str) -> Any:
    """Something done to one filter of a list."""
    token = re.search(r'name="csrf_token" value="([^"]+)"', app.get(f"/lists/{list_}").text)[1]
    return app.post(f"/lists/{list_}/{number}", {"csrf_token": token, **sent}, status="*")


def filters(world: World) -> list[Any]:
    with world.system() as session:
        return list(session.execute(text("select * from saved_filters order by id")))


def query_of(answer: Any) -> dict[str, list[str]]:
    return parse_qs(urlsplit(answer.location).query)


# -- what a list remembers -----------------------------------------------------------------------------------------


def test_the_bare_address_leads_to_the_list_as_it_was_left(world: World) -> None:
    app = visitor(world, MANAGER)
    app.get("/leads?stage=new&sort=title&q=eva&page=1")
    left = app.get("/leads", status=303)
    assert query_of(left) == {"stage": ["new"], "sort": ["title"]}, (
        "what was searched for is nobody's to keep"
    )
    assert "Clear all" in left.follow()
    assert visitor(world, SALES_REP).get("/leads").status_int == 200, "another person's list is another list"


def test_the_list_as_built_has_an_address_and_stays(world: World) -> None:
    app = visitor(world, MANAGER)
    page = app.get("/leads?stage=new")
    assert 'href="/leads?view=all"' in page
    app.get("/leads?view=all")
    assert app.get("/leads").status_int == 200


def test_tabs_are_lists_of_their_own(world: World) -> None:
    app = visitor(world, KATRIN)
    app.get("/leads?tab=past&state=declined")
    assert app.get("/leads").status_int == 200
    assert query_of(app.get("/leads?tab=past", status=303)) == {"tab": ["past"], "state": ["declined"]}


def test_columns_are_remembered_in_their_order_and_the_address_wins(world: World) -> None:
    intake(world)
    app = visitor(world, MANAGER)
    app.get("/leads?cols=title,number&remember=cols", status=303)
    page = app.get("/leads?stage=new")
    assert page.text.index(">What<") < page.text.index(">Lead<") and "Received</a>" not in page.text
    assert "cols=title%2Cnumber" in page, "links carry what is shown"
    one = app.get("/leads?stage=new&cols=number").text
    assert 'data-l="What"' not in one and 'data-l="Lead"' in one


def heads(page: Any) -> list[str]:
    """The columns that a page of the list shows."""
    return [" ".join(head.text.split()) for head in page.html.select("#list thead th[scope=col]")]


def test_the_columns_of_a_link_hold_for_that_view_and_those_chosen_in_the_form_are_kept(world: World) -> None:
    intake(world)
    app = visitor(world, MANAGER)
    built = heads(app.get("/leads?view=all"))
    linked = app.get("/leads?cols=title,number")
    assert heads(linked) == ["What", "Lead"], "a colleague's link shows its columns"
    assert linked.html.select_one("#list form [name=cols]")["value"] == "title,number", (
        "and filtering keeps them"
    )
    assert heads(app.get("/leads?view=all")) == built, "mine are mine"
    (hide,) = [
        a
        for a in linked.html.select("#list .cols-m a[href]")
        if " ".join(a.text.split()) == "Lead shown, hide it"
    ]
    answer = app.get(hide["href"], status=303)
    assert query_of(answer) == {"cols": ["title"]}, "the address that follows may be passed on"
    assert heads(answer.follow()) == ["What"] == heads(app.get("/leads?view=all"))
    back = next(a for a in app.get("/leads?view=all").html.select(".cols-m a") if a.text == "As they were")
    app.get("/leads?cols=" + ",".join(("title", "number")))
    assert heads(app.get("/leads?view=all")) == ["What"]
    app.get(back["href"], status=303)
    assert heads(app.get("/leads?view=all")) == built


def test_columns_as_built_in_a_link_stay_when_one_filters(world: World) -> None:
    intake(world)
    app = visitor(world, MANAGER)
    app.get("/leads?cols=title&remember=cols", status=303)
    page = app.get("/leads?cols=number,title,account,place,worth,assignment,stage,partner,received")
    assert page.html.select_one("#list form [name=cols]"), "else the remembered ones came back"


def test_columns_move_by_links(world: World) -> None:
    state = tables.ListSpec([tables.Column(k, k, sort=True) for k in "abc"], "a").parse({}, "/x")
    assert state.moved("b", -1) == ("b", "a", "c") and state.moved("b", 1) == ("a", "c", "b")
    assert state.moved("a", -1) is None and state.moved("c", 1) is None
    intake(world)
    page = visitor(world, MANAGER).get("/leads")
    assert "What further left" in page and "Lead further left" not in page


def test_a_remembered_value_that_is_gone_does_not_lock_the_reader_out(world: World) -> None:
    app = visitor(world, MANAGER)
    app.get("/leads?stage=new&cols=title,number&remember=cols")
    with world.system() as session:
        session.execute(text("update list_memories set query = 'stage=gone', columns = 'gone,title'"))
    page = app.get("/leads")
    assert page.status_int == 200 and ">What<" in page.text.replace("</a>", "<")


def test_a_list_writes_only_what_changed(world: World) -> None:
    app = visitor(world, MANAGER)
    app.get("/leads?stage=new")
    with world.system() as session:
        before = session.execute(text("select xmin::text from list_memories")).scalar_one()
    app.get("/leads?stage=new&page=1")
    with world.system() as session:
        assert session.execute(text("select xmin::text from list_memories")).scalar_one() == before


# -- saved filters -------------------------------------------------------------------------------------------------


def test_a_filter_is_saved_applied_renamed_opened_first_and_deleted(world: World) -> None:
    app = visitor(world, MANAGER)
    saved = save(app, app.get("/leads?stage=new&sort=title&q=linz&cols=title,number"), "Fresh ones")
    (row,) = filters(world)
    assert query_of(saved) == {
        "view": [str(row.id)],
        "stage": ["new"],
        "sort": ["title"],
        "cols": ["title,number"],
    }
    page = saved.follow()
    assert "Fresh ones" in page and "The filter is saved." in page
    do(app, "leads", row.id, name="Newest", shared="1")
    assert [(f.name, f.shared) for f in filters(world)] == [("Newest", True)]
    app.get("/leads?view=all")
    do(app, "leads", row.id, do="default")
    assert query_of(app.get("/leads", status=303))["view"] == [str(row.id)]
    assert "opens first" in app.get("/lists/leads")
    do(app, "leads", row.id, do="no_default")
    assert app.get("/leads").status_int == 200
    do(app, "leads", row.id, do="delete")
    assert filters(world) == [] and "No filter is saved" in app.get("/lists/leads")


def test_a_name_that_cannot_be_used_is_asked_for_again_with_the_filter_kept(world: World) -> None:
    app = visitor(world, MANAGER)
    page = app.get("/leads?stage=new")
    save(app, page, "Mine")
    for name in ("Mine", " ", "x" * 61):
        again = save(app, page, name)
        assert again.status_int == 422 and 'name="query" value="stage=new"' in again, name
    assert len(filters(world)) == 1


def test_shared_ones_are_the_companys_to_use_and_the_owners_to_change(world: World) -> None:
    katrin, lukas = visitor(world, KATRIN), visitor(world, LUKAS)
    page = katrin.get("/leads?state=working")
    save(katrin, page, "Shared one", shared=True)
    save(katrin, page, "Private one")
    shared, private = filters(world)
    seen = lukas.get("/leads").text
    assert "Shared one" in seen and "Private one" not in seen
    assert f"view={shared.id}&amp;state=working" in seen
    for sent in ({"do": "delete"}, {"name": "Taken over"}):
        assert do(lukas, "my-leads", shared.id, **sent).status_int == 404
    assert do(lukas, "my-leads", private.id, do="default").status_int == 404
    assert do(lukas, "my-leads", shared.id, do="default").status_int == 303
    assert query_of(lukas.get("/leads", status=303))["state"] == ["working"]
    stranger = visitor(world, "admin@traun.example")
    assert "Shared one" not in stranger.get("/leads").text
    assert do(stranger, "my-leads", shared.id, do="default").status_int == 404
    assert [f.name for f in filters(world)] == ["Shared one", "Private one"]


BROKEN = "stage=new&stage=gone&worth.from=much&sort=title&cols=title,gone,number"


def test_a_saved_filter_that_no_longer_fits_opens_without_its_broken_part_and_says_so(world: World) -> None:
    intake(world)
    app = visitor(world, MANAGER)
    save(app, app.get("/leads?stage=new"), "Fresh ones")
    (row,) = filters(world)
    with world.system() as session:
        session.execute(text("update saved_filters set query = :q"), {"q": BROKEN})
    page = app.get(f"/leads?view={row.id}&{BROKEN}")
    (told,) = page.html.select("#list [role=status]")
    assert "can no longer be used and was left out" in told.text
    assert "Columns: gone; Worth, from: much; Stage: gone." in " ".join(told.text.split())
    assert told.find("a")["href"] == "/lists/leads"
    assert page.forms["save-filter"]["query"].value == "stage=new&sort=title&cols=title%2Cnumber", (
        "the rest counts"
    )
    do(app, "leads", row.id, do="default")
    app.get("/leads?view=all")
    opened = app.get("/leads", status=303).follow()
    assert opened.html.select("#list [role=status]"), "as the filter that the list opens with, too"
    app.get(f"/leads?{BROKEN}", status=400)
    app.get(f"/leads?view={row.id}&stage=%00", status=400)


def test_an_unknown_list_is_not_there(world: World) -> None:
    app = visitor(world, MANAGER)
    assert app.get("/lists/nothing", status=404)
    assert app.get("/leads?view=DROP", status=400)


# -- export --------------------------------------------------------------------------------------------------------

LISTS = [
    (MANAGER, "/leads"), (MANAGER, "/leads/queue"), (MANAGER, "/partners"), (MANAGER, "/imports"), (KATRIN, "/leads"),
    (KATRIN, "/leads?tab=past"),
]  # fmt: skip


@pytest.mark.parametrize(("email", "path"), LISTS)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_every_list_exports_in_both_formats(world: World, email: str, path: str, kind: str) -> None:
    intake(world)
    answer = visitor(world, email).get(f"{path}{'&' if '?' in path else '?'}export={kind}")
    assert answer.headers["Content-Disposition"].endswith(f'.{kind}"')
    assert answer.content_type == tables.EXPORTS[kind]
    assert int(answer.headers["Content-Length"]) == len(answer.body) > 0


def sheet(body: bytes) -> str:
    return zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml").decode()


def test_an_export_is_what_is_shown_and_no_cell_runs(world: World) -> None:
    intake(world, title="=cmd|' /C calc'!A0", contact={"name": "A", "email": "a@x.example"})
    intake(world, title="Harmless", contact={"name": "B", "email": "b@x.example"}, account={"name": "Other"})
    app = visitor(world, MANAGER)
    address = "/leads?cols=title,number,received&sort=title&export="
    rows = list(csv.reader(io.StringIO(app.get(address + "csv").body.decode("utf-8-sig"))))
    assert rows[0] == ["What", "Lead", "Received"]
    assert [row[0] for row in rows[1:]] == ["'=cmd|' /C calc'!A0", "Harmless"]
    one = list(csv.reader(io.StringIO(app.get("/leads?q=harmless&export=csv").body.decode("utf-8-sig"))))
    assert len(one) == 2
    xml = sheet(app.get(address + "xlsx").body)
    assert "<f>" not in xml and "=cmd|" in xml and xml.index("What") < xml.index("Lead")
    assert xml.count("<row") == 3


def table(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"))))


def test_money_is_a_number_and_a_currency(world: World) -> None:
    intake(world, amount=84_000, currency="EUR")
    intake(world, amount=None, contact={"name": "B", "email": "b@x.example"}, account={"name": "Other"})
    nowhere = {"country": "JP", "city": "Osaka", "lat": 34.7, "lon": 135.5}
    third = {"name": "C", "email": "c@x.example"}
    intake(world, amount="1250.50", currency="CHF", contact=third, account={"name": "Third"}, place=nowhere)
    app = visitor(world, MANAGER)
    address = "/leads?cols=worth,title&sort=-worth&export="
    assert [row[:2] for row in table(app.get(address + "csv").body)] == [
        ["Worth", "Currency"], ["84000.00", "EUR"], ["1250.50", "CHF"], ["", ""]
    ]  # fmt: skip
    assert '<c r="A2"><v>84000.00</v></c>' in sheet(app.get(address + "xlsx").body), "a number there too"
    assert table(app.get("/leads/queue?cols=worth&export=csv").body)[1] == ["1250.50", "CHF"]
    assert "EUR\xa084,000" in app.get("/leads"), "one cell on the page"


def test_what_a_partner_has_no_longer_is_worth_a_band(world: World) -> None:
    got = intake(world, amount=84_000, currency="EUR")
    katrin = visitor(world, KATRIN)
    with world.acting(KATRIN) as session:
        offer = session.execute(text("select id from offers")).scalar_one()
        actions.accept(session, offer)
    assert table(katrin.get("/leads?cols=worth&export=csv").body) == [
        ["Worth", "Currency"],
        ["84000.00", "EUR"],
    ]
    with world.acting(KATRIN) as session:
        actions.hand_back(session, got.lead_id, "dates")
    past = table(katrin.get("/leads?tab=past&cols=worth&export=csv").body)
    assert past == [["Worth from", "Worth to", "Currency"], ["50000", "100000", "EUR"]]


def test_a_capped_export_says_so_in_its_last_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        intake(
            world, contact={"name": f"B{n}", "email": f"b{n}@x.example"}, account={"name": f"Customer {n}"}
        )
    app = visitor(world, MANAGER)
    monkeypatch.setattr(tables, "EXPORT_LIMIT", 2)
    body = app.get("/leads?export=csv").body.decode("utf-8-sig").splitlines()
    assert len(body) == 4 and "Only the first 2 rows" in body[-1]
    assert "Only the first 2 rows" in sheet(app.get("/leads?export=xlsx").body)
    monkeypatch.setattr(tables, "EXPORT_LIMIT", 3)
    assert "Only the first" not in app.get("/leads?export=csv").text


# -- an action for many --------------------------------------------------------------------------------------------


def test_all_that_the_filter_lets_through_are_chosen_on_whatever_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"country": "JP", "city": "Osaka", "lat": 34.7, "lon": 135.5}
    for n in range(3):
        contact = {"name": f"B{n}", "email": f"b{n}@x.example"}
        intake(world, contact=contact, account={"name": f"C{n}"}, place=nowhere, amount=1000 * (n + 1))
    app = visitor(world, MANAGER)
    page = app.get("/leads/queue?per=1&worth.from=1500")
    assert "All 2, on every page" in page
    form = next(f for f in page.forms.values() if f.action == "/leads/queue/route")
    form["all"] = True
    told = form.submit(status=303).maybe_follow()
    assert "nobody for 2" in told
    monkeypatch.setattr(queue, "MOST_AT_ONCE", 1)
    form["all"] = True
    told = form.submit(status=303).maybe_follow()
    assert "nobody for 1" in told and "at most 1 at once" in told


def test_what_a_list_remembers_is_written_when_it_changed_and_does_not_wait_for_the_disk(
    world: World,
) -> None:
    app, written = visitor(world, MANAGER), []
    engine = app.interline.registry.app_engine

    def keep(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "insert into list_memories" in statement:
            written.append("set_config('synchronous_commit', 'off', true)" in statement)

    event.listen(engine, "before_cursor_execute", keep)
    app.get("/leads?stage=new")
    app.get("/leads?stage=new")
    assert written == [True]
    app.get("/leads?stage=won")
    event.remove(engine, "before_cursor_execute", keep)
    assert written == [True, True]

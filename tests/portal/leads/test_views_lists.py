"""Lists, queue, inbox, new lead and home: who sees them, what they hold, and that no row costs a statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text

from tests.portal.leads.test_flow import intake, lead_of, offers_of, run
from tests.portal.leads.test_views import KATRIN, LUKAS, MANAGER, SALES_REP, accept, post
from tests.portal.visitors import visitor
from tests.world import DANUBIA, World

NOWHERE = {"country": "JP", "city": "Osaka", "lat": 34.7, "lon": 135.5}


@contextmanager
def counted(app: Any) -> Iterator[list[str]]:
    """The statements an application's requests send."""
    engine, seen = app.interline.registry.app_engine, []

    def note(_c: Any, _cur: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def several(world: World, n: int, first: int = 0) -> list[Any]:
    return [
        intake(
            world, contact={"name": f"B{i}", "email": f"b{i}@x.example"}, account={"name": f"Customer {i}"}
        )
        for i in range(first, first + n)
    ]


@pytest.mark.parametrize(
    ("email", "paths"),
    [
        (
            MANAGER,
            ("/", "/leads", "/leads?q=cust&sort=-worth&assignment=offered", "/leads/queue", "/leads/new"),
        ),
        (SALES_REP, ("/", "/leads", "/leads/new")),
        ("anna@halden.example", ("/", "/leads")),
        ("operator@halden.example", ("/", "/leads/queue")),
        (KATRIN, ("/", "/offers", "/offers?tab=accepted", "/offers?tab=missed", "/leads", "/leads?tab=past")),
        (LUKAS, ("/", "/offers", "/leads")),
    ],
)
def test_every_page_opens_for_its_persona(world: World, email: str, paths: tuple[str, ...]) -> None:
    several(world, 2)
    app = visitor(world, email)
    for path in paths:
        assert app.get(path).status_int == 200, path


@pytest.mark.parametrize("email", [MANAGER, KATRIN])
def test_lists_cost_the_same_however_long(world: World, email: str) -> None:
    paths = ("/leads", "/", "/offers" if email == KATRIN else "/leads/queue")
    several(world, 2)
    for got in several(world, 1, 100):
        if offers_of(world, got.lead_id)[0].company_id == world.company(DANUBIA):
            accept(world, got)
    app = visitor(world, email)
    costs = []
    for more in (0, 6):
        several(world, more, 200)
        for path in paths:
            app.get(path)  # the directory's snapshot is read by the first
        with counted(app) as seen:
            for path in paths:
                app.get(path)
        costs.append(len(seen))
    assert costs[0] == costs[1]
    assert costs[0] <= 15 * len(paths)


def test_search_by_customer_and_export(world: World) -> None:
    several(world, 3)
    app = visitor(world, MANAGER)
    assert "Customer 1" in app.get("/leads?q=customer+1").text
    assert "Customer 2" not in app.get("/leads?q=customer+1").text
    sheet = app.get("/leads?q=customer+1&export=csv")
    assert sheet.content_type == "text/csv" and sheet.body.decode("utf-8-sig").count("\n") == 2


def test_a_number_in_the_search_opens_the_lead(world: World) -> None:
    (got,) = several(world, 1)
    for email in (MANAGER, KATRIN):
        answer = visitor(world, email).get(f"/leads?q={got.number.lower()}", status=303)
        assert answer.location.endswith(f"/leads/{got.number}")
    assert visitor(world, "sales@alpenhydro.example").get(f"/leads?q={got.number}").status_int == 200


def test_a_partner_searches_its_own_leads(world: World) -> None:
    got = intake(world, title="Dosing skid")
    app = accept(world, got)
    assert got.number in app.get("/leads?q=dosing").text
    assert got.number not in app.get("/leads?q=compressor").text


def test_an_address_that_cannot_be_is_a_clean_400(world: World) -> None:
    app = visitor(world, MANAGER)
    for path in ("/leads?sort=evil", "/leads?worth.from=x", "/leads?stage=nonsense"):
        assert app.get(path, status=400)


def test_my_leads_hold_what_i_have_and_past_ones_their_own_line(world: World) -> None:
    (got,) = several(world, 1)
    app = accept(world, got)
    assert "Customer 0" in app.get("/leads").text
    assert "Customer 0" in app.get("/leads?export=csv").body.decode("utf-8-sig")
    post(app, app.get(f"/leads/{got.number}"), f"/leads/{got.number}/hand-back", {"reason": "dates"})
    assert got.number not in app.get("/leads").text
    past = app.get("/leads?tab=past").text
    assert got.number in past and "Customer 0" not in past


def test_the_queue_says_why_and_reroutes_what_is_ticked(world: World) -> None:
    got = intake(world, place=NOWHERE)
    assert lead_of(world, got.lead_id).assignment == "unroutable"
    app = visitor(world, MANAGER)
    page = app.get("/leads/queue")
    assert "territory covers the place" in page.text
    with world.system() as session:
        from sqlalchemy import text

        session.execute(text("update territories set kind = 'nationwide', country = null"))
    answer = post(app, page, "/leads/queue/route", {"id": str(got.lead_id)}, status=303)
    assert "1 lead offered" in answer.follow().text
    assert lead_of(world, got.lead_id).assignment == "offered"
    again = post(app, page, "/leads/queue/route", {"id": str(got.lead_id)}, status=303)
    assert "had changed meanwhile" in again.follow().text


def test_a_new_lead_by_form_is_offered_and_told(world: World) -> None:
    app = visitor(world, SALES_REP)
    page = app.get("/leads/new")
    fields = {
        "title": "Booster set", "account": "Braun Molkerei", "contact": "Ida Braun", "email": "ida@braun.example",
        "postal": "4470", "city": "Enns", "country": "AT", "product_lines": "HX", "amount": "22 400", "currency": "EUR",
        "source": "phone", "legal_basis": "contract", "message": "Please call.",
    }  # fmt: skip
    bad = post(app, page, "/leads/new", {**fields, "account": "", "amount": "lots"}, status=422)
    assert 'value="Booster set"' in bad.text and "Fill this in" in bad.text
    done = post(app, page, "/leads/new", fields, status=303).follow()
    assert "It is offered to Danubia Technik" in done.text or "It is offered to Traun" in done.text
    assert "Braun Molkerei" in done.text and "Enns" in done.text
    twice = post(app, page, "/leads/new", fields, status=303).follow()
    assert "same request" in twice.text
    nobody = post(
        app,
        page,
        "/leads/new",
        {**fields, "email": "x@y.example", "country": "FI", "city": "Oulu", "postal": ""},
    )
    assert "territory covers the place" in nobody.follow().text


def test_a_new_lead_without_a_token_or_a_role_is_not_taken(world: World) -> None:
    visitor(world, MANAGER).post("/leads/new", {"title": "x"}, status=400)
    app = visitor(world, KATRIN)
    post(app, app.get("/offers"), "/leads/new", {"title": "x"}, status=404)


def test_home_says_what_waits(world: World) -> None:
    (got,) = several(world, 1)
    lost = intake(world, place=NOWHERE, title="Kiln cooling")
    manager = visitor(world, MANAGER).get("/")
    assert lost.number in manager.text and "Assign or re-route" in manager.text
    seller = visitor(world, KATRIN).get("/")
    assert got.number in seller.text and "1 thing needs you" in seller.text
    assert "Nothing needs you" in visitor(world, "sales@alpenhydro.example").get("/").text


def test_the_pipeline_adds_up_each_currency_for_itself(world: World) -> None:
    def take(name: str, **changes: Any) -> None:
        contact = {"name": name, "email": f"{name}@x.example"}
        accept(world, intake(world, account={"name": name}, contact=contact, **changes))

    take("first")
    page = visitor(world, KATRIN).get("/").text
    assert "1 open lead, worth EUR\u00a084,000." in page and "worth, EUR thousand" in page
    take("second")
    with world.database.worker.begin() as connection:
        connection.execute(
            text("update leads set currency = 'CZK', amount = 500000 where id = (select max(id) from leads)")
        )
    page = visitor(world, KATRIN).get("/").text
    assert "2 open leads, worth CZK\u00a0500,000, EUR\u00a084,000." in page
    assert "584,000" not in page and "thousand" not in page


def test_the_inbox_tells_what_was_missed_and_why(world: World) -> None:
    (got,) = several(world, 1)
    offer = offers_of(world, got.lead_id)[0]
    run(world, now=offer.deadline_at)
    page = visitor(world, KATRIN).get("/offers?tab=missed")
    assert got.number in page.text and "ran out" in page.text


def test_strangers_are_asked_to_sign_in(world: World) -> None:
    from tests.portal.site import site

    app = site(world.database)
    for path in ("/", "/leads", "/offers", "/leads/L-10001"):
        assert app.get(path).status_int == 302

"""Home: where the cards and lists of it lead."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from portal.leads import actions
from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_views import KATRIN, MANAGER, accept
from tests.portal.visitors import visitor
from tests.world import World


def links(page: Any, label: str) -> set[str]:
    """Where the links of this label lead."""
    return {a["href"] for a in page.html.main.find_all("a") if " ".join(a.text.split()) == label}


def won(world: World, n: int, days: int = 0) -> None:
    """A lead of Danubia's, won for 1,000 euro so many days ago."""
    contact = {"name": f"W{n}", "email": f"w{n}@x.example"}
    got = intake(world, contact=contact, account={"name": f"Winner {n}"}, currency="EUR")
    accept(world, got)
    with world.acting(KATRIN) as session:
        for stage in ("working", "qualified"):
            actions.move(session, got.lead_id, stage)
        day = world.now.date()
        actions.move(session, got.lead_id, "won", won_amount=1000, won_on=day)
    with world.system() as session:
        values = {"d": world.now.date() - timedelta(days=days), "i": got.lead_id}
        session.execute(text("update leads set won_on = :d where id = :i"), values)


def test_all_leads_are_all_of_them_whatever_the_list_was_left_as(world: World) -> None:
    intake(world)
    app = visitor(world, MANAGER)
    app.get("/leads?stage=won")
    home = app.get("/")
    assert links(home, "All leads") == {"/leads?view=all"}
    assert links(home, "All partners") <= {"/partners?view=all"}
    assert app.get("/leads?view=all", status=200).html.select("#list tbody tr")
    empty = app.get("/leads/queue")
    assert links(empty, "All leads") == {"/leads?view=all"}
    assert links(app.get("/proposals"), "All partners") == {"/partners?view=all"}


def test_what_was_won_counts_the_period_and_its_link_says_that_it_shows_all_time(world: World) -> None:
    won(world, 1)
    won(world, 2)
    won(world, 3, days=120)
    app = visitor(world, MANAGER)
    home = app.get("/")
    assert "EUR\xa02,000 in 90 days from 2 leads" in home
    assert links(home, "Won leads of all time") == {"/leads?stage=won"}
    assert len(app.get("/leads?stage=won").html.select("#list tbody tr")) == 3

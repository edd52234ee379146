"""The import pages: an upload is imported by a worker, its wrong rows come back; no partner finds them."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text
from webtest import TestApp

import portal.tasks  # noqa: F401  (registers the handlers)
from portal.events.work import run_due
from tests.portal.imports.test_partner_import import firm
from tests.portal.pages import main_form
from tests.portal.site import signed_in
from tests.world import World


@pytest.fixture
def ingrid(world: World) -> TestApp:
    return signed_in(world, "ingrid@halden.example")


def test_an_upload_is_imported_by_a_worker(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get("/imports/new"))
    form["mapping"] = "partners/maryland"
    again = form.submit(status=422)
    form = main_form(again)
    assert "Choose a file" in again
    content = json.dumps([firm("1", "One"), firm("2", "")]).encode()
    form["file"] = ("C:\\dir\\firms.json", content, "application/json")
    page = form.submit(status=302).follow()
    assert "firms.json" in page
    assert "Running" in page
    run_due(world.database.worker, now=world.now + timedelta(hours=1))
    with world.system() as session:
        run = session.execute(text("select id, state, new, wrong, person_id from imports")).one()
        assert tuple(run)[1:] == ("done", 1, 1, world.people["ingrid@halden.example"])
    wrong = ingrid.get(f"/imports/{run.id}/wrong")
    assert wrong.content_type == "text/csv"
    assert "name: is empty" in wrong
    assert "One" in ingrid.get("/partners")


def test_a_file_that_is_no_table_is_refused_before_it_is_taken(world: World, ingrid: TestApp) -> None:
    form = main_form(ingrid.get("/imports/new"))
    form["mapping"] = "partners/maryland"
    form["file"] = ("x.json", b"no json", "application/json")
    assert "Not JSON" in form.submit(status=422)
    with world.system() as session:
        assert session.execute(text("select count(*) from imports")).scalar_one() == 0


def test_unknown_runs_and_addresses(ingrid: TestApp) -> None:
    ingrid.get("/imports/1/wrong", status=404)
    ingrid.get("/imports?sort=zzz", status=400)


@pytest.mark.parametrize("email", ["katrin@danubia.example", "lukas@danubia.example", "tomas@halden.example"])
def test_only_channel_managers_import(world: World, email: str) -> None:
    app = signed_in(world, email)
    for path in ("/imports", "/imports/new", "/imports/1/wrong"):
        app.get(path, status=404)

"""Migrations beside a running site: short waits for locks, another try, an older version that serves on."""

import random
import threading
import time
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError

from portal import bootstrap
from portal.bootstrap import current, head, is_back, logins_of, migrate, revisions, worker_url
from portal.security.logins import psycopg_url
from tests.portal.site import signed_in, site
from tests.portal.test_guards import _shape
from tests.world import World


def test_a_migration_steps_back_from_a_lock_and_tries_again(world: World) -> None:
    """Somebody holds `feed_epochs`; requests that come meanwhile wait no longer than the migration's own wait."""
    settings = world.database.settings
    owner = psycopg_url(settings.url_for("owner"))
    held = world.database.worker.connect()
    held.execute(text("select * from feed_epochs"))
    run = threading.Thread(target=migrate, args=(owner, logins_of(settings), "0005"))
    run.start()
    waits = []
    begun = time.monotonic()
    while time.monotonic() - begun < 2.5:
        with world.database.worker.connect() as other:
            began = time.monotonic()
            other.execute(text("select * from feed_epochs"))
            waits.append(time.monotonic() - began)
    assert run.is_alive() and current(worker_url(settings)) == "0006", (
        "the one that needs the table waits for its turn, nothing half done"
    )
    assert max(waits) < 2
    held.rollback()
    held.close()
    run.join(20)
    assert current(worker_url(settings)) == "0005"
    migrate(owner, logins_of(settings))
    assert current(worker_url(settings)) == head()


def test_other_errors_are_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = world.database.settings
    with create_engine(psycopg_url(settings.url_for("owner"))).begin() as connection:
        connection.execute(text("alter table feed_epochs drop column after_position"))
    with pytest.raises(DBAPIError, match="after_position"):
        migrate(psycopg_url(settings.url_for("owner")), logins_of(settings), "0005")


def test_an_interrupted_index_is_made_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands outside a transaction is not undone: every migration that does so can begin anew, both ways."""
    settings = world.database.settings
    world.database.dispose()
    owner = psycopg_url(settings.url_for("owner"))
    shape = _shape(owner)
    broken: set[str] = set()

    def breaks(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if " concurrently " in statement.lower() and statement not in broken:
            broken.add(statement)
            raise OperationalError(statement, {}, psycopg.errors.LockNotAvailable("somebody was faster"))

    monkeypatch.setattr(random, "uniform", lambda *_: 0.0)
    event.listen(Engine, "before_cursor_execute", breaks)
    try:
        migrate(owner, logins_of(settings), "0001")
        broken.clear()
        migrate(owner, logins_of(settings))
    finally:
        event.remove(Engine, "before_cursor_execute", breaks)
    assert len(broken) > 3, "not vacuous"
    assert _shape(owner) == shape


def test_back_and_forth_are_told_apart() -> None:
    known = revisions()
    assert is_back(known[0], known[1]) and is_back(known[0], "base") and is_back(known[0], "-1")
    assert not is_back(known[1], known[0]) and not is_back(None, known[0]) and not is_back(known[0], "head")


def test_an_older_version_serves_a_newer_schema(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = site(world.database)
    with world.system() as session:
        session.execute(text("insert into heartbeats values ('worker', now())"))
    assert app.get("/readyz", status=200).json["migrations"] is True
    with create_engine(psycopg_url(world.database.settings.url_for("owner"))).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '9999'"))
    assert app.get("/readyz", status=200).json["migrations"] is True
    bootstrap.bootstrap(world.database.settings)  # and does not try to go there itself
    with create_engine(psycopg_url(world.database.settings.url_for("owner"))).begin() as connection:
        connection.execute(text("update alembic_version set version_num = '0003'"))
    assert app.get("/readyz", status=503).json["migrations"] is False


def test_a_column_added_under_a_running_site_costs_nobody_an_error(world: World) -> None:
    """Kept plans of `select *` die with the change; the request is run again on new connections."""
    app = signed_in(world, "ingrid@halden.example")

    def star(request: Any) -> dict[str, Any]:
        rows = request.db.execute(text("select * from product_lines order by id")).all()
        return {"columns": len(rows[0]._fields)}

    def extra(config: Any) -> None:
        config.add_route("star", "/star")
        config.add_view(star, route_name="star", renderer="json", permission="public")

    app = signed_in(world, "ingrid@halden.example", extra)
    before = [app.get("/star").json["columns"] for _ in range(12)][-1]
    with create_engine(psycopg_url(world.database.settings.url_for("owner"))).begin() as connection:
        connection.execute(text("alter table product_lines add column later text"))
    assert [app.get("/star", status=200).json["columns"] for _ in range(5)] == [before + 1] * 5

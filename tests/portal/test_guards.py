"""Guards that run over everything: models equal migrations, migrations go down and up again, every route is known and
guarded, and what a partner may not see does not exist for it."""

import os
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pyramid.exceptions import ConfigurationError
from sqlalchemy import inspect, text

import portal.models
from portal.bootstrap import current, head, logins_of, migrate, worker_url
from portal.db import Base, make_engine
from portal.security.logins import psycopg_url
from portal.security.permissions import PERMISSIONS
from tests.portal.site import filled, site, views_of
from tests.world import World

assert portal.models

# Every address of the site with the permission of each method, a line each. A new route is a decision: look at the
# difference, then write the file anew with PIN_ROUTES=1.
PINNED = Path(__file__).with_name("routes.txt")


# -- the database ------------------------------------------------------------------------------------------------


def test_models_equal_migrations(database: Any) -> None:
    with make_engine(psycopg_url(database.settings.url_for("owner"))).connect() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "include_name": lambda name, kind, _: not (kind == "schema" and name == "app"),
            },
        )
        differences = compare_metadata(context, Base.metadata)
    assert [d for d in differences if "alembic_version" not in str(d)] == []


def test_migrations_go_down_and_up_again_on_data(world: World) -> None:
    settings = world.database.settings
    world.database.dispose()
    owner = psycopg_url(settings.url_for("owner"))
    before = _shape(owner)
    migrate(owner, logins_of(settings), "base")
    engine = make_engine(owner)
    with engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) <= {"alembic_version"}
        left = connection.execute(text("select nspname from pg_namespace where nspname = 'app'")).all()
        assert left == []
    engine.dispose()
    migrate(owner, logins_of(settings))
    assert current(worker_url(settings)) == head()
    assert _shape(owner) == before


def _shape(url: Any) -> dict[str, Any]:
    """What a schema is made of: columns, indexes, constraints, policies, functions, triggers, rights."""
    questions = {
        "columns": """select table_name, column_name, data_type, is_nullable, column_default
            from information_schema.columns where table_schema = 'public'""",
        "indexes": "select tablename, indexdef from pg_indexes where schemaname = 'public'",
        "constraints": """select conrelid::regclass::text, conname, pg_get_constraintdef(oid) from pg_constraint
            where connamespace = 'public'::regnamespace""",
        "policies": "select tablename, policyname, roles::text, cmd, qual, with_check from pg_policies",
        "functions": """select proname, pg_get_functiondef(p.oid), proacl::text from pg_proc p
            where pronamespace = 'app'::regnamespace""",
        "triggers": "select tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) from pg_trigger where not tgisinternal",
        "rights": "select relname, relacl::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'",
    }
    engine = make_engine(url)
    with engine.connect() as connection:
        # As tuples: a row's own words are cut short when they are long.
        found = {
            name: sorted(str(tuple(row)) for row in connection.execute(text(q)))
            for name, q in questions.items()
        }
    engine.dispose()
    return found


def test_every_business_table_belongs_to_a_realm() -> None:
    without = {"alembic_version", "realms", "feed_epochs", "heartbeats", "throttles"}
    for table in Base.metadata.sorted_tables:
        assert "realm_id" in table.c or table.name in without, table.name


# -- the site ----------------------------------------------------------------------------------------------------


def test_every_view_has_a_permission_of_the_table(world: World) -> None:
    found = views_of(site(world.database))
    assert len(found) > 10
    assert [
        (path, views) for path, views in found.items() if not set(views.values()) <= set(PERMISSIONS)
    ] == []


def test_every_route_is_in_the_pinned_list(world: World) -> None:
    found = views_of(site(world.database))
    lines = sorted(f"{path} {method} {p}" for path, views in found.items() for method, p in views.items())
    if os.environ.get("PIN_ROUTES"):
        PINNED.write_text("\n".join(lines) + "\n", encoding="utf-8")
    pinned = PINNED.read_text(encoding="utf-8").splitlines()
    assert sorted(set(lines) - set(pinned)) == [], "new: look at them, then run this test with PIN_ROUTES=1"
    assert sorted(set(pinned) - set(lines)) == [], "gone: run this test with PIN_ROUTES=1"


def test_a_view_without_a_permission_does_not_boot(world: World) -> None:
    def extra(config: Any) -> None:
        config.add_route("open", "/open-by-mistake")
        config.add_view(lambda request: {}, route_name="open", renderer="json")

    def misspelt(config: Any) -> None:
        config.add_route("open", "/open-by-mistake")
        config.add_view(lambda request: {}, route_name="open", renderer="json", permission="lead.raed")

    for wrong in (extra, misspelt):
        with pytest.raises(ConfigurationError, match="permission"):
            site(world.database, wrong)


def test_the_application_refuses_to_serve_as_owner(world: World) -> None:
    for which in ("owner", "admin"):
        strong = (
            world.database.settings.url_for("owner")
            if which == "owner"
            else world.database.settings.admin_url
        )
        weak = world.database.settings.model_copy()
        object.__setattr__(weak, "url_for", lambda _login, strong=strong: strong)
        world.database.settings, kept = weak, world.database.settings
        with pytest.raises(RuntimeError, match="Refusing to serve as"):
            site(world.database)
        world.database.settings = kept


# Every kind of address with something foreign in it answers like one that was never there.
STRANGERS_OPEN = ("public",)


def test_a_stranger_is_sent_to_sign_in_and_sees_nothing(world: World) -> None:
    app = site(world.database)
    for path, views in views_of(app).items():
        if "GET" not in views or views["GET"] in STRANGERS_OPEN:
            continue
        answer = app.get(filled(path), status="*")
        if path.startswith("/api/"):
            assert answer.status_int == 401, path
        elif path.startswith("/o/"):
            assert answer.status_int == 404, path
        else:
            assert answer.status_int == 302 and "/sign-in" in answer.location, (path, answer.status)

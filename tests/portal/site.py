"""The whole application for a test: `site(database)` is a WebTest client, `signed_in` one with a person's cookie."""

import re
from collections.abc import Callable
from typing import Any
from unittest import mock

from pyramid.config import Configurator
from pyramid.interfaces import IRoutesMapper
from webtest import TestApp

from portal.connections import clients
from portal.db import transaction
from portal.security.context import Acting
from portal.settings import Settings
from tests.world import World

ADDRESS = {"REMOTE_ADDR": "192.0.2.10"}


def application(settings: Settings, extra: Callable[[Any], None] | None = None) -> Any:
    """The WSGI application; `extra(config)` may add views that only a test needs."""
    from portal import app

    class Extended(Configurator):
        def make_wsgi_app(self) -> Any:
            if extra is not None:
                extra(self)
            return super().make_wsgi_app()

    with mock.patch.object(app, "Configurator", Extended):
        return app.main(settings)


def site(database: Any, extra: Callable[[Any], None] | None = None) -> TestApp:
    """A client of the application on this database, without a session."""
    made = TestApp(application(database.settings, extra), extra_environ=dict(ADDRESS))
    made.interline = made.app
    return made


def signed_in(world: World, email: str, extra: Callable[[Any], None] | None = None) -> TestApp:
    """A client with the session of a person of the small world."""
    made = site(world.database, extra)
    made.set_cookie("interline", world.sessions[email])
    return made


def api_client(world: World, company_id: int, *scopes: str) -> tuple[str, str]:
    """Id and secret of a new API client."""
    with transaction(world.database.worker, Acting()) as session:
        number, secret = clients.add(session, company_id, "test", scopes)
    return str(number), secret


def token(app: TestApp, client: tuple[str, str]) -> str:
    """An access token, fetched as a client fetches it."""
    answer = app.post(
        "/oauth/token",
        {"grant_type": "client_credentials", "client_id": client[0], "client_secret": client[1]},
    )
    return str(answer.json["access_token"])


def system(world: World, company_id: int, *scopes: str) -> TestApp:
    """A client of the API with a token of that company's system."""
    app = site(world.database)
    app.authorization = ("Bearer", token(app, api_client(world, company_id, *scopes)))
    return app


def views_of(app: Any) -> dict[str, dict[str, str]]:
    """Address -> method -> permission, as configured."""
    mapper = app.interline.registry.queryUtility(IRoutesMapper)
    patterns = {route.name: route.pattern for route in mapper.get_routes(include_static=True)}
    found: dict[str, dict[str, str]] = {}
    for item in app.interline.registry.introspector.get_category("views") or []:
        view = item["introspectable"]
        name = view["route_name"]
        if view["context"] is not None:
            continue  # answers to refusals
        if name is None or patterns.get(name, "").startswith(("static/", "/_debug")):
            continue
        permission = next((i["value"] for i in item["related"] if i.category_name == "permissions"), None)
        methods = view["request_methods"] or ("*",)
        for method in [methods] if isinstance(methods, str) else methods:
            if method != "HEAD":
                found.setdefault(patterns[name], {})[method] = permission or ""
    return found


PART = re.compile(r"\{(\w+)(?::((?:[^{}]|\{[^}]*\})*))?\}")


def filled(pattern: str, **known: str) -> str:
    """An address of this pattern; parts that are not given name nothing that exists."""

    def part(found: re.Match[str]) -> str:
        pattern = found[2] or ""
        nothing = "99999999" if pattern.startswith("\\d") else "L-99999999"
        if "|" in pattern:
            nothing = pattern.partition("|")[0]  # one of a few words, which names no record
        return known.get(found[1], nothing)

    return PART.sub(part, pattern)

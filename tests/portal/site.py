"""The whole application for a test: `site(database)` is a WebTest client, `signed_in` one with a person's cookie."""

from collections.abc import Callable
from typing import Any
from unittest import mock

from pyramid.config import Configurator
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

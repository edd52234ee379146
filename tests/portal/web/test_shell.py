"""The shell inside a real Pyramid application: templates found, globals there, help served, appearance kept, CSRF asked."""

from __future__ import annotations

import pytest
from pyramid.config import Configurator
from pyramid.csrf import get_csrf_token
from pyramid.response import Response
from pyramid.session import SignedCookieSessionFactory
from webtest import TestApp

from portal.settings import Settings


@pytest.fixture(scope="module")
def app() -> TestApp:
    """Only the shell and help, no database."""
    config = Configurator(session_factory=SignedCookieSessionFactory("test only"))
    config.registry.portal = Settings(public_url="http://localhost")
    config.include("portal.web")
    config.include("portal.web.help")
    config.add_route("token", "/token")
    config.add_view(lambda request: Response(get_csrf_token(request)), route_name="token")
    return TestApp(config.make_wsgi_app())


def test_help_is_served_in_the_readers_theme(app):
    page = app.get("/help", headers={"Cookie": "theme=dark"})
    assert 'data-bs-theme="dark"' in page
    assert "For channel managers" in page
    assert "/static/css/interline.css?v=" in page
    assert "Reading a waybill" in app.get("/help/waybill")
    app.get("/help/nothing", status=404)


def test_static_files_are_served_for_long(app):
    answer = app.get("/static/css/interline.css")
    assert "max-age=31536000" in answer.headers["Cache-Control"]


def test_the_appearance_needs_a_token_and_goes_back_to_its_page(app):
    app.post("/theme", {"theme": "dark"}, status=400)
    token = app.get("/token").text
    answer = app.post("/theme", {"theme": "dark", "back": "/help/waybill", "csrf_token": token}, status=303)
    assert answer.headers["Location"] == "http://localhost/help/waybill"
    assert "theme=dark" in answer.headers["Set-Cookie"]
    away = app.post("/theme", {"theme": "pink", "back": "//evil.example", "csrf_token": token}, status=303)
    assert away.headers["Location"] == "http://localhost/"
    assert "theme=" not in away.headers.get("Set-Cookie", "")

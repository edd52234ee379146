"""POST /oauth/token word by word (RFC 6749, 6750, 8414): who gets a token, how long, and how others are refused."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import text

from integrations.oauth import TOKEN_LIFETIME_S
from portal.connections import clients, command
from portal.errors import Invalid, NotFound
from portal.security import throttle
from portal.security.context import digest
from tests.portal.site import api_client, site, system
from tests.world import DANUBIA, World

GRANT = {"grant_type": "client_credentials"}


def ask(app: Any, client: tuple[str, str] | None = None, **fields: str) -> Any:
    """A token request with the client's secret in the header."""
    app.authorization = ("Basic", client) if client else None
    return app.post("/oauth/token", fields or GRANT, status="*")


def test_basic_and_post_get_an_opaque_token_for_an_hour(world: World) -> None:
    app, client = site(world.database), api_client(world, world.vendor_id, "leads:read", "leads:write")
    basic = ask(app, client)
    post = ask(app, None, **GRANT, client_id=client[0], client_secret=client[1])
    for answer in (basic, post):
        assert answer.status_int == 200 and answer.content_type == "application/json"
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Pragma"] == "no-cache"
        assert answer.json["token_type"] == "Bearer" and answer.json["expires_in"] == TOKEN_LIFETIME_S == 3600
        assert answer.json["scope"] == "leads:read leads:write" and "refresh_token" not in answer.json
    assert basic.json["access_token"] != post.json["access_token"]
    with world.system() as session:
        rows = session.execute(text("select * from credentials where purpose = 'api'")).all()
    stored = {bytes(row.hash) for row in rows}
    assert stored == {digest(a.json["access_token"]) for a in (basic, post)}, "only the hash is kept"
    assert all(row.expires_at - row.created_at == timedelta(seconds=3600) for row in rows)


def test_fewer_scopes_may_be_asked_for_more_may_not(world: World) -> None:
    app, client = site(world.database), api_client(world, world.vendor_id, "leads:read")
    assert ask(app, client, **GRANT, scope="leads:read").json["scope"] == "leads:read"
    for scope in ("leads:write", "leads:read leads:write", "admin"):
        answer = ask(app, client, **GRANT, scope=scope)
        assert answer.status_int == 400 and answer.json["error"] == "invalid_scope"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"grant_type": "password", "username": "x", "password": "y"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "unsupported_grant_type"),
        ({"scope": "leads:read"}, "unsupported_grant_type"),
        ({**GRANT, "client_secret": "x"}, "invalid_request"),
    ],
)
def test_other_grants_and_two_ways_at_once_are_refused(
    world: World, fields: dict[str, str], error: str
) -> None:
    answer = ask(site(world.database), api_client(world, world.vendor_id, "leads:read"), **fields)
    assert answer.status_int == 400 and answer.json["error"] == error
    assert answer.headers["Cache-Control"] == "no-store"


def test_repeated_parameters_and_other_bodies_are_refused(world: World) -> None:
    app, client = site(world.database), api_client(world, world.vendor_id, "leads:read")
    app.authorization = ("Basic", client)
    twice = app.post("/oauth/token", "grant_type=client_credentials&scope=leads:read&scope=x", status=400)
    assert twice.json["error"] == "invalid_request"
    assert app.post_json("/oauth/token", GRANT, status=400).json["error"] == "invalid_request"
    assert app.post("/oauth/token", "a=" + "x" * 20_000, status=413)
    assert app.get("/oauth/token", status=404)


def test_unknown_wrong_and_revoked_clients_are_one_and_the_same(world: World) -> None:
    app, client = site(world.database), api_client(world, world.vendor_id, "leads:read")
    revoked = api_client(world, world.vendor_id, "leads:read")
    with world.system() as session:
        clients.revoke(session, int(revoked[0]))
    answers = [
        ask(app, (client[0], "wrong")),
        ask(app, ("1", client[1])),
        ask(app, ("no-number", client[1])),
        ask(app, ("9" * 40, client[1])),
        ask(app, revoked),
        ask(app, None),
        ask(app, None, **GRANT, client_id=client[0], client_secret="wrong"),
        ask(app, None, **GRANT, client_id=client[0]),
    ]
    assert {(a.status_int, a.body) for a in answers} == {(401, answers[0].body)}
    assert answers[0].json["error"] == "invalid_client"
    assert answers[0].headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic /w==", "Bearer x", "Basic eA=="])
def test_broken_headers_are_unknown_clients(world: World, header: str) -> None:
    answer = site(world.database).post("/oauth/token", GRANT, headers={"Authorization": header}, status="*")
    assert answer.status_int == 401 and answer.json["error"] == "invalid_client"


def test_guessing_a_secret_is_slowed_down(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "TOKEN_CLIENT", throttle.Limit("few", 2, 60))
    app, client = site(world.database), api_client(world, world.vendor_id, "leads:read")
    for _ in range(2):
        assert ask(app, (client[0], "guess")).status_int == 401
    answer = ask(app, client)
    assert answer.status_int == 429 and answer.headers["Retry-After"] == "60"
    other = api_client(world, world.vendor_id, "leads:read")
    assert ask(app, other).status_int == 200, "another client is not held up"


def test_a_token_ends_with_its_time_and_with_its_client(world: World) -> None:
    app = system(world, world.vendor_id, "leads:read")
    assert app.get("/api/v1/leads/L-1", status=404)
    with world.system() as session:
        session.execute(text("update credentials set expires_at = now() where purpose = 'api'"))
    refused = app.get("/api/v1/leads/L-1", status=401)
    assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
    assert refused.content_type == "application/problem+json"


def test_a_token_counts_on_the_api_and_a_cookie_does_not(world: World) -> None:
    app = system(world, world.vendor_id, "leads:read")
    assert app.get("/companies/choose").status_int == 302, "a token opens no page"
    app.authorization = None
    app.set_cookie("interline", world.sessions["operator@halden.example"])
    assert app.get("/api/v1/leads/L-1", status=401), "a cookie opens no API"


def test_the_metadata_of_the_server(world: World) -> None:
    answer = site(world.database).get("/.well-known/oauth-authorization-server")
    site_url = world.database.settings.site_url
    assert answer.json["issuer"] == site_url and answer.json["token_endpoint"] == f"{site_url}/oauth/token"
    assert answer.json["grant_types_supported"] == ["client_credentials"]
    assert answer.json["token_endpoint_auth_methods_supported"] == [
        "client_secret_basic",
        "client_secret_post",
    ]


# -- clients -----------------------------------------------------------------------------------------------------


def test_scopes_belong_to_kinds_of_companies(world: World) -> None:
    with world.system() as session:
        for company, scopes in (
            (world.company(DANUBIA), ["leads:write"]),
            (world.vendor_id, ["x"]),
            (world.vendor_id, []),
        ):
            with pytest.raises(Invalid) as caught:
                clients.add(session, company, "n", scopes)
            assert caught.value.faults[0].field == "scope" and "may have: leads:read" in caught.value.message
        with pytest.raises(NotFound):
            clients.add(session, 1, "n", ["leads:read"])
        with pytest.raises(NotFound):
            clients.revoke(session, 1)


def test_the_command_adds_lists_and_revokes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load", lambda: world.database.settings)
    run = CliRunner()
    made = run.invoke(
        command.client, ["add", "--company", "danubia technik", "--scope", "leads:read", "--json"]
    )
    told = json.loads(made.output.splitlines()[-1])
    assert told["scopes"] == ["leads:read"]
    assert ask(site(world.database), (told["client_id"], told["client_secret"])).status_int == 200
    shown = run.invoke(command.client, ["list", "--json"]).output
    assert told["client_id"] in shown and told["client_secret"] not in shown
    assert run.invoke(command.client, ["revoke", told["client_id"]]).exit_code == 0
    assert ask(site(world.database), (told["client_id"], told["client_secret"])).status_int == 401
    wrong = run.invoke(command.client, ["add", "--company", "nobody", "--scope", "leads:read"])
    assert wrong.exit_code == 1 and "No company" in wrong.output

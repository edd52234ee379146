"""What a browser is told and what it must bring: form tokens, content security policy, cookies, headers, counted tries."""

import re
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from webtest import TestApp

from portal.security import throttle
from tests.conftest import fresh_database
from tests.portal import asking
from tests.portal.asking import Answer, ask
from tests.portal.security.test_signin import KATRIN, PASSWORD, people, try_to_sign_in
from tests.portal.site import ADDRESS, application, signed_in, site, views_of
from tests.portal.test_addresses import OPERATOR, PARTNER, own
from tests.portal.town import Town, peopled
from tests.world import World

assert people, "a fixture"


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """The town; nothing that is asked of it is kept."""
    with fresh_database(server_url, template) as database:
        made = peopled(database)
        yield made
        made.app.registry.app_engine.dispose()


def pages(town: Town) -> Iterator[tuple[str, Answer]]:
    """Every page that opens for the operator, a partner's administrator or a stranger."""
    for name in (OPERATOR, PARTNER, "stranger"):
        who = town.people[name]
        for pattern, views in views_of(town).items():
            if {"GET", "*"} & set(views) and not pattern.startswith("/dev/"):
                path = asking.address(pattern, own(town, who, pattern))
                yield f"{name} {path}", ask(town.app, who, "GET", path)


# -- forms -------------------------------------------------------------------------------------------------------------


ANY_METHOD = ("/theme", "/language")


def test_a_form_needs_the_token_of_its_own_session(town: Town) -> None:
    """None, an empty one, another session's: refused before anything is looked up or done."""
    other = town.people["sales@inn.example"].csrf
    asked = 0
    for name in (OPERATOR, PARTNER, "stranger"):
        who = town.people[name]
        assert other and other != who.csrf
        for pattern, views in views_of(town).items():
            if ("POST" not in views and pattern not in ANY_METHOD) or pattern.startswith(
                ("/api/", "/oauth/")
            ):
                continue
            path = asking.address(pattern, own(town, who, pattern))
            good = ask(town.app, who, "POST", path, form={})
            for sent in (b"", b"csrf_token=", f"csrf_token={other}".encode(), b"csrf_token=zzz"):
                answer = ask(town.app, who, "POST", path, body=sent)
                closed = good.status in (302, 404) and answer.status == good.status
                assert answer.status == 400 or closed, (name, path, sent, answer.status)
                asked += answer.status == 400
    assert asked > 200, "not vacuous"


def test_systems_bring_no_cookies_and_people_no_tokens(town: Town) -> None:
    """A cookie opens nothing of the API, so no page elsewhere can use it; a token opens no page."""
    who, system = town.people[OPERATOR], town.people["vendor's system that reads"]
    for pattern, views in views_of(town).items():
        path = asking.address(pattern, own(town, who, pattern))
        for method in set(views) & {"GET", "POST"}:
            if pattern.startswith("/api/"):
                assert (
                    ask(town.app, who, method, path, body=b"{}" if method == "POST" else None).status == 401
                )
            elif views[method] != "public":
                assert "/sign-in" in ask(
                    town.app, system, method, path, form={} if method == "POST" else None
                ).header("location")


# -- content security policy -------------------------------------------------------------------------------------------

TAG = re.compile(r"<(script|style)\b([^>]*)>")
INLINE = re.compile(r"<[a-zA-Z][^<>]*\s(on[a-z]+|style)\s*=")


def test_no_page_holds_what_its_policy_refuses(town: Town) -> None:
    seen = 0
    for where, answer in pages(town):
        if answer.kind != "text/html" or not answer.body:
            continue
        seen += 1
        policy = answer.header("content-security-policy")
        assert "default-src 'none'" in policy and "unsafe" not in policy and "*" not in policy, where
        assert "'nonce-nonce'" in policy, "what the test's requests carry"
        text = re.sub(r"<(svg|symbol)\b.*?</\1>", "", answer.text, flags=re.S)
        assert INLINE.search(re.sub(r"<script\b.*?</script>", "", text, flags=re.S)) is None, where
        assert [tag[0] for tag in TAG.finditer(answer.text) if 'nonce="nonce"' not in tag[2]] == [], where
        assert "javascript:" not in answer.text, where
    assert seen > 100, "not vacuous"


def test_each_answer_has_a_nonce_of_its_own(world: World) -> None:
    app = signed_in(world, OPERATOR)
    found = set()
    for _ in range(5):
        answer = app.get("/leads")
        nonce = re.search(r"script-src 'nonce-([\w-]{20,})'", answer.headers["Content-Security-Policy"])
        assert nonce is not None and f'nonce="{nonce[1]}"' in answer.text
        found.add(nonce[1])
    assert len(found) == 5


# -- headers -----------------------------------------------------------------------------------------------------------


def kinds(town: Town) -> Iterator[tuple[str, Answer]]:
    """An answer of every kind."""
    who, stranger, reads = (
        town.people[OPERATOR],
        town.people["stranger"],
        town.people["vendor's system that reads"],
    )
    lead, company = town.numbers["held"], town.companies
    file = asking.address(
        "/api/v1/leads/{number}/files/{id}",
        {"number": lead, "id": town.thing("files", company["vendor"]) or ""},
    )
    feed = ask(town.app, reads, "GET", "/api/v1/events")
    wanted: tuple[tuple[int, str, Any, str, dict[str, str]], ...] = (
        (200, "text/html", who, "/leads", {}),
        (200, "text/csv", who, "/leads?export=csv", {}),
        (
            200,
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            who,
            "/leads?export=xlsx",
            {},
        ),
        (200, "application/json", reads, f"/api/v1/leads/{lead}", {}),
        (200, "application/json", stranger, "/openapi.json", {}),
        (200, "text/css", stranger, "/static/css/interline.css", {}),
        (200, "application/json", stranger, "/healthz", {}),
        (302, "text/plain", stranger, "/leads", {}),
        (304, "", reads, "/api/v1/events", {"If-None-Match": feed.header("etag")}),
        (400, "text/html", who, "/leads?sort=zzz", {}),
        (400, "text/html", who, "/leads?q=%ff", {}),
        (401, "application/problem+json", stranger, f"/api/v1/leads/{lead}", {}),
        (404, "text/html", who, "/nothing-here", {}),
        (200, "text/plain", reads, file, {}),
        (404, "text/html", stranger, "/static/nothing.css", {}),
    )
    for status, kind, principal, path, headers in wanted:
        answer = ask(town.app, principal, "GET", path, headers=headers)
        assert answer.status == status and answer.kind in (kind, ""), (path, answer.status, answer.kind)
        yield path, answer
    with mock.patch("integrations.pdf.render", return_value=b"%PDF-1.7"):
        paper = ask(town.app, who, "GET", f"/leads/{lead}/sheet.pdf")
    assert paper.status == 200 and paper.kind == "application/pdf"
    yield "a PDF", paper


def test_every_kind_of_answer_carries_the_headers(town: Town) -> None:
    for where, answer in kinds(town):
        policy = answer.header("content-security-policy")
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, where
        assert "base-uri 'none'" in policy and "form-action" in policy, where
        assert answer.header("x-content-type-options") == "nosniff", where
        assert answer.header("referrer-policy") == "same-origin", where
        assert answer.header("cross-origin-opener-policy") == "same-origin", where
        assert answer.header("cross-origin-resource-policy") == "same-origin", where
        assert answer.header("server") == "interline" and not answer.header("x-powered-by"), where
        assert not answer.header("access-control-allow-origin"), where
        attached = answer.header("content-disposition").startswith("attachment")
        assert policy.startswith("sandbox;") == attached == ("/files/" in where or "export=" in where), where
        open_to_all = where.startswith(("/static/", "/openapi.json"))
        assert open_to_all or re.search("no-store|private, no-cache", answer.header("cache-control")), where


# -- cookies -----------------------------------------------------------------------------------------------------------


def cookies(answer: Any) -> dict[str, str]:
    """Name -> line of each cookie that an answer sets."""
    return {line.partition("=")[0]: line.lower() for line in answer.headers.getall("Set-Cookie")}


@pytest.mark.parametrize("url", ["http://localhost:6543", "https://partners.example.com"])
def test_every_cookie_is_kept_from_scripts_and_other_sites(people: World, url: str) -> None:
    settings = people.database.settings.model_copy(update={"public_url": url})
    scheme, _sep, host = url.partition("://")
    own = {**ADDRESS, "HTTP_HOST": host, "wsgi.url_scheme": scheme, "HTTP_REFERER": f"{url}/sign-in"}
    app = TestApp(application(settings), extra_environ=own)
    said = [app.get("/sign-in")]
    token = said[0].forms[0]["csrf_token"].value
    said += [app.post(path, {"csrf_token": token, **fields}, status="*") for path, fields in SETTING]
    found: dict[str, str] = {}
    for answer in said:
        found |= cookies(answer)
    prefix = "__Host-" if url.startswith("https") else ""
    assert {f"{prefix}interline", f"{prefix}interline_flash", "theme", "language"} == set(found)
    for name, line in found.items():
        assert "httponly" in line and "samesite=lax" in line and "path=/" in line and "domain" not in line, (
            name
        )
        assert ("; secure" in line) == url.startswith("https"), name


SETTING = (
    ("/theme", {"theme": "dark", "back": "/"}),
    ("/language", {"language": "de", "back": "/"}),
    ("/sign-in", {"email": KATRIN, "password": PASSWORD}),
)


def test_signing_out_clears_both_cookies_and_the_form_token_is_new(people: World) -> None:
    app = site(people.database)
    before = app.get("/sign-in").forms[0]["csrf_token"].value
    try_to_sign_in(app, KATRIN, PASSWORD)
    form = next(f for f in app.get("/companies/choose").forms.values() if f.action == "/sign-out")
    inside = form["csrf_token"].value
    assert inside != before, "a token planted before signing in is of no use after"
    answer = app.post("/sign-out", {"csrf_token": inside})
    assert "max-age=0" in cookies(answer)["interline"] and "interline" not in app.cookies
    assert app.post("/sign-in", {"csrf_token": inside, "email": KATRIN}, status=400)


# -- counted tries -----------------------------------------------------------------------------------------------------


def tries(app: TestApp) -> Iterator[tuple[str, str, Any]]:
    """What is counted: the limit's name, and a request that counts."""
    wrong = {"grant_type": "client_credentials", "client_id": "1", "client_secret": "guess"}
    yield "SIGN_IN_ACCOUNT", "/sign-in", {"email": KATRIN, "password": "wrong password"}
    yield "SIGN_IN_ADDRESS", "/sign-in", {"email": KATRIN, "password": "wrong password"}
    yield "RESET_ACCOUNT", "/forgotten", {"email": KATRIN}
    yield "RESET_ADDRESS", "/forgotten", {"email": "nobody@danubia.example"}
    # The second factor: test_factor.py. Links need no count: their tokens have 256 bits.
    yield "TOKEN_CLIENT", "/oauth/token", wrong
    yield "TOKEN_ADDRESS", "/oauth/token", wrong


def test_two_servers_count_together_and_say_when_to_come_back(people: World) -> None:
    one, two = site(people.database), site(people.database)
    for name, path, fields in tries(one):
        with mock.patch.object(throttle, name, throttle.Limit(f"two of {name}", 2, 77)):
            began = time.monotonic()
            statuses = [send(app, path, fields) for app in (one, two, one)]
            passed = time.monotonic() - began
        assert [status == 429 for status, _after in statuses] == [False, False, True], name
        assert 77 - passed <= int(statuses[-1][1] or 0) <= 77, (name, "what is left of the window")


def send(app: TestApp, path: str, fields: dict[str, str]) -> tuple[int, str | None]:
    """Status and Retry-After."""
    if not path.startswith("/oauth/"):
        fields = {"csrf_token": app.get(path).forms[0]["csrf_token"].value, **fields}
    answer = app.post(path, fields, status="*")
    return answer.status_int, answer.headers.get("Retry-After")

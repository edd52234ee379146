"""Request ids, log lines without personal data or secrets, and the figures at /metrics."""

from __future__ import annotations

import json
import re
import sys
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from structlog._config import BoundLoggerLazyProxy

from portal import logs
from portal.db import transaction
from portal.events import work
from portal.security import signin
from portal.security.context import Acting
from portal.web import observe
from tests.portal.connections.test_together import Crowd
from tests.portal.connections.test_together import lead as another_lead
from tests.portal.site import api_client, signed_in, site, system, token
from tests.world import World

SECRET_WORDS = "canary-q7x"
PASSWORD = "a long enough password"


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a process writes to its log, as one JSON object a line."""
    before = structlog.get_config()
    logs.configure("debug", "json")
    monkeypatch.setattr(logs, "configure", lambda *_: None)  # the application's own setting
    stream = StringIO()
    structlog.configure(
        cache_logger_on_first_use=False, logger_factory=structlog.PrintLoggerFactory(file=stream)
    )
    for name, module in list(
        sys.modules.items()
    ):  # loggers that another test has used keep its configuration
        if name.startswith("portal.") and isinstance(getattr(module, "log", None), BoundLoggerLazyProxy):
            monkeypatch.setattr(module, "log", structlog.get_logger(name))

    def written() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in stream.getvalue().splitlines()]
        stream.truncate(0)
        stream.seek(0)
        return found

    yield written
    structlog.configure(**before)


def lead(email: str = "lena@customer.example") -> dict[str, Any]:
    """A request as a system sends it, its personal parts marked."""
    return {
        "external_key": "K-1",
        "title": "Pump service",
        "product_lines": ["HX"],
        "account": {"name": f"Werk {SECRET_WORDS}"},
        "contact": {"name": f"Lena {SECRET_WORDS}", "email": email, "phone": "+43 732 555 0199"},
        "place": {"country": "AT", "postal": "4020", "city": "Linz"},
        "message": f"{SECRET_WORDS} wants a visit",
    }


def test_a_request_has_one_id_in_answer_log_and_events(world: World, lines: Any) -> None:
    app = site(world.database)
    access = token(app, api_client(world, world.vendor_id, "leads:write"))
    lines()
    answer = app.post_json(
        "/api/v1/leads",
        lead(),
        headers={"Authorization": f"Bearer {access}", "X-Request-Id": "crm-2026-11-23.0001"},
    )
    assert answer.headers["X-Request-Id"] == "crm-2026-11-23.0001"
    told = next(line for line in lines() if line["event"] == "request")
    assert told["request"] == "crm-2026-11-23.0001"
    assert (told["route"], told["method"], told["status"]) == ("/api/v1/leads", "POST", answer.status_int)
    assert told["company"] == world.vendor_id and told["client"]
    with world.database.admin().connect() as connection:
        found = connection.execute(
            text("select type from events where request_id = 'crm-2026-11-23.0001' order by id")
        )
        assert "lead.received" in found.scalars().all()


def test_a_request_that_went_along_names_the_one_whose_id_its_events_carry(
    world: World, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = Crowd(system(world, world.vendor_id, "leads:write"), monkeypatch)
    crowd.send(another_lead(0), another_lead(1))
    leading, along = sorted(
        (one for one in lines() if one["event"] == "request"), key=lambda one: "along" in one
    )[-2:]
    assert "along" not in leading and along["along"] == leading["request"] != along["request"]
    assert (along["route"], along["client"]) == (leading["route"], leading["client"])
    with world.database.admin().connect() as connection:
        found = connection.execute(
            text("select distinct request_id from events where type = 'lead.received'")
        )
        assert found.scalars().all() == [leading["request"]]


def test_work_has_a_line_with_the_id_of_its_events(world: World, lines: Any) -> None:
    with world.system() as session:
        work.enqueue(session, "texts.expire", {})
    lines()
    while work.run_due(world.database.worker, now=world.now + timedelta(minutes=1)):
        continue
    told = next(one for one in lines() if one["event"] == "work" and one["kind"] == "texts.expire")
    assert told["outcome"] == "done" and told["request"] == f"work-{told['item']}" and told["ms"] >= 0


@pytest.mark.parametrize(
    "forged", ["short", "a" * 65, "x y=z injected", "id\nlevel=error", "-startswithdash", ""]
)
def test_an_id_that_could_forge_a_line_is_replaced(world: World, forged: str) -> None:
    app = site(world.database)
    given = app.get("/healthz", headers={"X-Request-Id": forged.replace("\n", " ")}).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{16}", given)


def test_the_log_holds_neither_personal_data_nor_secrets(world: World, lines: Any) -> None:
    with transaction(world.database.worker, Acting()) as session:
        signin.set_password_directly(session, world.people["katrin@danubia.example"], PASSWORD)
    app = site(world.database)
    page = app.get("/sign-in?q=" + SECRET_WORDS)
    form = next(f for f in page.forms.values() if "email" in f.fields)
    form["email"], form["password"] = "katrin@danubia.example", PASSWORD
    form.submit()
    form["password"] = f"wrong {SECRET_WORDS}"
    form.submit(status="*")
    secret = api_client(world, world.vendor_id, "leads:write")
    access = token(app, secret)
    head = {"Authorization": f"Bearer {access}"}
    app.post_json("/api/v1/leads", lead(f"{SECRET_WORDS}@customer.example"), headers=head)
    app.post_json("/api/v1/leads", {"title": [SECRET_WORDS]}, headers=head, status=422)
    app.get(f"/o/{SECRET_WORDS}", status=404)
    app.get(f"/welcome/{SECRET_WORDS}", status="*")
    signed_in(world, "katrin@danubia.example").get(f"/leads?q={SECRET_WORDS}")
    work.run_due(world.database.worker, now=world.now + timedelta(days=1))
    written = json.dumps(lines())
    assert written.count('"request"') > 6
    for hidden in (
        SECRET_WORDS,
        secret[1],
        access,
        PASSWORD,
        "katrin",
        "+43 732",
        world.sessions["katrin@danubia.example"],
    ):
        assert hidden not in written, hidden


def test_an_unexpected_error_is_logged_without_its_values(world: World, lines: Any) -> None:
    def broken(config: Any) -> None:
        def view(request: Any) -> Any:
            request.db.execute(text("select cast(:words as int)"), {"words": SECRET_WORDS})

        config.add_route("broken", "/broken")
        config.add_view(view, route_name="broken", permission="public")

    app = site(world.database, broken)
    answer = app.get("/broken", status=500)
    told = lines()
    error = next(line for line in told if line["event"] == "unexpected error")
    assert error["error"] == "DataError" and "view" in error["at"]
    assert answer.headers["X-Request-Id"] == error["request"] and error["request"] in answer
    assert SECRET_WORDS not in json.dumps(told)


def test_the_figures_of_requests_work_and_the_database(world: World) -> None:
    app = site(world.database)
    app.get("/sign-in")
    app.get(f"/nothing/{SECRET_WORDS}", status=404)
    access = token(app, api_client(world, world.vendor_id, "leads:write"))
    app.post_json("/api/v1/leads", lead(), headers={"Authorization": f"Bearer {access}"})
    found = _figures(app)
    served = {(s.labels["route"], s.labels["status"]) for s in found["interline_request_seconds"] if s.value}
    assert {("/sign-in", "200"), ("-", "404"), ("/api/v1/leads", "201")} <= served
    assert found["interline_database_up"][0].value == 1
    assert sum(s.value for s in found["interline_events_unsequenced"]) > 0
    waiting = sum(s.value for s in found["interline_work_items"])
    assert waiting > 0
    with transaction(world.database.worker, Acting()) as session:
        session.execute(text("update work_items set run_at = created_at"))
    work.run_due(world.database.worker, now=world.now + timedelta(days=1000))
    after = _figures(app)
    assert sum(s.value for s in after["interline_work_items"]) < waiting
    assert any(s.labels["outcome"] == "done" for s in after["interline_work_seconds"] if s.value)


def _figures(app: Any) -> dict[str, list[Any]]:
    page = app.get("/metrics", extra_environ={"REMOTE_ADDR": "127.0.0.1"})
    assert SECRET_WORDS not in page
    return {family.name: family.samples for family in text_string_to_metric_families(page.text)}


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.10", {}),
        ("10.0.0.7", {}),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        ("::1", {"Forwarded": "for=127.0.0.1"}),
        ("", {}),
    ],
)
def test_the_figures_are_for_this_machine_only(world: World, address: str, headers: dict[str, str]) -> None:
    app = site(world.database)
    hidden = app.get("/metrics", extra_environ={"REMOTE_ADDR": address}, headers=headers, status=404)
    assert "interline_" not in hidden
    app.get("/metrics", extra_environ={"REMOTE_ADDR": "::1"})


def test_a_strange_method_makes_no_new_label() -> None:
    assert observe._method(type("R", (), {"method": "BREW"})()) == "other"

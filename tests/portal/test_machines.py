"""Two machines: two applications with settings and folders of their own, on one database, behave as one."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from webtest import TestApp

from portal.connections import api
from portal.db import transaction
from portal.gateways import storage
from portal.partners import actions as partners
from portal.routing.rulesets.actions import publish_rules as publish
from portal.routing.snapshot import plan
from portal.security import signin, throttle
from portal.security.context import Acting
from portal.settings import Settings
from rules import RuleSet
from tests.portal.connections.test_leads_api import LEAD
from tests.portal.security.test_signin import KATRIN, PASSWORD
from tests.portal.site import ADDRESS, api_client, application, token
from tests.world import World

CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


class Machine:
    """One machine: its settings, its application, its engines."""

    def __init__(self, world: World, folder: Path) -> None:
        given: Settings = world.database.settings
        shared = {"storage_url": (folder.parent / "files").as_uri()}
        self.settings = given.model_copy(update={"var_dir": folder, **shared})
        self.app = application(self.settings)
        self.meter = api.Meter(calls=6)

    def client(self) -> TestApp:
        """A browser or system at this machine."""
        made = TestApp(self.app, extra_environ=dict(ADDRESS))
        made.interline = self.app
        return made


@pytest.fixture
def machines(world: World, tmp_path: Path) -> tuple[Machine, Machine]:
    """Two that share the database, the secret and the place of files, and nothing else."""
    with world.system() as session:
        signin.set_password_directly(session, world.people[KATRIN], PASSWORD)
    return Machine(world, tmp_path / "one"), Machine(world, tmp_path / "two")


def moved(browser: TestApp, there: Machine) -> TestApp:
    """The same browser, sent to another machine by the balancer: it takes along its cookies, nothing else."""
    made = there.client()
    for cookie in browser.cookiejar:
        made.cookiejar.set_cookie(cookie)
    return made


def sign_in(page: Any, password: str) -> Any:
    form = page.forms[0] if "email" in page.forms[0].fields else page.forms[1]
    form["email"], form["password"] = KATRIN, password
    return form.submit(status="*")


def test_a_session_and_its_forms_work_on_both(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    browser = one.client()
    page = browser.get("/sign-in")
    there = moved(browser, two)
    csrf = CSRF.search(page.text)
    assert csrf is not None
    form = {"csrf_token": csrf[1], "email": KATRIN, "password": PASSWORD}
    answer = there.post("/sign-in", form, status="*")
    assert answer.status_int == 302, "a form drawn by one is taken by the other"
    back = moved(there, one)
    home = back.get("/", status=200)
    csrf = CSRF.search(home.text)
    assert csrf is not None
    again = moved(back, two)
    assert again.post("/sign-out", {"csrf_token": csrf[1]}, status=302)
    assert back.get("/", status=302), "signed out everywhere"


def test_attempts_to_sign_in_are_counted_together(machines: tuple[Machine, Machine]) -> None:
    browsers = [machine.client() for machine in machines]
    for n in range(throttle.SIGN_IN_ACCOUNT.attempts):
        browser = browsers[n % 2]
        assert sign_in(browser.get("/sign-in"), "wrong wrong wrong").status_int != 429
    for browser in browsers:
        assert sign_in(browser.get("/sign-in"), PASSWORD).status_int == 429


def test_calls_of_a_client_are_metered_together(
    world: World, machines: tuple[Machine, Machine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six calls are allowed in all; a machine tells the others at once here, within a second otherwise."""
    one, two = machines
    monkeypatch.setattr(api, "SHARE_S", 0.0)
    clients = []
    secret = api_client(world, world.vendor_id, "leads:read")
    for machine in machines:
        client = machine.client()
        client.authorization = ("Bearer", token(client, secret))
        clients.append(client)
    left = []
    for n in range(6):
        monkeypatch.setattr(api, "METER", machines[n % 2].meter)
        answer = clients[n % 2].get("/api/v1/leads/L-1", status=404)
        left.append(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0])
    assert left == ["5", "4", "3", "2", "1", "0"]
    for machine, client in zip((one, two), clients, strict=True):
        monkeypatch.setattr(api, "METER", machine.meter)
        assert client.get("/api/v1/leads/L-1", status=429).headers["Retry-After"]


def test_a_change_of_rules_or_partners_is_followed_by_the_next_lead(
    world: World, machines: tuple[Machine, Machine]
) -> None:
    """Both have the plan at hand; what one changes, the other decides by in its very next transaction."""
    secret = api_client(world, world.vendor_id, "leads:write", "leads:read")
    clients = []
    for number, machine in enumerate(machines):
        client = machine.client()
        client.authorization = ("Bearer", token(client, secret))
        body = LEAD | {"external_key": f"warm-{number}", "contact": {"email": f"warm{number}@x.example"}}
        client.post_json("/api/v1/leads", body, status=201)
        clients.append(client)
    for number, partner in enumerate(world.partners):
        # Through the first machine's login, as its pages do; asked through the second at once, and the other way round.
        with world.acting("ingrid@halden.example") as session:
            partners.set_standing(session, world.company(partner), status="suspended", level=None, reason="x")
        client = clients[(number + 1) % 2]
        body = LEAD | {"external_key": f"after-{number}", "contact": {"email": f"after{number}@x.example"}}
        sent = client.post_json("/api/v1/leads", body, status=201).json
        with world.system() as session:
            row = session.execute(
                text("select company_id from offers where lead_id = :l and state = 'offered'"),
                {"l": int(sent["id"])},
            ).first()
        suspended = {world.company(p) for p in list(world.partners)[: number + 1]}
        assert row is None or row.company_id not in suspended
    assert row is None, "not vacuous: nobody is left"


def test_a_published_rule_set_is_in_force_on_both_at_once(
    world: World, machines: tuple[Machine, Machine]
) -> None:
    engines = [machine.app.registry.app_engine for machine in machines]
    vendor = Acting(kind="vendor", company_id=world.vendor_id)
    assert engines[0] is not engines[1]
    with transaction(world.database.worker, vendor) as session:
        before = plan(session).rule_set_version
        body = session.execute(text("select body from rule_sets where state = 'published'")).scalar_one()
        publish(session, world.vendor_id, RuleSet.parse(body))
    with transaction(world.database.worker, vendor) as session:
        assert plan(session).rule_set_version == before + 1


def test_files_are_where_both_find_them(machines: tuple[Machine, Machine]) -> None:
    one, two = machines
    storage(one.settings).put("blobs/x/one", b"content")
    assert storage(two.settings).get("blobs/x/one") == b"content"


def test_nothing_is_left_in_a_machines_folder(machines: tuple[Machine, Machine]) -> None:
    """Requests leave no state on the disk of the machine that served them."""
    one, _ = machines
    browser = one.client()
    sign_in(browser.get("/sign-in"), PASSWORD)
    browser.get("/", status="*")
    found = (
        [p for p in one.settings.var_dir.rglob("*") if p.is_file()] if one.settings.var_dir.exists() else []
    )
    assert found == []

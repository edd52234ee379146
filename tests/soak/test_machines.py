"""Two machines: two checkouts with folders of their own, one PostgreSQL, and as broker Redis, then RabbitMQ.

Each runs `interline up` with two web processes and a worker. What one is told the other knows; one is switched off in
the middle; its folder is lost and it comes back. `SOAK_DATABASE_URL`, `SOAK_REDIS_URL` and `SOAK_RABBITMQ_URL` say
where the servers are; without them the usual addresses of this machine are tried, and skipped when nothing is there.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from kombu import Connection as Broker

from tests.soak.conftest import Story
from tests.soak.place import OURS, ROOT, free_port

SERVER = os.environ.get("SOAK_DATABASE_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
BROKERS = {
    "redis": os.environ.get("SOAK_REDIS_URL", "redis://127.0.0.1:6379/9"),
    "rabbitmq": os.environ.get("SOAK_RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:5672//"),
}
SECRET = "for the soak only, never anywhere else: 0123456789"
PREFIX = "ilsoak"
LEADS = 24
START_S = 180.0
PATIENCE_S = 120.0  # the first lead waits for tables that every process loads once
CSRF = re.compile(r'name="csrf_token"[^>]*value="([^"]+)"')


@dataclass
class Machine:
    """One checkout with its own folder and port."""

    name: str
    checkout: Path
    var: Path
    port: int
    shared: dict[str, str]
    boss: subprocess.Popen[bytes] | None = None
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        own = {"VAR_DIR": str(self.var), "PORT": str(self.port), "PYTHONPATH": str(self.checkout)}
        return kept | self.shared | own

    def run(self, *words: str) -> str:
        done = subprocess.run(words, env=self.env, cwd=self.checkout, capture_output=True, text=True)
        assert done.returncode == 0, f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done.stdout.strip().splitlines()[-1]

    def start(self) -> None:
        self.var.mkdir(exist_ok=True)
        log = (self.var.parent / f"{self.name}.log").open("ab")
        words = [sys.executable, "-m", "portal.cli", "up"]
        self.boss = subprocess.Popen(words, env=self.env, cwd=self.checkout, stdout=log, stderr=log)

    def ready(self) -> None:
        until = time.monotonic() + START_S
        while True:
            try:
                if requests.get(f"{self.site}/readyz", timeout=5).status_code == 200:
                    return
            except requests.RequestException:
                pass
            assert time.monotonic() < until, (self.var.parent / f"{self.name}.log").read_text()[-2000:]
            time.sleep(0.2)

    def stop(self) -> None:
        if self.boss is not None:
            self.boss.terminate()
            self.boss.wait(60)
            self.boss = None


@contextmanager
def two_machines(broker: str) -> Iterator[tuple[Machine, Machine, str, dict[str, Any]]]:
    """Two machines, filled and ready; the address of their database and who lives in it."""
    root = Path(tempfile.mkdtemp(prefix="il-machines-"))
    name = f"il_soak_{os.getpid()}"
    url = make_url(name)
    shared = {"DATABASE_URL": url, "BROKER_URL": broker, "INTERLINE_SECRET": SECRET, "LOGIN_PREFIX": PREFIX}
    shared |= {"STORAGE_URL": (root / "files").as_uri(), "DEMO": "off", "MAIL_MODE": "off"}
    # One address for people, wherever the balancer sends them.
    shared |= {"PUBLIC_URL": "http://localhost:6543"}
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root, ignore_errors=True)
        stack.callback(drop, name)
        made = []
        for letter in "ab":
            checkout = root / f"checkout-{letter}"
            git("worktree", "add", "--detach", str(checkout), "HEAD")
            stack.callback(git, "worktree", "remove", "--force", str(checkout))
            vendor = Path("portal") / "web" / "static" / "vendor"
            shutil.copytree(ROOT / vendor, checkout / vendor, dirs_exist_ok=True)
            made.append(Machine(letter, checkout, root / f"var-{letter}", free_port(), shared))
        one, two = made
        one.var.mkdir()
        town = json.loads(one.run(sys.executable, "-m", "tests.soak.town"))
        for machine in made:
            stack.callback(machine.stop)
            machine.start()
        for machine in made:
            machine.ready()
        yield one, two, url, town


def git(*words: str) -> None:
    subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True)


def make_url(name: str) -> str:
    head, _, rest = SERVER.rpartition("/")
    return f"{head}/{name}{rest[rest.find('?') :] if '?' in rest else ''}"


def drop(name: str) -> None:
    with psycopg.connect(SERVER, autocommit=True) as connection:
        connection.execute(f'drop database if exists "{name}" with (force)')  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", sorted(BROKERS))
def test_two_machines_behave_as_one(story: Story, kind: str) -> None:
    try:
        psycopg.connect(SERVER, connect_timeout=3).close()
        with Broker(BROKERS[kind], connect_timeout=3) as broker:
            broker.ensure_connection(max_retries=1, timeout=3)
    except Exception as error:
        pytest.skip(f"no PostgreSQL or no {kind} on this machine: {type(error).__name__}")
    with two_machines(BROKERS[kind]) as (one, two, url, town):
        story.say("both are up")
        people(one, two, town)
        token = token_of(one, town)
        numbers = [
            post(machine, token, f"first-{machine.name}-{n}")
            for n in range(LEADS // 2)
            for machine in (one, two)
        ]
        drained = rest(url)
        story.row(leads=len(numbers), drained_after=f"{drained:.1f} s")
        told = feed(two, token)
        received = [e["subject"]["number"] for e in told if e["type"] == "lead.received"]
        assert sorted(received) == sorted(numbers), "the feed of one tells what the other took in"
        story.row(rules_followed_after=f"{follow(one, two, url, token):.3f} s")

        one.stop()
        numbers += [post(two, token, f"alone-{n}") for n in range(10)]
        rest(url)
        shutil.rmtree(one.var)
        one.start()
        one.ready()
        page = one.session.get(f"{one.site}/leads", timeout=20, allow_redirects=False)
        assert page.status_code == 200, "a machine that lost its folder still knows who is signed in"
        for machine in (one, two):
            doctor = json.loads(machine.run(sys.executable, "-m", "portal.cli", "doctor", "--json"))
            assert doctor["ok"], doctor
        with psycopg.connect(url) as connection:
            row = connection.execute("select count(*), count(distinct number) from leads").fetchone()
        assert row is not None and row[0] == row[1] >= len(numbers)


def people(one: Machine, two: Machine, town: dict[str, Any]) -> None:
    """A partner signs in at one with a form that the other drew, and works on at both."""
    drawn = two.session.get(f"{two.site}/sign-in", timeout=20)
    csrf = CSRF.search(drawn.text)
    assert csrf is not None
    one.session.cookies.update(two.session.cookies)
    form = {"csrf_token": csrf[1], "email": town["people"][0], "password": town["password"]}
    answer = one.session.post(f"{one.site}/sign-in", form, timeout=20, allow_redirects=False)
    assert answer.status_code == 302, answer.text[:500]
    two.session.cookies.update(one.session.cookies)
    for machine in (one, two, one):
        page = machine.session.get(f"{machine.site}/leads", timeout=20, allow_redirects=False)
        assert page.status_code == 200


def token_of(machine: Machine, town: dict[str, Any]) -> str:
    """A token fetched at one machine; the feed's scope is added to the client."""
    with psycopg.connect(machine.shared["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(
            "update api_clients set scopes = '{events:read,leads:read,leads:write}' where id = %s",
            [town["client_id"]],
        )
    form = {"grant_type": "client_credentials", "client_id": town["client_id"]}
    answer = requests.post(
        f"{machine.site}/oauth/token", form | {"client_secret": town["client_secret"]}, timeout=20
    )
    return str(answer.json()["access_token"])


def post(machine: Machine, token: str, key: str) -> str:
    """One lead; its number."""
    body = {
        "external_key": key,
        "account": {"name": f"Customer {key}"},
        "contact": {"email": f"{key}@c.example"},
    }
    body |= {"place": {"country": "AT", "postal": "4020", "city": "Linz"}, "product_lines": ["HX"]}
    bearer = {"Authorization": f"Bearer {token}"}
    answer = requests.post(f"{machine.site}/api/v1/leads", json=body, headers=bearer, timeout=PATIENCE_S)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["number"])


def rest(url: str) -> float:
    """Wait until nothing is due and everything has its position; how long that took."""
    began = time.monotonic()
    query = """select (select count(*) from events where pos is null),
        (select count(*) from work_items where state <> 'parked' and run_at <= now())"""
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(query).fetchone() != (0, 0):
            assert time.monotonic() - began < 120, "work is not done"
            time.sleep(0.1)
        parked = connection.execute(
            "select kind, last_error from work_items where state = 'parked'"
        ).fetchall()
    assert not parked, parked
    return time.monotonic() - began


def feed(machine: Machine, token: str) -> list[dict[str, Any]]:
    """Every event."""
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        url = f"{machine.site}/api/v1/events{after}"
        page = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
        found += page["events"]
        after = f"?after={page['next']}"
        if not page["more"]:
            return found


def follow(one: Machine, two: Machine, url: str, token: str) -> float:
    """End every partner but one's standing; for how long leads that any machine takes in still go to others."""
    with psycopg.connect(url, autocommit=True) as connection:
        left = connection.execute(
            "select company_id from offers group by 1 order by count(*) desc, 1 limit 1"
        ).fetchone()
        assert left is not None
        connection.execute("update standings set status = 'suspended' where company_id <> %s", [left[0]])
        began = time.monotonic()
        last_wrong = 0.0
        n = 0
        while n < 12 or time.monotonic() - began < 2:
            for machine in (one, two):
                n += 1
                asked = time.monotonic() - began
                number = post(machine, token, f"follow-{n}")
                row = connection.execute(
                    "select company_id from offers where lead_number = %s order by id limit 1", [number]
                ).fetchone()
                if row is not None and row[0] != left[0]:
                    last_wrong = asked
    assert last_wrong < 1.0
    return last_wrong

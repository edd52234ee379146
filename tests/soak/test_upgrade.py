"""Migrations under load: the released version serves 50 requests a second while the schema goes forward and back.

The web and worker processes are those of the version that came before the first migration of this one, from a checkout
of its own; the newer version migrates beside them. Nobody may wait for a lock for two seconds.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from portal.bootstrap import head, logins_of, migrate
from portal.security.logins import psycopg_url
from portal.settings import make
from portal.supervisor.embedded import running
from tests.soak.conftest import Story
from tests.soak.place import ROOT, Place, place

RATE, ENOUGH = 50.0, 0.9
CLIENTS = 10
PHASE_S = float(os.environ.get("SOAK_SECONDS") or 40) / 4
MOST_LOCK_WAIT_S = 2.0
EVENTS = 200_000
RELEASED = "0001"
WAITS = """
    select coalesce(max(extract(epoch from clock_timestamp() - query_start)), 0)::float8 from pg_stat_activity
    where datname = current_database() and wait_event_type = 'Lock' and usename <> %s
"""
FILL = f"""
    insert into events (realm_id, pos, at, kind, company_id, subject_type, subject_id, type, data, audience)
    select 1, 1000000 + n, now(), 'vendor', v.id, 'lead', n, 'lead.offered', '{{}}', array[v.id]
    from generate_series(1, {EVENTS}) n, (select id from companies where kind = 'vendor') v
"""


def test_migrations_forward_and_back_under_load(story: Story) -> None:
    with released(story) as checkout, old_place(checkout) as town:
        settings = make(var_dir=town.var, port=town.port)
        owner, logins = psycopg_url(settings.url_for("owner")), logins_of(settings)
        with town.database() as connection:
            connection.execute(FILL)
        load = Load(town)
        with load, Waits(town) as waits:
            for name, revision in (
                ("before", None),
                ("forward", head()),
                ("back", RELEASED),
                ("forward again", head()),
            ):
                load.phase = name
                began = time.monotonic()
                if revision is not None:
                    migrate(owner, logins, revision)
                took = time.monotonic() - began
                story.say(f"{name}: migrated in {took:.1f} s")
                time.sleep(PHASE_S)
                said = load.told(name)
                story.row(**{f"{name}: migration": f"{took:.1f} s", f"{name}: answers": said})
        story.row(longest_lock_wait=f"{waits.longest:.3f} s", requests_a_second=f"{load.rate():.0f}")
        assert load.rate() >= ENOUGH * RATE, f"{load.rate():.0f} requests a second"
        assert waits.longest < MOST_LOCK_WAIT_S
        faults = {name: load.faults(name) for name in ("before", "forward", "back", "forward again")}
        assert not faults["before"], faults
        # The released version keeps plans of whole rows, each of which fails once after a change: a dozen, not a storm.
        for name, count in faults.items():
            assert count <= 0.02 * load.total(name), faults


# -- the older version ---------------------------------------------------------------------------------------------


@contextmanager
def released(story: Story) -> Iterator[Path]:
    """A checkout of the version whose newest migration is RELEASED."""
    newer = sorted((ROOT / "migrations" / "versions").glob("0002_*.py"))
    found = git("log", "--diff-filter=A", "--format=%H", "--", *(str(p.relative_to(ROOT)) for p in newer))
    if not found:
        pytest.skip("no history beside this checkout, so no older version")
    folder = Path(tempfile.mkdtemp(prefix="il-released-")) / "interline"
    git("worktree", "add", "--detach", str(folder), f"{found.splitlines()[-1]}^")
    try:
        vendor = Path("portal") / "web" / "static" / "vendor"
        shutil.copytree(ROOT / vendor, folder / vendor, dirs_exist_ok=True)
        story.say(
            f"the released version is {git('log', '-1', '--format=%h %s', f'{found.splitlines()[-1]}^')}"
        )
        yield folder
    finally:
        git("worktree", "remove", "--force", str(folder))
        shutil.rmtree(folder.parent, ignore_errors=True)


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def old_place(checkout: Path) -> Iterator[Place]:
    """An installation with data at the released schema, run by the released version."""
    with place() as made:
        settings = make(var_dir=made.var, port=made.port)
        with running(settings):
            migrate(psycopg_url(settings.url_for("owner")), logins_of(settings), RELEASED)
        made.env |= {"PYTHONPATH": str(checkout)}
        made.command, made.checkout = [sys.executable, "-m", "portal.cli", "up"], checkout
        made.launch()
        until = time.monotonic() + 180
        while not made.answers():  # not every process of the released version shows itself in heartbeats
            assert time.monotonic() < until, made.tail()
            time.sleep(0.1)
        yield made


# -- load and measure ----------------------------------------------------------------------------------------------


@dataclass
class Load:
    """Clients that together send RATE requests a second: leads in by API, a lead read, a partner's pages."""

    town: Place
    phase: str = "before"
    answers: dict[str, Counter[str]] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began: float = 0.0

    def __enter__(self) -> "Load":
        self.site = f"http://127.0.0.1:{self.town.port}"
        made = self.town.town
        form = {
            "grant_type": "client_credentials",
            "client_id": made["client_id"],
            "client_secret": made["client_secret"],
        }
        self.token = requests.post(f"{self.site}/oauth/token", form, timeout=30).json()["access_token"]
        # The first lead waits for places and rules to be read.
        first = {"account": {"name": "First"}, "place": made["places"][0], "product_lines": ["HX"]}
        bearer = {"Authorization": f"Bearer {self.token}"}
        requests.post(f"{self.site}/api/v1/leads", json=first, headers=bearer, timeout=60).raise_for_status()
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)

    def _client(self, number: int) -> None:
        session = requests.Session()
        bearer = {"Authorization": f"Bearer {self.token}"}
        n = 0
        last = ""
        due = self.began + number / RATE  # by the clock, so that a slow answer does not make the load lighter
        while not self.stopping.wait(max(0.0, due - time.monotonic())):
            due += CLIENTS / RATE
            n += 1
            place_ = self.town.town["places"][n % len(self.town.town["places"])]
            body = {"account": {"name": f"Customer {number} {n}"}, "place": place_, "product_lines": ["HX"]}
            body["external_key"] = f"upgrade-{number}-{n}"
            body["contact"] = {"email": f"buyer{number}.{n}@customer.example"}
            phase = self.phase
            try:
                if n % 3 == 0 or not last:
                    answer = session.post(f"{self.site}/api/v1/leads", json=body, headers=bearer, timeout=10)
                    last = answer.json().get("number", last)
                elif n % 3 == 1:
                    answer = session.get(f"{self.site}/api/v1/leads/{last}", headers=bearer, timeout=10)
                else:
                    answer = session.get(f"{self.site}/sign-in", timeout=10)
                said = str(answer.status_code)
            except requests.RequestException as error:
                said = type(error).__name__
            with self.lock:
                self.answers.setdefault(phase, Counter())[said] += 1

    def total(self, phase: str) -> int:
        """Requests of a phase."""
        return sum(self.answers.get(phase, Counter()).values())

    def faults(self, phase: str) -> int:
        """Answers that nobody should get."""
        return sum(n for said, n in self.answers.get(phase, Counter()).items() if not said.startswith("2"))

    def told(self, phase: str) -> str:
        """'412 x 200, 3 x 500'."""
        return ", ".join(f"{n} x {said}" for said, n in sorted(self.answers.get(phase, Counter()).items()))

    def rate(self) -> float:
        """Requests a second over all."""
        return sum(map(self.total, self.answers)) / (time.monotonic() - self.began)


@dataclass
class Waits:
    """The longest time that anybody but the migration waited for a lock, looked at fifty times a second."""

    town: Place
    longest: float = 0.0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Waits":
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(10)

    def _look(self) -> None:
        with self.town.database() as connection:
            owner = make(var_dir=self.town.var).login("owner")
            while not self.stopping.wait(0.02):
                row = connection.execute(WAITS, (owner,)).fetchone()
                self.longest = max(self.longest, float(row[0]) if row else 0.0)

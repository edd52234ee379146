"""A database of the size of DESIGN section 9, made by SQL in about a minute, and people with open sessions in it.

`SEEDED=folder make bench T=lists` keeps it there for the next run; `SEEDED=folder python -m tests.bench.seed` only
makes it.
"""

import atexit
import json
import os
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import create_engine, text

from portal.bootstrap import bootstrap, worker_url
from portal.clocks.calendars import office_hours
from portal.companies.actions import ensure_vendor
from portal.companies.models import Membership, Person
from portal.db import make_engine, new_id, put, transaction
from portal.routing.rulesets.actions import publish_default
from portal.security.context import Acting
from portal.security.logins import psycopg_url
from portal.security.signin import open_session_directly
from portal.settings import Settings, load
from portal.supervisor.postgres import Server
from tests.bench.harness import ROOT, Site, http, site

SQL = Path(__file__).parent / "million.sql"
BASE = 1_000_000_000_000
MILLION = {
    "leads": 1_000_000,
    "partners": 5000,
    "heavy": 15_000,
    "customers": 300_000,
    "offered": 2000,
    "stuck": 200,
    "told": 100_000,
}
HEAVY = 1
LIGHT = tuple(range(2, 10))
ROUTED = 40


@dataclass(frozen=True)
class Seeded:
    """A running installation with a million leads; persona -> Cookie header. `numbers`: leads routed for real."""

    made: Site
    cookies: dict[str, str]
    numbers: tuple[str, ...]

    def get(self, persona: str, path: str) -> bytes:
        """The raw request for a page as a persona's browser sends it."""
        return http("GET", path, Cookie=self.cookies[persona], Accept_Encoding="gzip")


@cache
def seeded() -> Seeded:
    """Made once for all topics of a run, and stopped when it ends."""
    kept = Path(os.environ["SEEDED"]).absolute() if os.environ.get("SEEDED") else None
    stack = ExitStack()
    atexit.register(stack.close)
    made = stack.enter_context(site(kept))
    note = Path(made.env["VAR_DIR"]) / "seeded.json"
    if note.exists():
        found = json.loads(note.read_text())
        in_its_environment(made, "freshen", found["at"])
        made.start()
    else:
        found = fill(made)
    note.write_text(json.dumps(found | {"at": datetime.now(UTC).isoformat()}))
    return Seeded(made, found["cookies"], tuple(found["numbers"]))


def fill(made: Site) -> dict[str, Any]:
    """Fill an empty installation and start it: cookies and numbers of routed leads."""
    secrets = json.loads(in_its_environment(made, "fill"))
    client = made.command("client", "add", "--company", "vendor", "--scope", "leads:write")
    made.start()
    numbers = [lead(made, token(made, client), n) for n in range(ROUTED)]
    # As a browser after its first page: it sends the flash cookie back, so that no answer has to set one.
    cookies = {name: browser(made, f"interline={secret}") for name, secret in secrets.items()}
    return {"cookies": cookies, "numbers": numbers}


def in_its_environment(made: Site, *words: str) -> str:
    """Run a command of this module for a stopped installation; its last line."""
    command = [sys.executable, "-m", "tests.bench.seed", *words]
    done = subprocess.run(command, env=made.env, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return done.stdout.strip().rpartition("\n")[2]


def browser(made: Site, cookie: str) -> str:
    """The cookie with what the first page adds to it."""
    request = urllib.request.Request(f"http://127.0.0.1:{made.port}/", headers={"Cookie": cookie})
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        given = [value.split(";")[0] for value in answer.headers.get_all("Set-Cookie", [])]
    return "; ".join([cookie, *given])


def token(made: Site, client: dict[str, str], scope: str = "leads:write") -> str:
    """An access token of an API client."""
    data = {"grant_type": "client_credentials", "scope": scope}
    data |= {"client_id": client["client_id"], "client_secret": client["client_secret"]}
    url = f"http://127.0.0.1:{made.port}/oauth/token"
    with urllib.request.urlopen(url, urllib.parse.urlencode(data).encode()) as answer:
        return str(json.load(answer)["access_token"])


def lead(made: Site, bearer: str, n: int) -> str:
    """Send a lead by API, so that it has a decision and a history; its number."""
    body = {
        "external_key": f"ROUTED-{n}",
        "account": {"name": f"Routed customer {n}"},
        "contact": {"name": f"Buyer {n}", "email": f"buyer{n}@routed{n}.example"},
        "place": {
            "country": "AT",
            "subdivision": "AT-4",
            "postal": "4020",
            "city": "Linz",
            "lat": 48.3,
            "lon": 14.29,
        },
        "product_lines": [f"L{1 + n % 20}"],
        "message": "Two units, before the season.",
    }
    request = urllib.request.Request(f"http://127.0.0.1:{made.port}/api/v1/leads", json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", f"Bearer {bearer}")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        return str(json.load(answer)["number"])


def filled(settings: Settings) -> str:
    """Server up, schema, rows; persona -> value of the session cookie, as JSON."""
    with Server(settings.var_dir):
        bootstrap(settings)
        engine = make_engine(worker_url(settings))
        with transaction(engine, Acting()) as session:
            vendor = ensure_vendor(session, "Bench Vendor", "Europe/Vienna")
            publish_default(session, vendor)
        rows(settings, vendor)
        with transaction(engine, Acting()) as session:
            made = people(session, vendor)
        engine.dispose()
    return json.dumps(made)


def freshen(settings: Settings, at: str) -> None:
    """What was made at another time, as if it were now: open sessions, deadlines to come."""
    with Server(settings.var_dir), psycopg.connect(settings.admin_url, autocommit=True) as connection:
        connection.execute("update credentials set seen_at = now(), expires_at = now() + interval '1 day'")
        later = "update offers set deadline_at = deadline_at + (now() - %s) where state = 'offered'"
        connection.execute(later, (datetime.fromisoformat(at),))
        connection.execute("vacuum analyze offers")


def rows(settings: Settings, vendor: int, sizes: dict[str, int] = MILLION) -> None:
    """The big tables."""
    known = {"vendor": str(vendor), "calendar": f"'{json.dumps(office_hours('Europe/Vienna'))}'"}
    known |= {name: str(size) for name, size in sizes.items()}
    script = re.sub(
        rf"(?<!:):({'|'.join(known)})\b", lambda found: known[found[1]], SQL.read_text(encoding="utf-8")
    )
    admin = create_engine(psycopg_url(settings.admin_url), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        with connection.connection.cursor() as cursor:
            cursor.execute(script)
        connection.execute(text("vacuum analyze"))
    admin.dispose()


def people(session: Any, vendor: int) -> dict[str, str]:
    """A channel manager, and a seller of the heavy and of each light partner."""
    wanted = {"vendor": (vendor, "channel_manager"), "heavy": (BASE + HEAVY, "sales")}
    wanted |= {f"light{n}": (BASE + n, "sales") for n in LIGHT}
    found = {}
    for name, (company, role) in wanted.items():
        now, person = session.context.now, new_id()
        row = {"realm_id": 1, "created_at": now}
        email = f"{name}@bench.example"
        named = {"email": email, "email_key": email, "name": name.capitalize(), "language": "en"}
        put(session, Person, row | named | {"id": person, "status": "active"})
        member = {"id": new_id(), "company_id": company, "person_id": person, "role": role}
        put(session, Membership, row | member | {"location_ids": None})
        found[name] = open_session_directly(session, person, company)
    return found


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill"]:
            print(filled(load()))
        case ["freshen", at]:
            freshen(load(), at)
        case _:
            seeded()

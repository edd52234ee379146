"""The pull feed: polls that bring nothing (304), and pages of it, for a company among many in a log of 200,000 events."""

import urllib.request
from typing import Any

import psycopg

from portal.settings import make
from tests.bench.harness import Result, Site, http, load, median, result, site, yardsticks
from tests.bench.seed import token

CLIENTS = 8
ROUNDS = 3
ROUND_S = 4.0
RATE_TARGET = 2_500.0
EVENTS = 200_000
COMPANIES = """
    insert into companies (id, realm_id, kind, name, name_key, external_key, language, time_zone, created_at, updated_at)
    select 1000 + n, 1, case n when -1 then 'vendor' else 'partner' end, 'Company ' || n, 'company ' || n, n, 'en',
           'UTC', now(), now()
    from generate_series(-1, 200) n
"""
# The vendor is told of every event, each partner but number 0 of one in two hundred.
FILL = f"""
    insert into events (realm_id, pos, at, kind, company_id, subject_type, subject_id, type, data, audience)
    select 1, n, now(), 'vendor', 999, 'lead', n, 'lead.offered', '{{"offer": "1"}}', array[999, 1001 + n % 200]
    from generate_series(1, {EVENTS}) n
"""


def run() -> list[Result]:
    """Rounds of polls, pages and the yardstick page, in turn; medians."""
    with site() as made:
        made.start()
        settings = make(var_dir=made.env["VAR_DIR"], database_url=None)
        with psycopg.connect(settings.url_for("worker"), autocommit=True) as connection:
            connection.execute(COMPANIES)
            connection.execute(FILL)
        with psycopg.connect(settings.url_for("owner"), autocommit=True) as connection:
            connection.execute("vacuum analyze events")
        rows = []
        for name, company in (("vendor", "vendor"), ("partner", "7"), ("idle partner", "0")):
            client = made.command("client", "add", "--company", company, "--scope", "events:read")
            rows += _reader(made, name, token(made, client, "events:read"))
        return rows + yardsticks(made)


def _reader(made: Site, name: str, bearer_token: str) -> list[Result]:
    bearer = {"Authorization": f"Bearer {bearer_token}"}
    last = f"/api/v1/events?after=1.{EVENTS}"
    tag = _get(made, last, bearer).headers["ETag"]
    ask = {
        "poll": http("GET", last, **bearer, If_None_Match=tag),
        "page from the beginning": http("GET", "/api/v1/events", **bearer),
        "page near the end": http("GET", f"/api/v1/events?after=1.{EVENTS - 1000}", **bearer),
        "yardstick": http("GET", "/healthz"),
    }
    good = {"poll": b" 304"}
    found: dict[str, list[float]] = {case: [] for case in ask}
    slow: dict[str, list[float]] = {case: [] for case in ask}
    for _ in range(ROUNDS):
        for case, message in ask.items():
            one = load(
                made.port,
                lambda _, m=message: m,
                CLIENTS,
                ROUND_S if case == "poll" else 1.5,
                good.get(case, b" 20"),
            )
            if one.failures:
                raise RuntimeError(f"{case}: {one.failures} answers were not as expected")
            found[case].append(one.rate)
            slow[case].append(one.percentile(0.99))
    yard = median(found["yardstick"])
    target = RATE_TARGET if name == "partner" else None
    return [
        result(
            f"{name}: nothing new (304)", "polls per second", median(found["poll"]), "1/s", target, "higher"
        ),
        result(f"{name}: nothing new (304)", "p99", median(slow["poll"]), "ms"),
        result(f"{name}: nothing new / yardstick", "cost ratio", yard / median(found["poll"]), "x"),
        *(
            result(f"{name}: {case}", "pages per second", median(found[case]), "1/s")
            for case in ("page from the beginning", "page near the end")
        ),
        *(
            result(f"{name}: {case}", "p99", median(slow[case]), "ms")
            for case in ("page from the beginning", "page near the end")
        ),
    ]


def _get(made: Site, path: str, headers: dict[str, str]) -> Any:
    request = urllib.request.Request(f"http://127.0.0.1:{made.port}{path}", headers=headers)
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - our own server
        answer.read()
        return answer

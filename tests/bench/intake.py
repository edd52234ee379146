"""Leads in by API and by file: authenticated, routed among the Maryland firms, explained, logged, queued, committed.

Yardsticks of the same rounds: the trivial page of the same server, and one row per transaction by pgbench.
"""

import csv
import gzip
import io
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.bench.harness import (
    DATA,
    FIRMS,
    Load,
    Result,
    Site,
    http,
    insert_yardstick,
    load,
    median,
    result,
    site,
)
from tests.bench.processes import cpu_seconds
from tests.bench.seed import token

ROUNDS = 3
ROUND_S = 5.0
# DESIGN: at 8 clients; while the reference engine routes, 250/s will do, eight times what a mature rival reached.
TARGETS = {1: (None, None), 8: (250.0, 60.0), 32: (None, None)}
BULK_ROWS, BULK_TARGET = 10_000, 3000.0
NUMBER = b"@NUMBER@"
REQUESTS = DATA / "leads" / "maryland_requests.csv.gz"


def run() -> list[Result]:
    """Rounds of intake and of the yardsticks, in turn; medians."""
    if not FIRMS.exists():
        print("The Maryland files are not beside this checkout; nothing measured.")
        return []
    with site() as made:
        made.command("import", "partners", str(FIRMS), "--mapping", "maryland")
        client = made.command("client", "add", "--company", "vendor", "--scope", "leads:write")
        made.start()
        found = by_api(made, token(made, client))
    with site() as made:
        made.command("import", "partners", str(FIRMS), "--mapping", "maryland")
        return found + by_file(made)


def by_api(made: Site, bearer: str) -> list[Result]:
    """Single leads, by clients that wait for each answer."""
    lead, trivial = _leads(bearer), http("GET", "/healthz")
    load(made.port, lead, 8, 6)  # places and rules are loaded, statements prepared, plans kept
    rows = [insert_yardstick(made.env["VAR_DIR"], clients) for clients in TARGETS]
    rounds: dict[int, list[tuple[Load, Load, Counter[str]]]] = {clients: [] for clients in TARGETS}
    for _ in range(ROUNDS):
        for clients, done in rounds.items():
            before = cpu_seconds(made)
            leads = load(made.port, lead, clients, ROUND_S)
            spent = cpu_seconds(made)
            spent.subtract(before)
            done.append((leads, load(made.port, lambda _: trivial, clients, 1), spent))
    return [figure for clients, done in rounds.items() for figure in _figures(clients, done)] + rows


def _figures(clients: int, done: list[tuple[Load, Load, Counter[str]]]) -> list[Result]:
    case, (rate_target, p99_target) = f"API, clients: {clients}", TARGETS[clients]
    leads = [one for one, _, _ in done]
    rate, yard = median([one.rate for one in leads]), median([one.rate for _, one, _ in done])
    found = [
        result(case, "leads per second", rate, "1/s", rate_target, "higher"),
        result(case, "p50", median([one.percentile(0.5) for one in leads]), "ms"),
        result(case, "p99", median([one.percentile(0.99) for one in leads]), "ms", p99_target),
        result(case, "failures", float(sum(one.failures for one in leads)), "", 0.0),
        result(case, "yardstick: /healthz per second", yard, "1/s"),
        result(case, "lead / healthz", yard / rate, "x"),
    ]
    for part in ("web", "database", "worker", "sequencer", "supervisor"):
        each = [spent[part] * 1000 / len(one.latencies_ms) for one, _, spent in done]
        found.append(result(case, f"CPU per lead, {part}", median(each), "ms"))
    client = median([one.cpu_seconds * 1000 / len(one.latencies_ms) for one in leads])
    return [*found, result(case, "CPU per lead, client", client, "ms")]


def by_file(made: Site) -> list[Result]:
    """A file of many leads; the time of a file with one row, most of it the start of the command, is taken off."""
    few, many = Path(made.env["VAR_DIR"]) / "few.csv", Path(made.env["VAR_DIR"]) / "many.csv"
    _file(few, 1, "FEW")
    _file(many, BULK_ROWS, "MANY")
    began = time.monotonic()
    made.command("import", "leads", str(few), "--mapping", "maryland")
    between = time.monotonic()
    done = made.command("import", "leads", str(many), "--mapping", "maryland")
    seconds = (time.monotonic() - between) - (between - began)
    return [
        result("file", "leads per second", done["new"] / seconds, "1/s", BULK_TARGET, "higher"),
        result("file", "leads", float(done["new"]), ""),
    ]


def _file(path: Path, rows: int, tag: str) -> None:
    """Real requests again and again, each time of other companies."""
    given = list(csv.DictReader(io.StringIO(gzip.decompress(REQUESTS.read_bytes()).decode("utf-8-sig"))))
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(given[0]))
        writer.writeheader()
        for n in range(rows):
            row = dict(given[n % len(given)])
            row |= {"ref": f"{tag}-{n}", "company": f"{row['company']} {tag} {n}"}
            writer.writerow(row | {"email": f"buyer@{tag.lower()}{n}.example"})


def _leads(bearer: str) -> Callable[[int], bytes]:
    # Written out beforehand but for the number, so that the client costs little.
    bodies, counter = [_with_number(body) for body in _bodies()], iter(range(1, 10**9))
    head, _, _ = http("POST", "/api/v1/leads", b"{}", Authorization=f"Bearer {bearer}").partition(
        b"Content-Length"
    )

    def lead(_: int) -> bytes:
        n = next(counter)
        body = bodies[n % len(bodies)].replace(NUMBER, b"%d" % n)
        return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)

    return lead


def _with_number(body: dict[str, object]) -> bytes:
    number = NUMBER.decode()
    contact = {"name": f"Buyer {number}", "email": f"buyer{number}@customer{number}.example"}
    return json.dumps(body | {"external_key": f"BENCH-{number}", "contact": contact}).encode()


def _bodies() -> list[dict[str, object]]:
    """Real requests as the API takes them."""
    rows = csv.DictReader(io.StringIO(gzip.decompress(REQUESTS.read_bytes()).decode("utf-8-sig")))
    made = []
    for row in rows:
        if row["country"] != "US" or len(row["zip"]) != 5:
            continue
        made.append(
            {
                "account": {"name": row["company"].strip()},
                "place": {
                    "country": "US",
                    "subdivision": f"US-{row['state']}",
                    "postal": row["zip"],
                    "city": row["city"],
                },
                "product_lines": [row["naics"]],
                "certifications": [c for c in row["needs_certification"].split("/") if c],
                "language": row["language"],
                "source": row["source"],
                "message": row["message"],
            }
        )
    return made

"""A partner's pages beside a trivial page of the same server."""

import csv
import re
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from http.cookiejar import CookieJar

from tests.bench.harness import FIRMS, INTERLINE, ROOT, Result, Site, http, load, median, result, site
from tests.bench.intake import REQUESTS

CLIENTS = 8
ROUNDS = 3
ROUND_S = 4.0
P99_TARGET_MS = 50.0
PASSWORD = "a long bench password 1"


def run() -> list[Result]:
    """The list of the partner with the most leads of the Maryland import."""
    if not FIRMS.exists():
        print("The Maryland files are not beside this checkout; nothing measured.")
        return []
    with site() as made:
        made.command("import", "partners", str(FIRMS), "--mapping", "maryland")
        made.command("import", "leads", str(REQUESTS), "--mapping", "maryland")
        company = _busiest(made)
        email = "bench@partner.example"
        made.command(
            *("person", "add", email, "--name", "Bench", "--company", company, "--role", "sales"),
            "--password-stdin",
            stdin=PASSWORD,
        )
        made.start()
        cookie = _sign_in(made, email)
        pages = {"my leads": "/leads", "inbox": "/offers", "home": "/"}
        figures: list[Result] = []
        trivial = http("GET", "/healthz")
        for name, path in pages.items():
            message = http("GET", path, Cookie=cookie)
            load(made.port, lambda _, m=message: m, CLIENTS, 1)
            rounds = [
                (
                    load(made.port, lambda _, m=message: m, CLIENTS, ROUND_S),
                    load(made.port, lambda _: trivial, CLIENTS, 1),
                )
                for _ in range(ROUNDS)
            ]
            rate, yard = median([a.rate for a, _ in rounds]), median([b.rate for _, b in rounds])
            target = P99_TARGET_MS if path == "/leads" else None
            figures += [
                result(f"partner's {name}", "pages per second", rate, "1/s"),
                result(
                    f"partner's {name}", "p99", median([a.percentile(0.99) for a, _ in rounds]), "ms", target
                ),
                result(f"partner's {name}", "failures", float(sum(a.failures for a, _ in rounds)), "", 0.0),
                result(f"{name} / yardstick", "cost ratio", yard / rate, "x"),
            ]
    return figures


def _busiest(made: Site) -> str:
    """Name of the partner with the most offers, from the export that people use."""
    out = subprocess.run(
        [INTERLINE, "export", "decisions"], env=made.env, cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = Counter(
        row["partner"] for row in csv.DictReader(out.stdout.lstrip("\ufeff").splitlines()) if row["partner"]
    )
    return names.most_common(1)[0][0]


def _sign_in(made: Site, email: str) -> str:
    jar = CookieJar()
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
    base = f"http://127.0.0.1:{made.port}"
    page = opener.open(f"{base}/sign-in").read().decode()
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    data = {"csrf_token": token.group(1), "email": email, "password": PASSWORD}
    opener.open(f"{base}/sign-in", urllib.parse.urlencode(data).encode()).read()
    return "; ".join(f"{c.name}={c.value}" for c in jar)

"""Lists among 1,000,000 leads under row-level security: a partner's with 200 and with 15,000 shares, and the vendor's."""

import itertools
import time
from collections.abc import Callable

from portal.bootstrap import app_url
from portal.db import make_engine, session_for
from portal.leads import lists, queries
from portal.security.context import Credential, digest
from portal.settings import make
from portal.web.tables import count
from tests.bench.harness import Result, figures, insert_yardstick, median, result, rounds
from tests.bench.seed import LIGHT, Seeded, seeded

# DESIGN, section 9.
PAGE_P99_MS, QUERY_P99_MS = 50.0, 15.0
# Odoo's list of leads on the same machine: 24 to 39 pages a second; at least eight times as many.
LIST_RATE = 8 * 39.0
ADDRESSES = (
    *(f"/leads?page={n}&view=all" for n in range(1, 5)),
    "/leads?state=won&view=all",
    "/leads?state=working",
)
VENDOR = (
    "/leads?page=1&view=all",
    "/leads?page=2&view=all",
    "/leads?stage=won&view=all",
    "/leads?assignment=offered&view=all",
)
QUERIES = 300


def run() -> list[Result]:
    """Pages over HTTP, then the statements of the list by themselves."""
    seeds = seeded()
    light = [f"light{n}" for n in LIGHT]
    asked = {
        "partner's list, 9 of 10 with 200 leads": asking(seeds, [*light, *light[:1], "heavy"], ADDRESSES),
        "partner's list, 200 leads": asking(seeds, light, ADDRESSES),
        "partner's list, 15,000 leads": asking(seeds, ["heavy"], ADDRESSES),
        "vendor's list, 1,000,000 leads": asking(seeds, ["vendor"], VENDOR),
    }
    first = next(iter(asked))
    return [
        *figures(rounds(seeds.made, asked), dict.fromkeys(asked, PAGE_P99_MS), {first: LIST_RATE}),
        *by_themselves(seeds),
        insert_yardstick(seeds.made.env["VAR_DIR"]),
    ]


def asking(seeds: Seeded, personas: list[str], paths: tuple[str, ...]) -> Callable[[int], bytes]:
    """Every persona with every address, in turn."""
    messages = [seeds.get(persona, path) for path, persona in itertools.product(paths, personas)]
    return lambda n: messages[n % len(messages)]


def by_themselves(seeds: Seeded) -> list[Result]:
    """The page's statement and its count, in a transaction of the partner's own context, one client."""
    settings = make(var_dir=seeds.made.env["VAR_DIR"], database_url=None)
    engine = make_engine(app_url(settings))
    out = []
    for name, persona in (("200 leads", "light2"), ("15,000 leads", "heavy")):
        secret = dict(part.split("=", 1) for part in seeds.cookies[persona].split("; "))["interline"]
        took = []
        for n in range(QUERIES):
            session = session_for(engine, Credential("session", digest(secret)))
            with session.begin():
                company = session.context.company_id
                state = lists.partner_spec(queries.catalogue(session)).parse(params(n))
                began = time.perf_counter()
                page, values = lists.partner_page(state, past=False), {"company": company, **state.place}
                shown = session.read(page, values).all()
                count(session, lists.partner_count(state, past=False), state, len(shown), values)
                took.append((time.perf_counter() - began) * 1000)
            session.close()
        took.sort()
        case = f"the list's query, {name}"
        out += [
            result(case, "p50", median(took), "ms"),
            result(case, "p99", took[int(len(took) * 0.99)], "ms", QUERY_P99_MS),
        ]
    engine.dispose()
    return out


def params(n: int) -> dict[str, str]:
    """Pages 1 to 4, and one filtered by state."""
    return {"page": str(1 + n % 5)} if n % 5 < 4 else {"state": "won"}

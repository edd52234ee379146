"""Whatever is sent to whichever address, by whomever: the answer is a page that says what is wrong, or a problem document,
never an error of ours. Addresses, fields and values are made (tests/portal/hostile.py), so a new route is asked too."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from portal.connections import api
from tests.conftest import fresh_database
from tests.portal import asking, hostile
from tests.portal.asking import NEVER, Principal, ask
from tests.portal.hostile import Try
from tests.portal.site import views_of
from tests.portal.town import MANAGER, Town, peopled
from tests.world import TRAUN

OPERATOR, PARTNER = "operator@halden.example", "admin@traun.example"
WRITES, READS = "vendor's system that writes", "Traun's system"
ASKING = (OPERATOR, PARTNER, WRITES, READS, "stranger", "who holds a link")
EVERYTHING = 1_000
MACHINES = ("/healthz", "/readyz", "/metrics")
"""They take nothing, and /readyz says 503 for a living."""
LISTS = [
    *((MANAGER, path) for path in ("/leads", "/leads/queue", "/partners", "/imports")),
    *((PARTNER, path) for path in ("/leads", "/leads?tab=past")),
]


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """The town; nothing that is asked of it is kept."""
    with fresh_database(server_url, template) as database:
        made = peopled(database)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api, "METER", api.Meter(calls=10_000_000))
            yield made
        made.app.registry.app_engine.dispose()


@pytest.fixture(scope="module")
def routes(town: Town) -> dict[str, dict[str, str]]:
    """Address -> method -> permission."""
    return {path: views for path, views in views_of(town).items() if path not in MACHINES}


def own(town: Town, who: Principal, pattern: str) -> dict[str, str]:
    """Parts of the address that are there for this reader."""
    company = town.companies[TRAUN] if who.company in (None, town.companies["vendor"]) else who.company
    links = {"/o/": who.link or town.people["who holds a link"].link}
    for kind in ("/welcome/", "/address/"):
        found = (re.search(rf"{kind}([\w-]+)", text) for _to, text in town.mails)
        links[kind] = next((match[1] for match in found if match), "never-given")
    token = next((link for kind, link in links.items() if pattern.startswith(kind)), "never-given")
    parts = {name: town.thing(table, company or 0) or NEVER for name, table in asking.parts_of(pattern)}
    return {"token": token, **asking.WORDS, **parts}


def fields_read(routes: dict[str, dict[str, str]], town: Town, people: list[Principal]) -> dict[str, Any]:
    """Everybody opens every page and sends every form once, so that the fields which views read are known; the forms."""
    found = {}
    for who in people:
        pages = [
            hostile.own_path(p, own(town, who, p)) for p, views in routes.items() if {"GET", "*"} & set(views)
        ]
        pages += [f"/leads/{number}" for number in town.numbers.values()]
        found[who.name] = hostile.read_forms(town.app, who, pages)
        for pattern in [p for p, views in routes.items() if "POST" in views]:
            path = hostile.own_path(pattern, own(town, who, pattern))
            good = next((f for a, f in found[who.name].items() if hostile.matches(pattern, a)), [])
            ask(town.app, who, "POST", path, form=good)
    return found


def tries(town: Town, routes: dict[str, dict[str, str]], most: int) -> Iterator[Try]:
    """All of them, `most` for each field; few by those to whom the address is closed."""
    people = [town.people[name] for name in ASKING]
    known = fields_read(routes, town, people)
    read = {pattern: sorted(asking.READ[pattern] - {"csrf_token"}) for pattern in routes}
    described = {(e.path, e.method): e for e in town.app.registry.api_endpoints}
    document = ask(town.app, people[0], "GET", "/openapi.json").body
    for who in people:
        for pattern, views in routes.items():
            values = own(town, who, pattern)
            path = hostile.own_path(pattern, values)
            for method in views:
                few, names = most, read[pattern]
                if not is_open(town, who, method, path):  # one of each kind
                    few, names = max(1, most // 10), names[:1]
                yield from hostile.addresses(who, method.replace("*", "GET"), pattern, values, few)
                if method != "POST":
                    yield from hostile.queries(who, path, names, few)
                    continue
                endpoint = described.get((pattern, method))
                if endpoint is not None and endpoint.body is not None:
                    yield from hostile.documents(who, path, hostile.filled(document, pattern), few)
                    continue
                forms = known[who.name].items()
                there, good = next(((a, f) for a, f in forms if hostile.matches(pattern, a)), (path, []))
                yield from hostile.forms(who, there, good, names, few)


def is_open(town: Town, who: Principal, method: str, path: str) -> bool:
    """Whether somebody gets further than the door."""
    answer = ask(town.app, who, method.replace("*", "GET"), path, form={} if method == "POST" else None)
    return answer.status not in (401, 403, 404) and "/sign-in" not in answer.header("location")


@pytest.mark.parametrize("most", [3, pytest.param(EVERYTHING, marks=pytest.mark.soak)])
def test_nothing_that_is_sent_is_an_error_of_ours(
    town: Town, routes: dict[str, dict[str, str]], most: int
) -> None:
    wrong, asked = [], Counter[str]()
    for one in tries(town, routes, most):
        answer = one.send(town.app)
        asked[f"{one.who.role} {answer.status}"] += 1
        wrong += [f"{fault}: {one}" for fault in hostile.faults(answer, one)]
    assert wrong == [], "\n".join(wrong[:100])
    assert sum(asked.values()) > 2_000, "not vacuous"
    assert {"operator 422", "administrator 422", "system 422", "operator 200", "system 200"} <= set(asked)


@pytest.mark.parametrize(("who", "path"), LISTS)
def test_a_list_says_what_it_cannot_do(town: Town, who: str, path: str) -> None:
    for query in ("sort=zzz", "page=-1", "sort=-", "page=99999999999"):
        more = "&" if "?" in path else "?"
        assert ask(town.app, town.people[who], "GET", f"{path}{more}{query}").status == 400, query


NUMBERS = (
    "0",
    "-1",
    NEVER * 3,
    "9223372036854775808",
    "9223372036854775807",
    "٣",
    "1.0",
    "1\0",
    "x",
    hostile.DIGITS,
)


def test_a_number_that_is_none_is_not_found(town: Town, routes: dict[str, dict[str, str]]) -> None:
    who, wrong = town.people[OPERATOR], []
    for pattern, views in routes.items():
        for part, _table in asking.parts_of(pattern) if "GET" in views else ():
            for number in NUMBERS:
                path = asking.address(pattern, own(town, who, pattern) | {part: number})
                status = ask(town.app, who, "GET", path).status
                wrong += (
                    [(path[:80], status)]
                    if status not in ((401,) if path.startswith("/api/") else (400, 404))
                    else []
                )
    assert wrong == []


@pytest.mark.parametrize(
    "path", ["/", "/leads/", "/partners/", "/o/", "/help/", "/api/v1/leads/", "/api/v1/events?after="]
)
def test_an_address_that_is_no_utf8_is_refused(town: Town, path: str) -> None:
    sent = f"{path}%ff" if "?" in path else f"{path}\udcff"
    asked = Try(town.people[OPERATOR], "GET", sent)
    answer = asked.send(town.app)
    assert answer.status == 400 and hostile.faults(answer, asked) == []


@pytest.mark.parametrize("path", ["/leads/new", "/sign-in", "/partners/new", "/theme"])
def test_a_form_that_is_no_utf8_is_refused(town: Town, path: str) -> None:
    body = b"csrf_token=%FF&title=%FF%FE"
    assert ask(town.app, town.people[OPERATOR], "POST", path, body=body).status == 400

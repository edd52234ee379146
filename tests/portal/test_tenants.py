"""What belongs to others does not exist. Every route, asked by everybody: who may open it stands in a table here, not
in the application; a foreign id and one that never was get the same answer to the byte; and no word of another partner
stands on any page that a partner can reach."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from tests.conftest import fresh_database
from tests.portal.site import filled, views_of
from tests.portal.town import OF_DANUBIA, OF_PAST, OF_VENDOR, SELLERS, Town, built
from tests.world import DANUBIA

# -- who may open what: the whole site, written down by hand -----------------------------------------------------------

MANAGERS = {"operator", "channel_manager"}
VENDOR_SALES = MANAGERS | {"account_manager", "sales_rep"}
CARERS = MANAGERS | {"account_manager"}
VENDOR = VENDOR_SALES | {"service_agent"}
ADMINISTRATOR = {"administrator"}
PARTNER_SALES = ADMINISTRATOR | {"sales"}
PARTNER = PARTNER_SALES | {"service"}
EVERYBODY_INSIDE = VENDOR | PARTNER

PUBLIC = frozenset({"*"})
NUMBER, ID = r"/leads/{number:L-\d{1,18}}", r"/partners/{id:\d+}"
OFFER, PLACE = r"/offers/{id:\d{1,19}}", r"/company/locations/{location:\d+}"
TABLE: dict[str, dict[str, Any]] = {
    "/": {"GET": EVERYBODY_INSIDE},
    "/me": {"GET": EVERYBODY_INSIDE},
    "/companies/choose": {"GET": EVERYBODY_INSIDE, "POST": EVERYBODY_INSIDE},
    "/leads": {"GET": VENDOR_SALES | PARTNER_SALES},
    "/leads/new": {"GET": VENDOR_SALES, "POST": VENDOR_SALES},
    "/leads/queue": {"GET": MANAGERS},
    "/leads/queue/route": {"POST": MANAGERS},
    NUMBER: {"GET": VENDOR_SALES | PARTNER_SALES},
    f"{NUMBER}/assign": {"POST": MANAGERS},
    f"{NUMBER}/comment": {"POST": VENDOR_SALES | PARTNER_SALES},
    f"{NUMBER}/decision": {"GET": VENDOR_SALES | PARTNER_SALES},
    f"{NUMBER}/duplicate": {"GET": MANAGERS, "POST": MANAGERS},
    f"{NUMBER}/edit": {"GET": VENDOR_SALES, "POST": VENDOR_SALES},
    f"{NUMBER}/hand-back": {"POST": PARTNER_SALES},
    f"{NUMBER}/route": {"POST": MANAGERS},
    f"{NUMBER}/stage": {"POST": VENDOR_SALES | PARTNER_SALES},
    f"{NUMBER}/step": {"POST": VENDOR_SALES | PARTNER_SALES},
    f"{NUMBER}/withdraw": {"POST": MANAGERS},
    "/offers": {"GET": PARTNER_SALES},
    f"{OFFER}/accept": {"POST": PARTNER_SALES},
    f"{OFFER}/decline": {"POST": PARTNER_SALES},
    "/company": {"GET": PARTNER},
    "/company/edit": {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    PLACE: {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    f"{PLACE}/calendar": {"GET": ADMINISTRATOR, "POST": ADMINISTRATOR},
    # People of one's own company; the vendor's managers manage the vendor's.
    "/company/people": {"GET": ADMINISTRATOR | MANAGERS},
    "/company/people/new": {"GET": ADMINISTRATOR | MANAGERS, "POST": ADMINISTRATOR | MANAGERS},
    r"/company/people/{person:\d+}/remove": {"GET": ADMINISTRATOR | MANAGERS, "POST": ADMINISTRATOR | MANAGERS},
    "/company/agreement": {"GET": PARTNER},
    "/company/agreement/accept": {"POST": ADMINISTRATOR},
    "/partners": {"GET": VENDOR},
    "/partners/new": {"GET": CARERS, "POST": CARERS},
    ID: {"GET": VENDOR},
    **{
        f"{ID}/{rest}": {"GET": CARERS, "POST": CARERS}
        for rest in (
            "edit", "standing", "lines", "people/new", "locations/new", r"locations/{location:\d+}",
            r"locations/{location:\d+}/calendar", r"locations/{location:\d+}/territories/new",
            r"territories/{territory:\d+}/remove", "certifications/new", r"certifications/{certification:\d+}/end",
        )
    },
    "/imports": {"GET": MANAGERS},
    "/imports/new": {"GET": MANAGERS, "POST": MANAGERS},
    r"/imports/{id:\d+}/wrong": {"GET": MANAGERS},
    "/api/v1/leads": {"*": PUBLIC, "POST": {"system"}},
    "/api/v1/leads/{number}": {"*": PUBLIC, "GET": {"system"}},
    **{path: {"GET": PUBLIC} for path in ("/openapi.json", "/.well-known/oauth-authorization-server", "/o/{token}")},
    **{path: {"POST": PUBLIC} for path in ("/oauth/token", "/o/{token}/accept", "/o/{token}/decline", "/sign-out")},
    **{path: {"GET": PUBLIC, "POST": PUBLIC} for path in ("/sign-in", "/forgotten", "/welcome/{token}")},
    **{
        path: {"*": PUBLIC}
        for path in ("/help", "/help/{page}", "/healthz", "/readyz", "/theme", "/dev/mail", "/dev/mail/{name}",
                     "/dev/mail/{name}/html")
    },
}  # fmt: skip
ROUTES = [
    (path, method) for path, methods in TABLE.items() for method in methods if methods[method] != PUBLIC
]
NOT_OURS = (
    "sales@traun.example",
    "admin@traun.example",
    "sales@alpenhydro.example",
    "admin@alpenhydro.example",
)
CHANGING = re.compile(
    r"""(nonce="[^"]*"|'nonce-[^']*'|name="csrf_token"\ value="[^"]*"|\d{1,2}:\d{2}(:\d{2})?|\d+\ (h|min)\b)""",
    re.X,
)
UNCOMPARED = ("Set-Cookie", "Content-Length", "RateLimit")
NEVER = {"L-99999999", "99999999"}


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """One town for all tests here: none of them may change it, which the last one proves."""
    with fresh_database(server_url, template) as database, built(database) as made:
        before = state(made)
        yield made
        assert state(made) == before, "somebody changed what is not theirs"


def state(town: Town) -> dict[str, list[str]]:
    """All that the routes could change, as committed."""
    tables = (
        "leads",
        "offers",
        "memberships",
        "certifications",
        "territories",
        "location_facts",
        "companies",
    )
    with town.world.system() as session:
        return {
            table: list(
                session.scalars(text(f"select (to_jsonb(t) - 'seen_at')::text from {table} t order by 1"))
            )
            for table in tables
        }


def ask(town: Town, who: str, method: str, path: str) -> Any:
    """One request with all that a form would send."""
    visitor = town.visitors[who]
    if path.startswith("/api/"):
        return visitor.get(path, status="*") if method == "GET" else visitor.post_json(path, {}, status="*")
    if method == "POST":
        form = {"csrf_token": town.tokens[who], "reason": "no_capacity", "text": "x", "to": "working"}
        return visitor.post(path, form, status="*")
    return visitor.get(path, status="*")


def told(answer: Any, ids: set[str]) -> tuple[int, dict[str, str], str]:
    """Status, headers and page, without what is new in every answer and without the id that was asked for."""
    page = CHANGING.sub("", answer.text)
    for value in sorted(ids | NEVER, key=len, reverse=True):
        page = page.replace(value, "ID")
    headers = {k: CHANGING.sub("", v) for k, v in answer.headers.items() if k not in UNCOMPARED}
    return answer.status_int, headers, page


def known(town: Town, path: str) -> dict[str, str]:
    """Danubia's ids for the parts of this address."""
    return town.company if path.startswith("/partners/") else town.foreign


# -- the table ---------------------------------------------------------------------------------------------------------


def test_every_route_stands_in_the_table(town: Town) -> None:
    found = {path: set(views) for path, views in views_of(town.client()).items()}
    assert found == {path: set(methods) for path, methods in TABLE.items()}, (
        "write new routes into TABLE by hand"
    )


def test_there_are_enough_principals(town: Town) -> None:
    assert len(town.visitors) >= 15


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_who_is_not_meant_finds_nothing(town: Town, path: str, method: str) -> None:
    meant = TABLE[path][method]
    mine = known(town, path)
    for who, role in town.roles.items():
        if role in meant:
            continue
        answer = ask(town, who, method, filled(path, **mine))
        if path.startswith("/api/"):
            assert answer.status_int == 401, (who, answer.status)
        elif role in ("stranger", "system"):
            assert answer.status_int == 302 and "/sign-in" in answer.location, (who, answer.status)
        else:
            assert answer.status_int == 404, (who, answer.status)
        for word in OF_DANUBIA:
            assert word not in answer.text, (who, word)


@pytest.mark.parametrize(("path", "method"), [(p, m) for p, m in ROUTES if "{" in p])
def test_foreign_is_the_same_as_never_was(town: Town, path: str, method: str) -> None:
    mine = known(town, path)
    ids = set(mine.values())
    asked = NOT_OURS if not path.startswith("/api/") else ("Traun's system", "Alpenhydro's system")
    for who in asked:
        theirs = ask(town, who, method, filled(path, **mine))
        never = ask(town, who, method, filled(path))
        assert theirs.status_int == 404, (who, theirs.status)
        assert told(theirs, ids) == told(never, ids), who


@pytest.mark.parametrize(("path", "method"), [(p, m) for p, m in ROUTES if "{" in p and "/api/" not in p])
def test_what_never_was_is_not_found_by_those_who_may_look(town: Town, path: str, method: str) -> None:
    for who, role in town.roles.items():
        if role in TABLE[path][method]:
            assert ask(town, who, method, filled(path)).status_int == 404, who


# -- canaries ----------------------------------------------------------------------------------------------------------

LINK = re.compile(r'(?:href|action|data-open)="(/[^"#]*)')
SEARCHES = ("canary", "Customer", "held", "Danubia", "Linz")
STARTS = [
    *(
        "/",
        "/leads",
        "/leads?tab=past",
        "/leads?export=csv",
        "/leads?tab=past&export=csv",
        "/offers",
        "/company",
    ),
    *("/offers?tab=accepted", "/offers?tab=missed", "/partners", "/leads/queue", "/imports", "/help", "/me"),
    *(f"/leads?q={word}" for word in SEARCHES),
    *(f"/leads?tab=past&q={word}&export=csv" for word in SEARCHES),
    *(f"/search?q={word}" for word in SEARCHES),
]
MOST_PAGES = 150


def everything(town: Town, who: str) -> dict[str, str]:
    """Every page that this visitor comes to by following links, and each page's body and headers as one text."""
    seen: dict[str, str] = {}
    waiting = [*STARTS, *(f"/leads/{n}" for n in town.numbers.values())]
    waiting += [f"/leads/{n}/decision" for n in town.numbers.values()]
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        if path in seen or path.startswith(("/static/", "/dev/")):
            continue
        answer = town.visitors[who].get(path, status="*")
        assert answer.status_int < 500, (path, answer.status)
        body = answer.text if answer.charset else ""
        seen[path] = f"{answer.headers}\n{body}"
        if answer.status_int == 200 and answer.content_type == "text/html":
            for found in LINK.findall(body):
                address = found.replace("&amp;", "&")
                if urlsplit(address).path.count("/") < 7 and address not in seen:
                    waiting.append(address)
    return seen


@pytest.mark.parametrize("who", ["sales@traun.example", "admin@traun.example", "service@traun.example"])
def test_no_page_of_a_partner_holds_a_word_of_another(town: Town, who: str) -> None:
    pages = everything(town, who)
    assert len([page for page in pages.values() if "csrf_token" in page]) > 8, "not vacuous"
    if "service" not in who:
        assert any("Customer ours" in page for page in pages.values()), "its own customers it does see"
        assert any(town.numbers["past"] in page for page in pages.values()), (
            "and the line of what it gave back"
        )
    for word in (*OF_DANUBIA, *OF_VENDOR, *OF_PAST):
        assert [path for path, page in pages.items() if word in without(page, town, path)] == [], word


def without(page: str, town: Town, path: str) -> str:
    """A page without the words that the reader typed into its own address, which it repeats."""
    for word in SEARCHES:
        if f"q={word}" in path:
            page = page.replace(f'value="{word}"', "").replace(f"q={word}", "")
    return page


def test_the_canaries_sing_where_they_should(town: Town) -> None:
    world = town.world
    town.add("Katrin", "sales", world.sessions[SELLERS[DANUBIA]])
    theirs = "\n".join(everything(town, "Katrin").values())
    vendors = "\n".join(everything(town, "ingrid@halden.example").values())
    unheard = {"ATEX-4052", "canary-description", "key-held", "canary-title-open"}
    assert [word for word in OF_DANUBIA if word not in theirs and word not in unheard] == []
    assert [word for word in OF_VENDOR if word in theirs] == [], "the vendor's own words stay with the vendor"
    assert "canary-own-note" not in vendors, "a partner's own notes stay with the partner"
    assert "canary-note-to-all" in vendors and "canary-vendor-note" in vendors

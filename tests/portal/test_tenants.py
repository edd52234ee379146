"""What belongs to others does not exist. Every route and method, asked by everybody with ids of others in the address, the
query and the form: the answer is the same to the byte as from a database that holds nothing of others at all.

Requests are made from the route table and the fields that views read (tests/portal/asking.py); a new route is asked
without being written down. By hand stands only which roles a permission is meant for.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import pytest

from portal.security.permissions import PERMISSIONS
from tests.conftest import fresh_database
from tests.portal import asking
from tests.portal import town as towns
from tests.portal.asking import (
    METHODS,
    Answer,
    Principal,
    address,
    ask,
    differences,
    forms_of,
    parts_of,
    told,
)
from tests.portal.site import views_of
from tests.portal.town import OF_DANUBIA, OF_PAST, OF_VENDOR, Town, built
from tests.world import DANUBIA, TRAUN

# -- who may do what: written down by hand, apart from the application's own table -------------------------------------

MANAGERS = {"operator", "channel_manager"}
CARERS = MANAGERS | {"account_manager"}
SELLERS = CARERS | {"sales_rep"}
VENDOR = SELLERS | {"service_agent"}
ADMINISTRATOR = {"administrator"}
PARTNER_SALES = ADMINISTRATOR | {"sales"}
PARTNER = PARTNER_SALES | {"service"}
MEANT: dict[str, set[str]] = {
    "home": VENDOR | PARTNER,
    "profile.own": VENDOR | PARTNER,
    "lead.read": SELLERS | PARTNER_SALES,
    "lead.create": SELLERS,
    "lead.edit": SELLERS,
    "lead.assign": MANAGERS,
    "lead.export": SELLERS | PARTNER_SALES,
    "lead.comment": SELLERS | PARTNER_SALES,
    "lead.files": SELLERS | PARTNER_SALES,
    "lead.progress": SELLERS | PARTNER_SALES,
    "lead.board": PARTNER_SALES,
    "lead.queue": MANAGERS,
    "decision.read": SELLERS | PARTNER_SALES,
    "decision.search": SELLERS,
    "load.read": CARERS,
    "decision.own": PARTNER_SALES,
    "offer.answer": PARTNER_SALES,
    "offer.link": {"link"},
    "partner.read": VENDOR,
    "partner.edit": CARERS,
    "company.read": PARTNER,
    "company.edit": ADMINISTRATOR,
    "member.manage": ADMINISTRATOR | MANAGERS,
    "signin.require": ADMINISTRATOR | {"operator"},
    "partner.members": MANAGERS,
    "rules.read": CARERS,
    "rules.edit": {"channel_manager"},
    "rules.require": {"operator"},
    "import.run": MANAGERS,
    "work.read": {"operator"},
    "api.leads.write": {"system"},
    "api.leads.read": {"system"},
    "api.files.write": {"system"},
    "api.events.read": {"system"},
}
# Only on a machine of one's own: mail is kept there for whoever sits at it.
LOCAL = ("/dev/",)
OUTSIDE = ("stranger", "link", "system")


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """One town for all tests here: nothing that is asked of it is kept."""
    as_html = mock.patch(
        "integrations.pdf.render", lambda html: html.encode()
    )  # what goes to paper is read, too
    with as_html, fresh_database(server_url, template) as database, built(server_url, database) as made:
        yield made


@pytest.fixture(scope="module")
def routes(town: Town) -> dict[str, dict[str, str]]:
    """Address -> method -> permission."""
    found = views_of(town)
    return {path: views for path, views in found.items() if not path.startswith(LOCAL)}


def same(town: Town, who: Principal, *request: Any, **more: Any) -> Answer:
    """Ask the whole world and the one that `who` may know; the answers are the same. Returned is the first."""
    whole = ask(town.app, who, *request, **more)
    part = ask(town.believed[who.group], who, *request, **more)
    one, other = told(whole, town.known), told(part, town.known)
    if one != other:
        pytest.fail(f"{who.name} {request} {more} learns of others:\n" + "\n".join(differences(one, other)))
    assert whole.status < 500 or request[1] == "/readyz", (who.name, request, more)
    return whole


def values_of(town: Town, who: Principal, path: str) -> list[dict[str, str]]:
    """What may stand in the parts of an address: each record of others among own ones, and others' all through."""
    fixed = {"token": who.link or "never-given", **asking.WORDS}
    parts = parts_of(path)
    if not parts:
        return [fixed]
    others = [town.companies[DANUBIA], town.companies["vendor"]]
    foreign = {
        name: next(filter(None, (town.thing(table, c) for c in others)), None) for name, table in parts
    }
    missing = [f"{{{name}}} of {path} (a row of {table})" for name, table in parts if foreign[name] is None]
    assert not missing, f"give Danubia or the vendor one in tests/portal/town.py: {missing}"
    own = {name: town.thing(table, who.company or 0) for name, table in parts}
    made = [fixed | {name: value or "" for name, value in foreign.items()}]
    if len(parts) > 1:
        vendors = {name: town.thing(table, town.companies[TRAUN]) for name, table in parts}
        mine = vendors if who.company == town.companies["vendor"] else own
        for name, _table in parts:
            mixed = {key: value or asking.NEVER for key, value in mine.items()} | {name: foreign[name] or ""}
            made.append(fixed | mixed)
    return made


# -- the table ---------------------------------------------------------------------------------------------------------


def test_every_permission_is_meant_for_somebody() -> None:
    assert set(PERMISSIONS) - {"public"} == set(MEANT), "say here, by hand, which roles are meant"


def test_there_are_enough_principals(town: Town) -> None:
    assert len(town.people) >= 20
    assert {who.role for who in town.people.values()} == VENDOR | PARTNER | set(OUTSIDE)


def is_meant(who: Principal, permission: str) -> bool:
    return permission == "public" or who.role in MEANT[permission]


TURNS = 4
"""Each route is asked by every fourth principal in the ordinary suite, others for each; `make soak` asks everything."""


def in_turn(town: Town, salt: str, turns: int) -> list[Principal]:
    """Those whose turn it is; of every role somebody, over the routes."""
    people = list(town.people.values())
    return people[zlib.crc32(salt.encode()) % turns :: turns]


@pytest.mark.parametrize("turns", [TURNS, pytest.param(1, marks=pytest.mark.soak)])
def test_who_is_not_meant_finds_nothing(town: Town, routes: dict[str, dict[str, str]], turns: int) -> None:
    for path, views in routes.items():
        for method, permission in views.items():
            for who in in_turn(town, method + path, turns):
                if not is_meant(who, permission):
                    refused_and_silent(town, who, method, path)


def refused_and_silent(town: Town, who: Principal, method: str, path: str) -> None:
    for values in values_of(town, who, path)[:1]:
        form = {"reason": "no_capacity", "text": "x", "to": "working"} if method == "POST" else None
        answer = same(town, who, method, address(path, values), form=form)
        if path.startswith("/api/"):
            assert answer.status in (401, 403), (who.name, path, answer.status)
        elif who.role in OUTSIDE:
            assert answer.status == 302, (who.name, path, answer.status)
            assert "/sign-in" in answer.header("location")
        else:
            assert answer.status == 404, (who.name, path, answer.status)
        silent(answer, who.name, path)


def silent(answer: Answer, *where: str) -> None:
    """Nothing of others in body or headers."""
    text = f"{answer.headers}\n{answer.text}"
    assert [word for word in (*OF_DANUBIA, *OF_VENDOR, *OF_PAST) if word in text] == [], where


@pytest.mark.parametrize("turns", [TURNS, pytest.param(1, marks=pytest.mark.soak)])
def test_ids_of_others_in_addresses_are_as_if_they_had_never_been(
    town: Town, routes: dict[str, dict[str, str]], turns: int
) -> None:
    asked = 0
    for path, views in routes.items():
        for method, permission in views.items() if parts_of(path) else ():
            for who in in_turn(town, path + method, turns):
                if not is_meant(who, permission) or method == "*":
                    continue
                for values in values_of(town, who, path):
                    foreign_is_not_there(town, who, method, path, values)
                    asked += 1
    assert asked > 100, "not vacuous"


def foreign_is_not_there(town: Town, who: Principal, method: str, path: str, values: dict[str, str]) -> None:
    """The vendor's people see every partner; for them a record of one partner under another's address is foreign."""
    mixed = len(parts_of(path)) > 1 and values != values_of(town, who, path)[0]
    answer = same(town, who, method, address(path, values), form={} if method == "POST" else None)
    if town.companies["vendor"] in who.sees and not mixed:
        return
    wanted = (401, 403, 404) if path.startswith("/api/") else (404,)
    assert answer.status in wanted, (who.name, method, address(path, values), answer.status)
    silent(answer, who.name, path)


@pytest.mark.parametrize("turns", [TURNS, pytest.param(1, marks=pytest.mark.soak)])
def test_other_methods_tell_nothing_either(town: Town, routes: dict[str, dict[str, str]], turns: int) -> None:
    for name in ("stranger", "admin@traun.example", "Traun's system"):
        who = town.people[name]
        for path, views in routes.items():
            for method in METHODS:
                if method not in views and zlib.crc32(f"{name}{path}{method}".encode()) % turns == 0:
                    values = values_of(town, who, path)[0]
                    answer = same(
                        town, who, method, address(path, values), form={} if method == "POST" else None
                    )
                    assert method != "OPTIONS" or answer.status != 200 or "*" in views, (path, method)


# -- own pages, and references to others within them -------------------------------------------------------------------

LINK = re.compile(r'(?:href|action|data-open)="(/[^"#]*)')
SEARCHES = ("canary", "Customer", "held", "Danubia", "Linz")
STARTS = (
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
)
MOST_PAGES = 100
NUMBERS = re.compile(r"\d+")


def everything(town: Town, who: Principal) -> dict[str, Answer]:
    """Every kind of page that somebody comes to by following links, and of most kinds many; each is the same as if
    others were not there. Beyond MOST_PAGES only kinds that have not been seen: lists link to any number of their own."""
    seen: dict[str, Answer] = {}
    kinds: set[str] = set()
    waiting = [*STARTS, *(f"/leads/{n}" for n in town.numbers.values())]
    waiting += [f"/leads/{n}/{rest}" for n in town.numbers.values() for rest in ("decision", "sheet.pdf")]
    waiting.append(f"/company/proposals/{town.thing('proposals', town.companies[DANUBIA])}")
    while waiting:
        path = waiting.pop(0)
        if path in seen or path.startswith(("/static/", "/dev/")):
            continue
        kind = NUMBERS.sub("0", urlsplit(path).path)
        if len(seen) >= MOST_PAGES and kind in kinds:
            continue
        kinds.add(kind)
        answer = seen[path] = same(town, who, "GET", path)
        if answer.status == 200 and answer.kind == "text/html":
            for found in LINK.findall(answer.text):
                link = found.replace("&amp;", "&")
                if urlsplit(link).path.count("/") < 7 and link not in seen:
                    waiting.append(link)
    return seen


PARTNERS = ("sales@traun.example", "admin@traun.example", "service@traun.example", "sales@inn.example")


@pytest.mark.parametrize("name", PARTNERS)
def test_no_page_of_a_partner_knows_of_others(town: Town, name: str) -> None:
    pages = everything(town, town.people[name])
    assert len([page for page in pages.values() if b"csrf_token" in page.body]) > 5, "not vacuous"
    if name in ("sales@traun.example", "admin@traun.example"):
        assert any("Customer ours" in page.text for page in pages.values()), "its own customers it does see"
        assert len([page for page in pages.values() if "Lead sheet</small>" in page.text]) > 3, "on paper"
        assert any(town.numbers["past"] in page.text for page in pages.values()), "and what it gave back"
        assert "You would need the certification" in pages["/why"].text, (
            "and what became of leads at its place"
        )
    for word in (*OF_DANUBIA, *OF_VENDOR, *OF_PAST):
        assert [path for path, page in pages.items() if word in without(page, path)] == [], word


def without(page: Answer, path: str) -> str:
    """An answer without the words that the reader typed into its own address, which it repeats."""
    text = f"{page.headers}\n{page.text}"
    for word in SEARCHES:
        if f"q={word}" in path:
            text = text.replace(f'value="{word}"', "").replace(f"q={word}", "")
    return text


def test_the_canaries_sing_where_they_should(town: Town) -> None:
    world = town.world
    katrin = town.add(
        "Katrin", "sales", town.companies[DANUBIA], session=world.sessions["katrin@danubia.example"]
    )
    town.believed[katrin.group] = town.app
    theirs = "\n".join(page.text for page in everything(town, katrin).values())
    vendors = "\n".join(page.text for page in everything(town, town.people[towns.MANAGER]).values())
    del town.people["Katrin"]
    unheard = {"ATEX-4052", "canary-description", "key-held", "canary-title-open", "canary-filter of katrin"}
    assert [word for word in OF_DANUBIA if word not in theirs and word not in unheard] == []
    assert [word for word in OF_VENDOR if word in theirs] == [], "the vendor's own words stay with the vendor"
    assert "canary-own-note" not in vendors, "a partner's own notes stay with the partner"
    assert "canary-note-to-all" in vendors and "canary-vendor-note" in vendors
    assert "secret of held" in vendors


REFERRING = ("admin@traun.example", "who holds a link", "Traun's system")


def references(town: Town) -> list[str]:
    """Everything by which something of Danubia's could be named."""
    danubia = town.companies[DANUBIA]
    tables = (
        "companies",
        "people",
        "leads",
        "offers",
        "locations",
        "certifications",
        "territories",
        "standings",
    )
    ids = [found for found in (town.thing(table, danubia) for table in tables) if found]
    lead = town.inner(
        "select l.id, l.account_id, l.contact_id from leads l where number = :n", n=town.numbers["held"]
    )
    texts = town.inner("select id from texts where company_id = :c order by id limit 1", c=danubia)
    words = (
        "katrin@danubia.example",
        DANUBIA,
        f"{DANUBIA}, Ansfelden",
        "key-held",
        "held@customer.example",
        "Customer held",
    )
    return [*ids, *(str(value) for value in (*lead, *texts)), *words]


def own_forms(town: Town, who: Principal) -> dict[str, list[tuple[str, str]]]:
    """Every form this principal can send, with an own record in its address, filled in."""
    found: dict[str, list[tuple[str, str]]] = {}
    start = (
        [f"/o/{who.link}"] if who.link else ["/", "/leads", "/offers", "/company", "/company/people", "/me"]
    )
    pages = start if who.link else [path for path in everything(town, who) if "export" not in path]
    for path in pages:
        for action, fields in forms_of(ask(town.app, who, "GET", path)).items():
            found.setdefault(action or path, fields)
    return found


@pytest.mark.parametrize("name", REFERRING)
def test_references_to_others_in_fields_are_as_if_they_had_never_been(
    town: Town, routes: dict[str, dict[str, str]], name: str
) -> None:
    """A form or an address that names something of others; one reference for each field, in turn."""
    refer(town, routes, town.people[name], most=1)


@pytest.mark.soak
@pytest.mark.parametrize("name", [*PARTNERS, "admin@inn.example", *REFERRING[1:]])
def test_every_reference_to_others_in_every_field(
    town: Town, routes: dict[str, dict[str, str]], name: str
) -> None:
    refer(town, routes, town.people[name], most=1_000)


def refer(town: Town, routes: dict[str, dict[str, str]], who: Principal, most: int) -> None:
    """Send every form and address of `who` with each field naming something of Danubia's."""
    named, worked = references(town), 0
    for action, fields in ({} if who.role == "system" else own_forms(town, who)).items():
        worked += same(town, who, "POST", action, form=fields).status < 400
        read = {key for path in matching(routes, action) for key in asking.READ[path]} - {"csrf_token"}
        for key in sorted(read | {key for key, _value in fields}):
            for value in some(named, f"{action} {key}", most):
                same(town, who, "POST", action, form=[*((k, v) for k, v in fields if k != key), (key, value)])
    assert worked > 3 or who.role in OUTSIDE or not who.company, "forms that are sent as they stand do work"
    for path, views in routes.items():
        if any(is_meant(who, permission) for method, permission in views.items() if method in ("GET", "*")):
            for key in sorted(asking.READ[path] - {"csrf_token", "export"}):
                for value in some(named, f"{path} {key}", most):
                    same(town, who, "GET", address(path, values_of(town, who, path)[0]), query={key: value})


def some(named: list[str], salt: str, most: int) -> list[str]:
    """A few of the references, others for each field, the same in every run."""
    first = zlib.crc32(salt.encode()) % len(named)
    return (named[first:] + named[:first])[:most]


def matching(routes: dict[str, dict[str, str]], action: str) -> list[str]:
    """The route patterns that an address could be of."""
    path = urlsplit(action).path
    return [
        p
        for p in routes
        if re.fullmatch(re.sub(r"\\\{.*?\\\}", "[^/]+", re.escape(re.sub(r"\{[^/]*\}", "{}", p))), path)
    ]


# -- mail and log ------------------------------------------------------------------------------------------------------


def test_mail_and_log_hold_no_word_of_others(town: Town) -> None:
    mails = town.mails
    assert len(mails) > 4
    for recipient, text in mails:
        if not recipient.endswith(("@danubia.example", "@halden.example")):
            for word in (*OF_DANUBIA, *OF_VENDOR, *OF_PAST):
                assert word not in text, (recipient, word)


def test_the_log_holds_no_word_of_anybody(town: Town, routes: dict[str, dict[str, str]]) -> None:
    lines = "\n".join(town.log)
    personal = (
        "@customer.example",
        "Person of",
        "Customer ",
        "Katrin",
        "canary-",
        "secret of",
        "@danubia.example",
    )
    assert [word for word in personal if word in lines] == []

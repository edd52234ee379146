"""No address that a partner may open reads a shared table from end to end: every statement's plan is looked at.

Sequential scans are made so dear that one is planned only where no index can serve; an index that is walked without a
condition, or only for the realm, reads as much, so it counts as one.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, text
from webtest import TestApp
from webtest.forms import Radio

from portal.companies.actions import ensure_vendor
from portal.connections import clients
from portal.db import transaction
from portal.routing.rulesets.actions import publish_default
from portal.security.context import Acting, Credential, digest
from portal.security.permissions import PERMISSIONS
from tests.bench.seed import BASE, LIGHT, people, rows
from tests.conftest import fresh_database
from tests.portal.site import ADDRESS, application, filled, site, token, views_of

SIZES = {
    "leads": 6000,
    "partners": 60,
    "heavy": 300,
    "customers": 2000,
    "offered": 1500,
    "stuck": 10,
    "told": 6000,
}
# Those with rows in this test: of an empty table the planner reads all.
SHARED = {
    *("leads", "offers", "events", "shares", "decisions", "texts", "text_contacts", "accounts", "contacts"),
    *("work_items", "location_facts", "locations", "certifications", "authorisations", "territories"),
    *("agreements", "standings", "routing_states", "memberships", "people"),
}
# Walked from the newest, within a limit, when the planner finds that nearer than the partner's own comments.
LIMITED = {"comments"}
ADDRESSES = (
    "/leads?view=all",
    "/leads?page=3",
    "/leads?state=won&state=lost",
    "/leads?tab=past&view=all",
    "/leads?sort=state",
    "/leads?at.from=2026-01-01",
    "/leads?q=plant",
    "/offers?tab=accepted",
    "/offers?tab=missed",
)


@contextmanager
def asked(database: Any, secret: str) -> Iterator[list[tuple[str, Any]]]:
    """The statements that requests send."""
    found: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    event.listen(database, "before_cursor_execute", keep)
    try:
        yield found
    finally:
        event.remove(database, "before_cursor_execute", keep)


def scans(node: dict[str, Any]) -> Iterator[str]:
    """Reads of a whole shared table in a plan."""
    table, how = node.get("Relation Name", ""), node["Node Type"]
    index = node.get("Index Name", "")
    if how == "Seq Scan" and table in SHARED:
        yield f"reads {table} from end to end"
    if how in ("Index Scan", "Index Only Scan") and table in SHARED and index not in LIMITED:
        yield from unbounded(node, f"{table} along {index}")
    if how == "Bitmap Heap Scan" and table in SHARED:
        for part in node["Plans"]:
            if part["Node Type"] == "Bitmap Index Scan":
                yield from unbounded(part, f"{table} along {part['Index Name']}")
    for part in node.get("Plans", ()):
        yield from scans(part)


def unbounded(node: dict[str, Any], what: str) -> Iterator[str]:
    """Of an index walked without a condition that narrows it."""
    columns = re.sub(r"\brealm_id\b|'[^']*'|::[a-z ]+|\$\d+", "", node.get("Index Cond", ""))
    if not re.search(r"[a-z]", columns):
        yield f"reads {what}: {node.get('Index Cond', 'no condition')}"


def whole_tables(database: Any, credential: Credential, statement: str, parameters: Any) -> list[str]:
    """What is wrong with a statement's plan, as that partner would run it."""
    if not re.match(r"\s*(select|with|update|delete|insert)\b", statement, re.IGNORECASE):
        return []
    with transaction(database.app, credential) as session:
        session.execute(text("set local enable_seqscan = off"))
        session.execute(text("set local random_page_cost = 1.1"))  # as the embedded server has it
        raw = session.connection().connection.cursor()
        raw.execute(f"explain (format json) {statement}", parameters)
        return list(scans(raw.fetchone()[0][0]["Plan"]))


@pytest.fixture(scope="module")
def database(server_url: str, template: str) -> Iterator[Any]:
    """One for all tests here: they only read."""
    with fresh_database(server_url, template) as made:
        yield made


@pytest.fixture(scope="module")
def town(database: Any) -> Any:
    """A channel of 60 partners, one of them with more leads than the others; persona -> session secret."""
    with transaction(database.worker, Acting()) as session:
        vendor = ensure_vendor(session)
        publish_default(session, vendor)
    rows(database.settings, vendor, SIZES)
    with transaction(database.worker, Acting()) as session:
        return people(session, vendor)


def addresses(app: Any, number: str) -> list[str]:
    """Every address a partner's people may GET, with a lead that is theirs, and the lists in their usual forms."""
    found = []
    for pattern, methods in views_of(app).items():
        permission = methods.get("GET") or methods.get("*")
        if permission is None or pattern.startswith(("/api", "/dev", "/o/", "/metrics", "/static")):
            continue
        if permission == "public" or PERMISSIONS[permission]:
            found.append(filled(pattern, number=number))
    return [*found, *ADDRESSES]


def test_no_page_of_a_partner_reads_a_shared_table_from_end_to_end(database: Any, town: Any) -> None:
    app = application(database.settings)
    wrong: dict[str, set[str]] = {}
    seen = set()
    for persona in ("heavy", f"light{LIGHT[0]}"):
        browser = TestApp(app, extra_environ=dict(ADDRESS))
        browser.interline = app
        browser.set_cookie("interline", town[persona])
        credential = Credential("session", digest(town[persona]))
        listed = browser.get("/leads?view=all").text
        number = re.search(r'href="/leads/(L-\d+)"', listed)
        assert number is not None
        for address in addresses(browser, number[1]):
            with asked(app.registry.app_engine, town[persona]) as statements:
                answer = browser.get(address, expect_errors=True)
            assert answer.status_int != 500, address
            for statement, parameters in statements:
                seen.add(statement)
                for fault in whole_tables(database, credential, statement, parameters):
                    wrong.setdefault(f"{address}: {fault}", set()).add(" ".join(statement.split())[:300])
    assert len(seen) > 40
    assert not wrong, told(wrong)


WAYS_OUT = ("/sign-out", "/me/", "/company/choose")
"""Forms that end the session or change who acts; they are the reader's own rows alone."""


def kind_of(action: str) -> str:
    """The address without the record that it names."""
    return re.sub(r"\d+", "0", action)


def forms_of(page: Any) -> list[tuple[str, int]]:
    """What can be sent from a page, one of each kind: where to, and which form of the page it is."""
    found: dict[str, tuple[str, int]] = {}
    for at, form in page.forms.items():
        if isinstance(at, int) and form.method.upper() == "POST" and not form.action.startswith(WAYS_OUT):
            found.setdefault(kind_of(form.action), (form.action, at))
    return list(found.values())


def fill_in(form: Any) -> None:
    """Something for all that a person must say."""
    for fields in form.fields.values():
        field = fields[0]
        if field is None or not field.attrs or field.value or "required" not in field.attrs:
            continue
        if isinstance(field, Radio):
            field.value = field.options[0][0]
        elif field.attrs.get("type", "text") in ("text", "date"):
            field.value = "2026-12-31" if field.attrs.get("type") == "date" else "As agreed on the phone"


def test_no_action_of_a_partner_reads_a_shared_table_from_end_to_end(database: Any, town: Any) -> None:
    app = application(database.settings)
    browser = TestApp(app, extra_environ=dict(ADDRESS))
    browser.set_cookie("interline", town["heavy"])
    credential = Credential("session", digest(town["heavy"]))
    wrong: dict[str, set[str]] = {}
    done: dict[str, int] = {}
    for page in ("/leads?state=new&state=working", "/offers", "/company"):
        found = browser.get(page)
        links = re.findall(r'href="(/(?:leads/L-\d+|company/[a-z]+))"', found.text)
        for address in [page, *dict.fromkeys(links[:2])]:
            for action, at in forms_of(browser.get(address)):
                form = browser.get(address).forms.get(at)
                if form is None or form.action != action:
                    continue
                fill_in(form)
                with asked(app.registry.app_engine, town["heavy"]) as statements:
                    answer = form.submit(expect_errors=True)
                assert answer.status_int < 500, action
                kind = kind_of(action)
                done[kind] = max(done.get(kind, 0), answer.status_int < 400)
                for statement, parameters in statements:
                    for fault in whole_tables(database, credential, statement, parameters):
                        wrong.setdefault(f"{action}: {fault}", set()).add(" ".join(statement.split())[:300])
    print(done)
    assert sum(done.values()) >= 4, done
    assert not wrong, told(wrong)


def told(wrong: dict[str, set[str]]) -> str:
    """Fault and address, a statement for each."""
    return "\n".join(f"{fault}\n    {min(statements)}" for fault, statements in wrong.items())


def test_no_feed_of_a_partner_reads_a_shared_table_from_end_to_end(database: Any, town: Any) -> None:
    scopes = ["leads:read", "events:read"]
    with transaction(database.worker, Acting()) as session:
        number, secret = clients.add(session, BASE + LIGHT[0], "test", scopes)
    app = site(database)
    bearer = token(app, (str(number), secret))
    app.authorization = ("Bearer", bearer)
    credential = Credential("api", digest(bearer))
    engine = app.interline.registry.app_engine
    wrong: dict[str, set[str]] = {}
    for pattern, methods in views_of(app).items():
        if not pattern.startswith("/api") or "GET" not in methods:
            continue
        with asked(engine, bearer) as statements:
            assert app.get(filled(pattern), expect_errors=True).status_int != 500
        for statement, parameters in statements:
            for fault in whole_tables(database, credential, statement, parameters):
                wrong[f"{pattern}: {fault}"] = {" ".join(statement.split())[:300]}
    assert not wrong, told(wrong)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("select count(*) from leads where title = 'x'", "reads leads"),
        ("select number from leads order by received_at desc limit 50", "reads leads"),
        ("select * from offers where brief ->> 'title' = 'x'", "reads offers"),
        ("select count(*) from accounts where city = 'x'", "reads accounts"),
    ],
)
def test_a_statement_that_reads_everything_is_found(
    database: Any, town: Any, statement: str, fault: str
) -> None:
    credential = Credential("session", digest(town["heavy"]))
    assert any(fault in said for said in whole_tables(database, credential, statement, {}))
    kept = "select number from leads where id = 5"
    assert whole_tables(database, credential, kept, {}) == []

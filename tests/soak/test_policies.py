"""The guard itself under test: every policy of the app login is opened wide, one after the other, in every copy of a
database, and tests/portal/test_rows.py complains; every policy that is dropped, and every table that is taken from under
row-level security, is missed by tests/portal/test_rls.py."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Connection

from tests.conftest import fresh_database
from tests.portal import test_rls
from tests.portal.absent import columns_of
from tests.portal.rows import complaints, strange_rows
from tests.portal.test_rows import ATTACKERS, VENDORS
from tests.portal.town import Town, built

# Policies whose condition is `true` as they are: what every machine and every reader of the feed may know.
OPEN_ALREADY = [("feed_epochs", "app_select"), ("heartbeats", "app_select")]


@pytest.fixture(scope="module")
def town(server_url: str, template: str) -> Iterator[Town]:
    """A town of its own, whose policies may be broken."""
    with (
        fresh_database(server_url, template) as database,
        built(server_url, database, furnished=True) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def everywhere(town: Town) -> Iterator[list[Connection]]:
    """A superuser's connection to the whole and to each part."""
    with ExitStack() as stack:
        made = []
        for database in (town.world.database, *town.parts.values()):
            admin = database.admin()
            stack.callback(admin.dispose)
            made.append(stack.enter_context(admin.connect()))
        yield made


def policies(connection: Connection, only: str = "") -> list[Any]:
    """Every policy, or those of one login."""
    query = text(
        "select * from pg_policies where schemaname = 'public' and policyname like :name order by 2, 3"
    )
    return list(connection.execute(query, {"name": only.replace("_", "\\_") + "%"}))


@contextmanager
def opened(connections: list[Connection], policy: Any, word: str, clause: str) -> Iterator[None]:
    """One clause of a policy is `true` meanwhile."""
    alter = f"alter policy {policy.policyname} on {policy.tablename} {word}"
    for connection in connections:
        connection.exec_driver_sql(f"{alter} (true)")
    yield
    for connection in connections:
        connection.exec_driver_sql(f"{alter} ({clause})")


def test_every_policy_opened_is_noticed(town: Town, everywhere: list[Connection]) -> None:
    tables = columns_of(everywhere[0])
    people = [town.people[name] for name in (*ATTACKERS, *VENDORS)]
    strange = {who.name: strange_rows(town, who) for who in people}

    def noticed(table: str) -> bool:
        return any(complaints(town, who, {table: tables[table]}, strange[who.name]) for who in people)

    quiet = [table for table in tables if noticed(table)]
    assert quiet == [], "complaints before anything was opened"
    unseen, already, count = [], [], 0
    for policy in policies(everywhere[0], "app_"):
        for clause, word in ((policy.qual, "using"), (policy.with_check, "with check")):
            if clause == "true":
                already.append((policy.tablename, policy.policyname))
            if clause in (None, "true"):
                continue
            count += 1
            with opened(everywhere, policy, word, clause):
                if not noticed(policy.tablename):
                    unseen.append((policy.tablename, policy.policyname, word))
    assert count > 60
    assert unseen == [], "opened without anybody noticing"
    assert already == OPEN_ALREADY


def created(policy: Any) -> str:
    """The statement that makes a policy again."""
    using = f" using ({policy.qual})" if policy.qual else ""
    check = f" with check ({policy.with_check})" if policy.with_check else ""
    roles = ", ".join(policy.roles)
    return (
        f"create policy {policy.policyname} on {policy.tablename} for {policy.cmd} to {roles}{using}{check}"
    )


def missed(database: Any) -> bool:
    """Whether the structural guard fails."""
    try:
        test_rls.test_every_table_is_forced_under_its_declared_policies(database)
    except (AssertionError, ValueError):
        return True
    return False


def test_every_policy_dropped_is_missed(database: Any) -> None:
    admin = database.admin()
    with admin.connect() as connection:
        every = policies(connection)
        for policy in every:
            connection.exec_driver_sql(f"drop policy {policy.policyname} on {policy.tablename}")
            assert missed(database), (policy.tablename, policy.policyname)
            connection.exec_driver_sql(created(policy))
        assert len(every) > 150
        assert len(policies(connection)) == len(every), "all of it is back"
    admin.dispose()
    assert not missed(database)


def test_every_table_out_of_row_level_security_is_missed(database: Any) -> None:
    admin = database.admin()
    with admin.connect() as connection:
        for table in test_rls.APP_POLICIES:
            for off, on in (("disable", "enable"), ("no force", "force")):
                connection.exec_driver_sql(f"alter table {table} {off} row level security")
                assert missed(database), (table, off)
                connection.exec_driver_sql(f"alter table {table} {on} row level security")
    admin.dispose()
    assert not missed(database)

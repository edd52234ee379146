"""The world as somebody believes it to be: a copy of a database without anything that this reader may not know of.

Whoever gets other answers from the whole world than from this one has learned something about others.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection

from portal.sharing.models import HOLDER
from tests.conftest import fresh_database

# The same for everybody in a realm.
COMMON = {
    "realms",
    "directory_versions",
    "feed_epochs",
    "heartbeats",
    "programmes",
    "levels",
    "product_lines",
}
IN_LEAD = """exists (select 1 from shares s where s.subject_type = 'lead' and s.subject_id = {id}
    and s.company_id = any(:sees) and s.level in ('offer', 'full'))"""
HOLDS = """exists (select 1 from shares s where s.subject_type = 'lead' and s.subject_id = texts.subject_id
    and s.company_id = any(:sees) and s.level = 'full')"""
# What is not decided by a column company_id or audience alone, in the order in which it is forgotten.
KEPT = {
    "companies": "id = any(:sees) or kind = 'vendor'",
    # A file for whoever holds the lead (HOLDER in its audience) is read by that company while it holds it.
    "texts": f"(audience @> array[{HOLDER}::bigint] and {HOLDS}) or audience && :hears"
    " and (company_id = any(:sees) or subject_type is distinct from 'lead' or "
    + IN_LEAD.format(id="subject_id")
    + ")",
    "leads": IN_LEAD.format(id="leads.id"),
    "accounts": "exists (select 1 from leads l where l.account_id = accounts.id)",
    "contacts": "exists (select 1 from leads l where l.contact_id = contacts.id)",
    "people": "exists (select 1 from memberships m where m.person_id = people.id)",
    "files": "exists (select 1 from texts t where t.id = text_id)",
    "second_factors": "exists (select 1 from people p where p.id = person_id)",
    "recovery_codes": "exists (select 1 from people p where p.id = person_id)",
    "passwords": "exists (select 1 from people p where p.id = person_id)",
    "text_contacts": "false",
    "decisions": "false",
    "decision_blocks": "exists (select 1 from decision_columns c where c.block_id = decision_blocks.id)",
    "work_items": "false",
    "throttles": "false",
}
# Of a block somebody knows the decisions in which it took part, and the numbers of what it was offered.
TOOK_PART = """
    update decision_blocks b set decisions = '{}', facts = (
        select jsonb_agg(case
            when exists (select 1 from decision_columns c where c.block_id = b.id
                         and get_byte(c.outcomes, n::int - 1) = 253) then fact
            when exists (select 1 from decision_columns c where c.block_id = b.id
                         and (get_byte(c.outcomes, n::int - 1) = 0 or get_byte(c.outcomes, n::int - 1) between 4 and 100))
                then fact - 'number'
            else '{"day": "1900-01-01"}' end order by n)
        from jsonb_array_elements(b.facts) with ordinality e (fact, n))
"""


@contextmanager
def believed(
    server_url: str, whole: Any, realm: int, sees: list[int], hears: list[int] | None = None
) -> Iterator[Any]:
    """A copy of the database `whole` with only what a reader of `sees` may know; with `hears` (the vendor) everything of
    the realm is kept but what others say among themselves. Nobody may be connected to `whole`."""
    with fresh_database(server_url, str(whole.app.url.database)) as copy:
        admin = copy.admin()
        with admin.connect() as connection:
            connection.execute(text("set session_replication_role = replica"))
            forget(connection, realm, sees, hears)
        admin.dispose()
        yield copy


def forget(connection: Connection, realm: int, sees: list[int], hears: list[int] | None) -> None:
    """Delete every row that is kept by no rule."""
    columns = columns_of(connection)
    values = {"realm": realm, "sees": sees, "hears": hears if hears is not None else sees}
    for table in sorted(columns, key=lambda name: list(KEPT).index(name) if name in KEPT else -1):
        if table == "alembic_version":
            continue
        keep = kept(table, columns[table], everything=hears is not None)
        column = "id" if table == "realms" else "realm_id" if "realm_id" in columns[table] else None
        if column and table != "passwords":
            keep = f"{column} = :realm and ({keep})"
        used = {key: value for key, value in values.items() if f":{key}" in keep}
        connection.execute(text(f"delete from {table} where not coalesce(({keep}), false)"), used)
    if hears is None:
        connection.execute(text(TOOK_PART))


def kept(table: str, columns: set[str], *, everything: bool) -> str:
    """Which rows of a table stay. A new table says it by its columns, or has to be written into KEPT or COMMON."""
    if "audience" in columns and everything:
        return "audience && :hears"
    if table in COMMON or everything:
        return "true"
    if table in KEPT:
        return KEPT[table]
    if "audience" in columns:
        return "audience && :hears"
    if "company_id" in columns:
        return "company_id = any(:sees)"
    raise AssertionError(f"who may know rows of {table}? Say it in tests/portal/absent.py: COMMON or KEPT")


def columns_of(connection: Connection) -> dict[str, set[str]]:
    """Table -> its columns."""
    found: dict[str, set[str]] = {}
    rows = connection.execute(
        text("""
            select c.table_name, c.column_name from information_schema.columns c
            join information_schema.tables t using (table_schema, table_name)
            where c.table_schema = 'public' and t.table_type = 'BASE TABLE'
        """)
    )
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found

"""Row-level security under attack: raw SQL on the app login, as every kind of context, reads nothing foreign.

The session here is what an attacker has who can run any statement through the web processes' login. What it may write:
test_rls_writing.py.
"""

import re
from typing import Any

import psycopg
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.db import PortalSession, session_for
from portal.security.context import PUBLIC, Credential, digest
from tests.portal.house import House, credential_of, house, katrin, principals, raw, refused
from tests.world import DANUBIA, TRAUN

__all__ = ["house"]
# Table -> the commands for which the app login has a policy. A new table or policy is a decision: write it here.
APP_POLICIES = {
    "accounts": "siu",
    "agreements": "siu",
    "api_clients": "",
    "authorisations": "siu",
    "certifications": "siu",
    "companies": "siu",
    "contacts": "siu",
    "credentials": "",
    "decisions": "si",
    "directory_versions": "s",
    "events": "si",
    "feed_epochs": "s",
    "files": "si",
    "heartbeats": "s",
    "idempotent_answers": "si",
    "imports": "siu",
    "leads": "siu",
    "levels": "siud",
    "list_memories": "siud",
    "location_facts": "siu",
    "locations": "siu",
    "memberships": "siud",
    "offers": "siu",
    "passwords": "",
    "people": "siu",
    "product_lines": "siud",
    "programmes": "siud",
    "proposals": "siu",
    "realms": "s",
    "recovery_codes": "siud",
    "routing_states": "siu",
    "rule_sets": "siu",
    "decision_blocks": "s",
    "decision_columns": "s",
    "rehearsals": "siu",
    "rehearsal_moves": "si",
    "saved_filters": "siud",
    "second_factors": "siud",
    "shares": "siud",
    "standings": "siu",
    "territories": "siu",
    "text_contacts": "sid",
    "texts": "sid",
    "throttles": "",
    "work_items": "i",
}


COMMANDS = {"r": "s", "a": "i", "w": "u", "d": "d", "*": "*"}


# -- every table is guarded ----------------------------------------------------------------------------------------


def test_every_table_is_forced_under_its_declared_policies(database: Any) -> None:
    names = database.settings.login_prefix
    with database.worker.connect() as connection:
        tables = connection.execute(
            text("""
                select c.relname, c.relrowsecurity, c.relforcerowsecurity, pg_get_userbyid(c.relowner) as owner
                from pg_class c join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relname <> 'alembic_version'
            """)
        ).all()
        policies = connection.execute(
            text("""
                select c.relname, p.polname, p.polcmd::text as command, p.polpermissive,
                       array(select pg_get_userbyid(x) from unnest(p.polroles) x) as roles
                from pg_policy p join pg_class c on c.oid = p.polrelid
            """)
        ).all()
    assert {t.relname for t in tables} == set(APP_POLICIES)
    for table in tables:
        assert table.relrowsecurity and table.relforcerowsecurity, table.relname
        assert table.owner == f"{names}_owner", table.relname
        mine = [p for p in policies if p.relname == table.relname]
        for login in ("owner", "worker"):
            (policy,) = (p for p in mine if p.polname == login)
            assert policy.roles == [f"{names}_{login}"] and policy.command == "*", table.relname
        app = [p for p in mine if p.polname not in ("owner", "worker")]
        assert all(p.roles == [f"{names}_app"] and p.polpermissive for p in app), table.relname
        assert sorted(COMMANDS[p.command] for p in app) == sorted(APP_POLICIES[table.relname]), table.relname


def test_the_app_login_has_no_right_beyond_its_policies(database: Any) -> None:
    login = f"{database.settings.login_prefix}_app"
    privileges = {"s": "select", "i": "insert", "u": "update", "d": "delete"}
    with database.worker.connect() as connection:
        for table, allowed in APP_POLICIES.items():
            for letter, privilege in privileges.items():
                has = connection.execute(
                    text("select has_table_privilege(:login, :table, :privilege)"),
                    {"login": login, "table": table, "privilege": privilege},
                ).scalar_one()
                assert has == (letter in allowed), (table, privilege)
            for privilege in ("truncate", "references", "trigger"):
                has = connection.execute(
                    text("select has_table_privilege(:login, :table, :privilege)"),
                    {"login": login, "table": table, "privilege": privilege},
                ).scalar_one()
                assert not has, (table, privilege)


def test_policies_call_the_context_once_per_statement(database: Any) -> None:
    # A bare app.company() is evaluated per row: 39 times slower.
    with database.worker.connect() as connection:
        rows = connection.execute(
            text(
                "select tablename, policyname, qual, with_check from pg_policies where schemaname = 'public'"
            )
        ).all()
    for row in rows:
        for clause in (row.qual, row.with_check):
            bare = (clause or "").replace("( SELECT app.", "(")
            bare = re.sub(r"app\.may_\w+\((audience|payload)\)", "", bare)  # of the new row itself
            assert "app." not in bare, (row.tablename, row.policyname, clause)


# -- a crowded house -----------------------------------------------------------------------------------------------


def everything_readable(session: PortalSession) -> dict[str, list[str]]:
    """Every row of every table that this context can read, as text."""
    found = {}
    for table in APP_POLICIES:
        with session.begin_nested() as point:
            try:
                found[table] = list(session.scalars(text(f"select t::text from {table} t")))
            except DBAPIError:
                point.rollback()
    return found


def test_no_row_of_any_table_speaks_of_others(house: House) -> None:
    for who, (credential, foreign) in principals(house).items():
        assert len(foreign) > 10, "a test that forbids nothing proves nothing"
        with session_for(house.world.database.app, credential) as session, session.begin():
            rows = everything_readable(session)
        assert rows["companies"], f"{who} reads at least who the vendor is"
        told = [
            (table, row) for table, lines in rows.items() for row in lines if any(w in row for w in foreign)
        ]
        assert not told, who


def test_the_owners_do_see_it(house: House) -> None:
    """The test above is not vacuous: who may, reads these very words."""
    _, foreign = principals(house)["public"]
    with house.world.acting("operator@halden.example") as session:
        seen = "\n".join(row for rows in everything_readable(session).values() for row in rows)
    assert {word for word in foreign if word not in seen} == set()
    with house.world.acting("katrin@danubia.example") as session:
        rows = everything_readable(session)
    assert len(rows["leads"]) == 1 and len(rows["offers"]) == 2 and len(rows["contacts"]) == 1


def test_hidden_tables_are_hidden_from_everybody(house: House) -> None:
    for who, (credential, _) in principals(house).items():
        for table in ("credentials", "passwords", "throttles", "api_clients", "work_items", "app.secret"):
            assert refused(house, credential, f"select * from {table}") == "42501", (who, table)


# -- without a right context ---------------------------------------------------------------------------------------


BUSINESS = ("companies", "leads", "offers", "shares", "people", "contacts", "events", "texts", "decisions")


def visible(connection: psycopg.Connection[Any]) -> int:
    """How many business rows this connection can read now."""
    return sum(
        connection.execute(f"select count(*) from {table}").fetchone()[0]  # type: ignore[index, arg-type]
        for table in BUSINESS
    )


def test_unset_sees_nothing(house: House) -> None:
    with raw(house) as connection:
        assert visible(connection) == 0
        for value in ("", "1", "x" * 64, "1|vendor|1|||" + "|" + "0" * 64):
            connection.execute("select set_config('app.ctx', %s, false)", (value,))
            assert visible(connection) == 0


def test_forged_and_replayed_contexts_see_nothing(house: House) -> None:
    world = house.world
    key = digest(world.sessions["operator@halden.example"])
    with raw(house) as one, raw(house) as two:
        with one.transaction():
            one.execute("select app.enter('session', %s, null)", (key,))
            signed = one.execute("select current_setting('app.ctx')").fetchone()[0]  # type: ignore[index]
            assert visible(one) > 10
            with two.transaction():
                two.execute("select set_config('app.ctx', %s, true)", (signed,))
                assert visible(two) == 0, "another back end"
        with one.transaction():
            one.execute("select set_config('app.ctx', %s, true)", (signed,))
            assert visible(one) == 0, "the next transaction"
            body, _, mac = signed.rpartition("|")
            for forged in (
                f"{body}|{'0' * 64}",
                body.replace("|vendor|", "|partner|") + f"|{mac}",
                f"1|vendor|{world.vendor_id}||||{mac}",
                mac,
            ):
                one.execute("select set_config('app.ctx', %s, true)", (forged,))
                assert visible(one) == 0
        assert visible(one) == 0, "nothing stays on the connection"


def test_a_context_cannot_be_widened(house: House) -> None:
    world = house.world
    with session_for(world.database.app, katrin(house)) as session, session.begin():
        before = everything_readable(session)
        raised = f"1|partner|{world.company(TRAUN)}|||"
        session.execute(
            text("select set_config('app.ctx', :v || '|' || :m, true)"), {"v": raised, "m": "0" * 64}
        )
        assert session.execute(text("select count(*) from locations")).scalar_one() == 0
    for statement in (
        "select app.act(1, 'system', null, null, null)",
        "select app.sign('1|vendor|1|||')",
        "select app.mac('1|vendor|1|||')",
        "select app.open_context(1, 'vendor', null, null, null, null, '{}')",
    ):
        assert refused(house, katrin(house), statement) == "42501"
    assert before["locations"]


def test_a_company_of_others_cannot_be_chosen(house: House) -> None:
    world = house.world
    key = digest(world.sessions["katrin@danubia.example"])
    with raw(house) as one, one.transaction():
        entered = "select company_id from app.enter('session', %s, %s)"
        assert one.execute(entered, (key, world.company(TRAUN))).fetchone() == (world.company(DANUBIA),)


# -- the doors ---------------------------------------------------------------------------------------------------


def test_a_password_hash_is_given_to_nobody_only(house: House) -> None:
    question = text("select count(*) from app.password_of('sales@alpenhydro.example')")
    for email in ("katrin@danubia.example", "operator@halden.example"):
        with house.world.acting(email) as session:
            assert session.execute(question).scalar_one() == 0
    with session_for(house.world.database.app, PUBLIC) as session:
        assert session.execute(question).scalar_one() == 1


def test_a_session_is_opened_only_with_the_proof(house: House) -> None:
    world = house.world
    door = "select app.open_session(:person, :hash, :proof, null, 60)"
    values = {"person": world.people["operator@halden.example"], "hash": b"x" * 32}
    with session_for(world.database.app, PUBLIC) as session:
        assert not session.execute(text(door), {**values, "proof": "guess"}).scalar_one()
    with session_for(world.database.app, katrin(house)) as session:
        known = {**values, "proof": "hash of operator@halden.example"}
        assert not session.execute(text(door), known).scalar_one(), "who is somebody already opens none"


def test_an_ended_session_opens_nothing(house: House) -> None:
    world = house.world
    key = digest(world.sessions["katrin@danubia.example"])
    with world.system() as session:
        session.execute(
            text(
                "update credentials set seen_at = now() - interval '9 hours', idle_seconds = 28800 where hash = :h"
            ),
            {"h": key},
        )
    with session_for(world.database.app, Credential("session", key)) as session:
        assert session.context.kind == "public"
    with world.system() as session:
        session.execute(
            text("delete from memberships where person_id = :p"), {"p": world.people["lukas@danubia.example"]}
        )
    with session_for(world.database.app, credential_of(house, "lukas@danubia.example")) as session:
        assert session.context.kind == "public"

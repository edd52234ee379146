"""Row-level security under attack: raw SQL on the app login, as every kind of context, reads and writes nothing foreign.

The session here is what an attacker has who can run any statement through the web processes' login.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError

from portal.connections import clients
from portal.db import PortalSession, new_id, session_for
from portal.leads import actions
from portal.leads.intake import receive
from portal.security import steps
from portal.security.context import PUBLIC, Credential, digest
from portal.security.models import CredentialRow
from tests.world import ALPENHYDRO, DANUBIA, TRAUN, World

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
SALZBURG = {"country": "AT", "postal": "5020", "city": "Salzburg", "lat": 47.8, "lon": 13.04}
LINZ = {"country": "AT", "postal": "4020", "city": "Linz", "lat": 48.306, "lon": 14.286}


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


@dataclass
class House:
    """The small world with something of everything in it."""

    world: World
    leads: dict[str, int]
    offers: dict[str, int]
    token: str
    api: str

    def everything_of(self, name: str) -> set[str]:
        """Ids and words that only this partner (and the vendor) may meet."""
        company, location = self.world.partners[name]
        domain = {DANUBIA: "danubia", TRAUN: "traun", ALPENHYDRO: "alpenhydro"}[name]
        people = {str(i) for email, i in self.world.people.items() if f"@{domain}." in email}
        return {str(company), str(location), name, f"@{domain}.example", *people}

    def lead_words(self, key: str) -> set[str]:
        """Ids and words of one lead's customer."""
        return {f"Customer {key}", f"{key}@customer.example", f"secret of {key}"}


@pytest.fixture
def house(world: World) -> House:
    """One lead held by Danubia, one offered to Danubia, one held by Alpenhydro; notes, passwords, tokens, a link."""
    leads, offers = {}, {}
    for key, place in (("held", LINZ), ("open", LINZ), ("theirs", SALZBURG)):
        with world.acting("ingrid@halden.example") as session:
            leads[key] = receive(session, _request(key, place)).lead_id
        with world.system() as session:
            offers[key] = session.execute(
                text("select id from offers where lead_id = :lead"), {"lead": leads[key]}
            ).scalar_one()
    for key, email in (("held", "katrin@danubia.example"), ("theirs", "sales@alpenhydro.example")):
        with world.acting(email) as session:
            actions.accept(session, offers[key])
    token = steps.new_secret()
    with world.system() as session:
        _plant(session, world, offers["open"], token)
        number, secret = clients.add(session, world.company(ALPENHYDRO), "erp", ["leads:read"])
        clients.add(session, world.vendor_id, "crm", ["leads:read", "leads:write"])
        api = steps.new_secret()
        assert clients.ClientStore(session).save(str(number), secret, api, ["leads:read"], 3600)
    return House(world, leads, offers, token, api)


# Who has saved filters, a memory of a list, and proposed a change.
DESKS = {
    DANUBIA: "lukas@danubia.example",
    ALPENHYDRO: "admin@alpenhydro.example",
    TRAUN: "admin@traun.example",
}


def _request(key: str, place: dict[str, Any]) -> dict[str, Any]:
    return {
        "external_key": f"key-{key}",
        "account": {"name": f"Customer {key}"},
        "contact": {"name": f"Person of {key}", "email": f"{key}@customer.example"},
        "place": place,
        "product_lines": ["HX"],
        "certifications": ["ATEX"],
        "message": f"secret of {key}",
    }


def _plant(session: PortalSession, world: World, offer: int, token: str) -> None:
    real = datetime.now(UTC)
    row = {
        "hash": digest(token),
        "purpose": "offer",
        "realm_id": 1,
        "kind": "link",
        "company_id": world.company(DANUBIA),
        "subject_id": offer,
        "bound_to": "katrin@danubia.example",
        "scopes": [],
        "created_at": real,
        "seen_at": real,
        "expires_at": real + timedelta(hours=1),
    }
    session.execute(insert(CredentialRow).values(row))
    for email in ("katrin@danubia.example", "sales@alpenhydro.example", "operator@halden.example"):
        session.execute(
            text("insert into passwords values (:person, 1, :hash, now())"),
            {"person": world.people[email], "hash": f"hash of {email}"},
        )
    for name, email in DESKS.items():
        ids = {
            "company": world.company(name),
            "person": world.people[email],
            "id": new_id(),
            "private": new_id(),
            "name": f"of {name}",
        }
        session.execute(
            text(
                """
                insert into list_memories (realm_id, company_id, person_id, list) values (1, :company, :person, :name);
                insert into saved_filters (id, realm_id, company_id, person_id, list, name, query, shared, created_at)
                values (:id, 1, :company, :person, 'my-leads', 'shared ' || :name, '', true, now()),
                       (:private, 1, :company, :person, 'my-leads', 'private ' || :name, '', false, now());
                insert into proposals (id, realm_id, company_id, kind, before, after, state, proposed_by, proposed_at)
                values (:id, 1, :company, 'company', '{}', '{"name": "Better"}', 'open', :person, now())
            """.replace(":id", str(ids["id"]))
                .replace(":private", str(ids["private"]))
                .replace(":company", str(ids["company"]))
                .replace(":person", str(ids["person"]))
                .replace(":name", f"'{ids['name']}'")
            )
        )


def principals(house: House) -> dict[str, tuple[Credential, set[str]]]:
    """Who tries, and the ids and words it may not meet in any row of any table."""
    world = house.world
    of = {name: house.everything_of(name) for name in (DANUBIA, TRAUN, ALPENHYDRO)}
    words = {key: house.lead_words(key) for key in house.leads}
    offers = {key: {str(number)} for key, number in house.offers.items()}
    ids = {key: {str(number)} for key, number in house.leads.items()}
    everything = set().union(*of.values(), *words.values(), *offers.values(), *ids.values())

    def person(email: str) -> Credential:
        return Credential("session", digest(world.sessions[email]))

    theirs = of[TRAUN] | words["open"]
    danubia = theirs | of[ALPENHYDRO] | words["theirs"] | offers["theirs"] | ids["theirs"]
    alpen = theirs | of[DANUBIA] | words["held"] | offers["held"] | offers["open"] | ids["held"] | ids["open"]
    own = {str(world.company(DANUBIA)), str(world.location(DANUBIA)), DANUBIA}
    stranger = everything - of[TRAUN]
    return {
        "danubia sales": (person("katrin@danubia.example"), danubia),
        "danubia administrator": (person("lukas@danubia.example"), danubia),
        "traun sales": (person("sales@traun.example"), stranger),
        "traun administrator": (person("admin@traun.example"), stranger),
        "alpenhydro sales": (person("sales@alpenhydro.example"), alpen),
        "alpenhydro system": (Credential("api", digest(house.api)), alpen),
        "link": (Credential("offer", digest(house.token)), everything - own - offers["open"] - ids["open"]),
        "public": (PUBLIC, everything),
        "session as token": (Credential("api", digest(world.sessions["katrin@danubia.example"])), everything),
        "link as session": (Credential("session", digest(house.token)), everything),
        "token as session": (Credential("session", digest(house.api)), everything),
        "unknown": (Credential("session", digest("nobody's")), everything),
    }


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


@contextmanager
def raw(house: House) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the app login that has entered no context."""
    url = house.world.database.app.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


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
    with session_for(world.database.app, _katrin(house)) as session, session.begin():
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
        assert refused(house, _katrin(house), statement) == "42501"
    assert before["locations"]


def test_a_company_of_others_cannot_be_chosen(house: House) -> None:
    world = house.world
    key = digest(world.sessions["katrin@danubia.example"])
    with session_for(world.database.app, Credential("session", key, world.company(TRAUN))) as session:
        assert session.context.company_id == world.company(DANUBIA)


def _katrin(house: House) -> Credential:
    return Credential("session", digest(house.world.sessions["katrin@danubia.example"]))


# -- statements that must fail ---------------------------------------------------------------------------------------


def refused(house: House, credential: Credential, statement: str, **values: Any) -> str | None:
    """The SQLSTATE with which the statement is refused, None when it runs (and is rolled back)."""
    with session_for(house.world.database.app, credential) as session:
        try:
            session.execute(text(statement), values)
        except DBAPIError as error:
            return getattr(error.orig, "sqlstate", None) or "?"
        finally:
            session.rollback()
    return None


ATTACKS = (
    "set role {prefix}_owner",
    "set role {prefix}_worker",
    "set role postgres",
    "set local role {prefix}_worker",
    "set session authorization postgres",
    "alter table leads no force row level security",
    "alter table leads disable row level security",
    "create policy x on leads using (true)",
    "drop policy app_select on leads",
    "create table public.z (i int)",
    "create function public.f() returns int language sql as 'select 1'",
    "create extension dblink",
    "copy leads to program 'cat'",
    "copy leads to '/tmp/leads'",
    "select pg_read_file('/etc/passwd')",
    "select lo_import('/etc/passwd')",
    "alter role {prefix}_app bypassrls",
    "alter role {prefix}_app superuser",
    "grant {prefix}_owner to {prefix}_app",
    "grant all on credentials to {prefix}_app",
    "select rolname, rolpassword from pg_authid",
    "select * from pg_statistic",
    "truncate leads",
    "delete from leads",
    "delete from offers",
    "delete from events",
    "update events set data = '{{}}'",
    "update decisions set eligible = 0",
    "select * from app.secret",
    "update app.secret set key_in = key_out",
    "create or replace function app.company() returns bigint language sql as 'select 1::bigint'",
    "alter function app.company() owner to {prefix}_app",
)


def test_statements_that_are_refused(house: House) -> None:
    prefix = house.world.database.settings.login_prefix
    answers = {s: refused(house, _katrin(house), s.format(prefix=prefix)) for s in ATTACKS}
    assert {s: code for s, code in answers.items() if code not in ("42501", "0LP01", "28000")} == {}


def test_reset_role_and_row_security_off_change_nothing(house: House) -> None:
    with session_for(house.world.database.app, _katrin(house)) as session, session.begin():
        before = {k: len(v) for k, v in everything_readable(session).items()}
        session.execute(text("reset role"))
        session.execute(text("reset session authorization"))
        assert {k: len(v) for k, v in everything_readable(session).items()} == before
    with session_for(house.world.database.app, _katrin(house)) as session:
        session.execute(text("set local row_security = off"))
        with pytest.raises(DBAPIError):
            session.execute(text("select count(*) from leads"))


def test_a_planted_temporary_table_changes_no_policy(house: House) -> None:
    with session_for(house.world.database.app, _katrin(house)) as session:
        try:
            session.execute(text("create temp table shares as select * from public.shares"))
        except DBAPIError:
            return  # not even that is allowed
        session.execute(text("update pg_temp.shares set level = 'full'"))
        assert session.execute(text("select count(*) from public.leads")).scalar_one() == 1
        session.rollback()


def test_a_leaky_condition_is_not_asked_about_foreign_rows(house: House) -> None:
    """A condition that fails on foreign rows would tell that they exist."""
    world = house.world
    statement = "select 1 from locations where 1 / (case when company_id = :other then 0 else 1 end) = 1"
    assert refused(house, _katrin(house), statement, other=world.company(TRAUN)) is None


# -- desks: what people remember, save and propose ------------------------------------------------------------------


def _admin(house: House) -> Credential:
    return Credential("session", digest(house.world.sessions[DESKS[DANUBIA]]))


def names_of(house: House, credential: Credential, table: str, column: str) -> set[str]:
    """The values of one column that a context can read."""
    with session_for(house.world.database.app, credential) as session, session.begin():
        return {str(v) for v in session.scalars(text(f"select {column} from {table}"))}


def test_a_memory_is_its_persons_and_a_filter_its_companys_when_shared(house: House) -> None:
    mine, colleague = _admin(house), _katrin(house)
    assert names_of(house, mine, "list_memories", "list") == {f"of {DANUBIA}"}
    assert names_of(house, mine, "saved_filters", "name") == {f"shared of {DANUBIA}", f"private of {DANUBIA}"}
    assert names_of(house, colleague, "list_memories", "list") == set()
    assert names_of(house, colleague, "saved_filters", "name") == {f"shared of {DANUBIA}"}
    for statement in (
        "update saved_filters set shared = false",
        "delete from saved_filters",
        "delete from list_memories",
    ):
        assert changed(house, colleague, statement) == 0, statement
    assert changed(house, mine, "delete from saved_filters") == 2
    foreign = house.world.people["katrin@danubia.example"]
    assert changed(house, mine, f"update list_memories set person_id = {foreign}") == "42501"
    assert changed(house, mine, f"update saved_filters set person_id = {foreign}") == "42501"


def test_a_partner_proposes_and_takes_back_and_never_decides(house: House) -> None:
    mine = _admin(house)
    assert changed(house, mine, "update proposals set state = 'withdrawn'") == 1
    for statement in (
        "update proposals set state = 'approved'",
        """update proposals set after = '{"name": "Other"}'""",
        f"update proposals set state = 'withdrawn', company_id = {house.world.company(TRAUN)}",
        "delete from proposals",
        f"""insert into proposals (id, realm_id, company_id, kind, before, after, state, proposed_by, proposed_at)
            values (1, 1, {house.world.company(TRAUN)}, 'company', '{{}}', '{{}}', 'open', 1, now())""",
        f"""insert into proposals (id, realm_id, company_id, kind, before, after, state, proposed_by, proposed_at)
            values (1, 1, {house.world.company(DANUBIA)}, 'company', '{{}}', '{{}}', 'approved', 1, now())""",
    ):
        found = refused(house, mine, statement.replace(":", "\\:"))
        assert found == "42501", (statement, found)
    vendor = Credential("session", digest(house.world.sessions["ingrid@halden.example"]))
    assert len(names_of(house, vendor, "proposals", "id")) == 3
    assert changed(house, vendor, "update proposals set state = 'approved'") == 3
    assert (
        refused(
            house,
            vendor,
            f"""insert into proposals (id, realm_id, company_id, kind, before, after, state,
        proposed_by, proposed_at) values (1, 1, {house.world.company(DANUBIA)}, 'company', '{{}}', '{{}}', 'open', 1,
        now())""",
        )
        == "42501"
    )


# -- writing -----------------------------------------------------------------------------------------------------


def changed(house: House, credential: Credential, statement: str, **values: Any) -> int | str:
    """How many rows the statement changed (then rolled back), or the SQLSTATE that refused it."""
    with session_for(house.world.database.app, credential) as session:
        try:
            return int(session.execute(text(statement), values).rowcount)  # type: ignore[attr-defined]
        except DBAPIError as error:
            return str(getattr(error.orig, "sqlstate", "?"))
        finally:
            session.rollback()


NOTHING = (0, "42501")


def test_a_partner_cannot_open_what_it_was_not_given(house: House) -> None:
    who, lead = _katrin(house), house.leads["open"]
    update = "update shares set level = 'full' where subject_id = :lead"
    assert changed(house, who, update, lead=lead) in NOTHING
    assert changed(house, who, update, lead=house.leads["theirs"]) in NOTHING
    insert_share = """
        insert into shares (company_id, subject_type, subject_id, realm_id, level, state, at)
        values (app.company(), 'lead', :lead, 1, 'full', 'new', now())
    """
    assert changed(house, who, insert_share, lead=house.leads["theirs"]) in NOTHING
    moved = "update shares set subject_id = :theirs where subject_id = :mine"
    assert changed(house, who, moved, theirs=house.leads["theirs"], mine=house.leads["held"]) in NOTHING


def test_a_partner_cannot_answer_anothers_offer_nor_skip_the_door(house: House) -> None:
    who = _katrin(house)
    theirs, mine = house.offers["theirs"], house.offers["open"]
    for state in ("accepted", "withdrawn", "expired"):
        assert changed(house, who, "update offers set state = :s where id = :o", s=state, o=mine) in NOTHING
    assert changed(house, who, "update offers set state = 'declined' where id = :o", o=theirs) == 0
    assert (
        changed(
            house, who, "update offers set deadline_at = now() + interval '9 years' where id = :o", o=mine
        )
        in NOTHING
    )
    assert changed(house, who, "update offers set company_id = app.company() where id = :o", o=theirs) == 0
    assert changed(house, who, "update offers set brief = '{}' where id = :o", o=mine) in NOTHING
    with session_for(house.world.database.app, _credential(house, "sales@traun.example")) as session:
        opened = session.execute(
            text("select app.open_offer(:o, :p, now())"),
            {"o": mine, "p": house.world.people["sales@traun.example"]},
        ).scalar()
        assert opened is None
        session.rollback()


def test_a_lapsed_offer_cannot_be_accepted_with_a_clock_of_ones_own(house: House) -> None:
    with house.world.system() as session:
        session.execute(
            text("update offers set deadline_at = app.clock(1) - interval '1 second' where id = :o"),
            {"o": house.offers["open"]},
        )
    with session_for(house.world.database.app, _katrin(house)) as session:
        opened = session.execute(
            text("select app.open_offer(:o, null, '2020-01-01')"), {"o": house.offers["open"]}
        ).scalar()
        assert opened is None
        session.rollback()


def _credential(house: House, email: str) -> Credential:
    return Credential("session", digest(house.world.sessions[email]))


FILE = """
    insert into texts (id, realm_id, company_id, kind, subject_type, subject_id, body, audience, created_at)
    values (:id, 1, app.company(), 'file', 'lead', :lead, 'x.txt', cast(:audience as bigint[]), now())
"""


def test_a_partner_adds_files_only_where_it_takes_part(house: House) -> None:
    who, world = _katrin(house), house.world
    mine, vendor = world.company(DANUBIA), world.vendor_id

    def add(lead: int, audience: list[int]) -> str | None:
        return refused(house, who, FILE, id=new_id(), lead=lead, audience=audience)

    for lead in ("held", "open"):
        assert add(house.leads[lead], [mine, vendor]) is None
        for audience in ([mine, world.company(TRAUN)], [mine, 0], [0]):
            assert add(house.leads[lead], audience) == "42501", "for no other partner, today or later"
    assert add(house.leads["theirs"], [mine, vendor]) == "42501"
    assert add(4711, [mine]) == "42501"


def test_files_are_read_and_taken_away_by_audience_and_level(house: House) -> None:
    world = house.world
    mine, vendor, theirs = world.company(DANUBIA), world.vendor_id, world.company(ALPENHYDRO)
    audiences = {"own": [vendor], "shared": [vendor, mine], "accepted": [vendor, 0], "foreign": [theirs]}
    ids: dict[tuple[str, str], int] = {}
    with world.system() as session:
        for lead in ("held", "open", "theirs"):
            for name, audience in audiences.items():
                number = ids[lead, name] = new_id()
                session.execute(
                    text("""
                        insert into texts (id, realm_id, company_id, kind, subject_type, subject_id, body, audience,
                            created_at)
                        values (:id, 1, :company, 'file', 'lead', :lead, :name, :audience, now())
                    """),
                    {"id": number, "company": theirs if name == "foreign" else vendor, "lead": house.leads[lead],
                     "name": f"canary {name}", "audience": audience},
                )  # fmt: skip
                session.execute(text("insert into files values (:id, 1, sha256('x'), 1)"), {"id": number})

    def reads(credential: Credential) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
        with session_for(world.database.app, credential) as session:
            names = set(session.scalars(text("select id from texts where kind = 'file'")))
            bytes_ = set(session.scalars(text("select text_id from files")))
        return {key for key, one in ids.items() if one in names}, {
            key for key, one in ids.items() if one in bytes_
        }

    expected = {("held", "shared"), ("held", "accepted")}
    assert reads(_katrin(house)) == (expected, expected), "nothing of an offer, nothing of others"
    alpen = {("theirs", "accepted"), *((lead, "foreign") for lead in house.leads)}
    assert reads(_credential(house, "sales@alpenhydro.example")) == (alpen, alpen)
    for email in ("sales@traun.example", "admin@traun.example"):
        assert reads(_credential(house, email)) == (set(), set())
    for credential in (Credential("offer", digest(house.token)), PUBLIC, Credential("api", b"x")):
        assert reads(credential) == (set(), set())
    operator = {key for key in ids if key[1] != "foreign"}
    assert reads(_credential(house, "operator@halden.example")) == (operator, operator)

    delete = "delete from texts where kind = 'file' and subject_id = :lead"
    assert changed(house, _katrin(house), delete, lead=house.leads["held"]) == 0, "not its own"
    assert changed(house, _katrin(house), "update texts set audience = '{}'") == "42501"
    assert changed(house, _katrin(house), "delete from files") == "42501"
    assert changed(house, _katrin(house), "update files set size = 0") == "42501"
    operators = _credential(house, "operator@halden.example")
    assert changed(house, operators, delete, lead=house.leads["held"]) == 3
    theft = "insert into files values (:id, 1, sha256('secret'), 1)"
    assert changed(house, _katrin(house), theft, id=ids["held", "shared"]) == "42501", (
        "bytes of a name of others"
    )


INSERTS = (
    "insert into certifications (id, realm_id, company_id, programme, issued, valid_from)"
    " values (:id, 1, app.company(), 'ATEX', '2026-01-01', now())",
    "insert into authorisations (id, realm_id, company_id, product_line, valid_from)"
    " values (:id, 1, app.company(), 'HX', now())",
    "insert into standings (id, realm_id, company_id, status, level, valid_from)"
    " values (:id, 1, app.company(), 'active', 'gold', now())",
    "insert into companies (id, realm_id, kind, name, name_key, created_at, updated_at)"
    " values (:id, 1, 'partner', 'x', 'x', now(), now())",
    "insert into leads (id, realm_id, company_id, number, title, account_id, product_lines, certifications,"
    " received_at, fingerprint, assignment, created_at, updated_at)"
    " select :id, 1, company_id, 'L-1', 'x', account_id, '{}', '{}', now(), 'x', 'held', now(), now() from leads",
    "insert into memberships (id, realm_id, company_id, person_id, role, created_at)"
    " values (:id, 1, :vendor, app.person(), 'operator', now())",
    "insert into events (realm_id, at, kind, company_id, subject_type, subject_id, type, data, audience)"
    " values (1, now(), 'vendor', :vendor, 'lead', 1, 'lead.won', '{{}}', array[:vendor])",
    "insert into texts (id, realm_id, company_id, kind, audience, created_at)"
    " values (:id, 1, :vendor, 'note', array[:vendor], now())",
    "insert into rule_sets (id, realm_id, company_id, name, version, state, body, hash, created_at)"
    " values (:id, 1, app.company(), 'x', 99, 'published', '{{}}', 'x', now())",
)


def test_a_partner_cannot_insert_what_the_vendor_decides(house: House) -> None:
    for statement in INSERTS:
        words = statement.replace("{{}}", "{}")
        answer = changed(house, _katrin(house), words, id=new_id(), vendor=house.world.vendor_id)
        assert answer in NOTHING, statement


UPDATES = (
    "update certifications set expires = '2099-01-01'",
    "update standings set level = 'gold'",
    "update companies set name = 'x' where id <> app.company()",
    "update companies set kind = 'vendor'",
    "update companies set realm_id = 2",
    "update people set email = 'x@x.example' where id <> app.person()",
    "update location_facts set capacity = 0 where company_id <> app.company()",
    "update routing_states set open = 0 where company_id <> app.company()",
    "update leads set holder_company_id = null where holder_company_id <> app.company()",
    "update memberships set role = 'administrator' where company_id <> app.company()",
    "update realms set clock_offset_seconds = 0",
    "delete from shares",
    "delete from memberships where company_id <> app.company()",
    "delete from texts where company_id <> app.company()",
)


def test_a_partner_cannot_change_anothers_rows(house: House) -> None:
    for email in ("katrin@danubia.example", "admin@traun.example"):
        for statement in UPDATES:
            assert changed(house, _credential(house, email), statement) in NOTHING, (email, statement)


def test_link_and_public_write_nothing_of_substance(house: House) -> None:
    for who in ("link", "public", "unknown"):
        credential, _ = principals(house)[who]
        for statement in (*UPDATES, "update leads set title = 'x'", "update people set name = 'x'"):
            assert changed(house, credential, statement) in NOTHING, (who, statement)


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
    with session_for(world.database.app, _katrin(house)) as session:
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
    with session_for(world.database.app, _credential(house, "lukas@danubia.example")) as session:
        assert session.context.kind == "public"

"""Row-level security under attack: raw SQL on the app login writes nothing foreign, as whoever it is run.

The session here is what an attacker has who can run any statement through the web processes' login.
"""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.db import new_id, session_for
from portal.security.context import PUBLIC, Credential, digest
from tests.portal.house import (
    DESKS,
    NOTHING,
    House,
    changed,
    credential_of,
    house,
    katrin,
    principals,
    refused,
)
from tests.portal.test_rls import everything_readable
from tests.world import ALPENHYDRO, DANUBIA, TRAUN

__all__ = ["house"]
# -- statements that must fail ---------------------------------------------------------------------------------------


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
    answers = {s: refused(house, katrin(house), s.format(prefix=prefix)) for s in ATTACKS}
    assert {s: code for s, code in answers.items() if code not in ("42501", "0LP01", "28000")} == {}


def test_reset_role_and_row_security_off_change_nothing(house: House) -> None:
    with session_for(house.world.database.app, katrin(house)) as session, session.begin():
        before = {k: len(v) for k, v in everything_readable(session).items()}
        session.execute(text("reset role"))
        session.execute(text("reset session authorization"))
        assert {k: len(v) for k, v in everything_readable(session).items()} == before
    with session_for(house.world.database.app, katrin(house)) as session:
        session.execute(text("set local row_security = off"))
        with pytest.raises(DBAPIError):
            session.execute(text("select count(*) from leads"))


def test_a_planted_temporary_table_changes_no_policy(house: House) -> None:
    with session_for(house.world.database.app, katrin(house)) as session:
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
    assert refused(house, katrin(house), statement, other=world.company(TRAUN)) is None


# -- desks: what people remember, save and propose ------------------------------------------------------------------


def _admin(house: House) -> Credential:
    return Credential("session", digest(house.world.sessions[DESKS[DANUBIA]]))


def names_of(house: House, credential: Credential, table: str, column: str) -> set[str]:
    """The values of one column that a context can read."""
    with session_for(house.world.database.app, credential) as session, session.begin():
        return {str(v) for v in session.scalars(text(f"select {column} from {table}"))}


def test_a_memory_is_its_persons_and_a_filter_its_companys_when_shared(house: House) -> None:
    mine, colleague = _admin(house), katrin(house)
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


def test_a_partner_cannot_open_what_it_was_not_given(house: House) -> None:
    who, lead = katrin(house), house.leads["open"]
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
    who = katrin(house)
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
    with session_for(house.world.database.app, credential_of(house, "sales@traun.example")) as session:
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
    with session_for(house.world.database.app, katrin(house)) as session:
        opened = session.execute(
            text("select app.open_offer(:o, null, '2020-01-01')"), {"o": house.offers["open"]}
        ).scalar()
        assert opened is None
        session.rollback()


FILE = """
    insert into texts (id, realm_id, company_id, kind, subject_type, subject_id, body, audience, created_at)
    values (:id, 1, app.company(), 'file', 'lead', :lead, 'x.txt', cast(:audience as bigint[]), now())
"""


def test_a_partner_adds_files_only_where_it_takes_part(house: House) -> None:
    who, world = katrin(house), house.world
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
    assert reads(katrin(house)) == (expected, expected), "nothing of an offer, nothing of others"
    alpen = {("theirs", "accepted"), *((lead, "foreign") for lead in house.leads)}
    assert reads(credential_of(house, "sales@alpenhydro.example")) == (alpen, alpen)
    for email in ("sales@traun.example", "admin@traun.example"):
        assert reads(credential_of(house, email)) == (set(), set())
    for credential in (Credential("offer", digest(house.token)), PUBLIC, Credential("api", b"x")):
        assert reads(credential) == (set(), set())
    operator = {key for key in ids if key[1] != "foreign"}
    assert reads(credential_of(house, "operator@halden.example")) == (operator, operator)

    delete = "delete from texts where kind = 'file' and subject_id = :lead"
    assert changed(house, katrin(house), delete, lead=house.leads["held"]) == 0, "not its own"
    assert changed(house, katrin(house), "update texts set audience = '{}'") == "42501"
    assert changed(house, katrin(house), "delete from files") == "42501"
    assert changed(house, katrin(house), "update files set size = 0") == "42501"
    operators = credential_of(house, "operator@halden.example")
    assert changed(house, operators, delete, lead=house.leads["held"]) == 3
    theft = "insert into files values (:id, 1, sha256('secret'), 1)"
    assert changed(house, katrin(house), theft, id=ids["held", "shared"]) == "42501", (
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
        answer = changed(house, katrin(house), words, id=new_id(), vendor=house.world.vendor_id)
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
            assert changed(house, credential_of(house, email), statement) in NOTHING, (email, statement)


def test_link_and_public_write_nothing_of_substance(house: House) -> None:
    for who in ("link", "public", "unknown"):
        credential, _ = principals(house)[who]
        for statement in (*UPDATES, "update leads set title = 'x'", "update people set name = 'x'"):
            assert changed(house, credential, statement) in NOTHING, (who, statement)

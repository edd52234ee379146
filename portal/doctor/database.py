"""The database: reachable as each login, none of which may do more than it should; migrated; its clock; who is alive."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg

from portal.bootstrap import head, is_newer
from portal.doctor.findings import Finding, judged
from portal.settings import Settings
from portal.supervisor.postgres import OLDEST_MAJOR

Connection = psycopg.Connection[Any]
MOST_CLOCK_S = 2.0
# Each process tells every 5 s; three missed and somebody should look.
MOST_SILENT_S = 20.0
PROCESSES = ("worker", "beat", "sequencer")

STRONG = """
    select rolname, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb,
           (select count(*) from pg_class c where c.relowner = r.oid and c.relkind = 'r'),
           (select coalesce(string_agg(m.roleid::regrole::text, ', '), '') from pg_auth_members m where m.member = r.oid)
    from pg_roles r where rolname = current_user
"""
# What a login could have set for itself, or an administrator long ago: our connections state their own, others do not.
OVERRIDES = """
    select coalesce(r.rolname, 'everybody'), unnest(s.setconfig) from pg_db_role_setting s
    left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
    where (s.setrole = 0 or r.rolname = any(%s)) and (s.setdatabase = 0 or d.datname = current_database())
"""
OPEN_TABLES = """
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      and relname <> 'alembic_version' and not (relrowsecurity and relforcerowsecurity)
"""
MISSING = """
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      and relname <> 'alembic_version'
      and not (has_table_privilege(%(worker)s, oid, 'select') and has_table_privilege(%(worker)s, oid, 'insert')
           and has_table_privilege(%(worker)s, oid, 'update') and has_table_privilege(%(worker)s, oid, 'delete'))
"""
TOO_MUCH = """
    select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
      and (has_table_privilege(%(app)s, oid, 'truncate') or has_table_privilege(%(app)s, oid, 'references')
           or has_table_privilege(%(app)s, oid, 'trigger'))
"""
DOORS = """
    select has_function_privilege(%(app)s, 'app.enter(text, bytea, bigint)', 'execute'),
           has_function_privilege(%(app)s, 'app.act(bigint, text, bigint, bigint, bigint)', 'execute'),
           has_database_privilege('public', current_database(), 'temporary')
"""


def check_database(settings: Settings) -> Iterator[Finding]:
    """Every login, then what only one of them needs to look at."""
    for login in ("app", "worker"):
        try:
            with psycopg.connect(settings.url_for(login), connect_timeout=5) as connection:
                yield from _check_login(connection, login)
                if login == "worker":
                    yield from _check_schema(connection, settings)
                    yield _check_clock(connection)
        except psycopg.Error as error:
            cure = (
                "Run: interline migrate"
                if settings.embedded_database
                else "Check DATABASE_URL and the server; `interline migrate` makes the logins."
            )
            yield Finding("database", "wrong", f"as {login}: {str(error).strip().splitlines()[0]}", cure)


def _check_login(connection: Connection, login: str) -> Iterator[Finding]:
    major = connection.info.server_version // 10_000
    yield judged(
        "database",
        major >= OLDEST_MAJOR,
        f"PostgreSQL {major} as {login}",
        f"PostgreSQL {OLDEST_MAJOR} or newer is needed.",
    )
    row = connection.execute(STRONG).fetchone()
    assert row is not None
    name, superuser, bypasses, makes_roles, makes_databases, owns, member = row
    if superuser or bypasses or owns:
        why = "is a superuser" if superuser else "has BYPASSRLS" if bypasses else f"owns {owns} tables"
        cure = (
            "Give DATABASE_URL a login without SUPERUSER and BYPASSRLS, or let `interline migrate` make one."
        )
        yield Finding(
            "database", "wrong", f"{login} login {name} {why}: it goes round row-level security", cure
        )
    elif makes_roles or makes_databases or member:
        has = f"member of {member}" if member else "CREATEROLE or CREATEDB"
        cure = (
            f'alter role "{name}" nocreatedb nocreaterole;'
            if not member
            else f'revoke {member} from "{name}";'
        )
        yield Finding("database", "wrong", f"{login} login {name} has more than it needs: {has}", cure)
    else:
        yield Finding("database", "ok", f"{login} login {name} is bound by row-level security")


def _check_schema(connection: Connection, settings: Settings) -> Iterator[Finding]:
    if connection.execute("select to_regclass('public.alembic_version')").fetchone() == (None,):
        yield Finding("schema", "wrong", "nothing was migrated yet", "Run: interline migrate")
        return
    row = connection.execute("select version_num from public.alembic_version").fetchone()
    at = row[0] if row else None
    detail = f"at {at}, newest here is {head()}"
    if is_newer(at):
        yield Finding("schema", "off", f"{detail}: a newer version has migrated", "Upgrade this machine too.")
    else:
        yield judged("schema", at == head(), detail, "Run: interline migrate")
    yield from _check_rights(connection, settings)


def _check_rights(connection: Connection, settings: Settings) -> Iterator[Finding]:
    app, worker = (connection_user(settings, login) for login in ("app", "worker"))
    names = {"app": app, "worker": worker}
    found = 0
    for query, what, cure in (
        (
            OPEN_TABLES,
            "without row-level security",
            "alter table {t} enable row level security, force row level security;",
        ),
        (MISSING, f"closed to {worker}", f'grant select, insert, update, delete on {{t}} to "{worker}";'),
        (TOO_MUCH, f"too open to {app}", f'revoke truncate, references, trigger on {{t}} from "{app}";'),
    ):
        for (table,) in connection.execute(query, names if "%(" in query else None).fetchall():
            found += 1
            yield Finding("rights", "wrong", f"table {table} is {what}", f"As owner: {cure.format(t=table)}")
    doors = connection.execute(DOORS, names).fetchone()
    assert doors is not None
    enters, acts, temporary = doors
    if not enters or acts:
        found += 1
        wanted = f'grant execute on function app.enter(text, bytea, bigint) to "{app}"'
        if acts:
            wanted = f'revoke execute on function app.act(bigint, text, bigint, bigint, bigint) from "{app}", public'
        yield Finding(
            "rights",
            "wrong",
            f"{app} may {'act as anybody' if acts else 'not open a context'}",
            f"As owner: {wanted};",
        )
    if temporary:
        found += 1
        name = connection.info.dbname
        cure = f'As owner: revoke all on database "{name}" from public;'
        yield Finding("rights", "wrong", "every login may make temporary tables here", cure)
    for role, override in connection.execute(OVERRIDES, [[app, worker]]).fetchall():
        found += 1
        word = override.partition("=")[0]
        who = "all" if role == "everybody" else f'"{role}"'
        cure = f"As a superuser: alter role {who} reset {word}; (or: alter role {who} in database ... reset {word};)"
        yield Finding("rights", "off", f"{role} has the setting {override}", cure)
    if not found:
        yield Finding("rights", "ok", f"{app} and {worker} have what they need and no more")


def connection_user(settings: Settings, login: Any) -> str:
    """The name a login of ours really has."""
    from psycopg.conninfo import conninfo_to_dict

    return str(conninfo_to_dict(settings.url_for(login))["user"])


def _check_clock(connection: Connection) -> Finding:
    before = datetime.now(UTC)
    row = connection.execute("select clock_timestamp()").fetchone()
    assert row is not None
    apart = abs((row[0] - (before + (datetime.now(UTC) - before) / 2)).total_seconds())
    cure = "Set the clocks of all machines by NTP: timedatectl set-ntp true"
    return judged("clock", apart < MOST_CLOCK_S, f"{apart:.1f} s from the database's", cure)


def check_processes(settings: Settings) -> Iterator[Finding]:
    """Who was seen lately, on any machine. When nobody was, Interline is simply not running."""
    try:
        with psycopg.connect(settings.url_for("worker"), connect_timeout=5) as connection:
            rows = connection.execute(
                "select name, extract(epoch from clock_timestamp() - at)::float8 from public.heartbeats"
            ).fetchall()
            waiting = connection.execute("select count(*) from public.events where pos is null").fetchone()
            parked = connection.execute(
                "select count(*) from public.work_items where state = 'parked'"
            ).fetchone()
    except psycopg.Error:
        return  # said above
    ages = {name: age for name, age in rows if name in PROCESSES}
    if not any(age < MOST_SILENT_S for age in ages.values()):
        yield Finding("processes", "off", "Interline is not running", "Start it: interline up")
        return
    for name in PROCESSES:
        age = ages.get(name)
        told = "never seen" if age is None else f"seen {age:.0f} s ago"
        cure = f"No {name} runs on any machine: look at what `interline up` printed, and start it again."
        yield judged(name, age is not None and age < MOST_SILENT_S, told, cure)
    yield Finding("events", "ok", f"{waiting[0] if waiting else 0} wait for the sequencer")
    count = parked[0] if parked else 0
    cure = "See why: interline work status; then, when the cause is mended: interline work retry --all"
    yield judged("work", not count, f"{count} parked", cure, "off")

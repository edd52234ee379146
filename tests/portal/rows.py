"""What somebody can do to the rows of every table with SQL of their own on the app login: read, change, delete, move to
another company, insert. Compared between the whole database and the one without others it must be the same."""

import json
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from portal.db import PortalSession, new_id, session_for
from portal.security.context import PUBLIC, Credential, digest
from tests.portal.absent import COMMON, columns_of
from tests.portal.asking import Principal
from tests.world import DANUBIA

HIDDEN = "hidden"
REFUSED = "42501"
NOTHING = ("0 rows", REFUSED)
# A person may belong to several companies, so an address is unique in the realm: known and accepted (test_harms.py) of
# who may invite people at all.
ELSEWHERE = {"people": "23505"}
# Work may be asked for by everybody (what for, test_harms.py asks), but not as if it had been tried already.
FORGED = {"work_items": {"attempts": 1}}
# To them every company of their realm and its lists are their own; foreign keys keep the two realms apart.
VENDOR = {"operator", "channel_manager", "account_manager", "sales_rep", "service_agent"}
PARTNER = {"administrator", "sales", "service", "system"}
MOVES = {"realm": "update {table} set realm_id = :realm", "company": "update {table} set company_id = :other"}


def credential(who: Principal) -> Credential:
    """What this principal shows to the database."""
    if who.link:
        return Credential("offer", digest(who.link))
    if who.bearer:
        return Credential("api", digest(who.bearer))
    secret = who.cookies.get("interline")
    return Credential("session", digest(secret)) if secret else PUBLIC


def tried(session: PortalSession, statement: str, **values: Any) -> str:
    """How many rows a statement touched, or the SQLSTATE that refused it; undone in any case."""
    point = session.begin_nested()
    try:
        done = f"{session.execute(text(statement), values).rowcount} rows"  # type: ignore[attr-defined]
    except DBAPIError as error:
        done = str(getattr(error.orig, "sqlstate", "?"))
    point.rollback()
    return done


def sight(engine: Engine, who: Principal, tables: dict[str, set[str]]) -> dict[str, Any]:
    """Table -> what `who` reads of it and what becomes of attempts on it."""
    found: dict[str, Any] = {}
    with session_for(engine, credential(who)) as session:
        for table, columns in tables.items():
            point = session.begin_nested()
            try:
                rows: Any = sorted(session.scalars(text(f"select to_jsonb(t)::text from {table} t")))
            except DBAPIError:
                rows = HIDDEN
            point.rollback()
            found[table] = [rows]
            if "realm_id" in columns:
                found[table].append(tried(session, MOVES["realm"].format(table=table), realm=who.realm))
            found[table].append(tried(session, f"delete from {table}"))
        session.rollback()
    return found


def planted(engine: Engine, who: Principal, table: str, row: dict[str, Any]) -> str:
    """What becomes of an attempt to insert somebody else's row once more, under a new id."""
    again = row | ({"id": new_id()} if "id" in row else {})
    columns = ", ".join(again)
    statement = (
        f"insert into {table} ({columns}) overriding system value"
        f" select {columns} from jsonb_populate_record(null::{table}, cast(:row as jsonb))"
    )
    with session_for(engine, credential(who)) as session:
        done = tried(session, statement, row=json.dumps(again))
        session.rollback()
    return done


def moved(engine: Engine, who: Principal, table: str, columns: set[str], other: int) -> dict[str, str]:
    """What becomes of an attempt to give away every row that `who` may change: to another realm, to another company."""
    found = {}
    with session_for(engine, credential(who)) as session:
        if "realm_id" in columns:
            found["realm"] = tried(session, MOVES["realm"].format(table=table), realm=3 - who.realm)
        if "company_id" in columns:
            found["company"] = tried(session, MOVES["company"].format(table=table), other=other)
        session.rollback()
    return found


def strange_rows(town: Any, who: Principal) -> dict[str, dict[str, Any]]:
    """Table -> a row that stands in the whole database and not in `who`'s part of it; to whom they are not its own to
    write, also one of the lists that are the same for everybody."""
    whole, part = town.world.database, town.parts[who.group]
    found: dict[str, dict[str, Any]] = {}
    admins = whole.admin(), part.admin()
    with admins[0].connect() as one, admins[1].connect() as other:
        for table in columns_of(one):
            query = text(f"select to_jsonb(t)::text from {table} t order by 1 desc")
            kept = set(other.execute(query).scalars())
            rows = list(one.execute(query).scalars())
            strange = [row for row in rows if row not in kept] or (
                rows if table in COMMON and who.role not in VENDOR else []
            )
            if strange:
                found[table] = json.loads(strange[0])
    for admin in admins:
        admin.dispose()
    return found


def complaints(
    town: Any, who: Principal, tables: dict[str, set[str]], strange: dict[str, Any]
) -> dict[str, Any]:
    """Table -> what `who` can do there that must not be: learn of others, give them rows, plant rows in their name."""
    whole, part = town.world.database.app, town.parts[who.group].app
    found: dict[str, Any] = {}
    everything, nothing = sight(whole, who, tables), sight(part, who, tables)
    for table, columns in tables.items():
        wrong = [("sees", everything[table], nothing[table])] if everything[table] != nothing[table] else []
        for to, state in moved(whole, who, table, columns, town.companies[DANUBIA]).items():
            if state not in NOTHING and not (to == "company" and who.role in VENDOR):
                wrong.append(("moves", to, state))
        if table in strange:
            state = planted(whole, who, table, strange[table] | FORGED.get(table, {}))
            if state not in (REFUSED, ELSEWHERE.get(table) if who.role in PARTNER else None):
                wrong.append(("plants", state))
        if wrong:
            found[table] = wrong
    return found

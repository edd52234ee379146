"""Fifty companies on one pool of connections, each with a canary: whatever becomes of the transaction before (rolled back,
cancelled, killed, closed, left with settings of its own), nobody meets the canary of another. The same behind pgbouncer."""

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError, InvalidRequestError, PendingRollbackError

from portal.bootstrap import app_url, worker_url
from portal.db import POOLER, make_engine, new_id, session_for
from portal.security.context import PUBLIC, Credential, digest
from tests.portal.pooler import pgbouncer
from tests.world import World

COMPANIES, THREADS = 50, 8
CONNECTIONS = 3  # and four more for a moment: fewer than threads, so that they change hands all the time
QUICK, LONG = 40, 4000
SECRETS = [f"pool-canary-{number}" for number in range(COMPANIES)]
CROWD = """
    insert into companies (id, realm_id, kind, name, name_key, language, time_zone, created_at, updated_at)
    values (:company, 1, 'partner', :canary, :canary, 'en', 'UTC', now(), now());
    insert into people (id, realm_id, email, email_key, name, language, status, created_at)
    values (:person, 1, :canary, :canary, :canary, 'en', 'active', now());
    insert into memberships (id, realm_id, company_id, person_id, role, created_at)
    values (:company, 1, :company, :person, 'administrator', now());
    insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, scopes, created_at, seen_at, expires_at)
    values (:hash, 'session', 1, 'person', :company, :person, '{}', now(), now(), now() + interval '1 day');
    insert into texts (id, realm_id, company_id, kind, body, audience, created_at)
    values (:company, 1, :company, 'note', :canary, array[cast(:company as bigint)], now());
"""
READ = text("""
    select body from texts union select name from companies where kind = 'partner' union select email from people
""")


def credential(number: int) -> Credential:
    """The session of one company's person."""
    return Credential("session", digest(SECRETS[number]))


@pytest.fixture
def crowd(world: World) -> World:
    """Fifty companies; each has a person with a session, and a note of its own, all of its canary's name."""
    with world.system() as session:
        for secret in SECRETS:
            values = {"company": new_id(), "person": new_id(), "canary": f"{secret}.", "hash": digest(secret)}
            for statement in filter(str.strip, CROWD.split(";")):
                used = {name: value for name, value in values.items() if f":{name}" in statement}
                session.execute(text(statement), used)
    return world


@pytest.fixture(params=["direct", "pgbouncer"])
def pool(request: pytest.FixtureRequest, crowd: World, server_url: str, tmp_path: Path) -> Iterator[Engine]:
    """One pool for all, on PostgreSQL itself or on a pgbouncer in transaction mode."""
    settings = crowd.database.settings
    url = app_url(settings)
    if request.param == "direct":
        engine = make_engine(url, pool_size=CONNECTIONS)
        yield engine
        engine.dispose()
        return
    login = settings.login("app")
    with pgbouncer(server_url, {login: settings.password_for(login)}, tmp_path) as address:
        host, _, port = address.partition(":")
        pooled = make_url(url).set(host=host, port=int(port), query={POOLER: "transaction"})
        engine = make_engine(pooled, pool_size=CONNECTIONS)
        yield engine
        engine.dispose()


# -- what may become of a transaction ----------------------------------------------------------------------------------


def commit(session: Any) -> None:
    session.commit()


def roll_back(session: Any) -> None:
    session.execute(text("delete from texts"))
    session.rollback()


def fail(session: Any) -> None:
    session.execute(text("select 1 / 0"))


def time_out(session: Any) -> None:
    session.execute(text("set local statement_timeout = 1"))
    session.execute(text("select pg_sleep(60)"))


def be_cancelled(session: Any) -> None:
    """As when the one who asked has gone: from beside, while the statement runs."""
    session.execute(text("set local statement_timeout = 300"))  # should the request come before the statement
    driver = session.connection().connection.dbapi_connection
    asker = threading.Timer(0.01, driver.cancel)
    asker.start()
    try:
        session.execute(text("select pg_sleep(60)"))
    finally:
        asker.join()


def be_killed(session: Any) -> None:
    session.execute(text("select pg_terminate_backend(pg_backend_pid())"))


def close_connection(session: Any) -> None:
    session.connection().connection.dbapi_connection.close()


def give_up_connection(session: Any) -> None:
    session.connection().invalidate()


def leave_settings(session: Any) -> None:
    """As injected SQL would: a context that outlives the transaction, a statement and a cursor."""
    session.execute(text("select set_config('app.ctx', current_setting('app.ctx'), false)"))
    session.execute(text("prepare mine as select body from texts"))
    session.execute(text("declare mine cursor with hold for select body from texts"))
    session.commit()


USUAL = (commit, roll_back, fail, time_out, be_cancelled, leave_settings)
RARE = (be_killed, close_connection, give_up_connection)


def visit(engine: Engine, chance: random.Random, seen: Counter[str]) -> None:
    """One transaction of somebody: it reads its canary, alone, before and after; then something becomes of it."""
    number = chance.randrange(COMPANIES)
    fate = chance.choice(USUAL if chance.random() < 0.9 else RARE)
    with session_for(engine, credential(number)) as session:
        found = set(session.scalars(READ))
        assert found == {f"{SECRETS[number]}."}, (number, found)
        seen["transactions"] += 1
        try:
            fate(session)
            seen["ended well"] += 1
        except (DBAPIError, InvalidRequestError, PendingRollbackError):
            seen["ended badly"] += 1
    if chance.random() < 0.2:
        with session_for(engine, PUBLIC) as session:
            assert not any("canary" in name for name in session.scalars(READ)), "nobody sees nothing"


def crowded(engine: Engine, turns: int, seed: str) -> Counter[str]:
    """Many visits at once; what was seen."""
    seen: Counter[str] = Counter()

    def stay(thread: int) -> None:
        chance = random.Random(f"{seed}/{thread}")
        for _ in range(turns):
            try:
                visit(engine, chance, seen)
            except (DBAPIError, InvalidatePoolError) as error:
                # A back end that somebody else's death took along: refused, never answered wrongly.
                if not (
                    getattr(error, "connection_invalidated", False) or "connection" in str(error).lower()
                ):
                    raise
                seen["refused"] += 1

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(stay, range(THREADS)))
    return seen


def test_nobody_meets_the_canary_of_another(pool: Engine) -> None:
    seen = crowded(pool, QUICK, "quick")
    assert seen["transactions"] > 0.9 * QUICK * THREADS, seen
    assert seen["ended well"] > QUICK and seen["ended badly"] > QUICK, seen


@pytest.mark.soak
def test_nobody_meets_the_canary_of_another_for_long(pool: Engine) -> None:
    seed = os.environ.get("SOAK_SEED") or str(random.randrange(10**6))
    seen = crowded(pool, LONG, seed)
    assert seen["transactions"] > 0.9 * LONG * THREADS, (seed, seen)


# -- contexts of others ------------------------------------------------------------------------------------------------


def test_a_context_is_of_one_transaction_on_one_back_end(pool: Engine) -> None:
    with session_for(pool, credential(1)) as session:
        signed = session.scalar(text("select current_setting('app.ctx')"))
        with session_for(pool, credential(2)) as another:
            another.execute(text("select set_config('app.ctx', :signed, true)"), {"signed": signed})
            assert list(another.scalars(READ)) == [], "on another back end"
        assert list(session.scalars(READ)) == [f"{SECRETS[1]}."]
        session.commit()
        body, _, mac = signed.rpartition("|")
        for forged in (signed, f"{body}|{'0' * 64}", body.replace("partner", "vendor") + f"|{mac}", mac, ""):
            session.execute(text("select set_config('app.ctx', :forged, true)"), {"forged": forged})
            assert list(session.scalars(READ)) == [], "in another transaction, or forged"
            session.rollback()


def test_limits_hold_for_each_transaction(pool: Engine) -> None:
    with session_for(pool, credential(1)) as session:
        for _ in range(2):
            query = "select current_setting('search_path'), current_setting('statement_timeout'), current_setting('jit')"
            assert tuple(session.execute(text(query)).one()) == ("public", "30s", "off")
            session.close()


def test_the_setting_leads_through_the_pooler(crowd: World) -> None:
    direct = crowd.database.settings
    settings = direct.model_copy(
        update={"database_pooler": "transaction", "database_owner_url": direct.admin_url}
    )
    for url in (app_url(settings), worker_url(settings)):
        engine = make_engine(url)
        with engine.connect() as connection:
            limit = connection.execute(
                text("select setting, source from pg_settings where name = 'lock_timeout'")
            )
            assert tuple(limit.one()) == ("10000", "session"), "set for the transaction, not as an option"
            assert connection.connection.dbapi_connection.prepare_threshold is None  # type: ignore[union-attr]
        engine.dispose()

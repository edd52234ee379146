"""Prepares a database: logins, ownership, migrations. Run by `interline up` and `interline migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError

from portal.db import POOLER, make_engine
from portal.security.logins import Logins, prepare, psycopg_url
from portal.settings import Settings

MIGRATIONS = Path(__file__).parent.parent / "migrations"
MIGRATION_LOCK = 0x6D69677261


def logins_of(settings: Settings) -> Logins:
    """The names of this installation's logins."""
    return Logins(settings.login_prefix)


def app_url(settings: Settings) -> URL:
    """The web processes' login."""
    return _pooled(settings, psycopg_url(settings.url_for("app")))


def worker_url(settings: Settings) -> URL:
    """The login of worker, sequencer and command line."""
    return _pooled(settings, psycopg_url(settings.url_for("worker")))


def _pooled(settings: Settings, url: URL) -> URL:
    """The url, saying to make_engine that a pooler stands between."""
    return url.update_query_dict({POOLER: settings.database_pooler}) if settings.pooled else url


def config_for(logins: Logins) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["logins"] = logins
    return config


def head() -> str:
    """The newest revision in migrations/."""
    revision = ScriptDirectory.from_config(config_for(Logins())).get_current_head()
    assert revision is not None
    return revision


def revisions() -> list[str]:
    """Every revision this version knows, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(config_for(Logins())).walk_revisions()]


def migrate(url: URL, logins: Logins, revision: str = "head") -> None:
    """Bring the database at `url` (owner login) to `revision`, one process at a time."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:k)"), {"k": MIGRATION_LOCK})
        connection.commit()
        try:
            config = config_for(logins)
            config.attributes["connection"] = connection
            if is_back(connection.execute(AT).scalar() if has_table(connection) else None, revision):
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.execute(text("select pg_advisory_unlock(:k)"), {"k": MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


AT = text("select version_num from alembic_version")


def has_table(connection: Connection) -> bool:
    """Whether anything was ever migrated here."""
    return connection.execute(text("select to_regclass('public.alembic_version') is not null")).scalar_one()  # type: ignore[no-any-return]


def is_back(at: str | None, revision: str) -> bool:
    """Whether `revision` lies behind a database that is `at` another."""
    if revision.startswith("-") or revision == "base":
        return True
    known = revisions()
    return at in known and revision in known and known.index(revision) > known.index(at)


def is_newer(at: str | None) -> bool:
    """Whether a database is ahead of this version: it serves on, since schemas only grow between two versions."""
    return at is not None and at not in revisions()


def bootstrap(settings: Settings) -> None:
    """Make logins and database if missing and migrate to head; cheap when nothing is to be done."""
    logins = logins_of(settings)
    admin = psycopg_url(settings.admin_url)
    passwords = {role: settings.password_for(role) for role in logins.all()}
    at = current(worker_url(settings))
    if at == head() or is_newer(at):
        return
    prepare(admin.set(database="postgres"), admin.database or "interline", logins, passwords)
    migrate(psycopg_url(settings.url_for("owner")), logins)


def current(url: URL) -> str | None:
    """The revision a database is at, or None when it cannot be read (missing database, login or table)."""
    engine = make_engine(url, pool_size=1)
    try:
        with engine.connect() as connection:
            found: str | None = connection.execute(text("select version_num from alembic_version")).scalar()
            return found
    except DBAPIError:
        return None
    finally:
        engine.dispose()

"""Prepares a database: logins, ownership, migrations. Run by `interline up` and `interline migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from portal.security.logins import Logins, prepare, psycopg_url
from portal.settings import Settings

MIGRATIONS = Path(__file__).parent.parent / "migrations"
MIGRATION_LOCK = 0x6D69677261


def logins_of(settings: Settings) -> Logins:
    """The names of this installation's logins."""
    return Logins(settings.login_prefix)


def app_url(settings: Settings) -> URL:
    """The web processes' login."""
    return psycopg_url(settings.url_for("app"))


def worker_url(settings: Settings) -> URL:
    """The login of worker, sequencer and command line."""
    return psycopg_url(settings.url_for("worker"))


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


def migrate(url: URL, logins: Logins, revision: str = "head") -> None:
    """Bring the database at `url` (owner login) to `revision`, one process at a time."""
    engine = create_engine(url)
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:k)"), {"k": MIGRATION_LOCK})
        connection.commit()
        try:
            config = config_for(logins)
            config.attributes["connection"] = connection
            if revision.startswith("-") or revision == "base":
                command.downgrade(config, revision)
            else:
                command.upgrade(config, revision)
            connection.commit()
        finally:
            connection.execute(text("select pg_advisory_unlock(:k)"), {"k": MIGRATION_LOCK})
            connection.commit()
    engine.dispose()


def bootstrap(settings: Settings) -> None:
    """Make logins and database if missing and migrate to head; cheap when nothing is to be done."""
    logins = logins_of(settings)
    admin = psycopg_url(settings.admin_url)
    passwords = {role: settings.password_for(role) for role in logins.all()}
    if current(worker_url(settings)) == head():
        return
    prepare(admin.set(database="postgres"), admin.database or "interline", logins, passwords)
    migrate(psycopg_url(settings.url_for("owner")), logins)


def current(url: URL) -> str | None:
    """The revision a database is at, or None when it cannot be read (missing database, login or table)."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            found: str | None = connection.execute(text("select version_num from alembic_version")).scalar()
            return found
    except DBAPIError:
        return None
    finally:
        engine.dispose()

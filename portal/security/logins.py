"""The three database logins and how a database is prepared for them (roles, ownership, what PUBLIC loses)."""

from dataclasses import dataclass

from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, Connection, make_url

# Roles belong to the whole cluster: two installations that start together must not both create them.
ROLE_LOCK = 0x696E7465726C


@dataclass(frozen=True, slots=True)
class Logins:
    """Names of the logins; `prefix` keeps installations on one cluster apart."""

    prefix: str = "interline"

    @property
    def owner(self) -> str:
        """Owns every object; migrations and backup."""
        return f"{self.prefix}_owner"

    @property
    def app(self) -> str:
        """Serves requests; sees only what the signed context opens."""
        return f"{self.prefix}_app"

    @property
    def worker(self) -> str:
        """Runs `system` work; never a request."""
        return f"{self.prefix}_worker"

    def all(self) -> tuple[str, str, str]:
        """Owner, app and worker."""
        return (self.owner, self.app, self.worker)


def psycopg_url(url: str | URL) -> URL:
    """`url` with the driver we use; accepts postgres://, postgresql:// and postgresql+psycopg://."""
    parsed = make_url(str(url).replace("postgres://", "postgresql://", 1)) if isinstance(url, str) else url
    return parsed.set(drivername="postgresql+psycopg")


def prepare(admin: URL, database: str, logins: Logins, passwords: dict[str, str]) -> None:
    """Create the logins and the database when they are missing, and take from PUBLIC what it has by default.

    `admin` is a superuser or a login with CREATEROLE and CREATEDB. Idempotent; safe to run from two machines at once.
    """
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("select pg_advisory_lock(:k)"), {"k": ROLE_LOCK})
        try:
            _create_roles(connection, logins, passwords)
            exists = connection.execute(
                text("select 1 from pg_database where datname = :d"), {"d": database}
            ).first()
            if not exists:
                connection.exec_driver_sql(
                    f'create database "{database}" owner "{logins.owner}" encoding utf8 template template0'
                )
        finally:
            connection.execute(text("select pg_advisory_unlock(:k)"), {"k": ROLE_LOCK})
    engine.dispose()
    engine = create_engine(admin.set(database=database), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        restrict(connection, database, logins)
    engine.dispose()


def restrict(connection: Connection, database: str, logins: Logins) -> None:
    """Database-level rights; a copy made from a template loses them, so run it on every copy."""
    names = {"d": database, "o": logins.owner, "a": logins.app, "w": logins.worker}
    for statement in (
        'revoke all on database "{d}" from public',
        'grant connect on database "{d}" to "{a}", "{w}", "{o}"',
        'grant create on database "{d}" to "{o}"',
        "revoke all on schema public from public",
        'alter schema public owner to "{o}"',
        'grant usage on schema public to "{a}", "{w}"',
    ):
        connection.exec_driver_sql(statement.format(**names))


def _create_roles(connection: Connection, logins: Logins, passwords: dict[str, str]) -> None:
    kind = "login nosuperuser nocreatedb nocreaterole noinherit nobypassrls"
    for role in logins.all():
        exists = connection.execute(text("select 1 from pg_roles where rolname = :r"), {"r": role}).first()
        password = passwords[role].replace("'", "''")
        connection.exec_driver_sql(
            f"""{"alter" if exists else "create"} role "{role}" {kind} password '{password}'"""
        )
    # The admin must be able to hand objects to the owner; a superuser needs no membership.
    superuser = connection.execute(
        text("select rolsuper from pg_roles where rolname = current_user")
    ).scalar_one()
    if not superuser:
        connection.exec_driver_sql(f'grant "{logins.owner}" to current_user')

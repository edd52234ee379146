"""Making a backup and putting it back; both as the owner login, both one at a time with migrations."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import IO, Any, cast

import psycopg
from psycopg import sql

from portal.backup import archive, programs
from portal.backup.archive import ArchiveError
from portal.bootstrap import MIGRATION_LOCK, logins_of, migrate, revisions
from portal.gateways import storage
from portal.security.logins import psycopg_url
from portal.settings import Settings

# Numbers that were given after the backup may stand in mails and in other systems: they are not given to other leads.
NUMBERS_LEFT_OUT = 1_000
LOCK_TIMEOUT = "5s"


class RestoreRefused(Exception):
    """The target is not as a restore needs it; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written, or put back."""

    path: Path
    manifest: dict[str, Any]
    notes: tuple[str, ...] = ()


# -- backup --------------------------------------------------------------------------------------------------------


def make(settings: Settings, path: Path) -> Backup:
    """Write an archive to `path`: the database as it stood at one moment, then the files it may name."""
    url = settings.url_for("owner")
    with (
        psycopg.connect(url, autocommit=True) as connection,
        _alone(connection),
        TemporaryDirectory() as folder,
    ):
        connection.execute("set search_path = public")
        program, major = programs.find("pg_dump", programs.server_major(connection))
        dump = Path(folder) / "database.dump"
        _dump(program, url, dump)
        manifest = {
            "made_by": f"Interline {version('interline')}",
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "revision": _one(connection, "select version_num from alembic_version"),
            "server": programs.server_major(connection),
            "pg_dump": major,
            "logins": settings.login_prefix,
            "secret": _fingerprint(settings),
            **_contents(connection),
        }
        with archive.writing(path) as writer:
            with dump.open("rb") as content:
                writer.add(archive.DATABASE, content, dump.stat().st_size)
            # After the dump: what it names is there, what came later does no harm.
            store = storage(settings)
            for one in sorted(store.list(), key=lambda stored: stored.key):
                try:
                    writer.add_pieces(archive.FILES + one.key, store.stream(one.key))
                except FileNotFoundError:
                    continue  # deleted meanwhile
            writer.finish(manifest)
    return Backup(path, archive.verify(path))


def _dump(program: Path, url: str, target: Path) -> None:
    words, secret = programs.connection_of(url)
    # The owner's policy opens every row to it, so row-level security may stay on (FORCE would refuse otherwise).
    command = [
        str(program),
        "--format=custom",
        "--enable-row-security",
        "--no-password",
        "--lock-wait-timeout=30s",
    ]
    done = subprocess.run(
        [*command, f"--file={target}", f"--dbname={words}"],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise programs.ProgramError(f"pg_dump failed: {done.stderr.strip()[-500:]}")


@contextmanager
def _alone(connection: "psycopg.Connection[Any]") -> Iterator[None]:
    """No migration, backup or restore beside this one."""
    if not _one(connection, "select pg_try_advisory_lock(%s)", MIGRATION_LOCK):
        raise RestoreRefused(
            "A migration, backup or restore is running on this database; try again when it has ended."
        )
    try:
        yield
    finally:
        connection.execute("select pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _one(connection: "psycopg.Connection[Any]", query: str, *values: Any) -> Any:
    row = connection.execute(query, values).fetchone()  # type: ignore[call-overload]
    return row[0] if row else None


def _contents(connection: "psycopg.Connection[Any]") -> dict[str, int]:
    """What a person knows a database by."""
    row = connection.execute(
        "select (select count(*) from companies), (select count(*) from leads), (select count(*) from events)"
    ).fetchone()
    return dict(zip(("companies", "leads", "events"), row or (), strict=True))


def _fingerprint(settings: Settings) -> str:
    """Tells whether two installations have the same INTERLINE_SECRET, and nothing else."""
    return settings.derive("backup fingerprint").hex()[:16]


# -- restore -------------------------------------------------------------------------------------------------------


def restore(settings: Settings, path: Path, *, replace: bool) -> Backup:
    """Put an archive in place of what the database holds. Raises ArchiveError, RestoreRefused, ProgramError."""
    manifest = archive.verify(path)
    if manifest["revision"] not in revisions():
        raise ArchiveError(
            f"{path} was made by {manifest['made_by']} (schema {manifest['revision']}), which is newer than this"
            " version. Upgrade first, then restore."
        )
    logins = logins_of(settings)
    with psycopg.connect(settings.url_for("owner"), autocommit=True) as connection, _alone(connection):
        connection.execute("set search_path = public")
        _refuse_unless_ready(connection, logins.all(), replace)
        program, _ = programs.find("pg_restore", manifest["pg_dump"])
        with NamedTemporaryFile() as dump:
            archive.extract_database(path, cast(IO[bytes], dump))
            # Files first: no row may name one that is not there yet. Keys are never used again for other content.
            store = storage(settings)
            for key, content in archive.files(path):
                store.put(key, content.read())
            with connection.transaction():
                connection.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
                _clear(connection)
                _load(connection, program, Path(dump.name), manifest["logins"], settings.login_prefix)
                _begin_anew(connection)
        connection.execute("analyze")
    migrate(psycopg_url(settings.url_for("owner")), logins)
    return Backup(path, manifest, tuple(_notes(settings, manifest)))


def _refuse_unless_ready(
    connection: "psycopg.Connection[Any]", logins: tuple[str, ...], replace: bool
) -> None:
    name = connection.info.dbname
    others = _one(
        connection,
        "select count(*) from pg_stat_activity where datname = current_database() and usename = any(%s)"
        " and pid <> pg_backend_pid()",
        list(logins),
    )
    if others:
        raise RestoreRefused(
            f"{others} connections of Interline to {name} are open. Stop it on every machine (web, worker, commands),"
            " then restore. Nothing was changed."
        )
    if replace or _one(connection, "select to_regclass('public.companies')") is None:
        return
    held = _contents(connection)
    if any(held.values()):
        told = ", ".join(f"{count} {table}" for table, count in held.items())
        raise RestoreRefused(
            f"The database {name} is not empty ({told}). A restore replaces all of it: make a backup of it first, then"
            " give --replace. Nothing was changed."
        )


def _clear(connection: "psycopg.Connection[Any]") -> None:
    """Drop what migrations made: schema app, and our tables and sequences in public."""
    connection.execute("drop schema if exists app cascade")
    ours = connection.execute("""
        select case relkind when 'S' then 'sequence' else 'table' end, relname from pg_class
        where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')
          and relowner = current_user::regrole order by relkind desc
    """).fetchall()
    for kind, name in ours:
        drop = sql.SQL("drop {} if exists public.{} cascade").format(sql.SQL(kind), sql.Identifier(name))
        connection.execute(drop)


# Timeouts are ours to set, row_security would refuse what we do next, and older servers do not know the last one.
NOT_OURS = re.compile(
    r"^(?:\\(?:un)?restrict .*|SET (?:\w+_timeout|row_security) = .*;|CREATE SCHEMA public;|ALTER SCHEMA public .*;)$",
    re.MULTILINE,
)


def _load(connection: "psycopg.Connection[Any]", program: Path, dump: Path, theirs: str, ours: str) -> None:
    """Tables, rows, then indexes, constraints, policies and rights, for the logins of this installation."""
    for section in ("pre-data", "data", "post-data"):
        command = [str(program), f"--section={section}", "--no-owner", "--file=-", str(dump)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            if section == "data":
                _copy(connection, process.stdout)
            else:
                text = NOT_OURS.sub("", process.stdout.read().decode())
                text = re.sub(rf"\b{re.escape(theirs)}_(owner|app|worker)\b", rf"{ours}_\1", text)
                connection.execute(text)  # type: ignore[call-overload]
            complaint = process.stderr.read().decode()
        if process.returncode:
            raise programs.ProgramError(f"pg_restore failed: {complaint.strip()[-500:]}")


def _copy(connection: "psycopg.Connection[Any]", script: IO[bytes]) -> None:
    """Run the data section: settings, COPY blocks that end with a line of \\. and the sequences' values."""
    for line in script:
        if line.startswith(b"COPY "):
            with connection.cursor() as cursor, cursor.copy(line.decode().rstrip(";\n")) as copy:
                for row in script:
                    if row == b"\\.\n":
                        break
                    copy.write(row)
                else:
                    raise programs.ProgramError("pg_restore ended in the middle of a table.")
        elif line.startswith(b"SELECT pg_catalog.setval("):
            connection.execute(line.decode())  # type: ignore[call-overload]


def _begin_anew(connection: "psycopg.Connection[Any]") -> None:
    """What may not come back from the past: cursors, who is signed in, attempts counted, who was alive."""
    connection.execute("set local search_path = public")
    new_epoch(connection)
    # Links in mails that were sent work on; who is signed in, half signed in or about to change something begins anew.
    connection.execute("delete from credentials where purpose not in ('offer', 'invite', 'join', 'keep')")
    connection.execute("delete from throttles")
    connection.execute("delete from heartbeats where name not like 'schedule %'")
    connection.execute(
        "select setval('lead_numbers', (select last_value from lead_numbers) + %s)", [NUMBERS_LEFT_OUT]
    )


def new_epoch(connection: "psycopg.Connection[Any]") -> int:
    """End every cursor that was handed out; the number is the time, so that no second restore gives it again."""
    epoch = int(time.time() * 1000)
    connection.execute(
        "insert into feed_epochs (id, started_at, after_position)"
        " select %s, now(), coalesce(max(pos), 0) from events",
        [epoch],
    )
    return epoch


def _notes(settings: Settings, manifest: dict[str, Any]) -> Iterator[str]:
    yield "Everybody has to sign in again, and systems need new tokens; links in mails work as they did."
    yield "API clients revoked and people removed since the backup are back: look at `interline client list`."
    if manifest["secret"] != _fingerprint(settings):
        yield (
            "INTERLINE_SECRET is another one than when the backup was made: what was encrypted with it cannot be read."
        )

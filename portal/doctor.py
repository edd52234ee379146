"""`interline doctor`: what works on this machine, what is off, and the cure for each; changes nothing."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import click

from portal.settings import Settings, load
from portal.supervisor.postgres import OLDEST_MAJOR, PostgresError, Server

PANGO_PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: fine, off (the rest works without it) or wrong (the portal cannot run so)."""

    part: str
    state: Literal["ok", "off", "wrong"]
    detail: str
    cure: str = ""


def find_chromium() -> str | None:
    """Path of a Chromium for the browser tests: CHROMIUM, the system's, or the one Playwright installed."""
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUM_NAMES):
        if name and (found := shutil.which(name)):
            return found
    home = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    found_here = sorted(home.glob("chromium-*/chrome-linux*/chrome"))
    return str(found_here[-1]) if found_here else None


def check_versions(_settings: Settings) -> Iterator[Finding]:
    """Python and the program's own version."""
    ours = importlib.metadata.version("interline")
    yield Finding(
        "versions", "ok", f"Interline {ours}, Python {platform.python_version()}, {platform.platform()}"
    )


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Where things are; that the secret can be had."""
    database = "embedded PostgreSQL" if settings.embedded_database else "DATABASE_URL"
    broker = "BROKER_URL" if settings.broker_url else "files in VAR_DIR/broker"
    yield Finding(
        "settings", "ok", f"{settings.site_url}; {database}; broker: {broker}; mail: {settings.mail_backend}"
    )
    yield Finding("secret", "ok", f"{len(settings.secret)} characters")
    if settings.embedded_database and not settings.is_local:
        cure = "Set DATABASE_URL and back it up; the embedded one lives in VAR_DIR/pg of this machine only."
        yield Finding("database", "off", "a public site on the embedded database", cure)


def check_database(settings: Settings) -> Iterator[Finding]:
    """Reachable as app and worker, new enough, migrated, and neither login may do more than it should."""
    import psycopg

    from portal.bootstrap import head

    for login in ("app", "worker"):
        try:
            with psycopg.connect(settings.url_for(login), connect_timeout=5) as connection:
                yield from _check_login(connection, login)
                if login == "worker":
                    row = connection.execute("select version_num from alembic_version").fetchone()
                    at = row[0] if row else None
                    state: Literal["ok", "wrong"] = "ok" if at == head() else "wrong"
                    yield Finding("schema", state, f"at {at}, newest is {head()}", "Run: interline migrate")
        except psycopg.Error as error:
            cure = (
                "Run: interline migrate"
                if settings.embedded_database
                else "Check DATABASE_URL and the server."
            )
            yield Finding("database", "wrong", f"as {login}: {str(error).strip().splitlines()[0]}", cure)


def _check_login(connection: object, login: str) -> Iterator[Finding]:
    import psycopg

    assert isinstance(connection, psycopg.Connection)
    major = connection.info.server_version // 10_000
    if major < OLDEST_MAJOR:
        yield Finding(
            "database", "wrong", f"PostgreSQL {major}", f"PostgreSQL {OLDEST_MAJOR} or newer is needed."
        )
    row = connection.execute(
        "select rolsuper or rolbypassrls, rolname from pg_roles where rolname = current_user"
    ).fetchone()
    if row and row[0]:
        cure = (
            "Give DATABASE_URL a login without SUPERUSER and BYPASSRLS, or let `interline migrate` make one."
        )
        yield Finding("database", "wrong", f"{login} login {row[1]} goes round row-level security", cure)
    else:
        name = row[1] if row else "?"
        yield Finding("database", "ok", f"{login} login {name} reaches PostgreSQL {major}")


def check_machine(_settings: Settings) -> Iterator[Finding]:
    """Libraries and programs that parts of the portal need."""
    try:
        for library in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0"):
            ctypes.CDLL(library)
        yield Finding("PDF", "ok", "Pango found")
    except OSError:
        cure = f"sudo apt-get install -y --no-install-recommends {PANGO_PACKAGES}"
        yield Finding("PDF", "off", "no Pango: documents cannot be made", cure)
    vendor = Path(__file__).parent / "web" / "static" / "vendor"
    if vendor.is_dir():
        yield Finding("browser files", "ok", str(vendor))
    else:
        yield Finding("browser files", "off", "pages have no style sheet", "Run: make install")
    browser = find_chromium()
    if browser:
        yield Finding("browser tests", "ok", browser)
    else:
        yield Finding("browser tests", "off", "no Chromium", "sudo apt-get install -y chromium")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Space where we keep things."""
    free = shutil.disk_usage(settings.var_dir).free // 2**20
    state: Literal["ok", "wrong"] = "ok" if free > 500 else "wrong"
    yield Finding("disk", state, f"{free} MB free in {settings.var_dir}", "Make room; 500 MB is the least.")


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    *(check_versions, check_settings, check_disk),
    *(check_database, check_machine),
)


def examine(settings: Settings) -> list[Finding]:
    """Every finding; the embedded database is started for the check when it does not run, and left as it was."""
    server = Server(settings.var_dir) if settings.embedded_database else None
    findings = []
    try:
        if server is not None:
            server.start()
    except PostgresError as error:
        findings.append(Finding("database", "wrong", str(error), "See above."))
    try:
        for check in CHECKS:
            findings += list(check(settings))
    finally:
        if server is not None:
            server.release()
    return findings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def doctor(as_json: bool) -> None:
    """Say what works, what is off, and the cure. Exit code 1 when something is wrong."""
    findings = examine(load())
    marks = {"ok": "ok   ", "off": "off  ", "wrong": "WRONG"}
    for finding in findings:
        click.echo(f"{marks[finding.state]}  {finding.part:<14} {finding.detail}")
        if finding.state != "ok" and finding.cure:
            click.echo(f"{'':<22}{finding.cure}")
    wrong = [f for f in findings if f.state == "wrong"]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "findings": [asdict(f) for f in findings]}))
    sys.exit(1 if wrong else 0)

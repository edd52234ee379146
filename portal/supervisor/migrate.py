"""`interline migrate`: bring the database to the newest schema, or back. The command line has done the first by now."""

from __future__ import annotations

import importlib

import click

from portal.settings import load


@click.command()
@click.option(
    "--to", "revision", help="Go to this revision instead, also back: before an older version is put back."
)
def migrate(revision: str | None) -> None:
    """Bring the database to the newest schema. The site may stay up: no lock is waited for longer than a second."""
    bootstrap = importlib.import_module("portal.bootstrap")
    settings = load()
    if revision is not None:
        known = bootstrap.revisions()
        if revision not in known:
            raise click.UsageError(f"There is no revision {revision}; this version knows {', '.join(known)}.")
        owner = bootstrap.psycopg_url(settings.url_for("owner"))
        bootstrap.migrate(owner, bootstrap.logins_of(settings), revision)
    click.echo(f"The schema is at {bootstrap.current(bootstrap.worker_url(settings))}.")

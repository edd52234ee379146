"""`interline migrate`: bring the database to the newest schema. The command line has done it by the time we run."""

from __future__ import annotations

import importlib

import click

from portal.settings import load


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    bootstrap = importlib.import_module("portal.bootstrap")
    click.echo(f"The schema is at {bootstrap.current(bootstrap.worker_url(load()))}.")

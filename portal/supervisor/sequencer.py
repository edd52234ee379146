"""`interline sequencer`: the one process that gives committed events their position; a child of `interline up`."""

from __future__ import annotations

import importlib

import click

from portal import logs
from portal.settings import load


@click.command()
def sequencer() -> None:
    """Stamp committed events with their position, until stopped. A second one waits for the first."""
    from portal.bootstrap import worker_url
    from portal.db import make_engine

    settings = load()
    logs.configure(settings.log_level, settings.log_format)
    importlib.import_module("portal.events.sequencer").run(make_engine(worker_url(settings), pool_size=1))

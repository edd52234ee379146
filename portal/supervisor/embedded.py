"""The database for one command: started when nobody else runs it, left alone when somebody does."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

from portal.settings import Settings
from portal.supervisor.command import SUPERVISED, at_head, remember_head
from portal.supervisor.postgres import Server


@contextmanager
def running(settings: Settings) -> Iterator[None]:
    """Hold the database for the length of the block, migrated to the newest schema.

    Children of `interline up` are spared both: their parent has done it. Raises PostgresError.
    """
    if os.environ.get(SUPERVISED):
        yield
        return
    server = Server(settings.var_dir) if settings.embedded_database else None
    try:
        if server is not None:
            server.start()
        if not at_head(settings):
            importlib.import_module("portal.bootstrap").bootstrap(settings)
            remember_head(settings)
        yield
    finally:
        if server is not None:
            server.release()

"""The WSGI application as a supervised web process runs it: portal.app, tied to the life of its server."""

from __future__ import annotations

import signal
from typing import Any

from portal.supervisor.process import die_with_parent


def application() -> Any:
    """Factory for granian. A worker whose server was killed -9 must not keep the port."""
    die_with_parent(signal.SIGKILL)
    from portal.app import main

    return main()

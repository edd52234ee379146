"""The WSGI application as a supervised web process runs it: portal.app, tied to the life of its server."""

from __future__ import annotations

import signal
import threading
from typing import Any

from portal.supervisor.process import die_with_parent

WARM_AFTER_S = 5.0


def application() -> Any:
    """Factory for granian. A worker whose server was killed -9 must not keep the port."""
    die_with_parent(signal.SIGKILL)
    from portal.app import main
    from portal.gateways import geocoder

    # The tables of places take a second to load; the first lead by API should not pay for them, nor the first page.
    warmer = threading.Timer(WARM_AFTER_S, geocoder().warm)
    warmer.daemon = True
    warmer.start()
    return main()

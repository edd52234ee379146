"""The WSGI application as a supervised web process runs it: portal.app, tied to the life of its server, behind a gate."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib import import_module
from typing import Any

from portal.supervisor.process import collect_seldom, die_with_parent
from portal.supervisor.senders import Crowded, Senders

WARM_AFTER_S = 5.0
IN_MEMORY = 1_048_576
TURNS = "interline.turns"
"""In the environ: the semaphore of which a request at work holds one; it may give it back while it waits."""
PIECES = (64, 4096)
"""Bytes asked for at a time, first and at most: the server hands out whole pieces only, and time is looked at between."""
BODY_S = 60.0
"""A body that takes longer altogether is refused: it would hold a thread for as long as its sender likes."""
LATE = b"The request took too long to arrive.\n"
CROWDED = b"Too many requests are still arriving. Please try again.\n"
AGAIN_S = "5"
PLAIN = [("Content-Type", "text/plain"), ("Connection", "close")]


class Gate:
    """Reads a body before the application is entered, and lets a few requests work at a time.

    The server gives every request a thread. Many of them may wait for slow senders (Senders says how many: more would
    leave none for anybody else); more than a few of them at work would only wait for each other (one interpreter, as
    many database connections as turns).
    """

    def __init__(
        self,
        application: Any,
        turns: int,
        most_for: Callable[[dict[str, Any]], int],
        senders: Senders | None = None,
    ) -> None:
        self.application, self.most_for = application, most_for
        self.senders = senders or Senders()
        self.turns = threading.BoundedSemaphore(turns)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Body, turn, answer."""
        if environ.get("CONTENT_LENGTH") or environ.get("HTTP_TRANSFER_ENCODING"):
            try:
                self._take_in(environ)
            except TimeoutError:
                start_response("408 Request Timeout", PLAIN)
                return [LATE]
            except Crowded:
                start_response("503 Service Unavailable", [*PLAIN, ("Retry-After", AGAIN_S)])
                return [CROWDED]
        environ[TURNS] = self.turns
        with self.turns:
            answer: Iterable[bytes] = self.application(environ, start_response)
            return answer

    def _take_in(self, environ: dict[str, Any]) -> None:
        """Read the body aside; one that says it is too large, or says nonsense, is left for the application to refuse."""
        told, most = environ.get("CONTENT_LENGTH") or "", self.most_for(environ)
        if told and not (told.isascii() and told.isdigit() and int(told[:20]) <= most):
            return
        wanted = int(told) if told else most + 1
        until, source = time.monotonic() + BODY_S, environ["wsgi.input"]
        size, largest = PIECES
        body = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - gone with the request
        with self.senders.one(environ):
            while wanted > 0:
                piece = source.read(min(size, wanted))
                if not piece:
                    break
                if time.monotonic() > until:
                    raise TimeoutError
                body.write(piece)
                wanted, size = wanted - len(piece), min(2 * size, largest)
        if told and wanted:
            raise TimeoutError  # the connection ended, perhaps by us, and nobody should act on half a body
        body.seek(0)
        environ["wsgi.input"] = body


@lru_cache(maxsize=1)
def built() -> Any:
    """The application, put together once: before web processes are forked, or in each that is spawned."""
    from portal.app import build

    return build()


def application() -> Any:
    """Factory for granian. A worker whose server was killed -9 must not keep the port."""
    die_with_parent(signal.SIGKILL)
    from portal.app import refuse_strong_login
    from portal.gateways import geocoder
    from portal.settings import load
    from portal.web.limits import most_for

    import_module("portal.events.celery")  # what a request commits wakes the workers
    router = built()
    refuse_strong_login(router.registry.app_engine)
    # The tables of places take a moment to load; the first lead by API should not pay for them, nor the first page.
    warmer = threading.Timer(WARM_AFTER_S, geocoder().warm)
    warmer.daemon = True
    warmer.start()
    senders = Senders()
    senders.watch()
    gate = Gate(router, load().web_threads, most_for, senders)
    collect_seldom()
    return gate

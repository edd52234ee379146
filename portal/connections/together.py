"""Requests of one client that arrive while another of it is being answered are answered in one transaction.

Opening a signed context, asking, writing and committing cost more than one lead more to write, so a system that sends
over several connections is served several times as fast as with a transaction for each (databases call it group commit).
One request leads: it goes the usual way, and when its view acts it takes those that wait along. They are answered when
its transaction has committed. Where that fails, each of them goes the usual way alone, so that nobody is harmed by what
another has sent, and every answer is what it would have been alone.

Only requests with the same credential to the same address meet, and the one that leads shows it to the database anew.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from portal.security.policy import credential_of
from portal.supervisor.web import TURNS

MOST = 32
"""Taken along at once: enough to share what a transaction costs, few enough to be answered soon."""
ALONE = "interline.alone"
"""In the environ, for all attempts: this request takes nobody along and goes with nobody."""
PATIENCE_S = 2.0
"""Who waits longer for one that is held up goes alone."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request that waits for the one that leads: it is given its response, or leads the next, or goes alone."""

    request: Request
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    response: Response | None = None


@dataclass(slots=True)
class Lead:
    """What the request that leads takes along."""

    queue: deque[Waiting]
    lock: threading.Lock
    taken: list[Waiting] = field(default_factory=list)
    committed: bool = False

    def take(self, request: Request) -> list[Waiting]:
        """Whoever waits goes with `request`, and shares the fate of its transaction."""
        with self.lock:
            while self.queue and len(self.taken) < MOST:
                self.taken.append(self.queue.popleft())
        if self.taken:
            request.tm.get().addAfterCommitHook(self._settle)
        return self.taken

    def _settle(self, committed: bool) -> None:
        self.committed = committed

    def wake(self) -> None:
        """Tell those taken along what became of them."""
        for one in self.taken:
            if not self.committed:
                one.response = None
            one.woken.set()


class Together:
    """The queues of this process: one for each credential and address of which a request leads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[tuple[str, bytes], deque[Waiting]] = {}

    def answer(self, request: Request, handler: Callable[[Request], Response]) -> Response:
        """The response to `request`: of `handler`, or by way of another request that takes it along."""
        key = (request.path_info, credential_of(request).hash)
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None:
                me = Waiting(request)
                queue.append(me)
            else:
                queue = self._queues[key] = deque()
                me = None
        if me is not None:
            with _turn_given_back(request):
                self._wait(me, queue)
            if not me.leads:
                return handler(request) if me.response is None else me.response
        lead = request.together = Lead(queue, self._lock)
        try:
            return handler(request)
        finally:
            lead.wake()
            self._pass_on(key, queue)

    def _wait(self, me: Waiting, queue: deque[Waiting]) -> None:
        if me.woken.wait(PATIENCE_S):
            return
        with self._lock:
            if me in queue:
                queue.remove(me)
                return
        me.woken.wait()  # taken along: what becomes of it is the other's to say

    def _pass_on(self, key: tuple[str, bytes], queue: deque[Waiting]) -> None:
        """The next of those that came too late leads the others."""
        with self._lock:
            if not queue:
                del self._queues[key]
                return
            following = queue.popleft()
        following.leads = True
        following.woken.set()


def taken_along(request: Request) -> list[Waiting]:
    """Those that wait for this request, if it leads. Who is given no response goes alone."""
    lead: Lead | None = getattr(request, "together", None)
    return [] if lead is None else lead.take(request)


@contextmanager
def _turn_given_back(request: Request) -> Iterator[None]:
    """Who waits works at nothing: its turn is another's meanwhile."""
    turns = request.environ.get(TURNS)
    if turns is None:
        yield
        return
    turns.release()
    try:
        yield
    finally:
        turns.acquire()


def together_tween(handler: Callable[[Request], Response], registry: Any) -> Callable[[Request], Response]:
    """Around the transaction: what is answered here has been committed."""
    addresses = {one.path for one in registry.api_endpoints if one.act_together is not None}
    together = Together()

    def tween(request: Request) -> Response:
        together_here = request.environ.get("PATH_INFO") in addresses and ALONE not in request.environ
        if request.method == "POST" and together_here:
            return together.answer(request, handler)
        return handler(request)

    return tween


def includeme(config: Configurator) -> None:
    """The tween."""
    config.add_tween(
        "portal.connections.together.together_tween",
        under="portal.web.headers.headers_tween",
        over="pyramid_tm.tm_tween_factory",
    )

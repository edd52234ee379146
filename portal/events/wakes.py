"""Sends wakes to the broker from a thread of its own, so that a broker that hangs holds up that thread and nothing else."""

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog

log = structlog.get_logger(__name__)

WAKE_GAP_S = 0.2


class Waker:
    """Sends wakes from a thread of its own; asking costs nothing and never fails."""

    def __init__(self, publish: Callable[[], Any], gap_s: float = WAKE_GAP_S) -> None:
        self.publish, self.gap_s = publish, gap_s
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """A wake soon; many asked for at once are one."""
        self._asked.set()
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(target=self._run, name="wakes", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while self._asked.wait():
            self._asked.clear()
            try:
                self.publish()
            except Exception as error:  # the broker's own errors are many; workers look for themselves anyway
                log.debug("no wake sent", error=type(error).__name__)
            time.sleep(self.gap_s)

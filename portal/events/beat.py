"""Celery beat's scheduler, with the schedule in PostgreSQL: it writes due work items and wakes the workers."""

import time
from typing import Any

import structlog
from celery.beat import Scheduler as CeleryScheduler

from portal.bootstrap import worker_url
from portal.db import make_engine
from portal.events import schedules
from portal.events.celery import send_wake, settings
from portal.events.heartbeats import heartbeat

log = structlog.get_logger(__name__)
TICK_S = 5.0


class Scheduler(CeleryScheduler):  # type: ignore[misc]
    """Fires portal.events.schedules; needs neither a state file nor the broker."""

    def setup_schedule(self) -> None:
        """Open the worker login's engine."""
        self.engine = make_engine(worker_url(settings), pool_size=1)
        self.data: dict[str, Any] = {}

    @property
    def schedule(self) -> dict[str, Any]:
        """Nothing of Celery's own."""
        return self.data

    def tick(self, *_: Any, **__: Any) -> float:
        """Write what is due; seconds until the next look."""
        try:
            if schedules.fire(self.engine):
                send_wake()
            heartbeat(self.engine, "beat")
        except Exception as error:  # the database may be away; beat must outlive it
            log.warning("beat waits", error=type(error).__name__)
            self.engine.dispose()
            time.sleep(1)
        return TICK_S

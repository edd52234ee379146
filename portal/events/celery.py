"""The Celery application: it wakes workers and keeps them running; what is to be done stands in work_items.

A worker also looks for itself every LOOK_S, so a lost broker costs at most that; its loops start before it has found
the broker. Wakes expire after 5 s, and each process has one thread that sends them, at most one per WAKE_GAP_S: a broker
that hangs holds up that thread and nothing else.
"""

import threading
import time
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_init, worker_shutting_down
from kombu.transport import TRANSPORT_ALIASES
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from portal import logs
from portal.bootstrap import worker_url
from portal.db import PortalSession, make_engine
from portal.events import work
from portal.events.heartbeats import HEARTBEAT_S, heartbeat
from portal.events.wakes import Waker
from portal.settings import load
from portal.supervisor.process import collect_seldom

log = structlog.get_logger(__name__)

LOOK_S = 0.5
WAKE_EXPIRES_S = 5
LIMIT = 50  # items between two looks at the clock of the heartbeat

settings = load()
logs.configure(settings.log_level, settings.log_format)
celery = Celery("interline", broker=settings.celery_broker_url)
if settings.broker_url is None:
    TRANSPORT_ALIASES["filesystem"] = "portal.events.files:Transport"
celery.conf.update(
    broker_transport_options=settings.broker_transport_options,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=2,
    broker_connection_max_retries=None,
    task_ignore_result=True,
    task_publish_retry=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
)

_bell = threading.Event()
_stop = threading.Event()


@celery.task(name="interline.wake")
def wake() -> None:
    """Ring the bell of this worker's loops."""
    _bell.set()


send_wake = Waker(lambda: wake.apply_async(expires=WAKE_EXPIRES_S, retry=False))


@event.listens_for(PortalSession, "after_commit")
def _wake_when_committed(session: Session) -> None:
    if session.info.pop("wake", False):
        send_wake()


@event.listens_for(PortalSession, "after_soft_rollback")
def _no_wake(session: Session, _previous: Any) -> None:
    session.info.pop("wake", None)


@worker_init.connect  # type: ignore[untyped-decorator]
def _start_loops(**_: Any) -> None:
    collect_seldom()
    engine = make_engine(worker_url(settings), pool_size=settings.worker_threads + 1)
    for number in range(settings.worker_threads):
        threading.Thread(target=_loop, args=(engine, number == 0), name=f"work-{number}", daemon=True).start()
    threading.Thread(target=_renew, args=(engine,), name="leases", daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_loops(**_: Any) -> None:
    _stop.set()
    _bell.set()


def _loop(engine: Engine, beats: bool) -> None:
    last_beat = 0.0
    while not _stop.is_set():
        try:
            if beats and time.monotonic() - last_beat > HEARTBEAT_S:
                heartbeat(engine, "worker")
                last_beat = time.monotonic()
            busy = work.run_due(engine, limit=LIMIT) >= LIMIT
        except Exception as error:  # the database may be away; the loop must outlive it
            log.warning("worker waits", error=type(error).__name__)
            engine.dispose()
            _stop.wait(1)
            busy = False
        if not busy:
            _bell.wait(LOOK_S)
            _bell.clear()


def _renew(engine: Engine) -> None:
    while not _stop.wait(work.RENEW_S):
        try:
            work.renew(engine)
        except Exception as error:  # the database may be away; who takes the work over has another lease
            log.warning("leases not renewed", error=type(error).__name__)

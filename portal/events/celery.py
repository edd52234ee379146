"""The Celery application: it wakes workers and keeps them running; what is to be done stands in work_items.

A worker also looks for itself every LOOK_S, so a lost broker costs at most that. Wakes expire after 5 s and a
process sends at most one per WAKE_GAP_S.
"""

import threading
import time
from typing import Any

import structlog
from celery import Celery
from celery.signals import worker_ready, worker_shutting_down
from kombu.transport import TRANSPORT_ALIASES
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from portal import logs
from portal.bootstrap import worker_url
from portal.db import PortalSession, make_engine, transaction
from portal.events import work
from portal.security.context import Acting
from portal.settings import load

log = structlog.get_logger(__name__)

LOOK_S = 0.5
WAKE_GAP_S = 0.2
WAKE_EXPIRES_S = 5
HEARTBEAT_S = 5.0

settings = load()
logs.configure(settings.log_level)
celery = Celery("interline", broker=settings.celery_broker_url)
if settings.broker_url is None:
    TRANSPORT_ALIASES["filesystem"] = "portal.events.files:Transport"
celery.conf.update(
    broker_transport_options=settings.broker_transport_options,
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=2,
    task_ignore_result=True,
    task_publish_retry=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    timezone="UTC",
)

_bell = threading.Event()
_stop = threading.Event()
_last_wake = 0.0


@celery.task(name="interline.wake")
def wake() -> None:
    """Ring the bell of this worker's loops."""
    _bell.set()


def send_wake() -> None:
    """Best effort, from any process: a broker that is down or slow must not touch the request that asks."""
    global _last_wake
    now = time.monotonic()
    if now - _last_wake < WAKE_GAP_S:
        return
    _last_wake = now
    threading.Thread(target=_publish, daemon=True).start()


def _publish() -> None:
    try:
        wake.apply_async(expires=WAKE_EXPIRES_S, retry=False)
    except Exception as error:  # the broker's own errors are many; workers look for themselves anyway
        log.debug("no wake sent", error=type(error).__name__)


@event.listens_for(PortalSession, "after_commit")
def _wake_when_committed(session: Session) -> None:
    if session.info.pop("wake", False):
        send_wake()


@event.listens_for(PortalSession, "after_soft_rollback")
def _no_wake(session: Session, _previous: Any) -> None:
    session.info.pop("wake", None)


@worker_ready.connect  # type: ignore[untyped-decorator]
def _start_loops(**_: Any) -> None:
    engine = make_engine(worker_url(settings), pool_size=settings.worker_threads + 1)
    for number in range(settings.worker_threads):
        threading.Thread(target=_loop, args=(engine, number == 0), name=f"work-{number}", daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop_loops(**_: Any) -> None:
    _stop.set()
    _bell.set()


def _loop(engine: Engine, beats: bool) -> None:
    last_beat = 0.0
    while not _stop.is_set():
        try:
            work.run_due(engine, limit=200)
            if beats and time.monotonic() - last_beat > HEARTBEAT_S:
                heartbeat(engine, "worker")
                last_beat = time.monotonic()
        except Exception as error:  # the database may be away; the loop must outlive it
            log.warning("worker waits", error=type(error).__name__)
            engine.dispose()
            _stop.wait(1)
        _bell.wait(LOOK_S)
        _bell.clear()


def heartbeat(engine: Engine, name: str) -> None:
    """Say in real time that `name` is alive."""
    with transaction(engine, Acting()) as session:
        session.execute(
            text("""
                insert into heartbeats (name, at) values (:name, now())
                on conflict (name) do update set at = excluded.at
            """),
            {"name": name},
        )

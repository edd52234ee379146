"""What the children of `interline up` need, loaded once in the process that they are forked from."""

from __future__ import annotations

import importlib

from portal.supervisor.process import collect_seldom

# Besides the application: what only some children use, or any of them at its first request or item of work. Not
# portal.events.celery, which makes of a process one that wakes workers: web processes, worker and beat load it.
MODULES = (
    *("celery.app.amqp", "celery.app.control", "celery.app.log", "celery.apps.beat", "celery.apps.worker"),
    *("celery.bin.celery", "celery.concurrency.thread", "celery.fixups.django", "celery.worker.autoscale"),
    *("celery.worker.components", "celery.worker.consumer.delayed_delivery", "celery.worker.strategy"),
    *("granian.cli", "granian.server.mp", "granian.wsgi"),
    *("portal.events.files", "portal.events.schedules", "portal.events.sequencer", "portal.events.wakes"),
    *("portal.supervisor.embedded", "portal.supervisor.sequencer", "portal.tasks"),
)


def preload() -> bool:
    """Load it, without a thread, a connection or an open file; whether that went well. If not, a copy of what was loaded
    by halves is no use: children are spawned, and the one it concerns says what is wrong."""
    from portal.gateways import geocoder
    from portal.supervisor.web import built

    try:
        built()
        geocoder().warm()
        for module in MODULES:
            importlib.import_module(module)
    except Exception:
        return False
    collect_seldom()  # frozen, it is not walked, and so not written to, by any collector of a child
    return True

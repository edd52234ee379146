"""What Prometheus is told: counted in each process, added up over the processes of this machine at /metrics.

`up` gives every process a common folder (PROMETHEUS_MULTIPROC_DIR); without it a process tells its own figures only.
Labels are names of the program (route, kind, outcome), never of companies or people.
"""

import os
from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.engine import Engine

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

REQUESTS = Histogram(
    "interline_request_seconds", "Requests served", ("route", "method", "status"), buckets=SECONDS
)
WORK = Histogram(
    "interline_work_seconds", "Work items run, by what came of it", ("kind", "outcome"), buckets=SECONDS
)
DECISIONS = Counter("interline_decisions", "Routing decisions made", ("outcome",))
MAILS = Counter("interline_mails", "Mails handed to the mail server", ("outcome",))

VITAL_SIGNS = text("select * from app.vital_signs()")


class VitalSigns(Collector):
    """What the database knows of all machines: open work, events that wait for the sequencer, heartbeats."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def collect(self) -> Iterator[Metric]:
        """Read now; an error of the database is one too few figures, `interline_database_up` says so."""
        up = GaugeMetricFamily("interline_database_up", "Whether the database answers")
        try:
            with self.engine.connect() as connection:
                row = connection.execute(VITAL_SIGNS).one()
        except Exception:
            up.add_metric((), 0)
            yield up
            return
        up.add_metric((), 1)
        yield up
        work = GaugeMetricFamily("interline_work_items", "Open work items", labels=("queue", "state"))
        overdue = GaugeMetricFamily(
            "interline_work_overdue_seconds", "How long the oldest ready item is due", labels=("queue",)
        )
        for queue, state, items, late in row.work or ():
            work.add_metric((queue, state), items)
            if state == "ready":
                overdue.add_metric((queue,), max(0.0, late or 0.0))
        yield from (work, overdue)
        yield GaugeMetricFamily(
            "interline_events_unsequenced", "Committed events without a position in the feed", row.unsequenced
        )
        seen = GaugeMetricFamily(
            "interline_heartbeat_age_seconds", "Since a process was last seen", labels=("process",)
        )
        for name, age in row.heartbeats or ():
            seen.add_metric((name,), age)
        yield seen


class Pool(Collector):
    """Database connections of the process that answers."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def collect(self) -> Iterator[Metric]:
        """In use and idle, of this process."""
        pool = GaugeMetricFamily(
            "interline_database_connections", "Connections of the answering process", labels=("state",)
        )
        pool.add_metric(("used",), self.engine.pool.checkedout())  # type: ignore[attr-defined]
        pool.add_metric(("idle",), self.engine.pool.checkedin())  # type: ignore[attr-defined]
        yield pool


def exposition(engine: Engine) -> bytes:
    """Everything in Prometheus' text format."""
    registry = CollectorRegistry()
    if os.environ.get(FOLDER):
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(VitalSigns(engine))
    registry.register(Pool(engine))
    own = b"" if os.environ.get(FOLDER) else generate_latest(REGISTRY)
    return own + generate_latest(registry)

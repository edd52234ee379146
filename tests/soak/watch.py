"""Watches an installation from outside while it is hurt: who beats, how far feed and work lag, and a feed reader."""

import os
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

import psycopg

from tests.soak.ledger import Ledger
from tests.soak.place import Place

LOOK_S = 0.1
MEASURE_EVERY_S = 4.0
BEATING = {"worker": "worker", "beat": "beat", "sequencer": "sequencer"}
LAGS = """
    select coalesce(extract(epoch from now() - (select min(at) from events where pos is null)), 0),
           coalesce(extract(epoch from now() - (select min(run_at) from work_items
                    where state <> 'parked' and run_at < now())), 0)
"""


@dataclass
class Blow:
    """One thing done to the installation: what, and when."""

    what: str
    at: float


@dataclass
class Watch:
    """Looks every LOOK_S; `faults` are what the feed reader met."""

    place: Place
    beats: dict[str, list[float]] = field(default_factory=dict)
    feed_lag: float = 0.0
    work_lag: float = 0.0
    cursor: int = 0
    read: int = 0
    faults: list[str] = field(default_factory=list)
    blows: list[Blow] = field(default_factory=list)
    stretches: list[float] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.measure = threading.Thread(target=self._measure, daemon=True)
        self.measure.start()
        return self

    @property
    def stretch(self) -> float:
        """How much longer than alone work takes on this machine just now (1 on a quiet one): the median."""
        return max(1.0, statistics.median(self.stretches)) if self.stretches else 1.0

    def _measure(self) -> None:
        """Now and then a process that only counts: its time on the clock over its time on a processor."""
        while not self.stopping.wait(MEASURE_EVERY_S):
            began = time.perf_counter()
            counter = subprocess.Popen([sys.executable, "-S", "-c", "for _ in range(6_000_000): pass"])
            _, _, used = os.wait4(counter.pid, 0)
            counter.returncode = 0
            self.stretches.append((time.perf_counter() - began) / max(used.ru_utime + used.ru_stime, 0.01))

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(10)

    def blow(self, what: str) -> None:
        """Note that something was done now."""
        self.blows.append(Blow(what, time.time()))

    def _run(self) -> None:
        connection: psycopg.Connection[tuple[object, ...]] | None = None
        while not self.stopping.wait(LOOK_S):
            try:
                if connection is None or connection.closed:
                    connection = self.place.database()
                self.look(connection)
            except psycopg.Error:
                if connection is not None:
                    connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def look(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Once: beats, lags, and what is new in the feed, which must follow without a hole."""
        rows = connection.execute("select name, extract(epoch from at)::float8 from heartbeats").fetchall()
        for name, at in rows:
            seen = self.beats.setdefault(str(name), [])
            if not seen or seen[-1] != at:
                seen.append(float(str(at)))
        lags = connection.execute(LAGS).fetchone()
        assert lags is not None
        self.feed_lag, self.work_lag = (
            max(self.feed_lag, float(str(lags[0]))),
            max(self.work_lag, float(str(lags[1]))),
        )
        new = connection.execute(
            "select pos from events where pos > %s order by pos limit 5000", (self.cursor,)
        ).fetchall()
        for (pos,) in new:
            if pos != self.cursor + 1:
                self.faults.append(f"a feed reader at {self.cursor} was given {pos}")
            self.cursor, self.read = int(str(pos)), self.read + 1

    def back(self, blow: Blow, ledger: Ledger) -> float | None:
        """Seconds until what was struck served again: requests, or the heartbeat of a process; None for never."""
        waits: list[float | None] = []
        if blow.what in BEATING or blow.what == "supervisor":
            names = [BEATING[blow.what]] if blow.what in BEATING else list(BEATING.values())
            for name in names:
                after = [at for at in self.beats.get(name, []) if at > blow.at + 0.05]
                waits.append(min(after) - blow.at if after else None)
        if blow.what not in BEATING:
            waits.append(ledger.back_after(blow.at))
        return None if None in waits else max(w for w in waits if w is not None)

    def worst(self, ledger: Ledger) -> dict[str, tuple[int, float | None]]:
        """For each kind of blow: how many, and the longest way back, None for never; of a blow struck again meanwhile
        what is known: it was away until then at least."""
        found: dict[str, tuple[int, float | None]] = {}
        for number, blow in enumerate(self.blows):
            wait = self.back(blow, ledger)
            later = [b.at - blow.at for b in self.blows[number + 1 :] if b.what in (blow.what, "supervisor")]
            count, worst = found.get(blow.what, (0, 0.0))
            if later and (wait is None or later[0] < wait):
                wait = later[0]
            found[blow.what] = (count + 1, None if None in (wait, worst) else max(worst or 0.0, wait or 0.0))
        return found

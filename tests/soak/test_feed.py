"""The sequencer: eight writers, one of them left open for a minute, a second sequencer by mistake, both killed at times."""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from typing import Any

import psycopg

from tests.soak.conftest import Story
from tests.soak.place import ROOT, Place, place
from tests.soak.watch import Watch

SECONDS = float(os.environ.get("SOAK_SECONDS") or 130)
WRITERS, OPEN_S, KILL_EVERY_S = 8, 60.0, (3.0, 8.0)
LAG_S = 2.0  # while no sequencer was killed; on a busy machine as much longer as everything takes there
WRITE = """
    insert into events (realm_id, at, kind, subject_type, subject_id, type, data, audience)
    values (1, now(), 'system', 'soak', %s, 'soak.noted', '{}', '{}') returning id
"""


class Writers:
    """Threads that write events in transactions of all lengths, some rolled back; `written` are the committed ids."""

    def __init__(self, town: Place, seed: int) -> None:
        self.town, self.seed = town, seed
        self.written: list[int] = []
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(WRITERS)]
        self.threads.append(threading.Thread(target=self._leave_open, daemon=True))

    def __enter__(self) -> "Writers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join(OPEN_S + 10)

    def _run(self, number: int) -> None:
        chance = random.Random(f"{self.seed} {number}")
        connection = self.town.database()
        while not self.stopping.is_set():
            self._write(
                connection, number, chance.randint(1, 5), chance.random() * 0.05, chance.random() < 0.1
            )
            time.sleep(chance.random() * 0.05)
        connection.close()

    def _write(self, connection: Any, subject: int, count: int, held_s: float, undo: bool) -> None:
        made = []
        with contextlib.suppress(psycopg.Rollback), connection.transaction():
            for _ in range(count):
                made.append(connection.execute(WRITE, (subject,)).fetchone()[0])
                time.sleep(held_s / count)
            if undo:
                made.clear()
                raise psycopg.Rollback
        with self.lock:
            self.written += made

    def _leave_open(self) -> None:
        """Write, stay open for a minute, write once more, commit."""
        with self.town.database() as connection:
            self._write(connection, 1000, 2, min(OPEN_S, SECONDS / 2) * 2, False)


class Second:
    """A sequencer beside the one of `interline up`, as somebody starts it by mistake; started again when killed."""

    def __init__(self, town: Place) -> None:
        self.town, self.starts = town, 0
        self.process: subprocess.Popen[bytes] | None = None
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._keep, daemon=True)

    def __enter__(self) -> "Second":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.kill()
        self.thread.join(20)

    def _keep(self) -> None:
        command = [sys.executable, "-m", "portal.cli", "sequencer"]
        log = self.town.log
        while not self.stopping.is_set():
            self.starts += 1
            self.process = subprocess.Popen(command, env=self.town.env, cwd=ROOT, stdout=log, stderr=log)
            if self.stopping.is_set():
                self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()


def test_the_sequencer_skips_and_repeats_nothing(story: Story, seed: int) -> None:
    """Positions 1, 2, 3, ... for exactly the committed events, in the order of their ids for each writer."""
    chance = random.Random(seed)
    with place() as town:
        story.say(f"up in {town.up():.1f} s")
        with Watch(town) as watch, Second(town) as second, Writers(town, seed) as writers:
            end = time.monotonic() + SECONDS
            kills, calm_until = 0, time.monotonic() + SECONDS / 3
            while time.monotonic() < calm_until:
                time.sleep(0.1)
            calm_lag = watch.feed_lag
            story.say(
                f"{len(writers.written)} events, worst lag {calm_lag:.1f} s; now the sequencers are killed"
            )
            while time.monotonic() < end:
                time.sleep(chance.uniform(*KILL_EVERY_S))
                watch.blow("sequencer")
                kills += town.kill("sequencer", chance) is not None
                if chance.random() < 0.5:
                    second.kill()
        with Watch(town, cursor=watch.cursor) as late:
            wait_for_rest(town)
            time.sleep(1)
        faults = watch.faults + late.faults + compare(town, writers.written)
        limit = LAG_S * watch.stretch
        story.row(
            events=len(writers.written),
            writers=f"{WRITERS}, and one open for {min(OPEN_S, SECONDS / 2):.0f} s",
            sequencers_killed=kills,
            second_sequencer_started=f"{second.starts} times",
            worst_feed_lag_while_none_was_killed=f"{calm_lag:.2f} s (limit {limit:.1f} s)",
            read_by_a_follower=watch.read + late.read,
            faults=len(faults),
        )
        if calm_lag > limit:
            faults.append(f"the feed lagged {calm_lag:.1f} s")
        assert watch.read + late.read >= len(writers.written) > 0
        assert not faults, "\n".join(faults)


def wait_for_rest(town: Place) -> None:
    """Until every event has its position, at most a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with town.database() as connection:
            row = connection.execute("select count(*) from events where pos is null").fetchone()
        if row == (0,):
            return
        time.sleep(0.2)


def compare(town: Place, written: list[int]) -> list[str]:
    """What is stamped against what was committed."""
    with town.database() as connection:
        rows = connection.execute(
            "select id, pos, subject_type, subject_id from events order by pos nulls first"
        ).fetchall()
    faults = []
    positions = [row[1] for row in rows]
    if positions != list(range(1, len(rows) + 1)):
        faults.append(f"positions are not 1 to {len(rows)}")
    stamped = [row[0] for row in rows if row[2] == "soak"]
    if sorted(stamped) != sorted(written):
        faults.append(f"{len(set(written) - set(stamped))} committed events are not in the feed, "
                      f"{len(set(stamped) - set(written))} were never committed")  # fmt: skip
    last: dict[int, int] = {}
    for id_, _, kind, subject in rows:
        if kind == "soak" and id_ < last.get(subject, 0):
            faults.append(f"events of writer {subject} stand out of order at {id_}")
            break
        last[subject] = id_
    return faults

"""Redis stopped, emptied and gone for a minute: nobody is told, nothing is lost, only wakes are missing."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients
from tests.soak.place import free_port, place
from tests.soak.report import report
from tests.soak.watch import Watch

GONE_S = float(os.environ.get("SOAK_SECONDS") or 60)
REDIS = shutil.which("redis-server")


class Broker:
    """A Redis of our own."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it empty: nothing is ever saved."""
        assert REDIS is not None
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(
            [REDIS, *words, "--dir", str(self.folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def say(self, word: str) -> None:
        """Send one command, not waiting for long."""
        import redis

        redis.Redis(port=self.port, socket_timeout=5).execute_command(word)

    def stop(self) -> None:
        """kill -9."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def broker() -> Iterator[Broker]:
    """Started, and gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="il-soak-redis-"))
    made = Broker(folder)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.skipif(REDIS is None, reason="redis-server is not installed here (apt-get install redis-server)")
def test_redis_stopped_emptied_and_gone(story: Story, seed: int) -> None:
    """FLUSHALL under load, a minute without it, the worker killed meanwhile, then back empty; then it hangs."""
    chance = random.Random(seed)
    with broker() as redis, place(BROKER_URL=f"redis://127.0.0.1:{redis.port}/0") as town:
        story.say(f"up in {town.up():.1f} s")
        with Clients(town, seed) as clients, Watch(town) as watch:
            time.sleep(5)
            watch.blow("redis emptied")
            redis.say("FLUSHALL")
            time.sleep(5)
            watch.blow("redis gone")
            redis.stop()
            story.say(f"gone for {GONE_S:.0f} s")
            time.sleep(GONE_S / 3)
            watch.blow("worker")
            town.kill("worker", chance)
            time.sleep(GONE_S / 3)
            watch.blow("web")
            town.kill("web", chance)
            time.sleep(GONE_S / 3)
            watch.blow("redis back, empty")
            redis.start()
            time.sleep(8)
            assert redis.process is not None
            watch.blow("redis hangs")
            redis.process.send_signal(signal.SIGSTOP)
            story.say("hangs for 10 s")
            time.sleep(10)
            redis.process.send_signal(signal.SIGCONT)
            time.sleep(5)
            clients.stop()
            rested = audit.rest(town)
        unanswered = [what for what in clients.ledger.statuses if what in ("500", "503")]
        report(story, town, clients.ledger, watch, rested)
        assert not unanswered, "a request noticed that the broker was away"

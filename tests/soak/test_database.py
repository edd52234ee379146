"""The database server restarted ten times in the middle of everything (immediate: no farewell, crash recovery)."""

import os
import random
import signal
import time

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients
from tests.soak.place import place
from tests.soak.report import report
from tests.soak.watch import Watch

TIMES = 10
GAP_S = (4.0, 8.0)
PATIENCE_S = 60.0


def test_database_restarted_ten_times(story: Story, seed: int) -> None:
    """Seven times as `pg_ctl stop -m immediate` asks (SIGQUIT), three times by kill -9 of the postmaster."""
    chance = random.Random(seed)
    hard = set(chance.sample(range(TIMES), 3))
    with place() as town:
        story.say(f"up in {town.up():.1f} s")
        with Clients(town, seed) as clients, Watch(town) as watch:
            for number in range(TIMES):
                time.sleep(chance.uniform(*GAP_S))
                server = town.postmaster()
                assert server is not None
                watch.blow("database killed" if number in hard else "database stopped")
                os.kill(server, signal.SIGKILL if number in hard else signal.SIGQUIT)
                story.say(f"restart {number + 1} of {TIMES}")
                until = (
                    time.monotonic() + PATIENCE_S
                )  # the next one strikes what is back, so that each way back is seen
                while watch.back(watch.blows[-1], clients.ledger) is None and time.monotonic() < until:
                    time.sleep(0.1)
            time.sleep(12)
            clients.stop()
            rested = audit.rest(town)
        report(story, town, clients.ledger, watch, rested)

"""kill -9 at random for two minutes under load: web, worker, beat, sequencer, supervisor and the database's keeper."""

import os
import random
import time

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients
from tests.soak.place import Place, place
from tests.soak.report import report
from tests.soak.watch import Watch

SECONDS = float(os.environ.get("SOAK_SECONDS") or 120)
ROLES = (
    "web",
    "web process",
    "web process",
    "worker",
    "worker",
    "beat",
    "sequencer",
    "sequencer",
    "supervisor",
    "keeper",
)
GAP_S = (0.5, 3.5)
SLOWEST = 2.0


def test_kill_9_of_everything_at_random(story: Story, seed: int) -> None:
    """Two minutes; the supervisor itself is started again at once, as a service manager does."""
    chance = random.Random(seed)
    with place() as town:
        story.say(f"up in {town.up():.1f} s")
        with Clients(town, seed) as clients, Watch(town) as watch:
            starts = hurt(town, chance, watch, story)
            clients.stop()
            rested = audit.rest(town)
        report(story, town, clients.ledger, watch, rested, starts_again=starts)
        town.down()
        assert not town.left_over()


def hurt(town: Place, chance: random.Random, watch: Watch, story: Story) -> int:
    """Kill one process after another; how often the supervisor had to be started again."""
    end = time.monotonic() + SECONDS
    starts = 0
    while time.monotonic() < end:
        # Where everything takes longer, so do starts: a process that is never let up shows nothing.
        pause = time.monotonic() + chance.uniform(*GAP_S) * min(watch.stretch, SLOWEST)
        while time.monotonic() < pause:
            starts += revive(town)
            time.sleep(0.05)
        role = chance.choice(ROLES)
        if town.kill(role, chance) is not None:
            watch.blow(role)
        if len(watch.blows) % 10 == 0:
            story.say(f"{len(watch.blows)} kills, {end - time.monotonic():.0f} s to go")
    settle = time.monotonic() + 10 * min(watch.stretch, SLOWEST)
    while time.monotonic() < settle:
        starts += revive(town)
        time.sleep(0.05)
    return starts


def revive(town: Place) -> int:
    """Start `interline up` again when it has ended."""
    if town.boss is not None and town.boss.poll() is not None:
        town.launch()
        return 1
    return 0

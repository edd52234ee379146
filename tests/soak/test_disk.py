"""The disk of the data folder full, then freed: writes are refused with an answer, reads go on, it heals by itself."""

import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients
from tests.soak.place import Place, place
from tests.soak.report import report
from tests.soak.watch import Watch

SIZE_MB = 260
FULL_S = 25.0
TIMES = 2


@contextmanager
def small_disk() -> Iterator[Path]:
    """A tmpfs; the test is skipped, saying so, where it cannot be mounted."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root mounts a tmpfs on Linux")
    folder = Path(tempfile.mkdtemp(prefix="il-soak-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=755", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        folder.rmdir()
        pytest.skip(f"no tmpfs here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)
        folder.rmdir()


def fill(ballast: Path) -> int:
    """Take every byte that is left; how many MB."""
    taken = 0
    with open(ballast, "ab", buffering=0) as file:
        for block in (1 << 20, 4096):
            try:
                while True:
                    taken += file.write(b"\0" * block)
            except OSError:
                continue
    return taken >> 20


def test_disk_full_and_freed(story: Story, seed: int) -> None:
    """Twice: every byte taken for FULL_S under load (also what is freed meanwhile), then given back.

    The second time there is no room for the write-ahead log either, so that the server itself ends and cannot start.
    """
    chance = random.Random(seed)
    with small_disk() as disk, place(disk / "var") as town:
        ballast = disk / "ballast"
        story.say(f"up in {town.up():.1f} s")
        with Clients(town, seed) as clients, Watch(town) as watch:
            seen: Counter[str] = Counter()
            for number in range(TIMES):
                time.sleep(chance.uniform(5, 8))
                story.say(f"full ({fill(ballast)} MB taken), {number + 1} of {TIMES}")
                seen += stay_full(town, ballast, story, log_too=number == TIMES - 1)
                watch.blow("disk freed")
                ballast.unlink()
                time.sleep(12)
            clients.stop()
            rested = audit.rest(town)
        report(story, town, clients.ledger, watch, rested, while_full=dict(seen))
        assert seen["database away"], "the server was to run out of room for its log"
        assert not seen["no answer"], "the web server was to answer, if only that it has no room"


def stay_full(town: Place, ballast: Path, story: Story, *, log_too: bool) -> Counter[str]:
    """Keep it full; what became of the pages and of the database meanwhile."""
    end = time.monotonic() + FULL_S
    seen: Counter[str] = Counter()
    while time.monotonic() < end:
        seen[str(town.status("/sign-in") or "no answer")] += 1
        fill(ballast)
        if log_too:
            seen["database away"] += not use_log(town)
        time.sleep(0.25)
    story.say(f"while full: {dict(seen)}")
    return seen


def use_log(town: Place) -> bool:
    """Go on to the next file of the write-ahead log, which soon has to be made anew; whether there was a server."""
    try:
        with town.database() as connection, contextlib.suppress(psycopg.Error):
            connection.execute("select pg_logical_emit_message(true, 'soak', repeat('x', 100000))")
            connection.execute("select pg_switch_wal()")
    except psycopg.OperationalError:
        return False
    return True

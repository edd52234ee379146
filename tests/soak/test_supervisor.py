"""`interline up` against the odds: kill -9 of itself, another major version, read-only and very long paths, a busy port."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.soak import audit
from tests.soak.conftest import Story
from tests.soak.ledger import Clients
from tests.soak.place import INTERLINE, ROOT, START_TIMEOUT_S, Place, place
from tests.soak.report import report
from tests.soak.watch import Watch

TIMES = 6
GONE_S = 20.0


def refusal(town: Place, **env: str) -> str:
    """What `interline up` says when it refuses; it must end by itself, with one message and no traceback."""
    done = subprocess.run(
        [INTERLINE, "up"],
        env=town.env | env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "Traceback" not in said, said
    return said


def test_kill_9_of_the_supervisor_and_start_at_once(story: Story, seed: int) -> None:
    """As a service manager does it, under load: the database is re-attached or stopped, the port is waited for."""
    with place() as town:
        story.say(f"up in {town.up():.1f} s")
        with Clients(town, seed) as clients, Watch(town) as watch:
            for number in range(TIMES):
                time.sleep(4)
                assert town.boss is not None
                watch.blow("supervisor")
                town.boss.kill()
                town.boss.wait()
                if number % 2:
                    time.sleep(1)  # the database is just being stopped
                town.launch()
                wait_until_back(town)
                story.say(f"kill {number + 1} of {TIMES}")
            clients.stop()
            rested = audit.rest(town)
        report(story, town, clients.ledger, watch, rested)


def wait_until_back(town: Place) -> None:
    """Until it answers and its worker beats again; it must not have ended."""
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        assert town.boss is not None and town.boss.poll() is None, town.tail()
        if town.answers("/sign-in") and town.worker_beats():
            return
        time.sleep(0.1)
    raise AssertionError(f"not back:\n{town.tail()}")


def test_kill_9_of_the_supervisor_leaves_nothing_behind(story: Story) -> None:
    """Nobody starts it again: children, database and port are gone soon, and the database was stopped in good order."""
    with place() as town:
        town.up()
        assert town.boss is not None
        town.boss.kill()
        town.boss.wait()
        began = time.monotonic()
        while town.left_over() and time.monotonic() - began < GONE_S * 3:
            time.sleep(0.1)
        story.row(all_gone_after=f"{time.monotonic() - began:.1f} s")
        assert not town.left_over()
        with town.held():
            assert "was not properly shut down" not in (town.var / "log" / "postgresql.log").read_text()


def test_refusals_name_their_cure(story: Story) -> None:
    """A data folder of another major version, a busy port, a port that a running Interline has."""
    with place() as town:
        version = town.data() / "PG_VERSION"
        right = version.read_text()
        version.write_text("12\n")
        said = refusal(town)
        assert "was made by PostgreSQL 12" in said and "Install it" in said
        version.write_text(right)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", town.port))
            taken.listen()
            said = refusal(town)
            assert f"PORT = {town.port}" in said and "choose another" in said
        town.up()
        began = time.monotonic()
        said = refusal(town)
        assert f"PORT = {town.port}" in said
        story.row(a_second_up_on_the_same_port=f"refused after {time.monotonic() - began:.1f} s")
        assert town.answers("/sign-in"), "and the first goes on"


def test_a_very_long_path(story: Story, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The socket's path would not fit: it lies elsewhere, and everything works."""
    base = Path("/tmp") if os.geteuid() == 0 else tmp_path_factory.mktemp("long")
    top = base / f"il-soak-{os.getpid()}-{'x' * 60}"
    var = top / ("y" * 80) / ("z" * 80) / "var"
    var.parent.mkdir(parents=True)
    try:
        with place(var) as town:
            story.row(path=f"{len(str(var))} characters", up=f"{town.up():.1f} s")
            assert town.answers("/sign-in")
    finally:
        subprocess.run(["rm", "-rf", str(top)], check=False)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0, reason="only root remounts a folder on Linux"
)
@pytest.mark.parametrize("when", ["new", "used"])
def test_a_read_only_path(story: Story, tmp_path: Path, when: str) -> None:
    """Refused with the folder's name and the reason, whether it is new or was used before."""
    disk = tmp_path / "disk"
    disk.mkdir()
    tmp_path.chmod(0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=300m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no tmpfs here")
    try:
        with place(disk / "var") as town:
            if when == "new":
                town.env["VAR_DIR"] = str(disk / "other")
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            said = refusal(town)
            story.row(said=said.strip().splitlines()[-1])
            assert "Read-only" in said and town.env["VAR_DIR"] in said
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)

"""Memory of all our processes, as shared fairly among them (PSS): idle and after load, with and without the database."""

import os
from pathlib import Path

from tests.bench.harness import Result, Site, load, result, yardsticks
from tests.bench.lists import ADDRESSES, asking
from tests.bench.seed import LIGHT, seeded

# Odoo with its workers on the same machine, without the database.
TARGET_MB = 425.0
LOAD_S = 10.0


def run() -> list[Result]:
    """Idle after the start, then after ten seconds of lists."""
    seeds = seeded()
    seeds.made.stop()
    seeds.made.start()
    ask = asking(seeds, [f"light{n}" for n in LIGHT], ADDRESSES)
    load(seeds.made.port, ask, 1, 6.0)  # until everything has started
    out = figures_of(seeds.made, "idle")
    load(seeds.made.port, ask, 8, LOAD_S)
    return out + figures_of(seeds.made, "after load") + yardsticks(seeds.made)


def figures_of(made: Site, when: str) -> list[Result]:
    """Megabytes of our processes and of the database's."""
    ours = database = 0.0
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and belongs(process, made.env["VAR_DIR"]):
            if (process / "comm").read_text().strip() == "postgres":
                database += pss_mb(process)
            else:
                ours += pss_mb(process)
    return [
        result(when, "PSS of all but the database", ours, "MB", TARGET_MB),
        result(when, "PSS with the database", ours + database, "MB"),
    ]


def belongs(process: Path, folder: str) -> bool:
    """Whether a process works in this installation; the benchmark itself does not."""
    if int(process.name) == os.getpid():
        return False
    try:
        said = (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
        return folder.encode() in said or folder in os.readlink(process / "cwd")
    except OSError:
        return False


def pss_mb(process: Path) -> float:
    """Proportional set size; 0 for one that has gone."""
    try:
        lines = (process / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000

"""What the processes of an installation have used: read from /proc, so that a busy machine is told from a slow program."""

import os
from collections import Counter, defaultdict
from pathlib import Path

from portal.supervisor.postgres import socket_dir
from tests.bench.harness import Site

ROLES = {"web", "worker", "beat", "sequencer"}  # as the supervisor names its children
TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(made: Site) -> Counter[str]:
    """Seconds of CPU so far, by part: web, worker, beat, sequencer, supervisor, keeper, database (of ended connections
    nothing is known)."""
    assert made.process is not None
    parents: dict[int, list[int]] = defaultdict(list)
    seen: dict[int, tuple[float, str, str]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "comm").read_text().strip()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        parents[int(stat[1])].append(int(folder.name))
        seen[int(folder.name)] = ((int(stat[11]) + int(stat[12])) / TICKS, name, words)
    sockets = f"unix_socket_directories={socket_dir(Path(made.env['VAR_DIR']))}"
    servers = [pid for pid, (_, _, words) in seen.items() if sockets in words and "keeper" not in words]
    used: Counter[str] = Counter()
    database = _family(parents, servers)
    for pid in database:
        used["database"] += seen[pid][0]  # type: ignore[assignment]
    # The keeper that the supervisor has started is the server's parent.
    for pid in _family(parents, [made.process.pid]) - database:
        spent, name, words = seen[pid]
        part = name if name in ROLES else "keeper" if "keeper.py" in words else "supervisor"
        used[part] += spent  # type: ignore[assignment]
    return used


def _family(parents: dict[int, list[int]], roots: list[int]) -> set[int]:
    found, ahead = set(), list(roots)
    while ahead:
        pid = ahead.pop()
        found.add(pid)
        ahead += parents.get(pid, [])
    return found

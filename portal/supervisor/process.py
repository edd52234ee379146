"""Small facts about processes that Python's library leaves out."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15  # linux/prctl.h


NEW_OBJECTS = (20_000, 20, 50)  # gc.set_threshold; Python's 700 means dozens of walks in one request


def collect_seldom() -> None:
    """Have the collector of cycles look at new objects alone, and less often: what a process has loaded so far stays as
    long as it lives, and need not be walked again and again (some 8 % of the time of a lead taken in)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*NEW_OBJECTS)


def die_with_parent(sig: int = signal.SIGTERM) -> None:
    """Ask the kernel to send us `sig` when our parent dies, even by kill -9. Linux only; elsewhere a no-op.

    Set it after any change of user: the kernel clears it then.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, int(sig), 0, 0, 0)


def set_name(name: str) -> None:
    """What lists of processes call us (`ps -o comm`, `top`), up to 15 bytes. Linux only; elsewhere a no-op."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and only waits to be buried by its parent does not."""
    try:
        os.kill(pid, 0)
        if sys.platform == "linux":
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def preexec(sig: int, parent: int, uid: int | None = None, gid: int | None = None) -> Callable[[], None]:
    """What a child does between fork and exec: drop to another OS user, then tie its life to ours.

    A parent that died between fork and prctl would never be noticed, hence the comparison at the end.
    """

    def prepare() -> None:
        if uid is not None and gid is not None:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
        die_with_parent(sig)
        if os.getppid() != parent:
            os._exit(1)

    return prepare

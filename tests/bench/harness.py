"""A real installation to measure (its own folder, port and database) and a client that loads it over sockets.

The client is closed-loop: each of its connections sends the next request when the last answer is complete. It shares
the machine with the server, so compare ratios to the yardstick page measured in the same rounds.
"""

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Literal

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT.parent / "shared" / "data"
FIRMS = DATA / "partners" / "maryland_mbe_snapshot2.json.gz"
INTERLINE = str(Path(sys.executable).parent / "interline")
START_TIMEOUT_S = 60


@dataclass(frozen=True)
class Result:
    """One figure; `ok` is None when there is no target for it."""

    case: str
    metric: str
    value: float
    unit: str
    target: float | None = None
    better: Literal["lower", "higher"] = "lower"
    ok: bool | None = None


def result(
    case: str, metric: str, value: float, unit: str, target: float | None = None, better: str = "lower"
) -> Result:
    """A figure judged against its target."""
    ok = None if target is None else (value <= target if better == "lower" else value >= target)
    return Result(case, metric, value, unit, target, "lower" if better == "lower" else "higher", ok)


@dataclass
class Site:
    """A running installation."""

    port: int
    env: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str, stdin: str = "") -> dict[str, Any]:
        """Run `interline ... --json`; its last line."""
        done = subprocess.run(
            [INTERLINE, *words, "--json"], env=self.env, input=stdin, capture_output=True, text=True, cwd=ROOT
        )
        if done.returncode:
            raise RuntimeError(f"interline {' '.join(words)}: {done.stderr[-2000:]}")
        last: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return last

    def start(self) -> float:
        """Start it; seconds until the first page was answered."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            [INTERLINE, "up"], env=self.env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/sign-in", timeout=5) as answer:
                    answer.read()
                    return time.monotonic() - began
            except OSError as error:
                if time.monotonic() - began > START_TIMEOUT_S or self.process.poll() is not None:
                    raise RuntimeError("the server did not start") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None


@contextmanager
def site() -> Iterator[Site]:
    """A fresh installation in a folder of its own, not started."""
    folder = Path(tempfile.mkdtemp(prefix="il-bench-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "BROKER_", "INTERLINE_"))}
    made = Site(port, keep | {"VAR_DIR": str(folder), "PORT": str(port), "DEMO": "off"})
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Load:
    """What one round of load showed."""

    latencies_ms: list[float]
    seconds: float
    failures: int

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, q: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def load(
    port: int, request: Callable[[int], bytes], clients: int, seconds: float, good: bytes = b" 20"
) -> Load:
    """Send request(n), n = 0, 1, ..., over `clients` kept connections for `seconds`."""
    numbers = iter(range(10**9))
    latencies: list[list[float]] = [[] for _ in range(clients)]
    failures = [0] * clients
    end = time.monotonic() + seconds

    def client(index: int) -> None:
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < end:
            message = request(next(numbers))
            began = time.perf_counter()
            connection.sendall(message)
            status = _answer(connection)
            took = (time.perf_counter() - began) * 1000
            if good in status:
                latencies[index].append(took)
            else:
                failures[index] += 1
        connection.close()

    threads = [Thread(target=client, args=(index,)) for index in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Load([ms for one in latencies for ms in one], time.monotonic() - began, sum(failures))


def _answer(connection: socket.socket) -> bytes:
    """Read one answer with Content-Length (or none); its status line."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n")[1:]:
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    missing = length - len(body)
    while missing > 0:
        missing -= len(connection.recv(min(missing, 65536)))
    return head.split(b"\r\n", 1)[0]


def http(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    """A raw HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def median(values: list[float]) -> float:
    """The middle one."""
    return statistics.median(values)

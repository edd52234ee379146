"""A real installation to measure (its own folder, port and database) and a client that loads it over sockets.

The client is closed-loop: each of its connections sends the next request when the last answer is complete. It shares
the machine with the server (Load says what it took), so compare ratios to the yardstick page of the same rounds.
"""

import json
import os
import re
import selectors
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
from typing import Any, Literal

import psycopg

from portal.settings import make

ROOT = Path(__file__).resolve().parent.parent.parent
DATA = ROOT.parent / "shared" / "data"
FIRMS = DATA / "partners" / "maryland_mbe_snapshot2.json.gz"
INTERLINE = str(Path(sys.executable).parent / "interline")
START_TIMEOUT_S = 60
YARDSTICK = "yardstick /healthz"
INSERT_S = 3.0
ANSWER_S = 10.0
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


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
def site(kept: Path | None = None) -> Iterator[Site]:
    """A fresh installation in a folder of its own, not started; one in the folder `kept` stays where it is."""
    folder = kept or Path(tempfile.mkdtemp(prefix="il-bench-"))
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("DATABASE_", "BROKER_", "INTERLINE_"))}
    made = Site(port, keep | {"VAR_DIR": str(folder), "PORT": str(port), "DEMO": "off"})
    try:
        yield made
    finally:
        made.stop()
        if kept is None:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Load:
    """What one round of load showed."""

    latencies_ms: list[float]
    seconds: float
    failures: int
    cpu_seconds: float = 0.0  # of the client itself

    @property
    def rate(self) -> float:
        """Good answers per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, q: float) -> float:
        """Milliseconds; what got no answer at all counts as ANSWER_S."""
        if not self.latencies_ms:
            return ANSWER_S * 1000
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * q))]


def load(
    port: int, request: Callable[[int], bytes], clients: int, seconds: float, good: bytes = b" 20"
) -> Load:
    """Send request(n), n = 0, 1, ..., over `clients` kept connections for `seconds`, from one thread: a thread for each
    would take an eighth of the machine from the server. Every request asked for is waited for."""
    numbers, found = iter(range(10**9)), Load([], 0.0, 0)
    began, cpu = time.monotonic(), time.thread_time()
    end = began + seconds
    with selectors.DefaultSelector() as waiting:
        for _ in range(clients):
            _Client(port, waiting).ask(request(next(numbers)))
        while waiting.get_map():
            ready = waiting.select(ANSWER_S)
            for key, _events in ready:
                client: _Client = key.data
                status = client.read()
                if status is None:
                    continue
                if good in status:
                    found.latencies_ms.append(client.took_ms)
                else:
                    found.failures += 1
                client.next(request(next(numbers)) if time.monotonic() < end else None)
            if not ready:  # nobody was answered in ANSWER_S
                for client in [key.data for key in waiting.get_map().values()]:
                    found.failures += 1
                    client.next(None)
    found.seconds, found.cpu_seconds = time.monotonic() - began, time.thread_time() - cpu
    return found


class _Client:
    """One connection: a request at a time, its answer with Content-Length (or none)."""

    def __init__(self, port: int, waiting: selectors.BaseSelector) -> None:
        self.port, self.waiting = port, waiting
        self.broken = False
        self._connect()

    def _connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=ANSWER_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting.register(self.socket, selectors.EVENT_READ, self)

    def ask(self, message: bytes) -> None:
        """Send a request."""
        self.data, self.began = b"", time.perf_counter()
        try:
            self.socket.sendall(message)
        except OSError:  # read() will find it closed
            self.broken = True

    def read(self) -> bytes | None:
        """What has come; the status line when the answer is complete, an empty one when there will be none."""
        try:
            more = self.socket.recv(1 << 20)
        except OSError:
            more = b""
        if not more:
            self.broken = True
            return b""
        self.data += more
        head, end, body = self.data.partition(b"\r\n\r\n")
        told = LENGTH.search(head)
        if not end or len(body) < (int(told[1]) if told else 0):
            return None
        self.took_ms = (time.perf_counter() - self.began) * 1000
        return head.split(b"\r\n", 1)[0]

    def next(self, message: bytes | None) -> None:
        """The next request, on a new connection if this one is broken; None: it was the last."""
        if self.broken or message is None:
            self.waiting.unregister(self.socket)
            self.socket.close()
        if message is not None:
            if self.broken:
                self.broken = False
                self._connect()
            self.ask(message)


def rounds(
    made: Site,
    asked: dict[str, Callable[[int], bytes]],
    clients: int = 8,
    count: int = 3,
    seconds: float = 3.0,
) -> dict[str, list[Load]]:
    """Rounds of each case in turn, the yardstick page among them: what disturbs the machine disturbs all alike."""
    asked = asked | {YARDSTICK: lambda _: http("GET", "/healthz")}
    for ask in asked.values():
        load(made.port, ask, clients, 0.5)
    found: dict[str, list[Load]] = {case: [] for case in asked}
    for _ in range(count):
        for case, ask in asked.items():
            found[case].append(load(made.port, ask, clients, 1.0 if case == YARDSTICK else seconds))
    return found


def figures(
    found: dict[str, list[Load]], p99: dict[str, float] | None = None, rate: dict[str, float] | None = None
) -> list[Result]:
    """Rate, p50, p99, failures and cost against the yardstick of each case, judged where there is a target."""
    yard = median([one.rate for one in found[YARDSTICK]])
    out = [result(YARDSTICK, "requests per second", yard, "1/s")]
    for case, loads in found.items():
        if case == YARDSTICK:
            continue
        per_second = median([one.rate for one in loads])
        out += [
            result(case, "pages per second", per_second, "1/s", (rate or {}).get(case), "higher"),
            result(case, "p50", median([one.percentile(0.5) for one in loads]), "ms"),
            result(case, "p99", median([one.percentile(0.99) for one in loads]), "ms", (p99 or {}).get(case)),
            result(case, "failures", float(sum(one.failures for one in loads)), "", 0.0),
            result(case, "cost / yardstick", yard / per_second if per_second else 0.0, "x"),
        ]
    return out


def yardsticks(made: Site) -> list[Result]:
    """What this machine does with next to nothing: a trivial page of the running server, and a row per transaction."""
    page = load(made.port, lambda _: http("GET", "/healthz"), 8, 1.0)
    return [result(YARDSTICK, "requests per second", page.rate, "1/s"), insert_yardstick(made.env["VAR_DIR"])]


def insert_yardstick(var_dir: str, clients: int = 8) -> Result:
    """Single-row inserts committed one by one by the clients: what this machine's database can do at all."""
    settings = make(var_dir=var_dir, database_url=None)
    table = "bench_yardstick"
    pgbench = shutil.which("pgbench")
    with psycopg.connect(settings.admin_url, autocommit=True) as connection:
        connection.execute(f"create table if not exists {table} (id bigserial primary key, word text)")
        try:
            if pgbench is None:
                began, done = time.monotonic(), 0
                while time.monotonic() - began < INSERT_S:
                    connection.execute(f"insert into {table} (word) values ('one row')")
                    done += 1
                return result("yardstick: one row inserted, 1 client", "per second", done / INSERT_S, "1/s")
            with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
                script.write(f"insert into {table} (word) values ('one row');\n")
                script.flush()
                command = [
                    pgbench,
                    "-n",
                    "-c",
                    str(clients),
                    "-j",
                    "1",
                    "-M",
                    "prepared",
                    "-T",
                    str(int(INSERT_S)),
                ]
                command += [
                    "-f",
                    script.name,
                    "-h",
                    str(settings.socket_dir),
                    "-U",
                    "postgres",
                    settings.database_name,
                ]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            rate = float(out.split("tps = ")[1].split()[0])
            return result(f"yardstick: one row inserted, {clients} clients", "per second", rate, "1/s")
        finally:
            connection.execute(f"drop table {table}")


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

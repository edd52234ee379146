"""Slow clients (half a head, half a body, a byte a second; more silent ones than threads) while others load a page."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.harness import Result, http, load, median, result, site, yardsticks

SLOW, MANY, CLIENTS, ROUNDS, ROUND_S = 40, 200, 8, 3, 4.0
# What others wait for may take twice as long beside them.
TARGET = 2.0
BODY = 20_000
HEAD = b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
HALF = HEAD + f"Content-Length: {BODY}\r\n\r\n".encode() + b"email=" + b"x" * (BODY // 2)
# How many, what each begins with, whether it goes on, and with what the server may have refused it by the end.
KINDS = {
    "half-sent heads": (SLOW, HEAD, False, ()),
    "half-sent bodies": (SLOW, HALF, False, (b"408", b"503")),
    "a byte a second": (SLOW, HEAD + f"Content-Length: {BODY}\r\n\r\n".encode(), True, ()),
    "half-sent bodies, more than threads": (MANY, HALF, False, (b"408", b"503")),
}


def run() -> list[Result]:
    """The sign-in page alone and beside each kind of slow client, in turn."""
    page = http("GET", "/sign-in")
    out = []
    with site() as made:
        made.start()
        load(made.port, lambda _: page, CLIENTS, 2)
        for kind, (count, begin, drip, refusals) in KINDS.items():
            alone, beside, strays = [], [], 0
            for _ in range(ROUNDS):
                alone.append(load(made.port, lambda _: page, CLIENTS, ROUND_S))
                with slow(made.port, count, begin, drip=drip) as connections:
                    beside.append(load(made.port, lambda _: page, CLIENTS, ROUND_S))
                    strays += sum(not accounted(one, refusals) for one in connections)
            before, after = (median([one.percentile(0.99) for one in loads]) for loads in (alone, beside))
            failures = float(sum(one.failures for one in beside))
            out += [
                result(f"beside {count} {kind}", "p99 without them", before, "ms"),
                result(f"beside {count} {kind}", "p99", after, "ms"),
                result(f"beside {count} {kind}", "p99 / without them", after / before, "x", TARGET),
                result(f"beside {count} {kind}", "failures", failures, "", 0.0),
                result(f"beside {count} {kind}", "neither open nor refused", float(strays), "", 0.0),
            ]
        return out + yardsticks(made)


@contextmanager
def slow(port: int, count: int, begin: bytes, *, drip: bool) -> Iterator[list[socket.socket]]:
    """The slow clients, for as long as the block runs."""
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    done = threading.Event()
    for connection in connections:
        connection.sendall(begin)

    def trickle() -> None:
        while not done.wait(1):
            for connection in connections:
                try:
                    connection.send(b"x")
                except OSError:
                    continue

    thread = threading.Thread(target=trickle)
    if drip:
        thread.start()
    time.sleep(0.2)
    try:
        yield connections
    finally:
        done.set()
        if drip:
            thread.join()
        for connection in connections:
            connection.close()


def accounted(connection: socket.socket, refusals: tuple[bytes, ...]) -> bool:
    """Whether a slow connection is still open and unanswered, or was refused with one of these statuses."""
    connection.setblocking(False)
    try:
        answer = connection.recv(4096)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return answer[9:12] in refusals

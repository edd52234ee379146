"""Senders whose bodies are still arriving: how many at a time, and the end of those that have fallen silent."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

THREADS = 64
"""Threads of a web process; each request has one, and so has each body that is still arriving."""
MOST = THREADS * 3 // 4
"""Bodies that may be arriving at a time. The other threads stay for requests that are complete."""
SILENT_S = 15.0
"""A connection from which nothing came for so long is shut, if its body is not complete."""
LOOK_S = 1.0
# Where the milliseconds since data last came stand in the kernel's struct tcp_info (linux/tcp.h), and enough of it.
LAST_DATA_RECV, TCP_INFO_BYTES = 52, 104


class Intended(logging.Filter):
    """Keeps out of the log what the server says of so many threads on so few cores: they are meant to wait."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is of use to who reads it."""
        return "seems quite high compared to the number of CPU cores" not in record.getMessage()


class Crowded(Exception):
    """As many bodies are arriving as may."""


class Senders:
    """The unfinished bodies of one process. The server's `read` waits without end and cannot be interrupted: only the
    end of its connection wakes it, and which connection it reads from is not told. So a silent one is found by address
    and by the kernel's clock of when data last came."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.waiting: dict[object, tuple[str, int, float]] = {}

    @contextmanager
    def one(self, environ: dict[str, Any]) -> Iterator[None]:
        """While a body is being read; Crowded when there are too many."""
        key = object()
        place = environ.get("REMOTE_ADDR", ""), int(environ.get("SERVER_PORT") or 0)
        with self.lock:
            if len(self.waiting) >= self.most:
                raise Crowded
            self.waiting[key] = (*place, time.monotonic())
        try:
            yield
        finally:
            with self.lock:
                del self.waiting[key]

    def watch(self) -> None:
        """Shut silent connections, for as long as the process lives (in a thread of its own)."""

        def look() -> None:
            while True:
                time.sleep(LOOK_S)
                self.shut_silent()

        threading.Thread(target=look, name="senders", daemon=True).start()

    def shut_silent(self, silent_s: float = SILENT_S) -> None:
        """Shut the connections of waiting senders from which nothing came for so long."""
        before = time.monotonic() - silent_s
        with self.lock:
            places = {(address, port) for address, port, began in self.waiting.values() if began <= before}
        if places:
            for number in os.listdir("/proc/self/fd"):
                with contextlib.suppress(OSError):
                    shut_if_silent(int(number), places, silent_s)


def shut_if_silent(number: int, places: set[tuple[str, int]], silent_s: float) -> None:
    """Shut this file descriptor if it is a connection from one of the places (their address, our port) and silent."""
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        return
    with socket.socket(fileno=os.dup(number)) as connection:
        if connection.type != socket.SOCK_STREAM or connection.family not in (
            socket.AF_INET,
            socket.AF_INET6,
        ):
            return
        if (connection.getpeername()[0], connection.getsockname()[1]) not in places:
            return
        told = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        (silent_ms,) = struct.unpack_from("=I", told, LAST_DATA_RECV)
        if silent_ms >= silent_s * 1000:
            connection.shutdown(socket.SHUT_RD)

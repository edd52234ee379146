"""The gate before the application: bodies are read first, a few requests work at a time, slow senders are refused."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from portal.db import transaction
from portal.security.context import Acting
from portal.supervisor import web
from portal.supervisor.senders import Senders
from portal.supervisor.web import Gate

HALF = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\r\n" + b"x" * 10_000
WHOLE = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 5\r\n\r\nwhole"
PAGE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
PATIENCE_S = 10.0
SERVED = """
from portal.supervisor.senders import Senders
from portal.supervisor.web import Gate

senders = Senders(4)

def served(environ, start_response):
    if environ["PATH_INFO"] == "/shut":
        senders.shut_silent(0.0)
    start_response("200 OK", [])
    return [environ["wsgi.input"].read() if environ.get("CONTENT_LENGTH") else b"page"]

def application():
    return Gate(served, 2, lambda _: 100_000, senders)
"""


def send(gate: Gate, body: Any, **environ: str) -> tuple[str, bytes]:
    """Status and answer."""
    said: list[str] = []
    answer = gate({"wsgi.input": body, **environ}, lambda status, _headers: said.append(status))
    return said[0], b"".join(answer)


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers what it was sent."""
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def test_the_application_gets_the_whole_body() -> None:
    body = b"x" * 3_000_000
    gate = Gate(echo, 1, lambda _: 4_000_000)
    assert send(gate, BytesIO(body), CONTENT_LENGTH=str(len(body))) == ("200 OK", body)
    assert send(gate, BytesIO(body), HTTP_TRANSFER_ENCODING="chunked") == ("200 OK", body)


def test_what_is_too_large_is_not_read() -> None:
    class Untouchable:
        def read(self, *_: int) -> bytes:
            raise AssertionError

    def refuse(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("413 Too Large", [])
        return []

    gate = Gate(refuse, 1, lambda _: 100)
    for told in ("101", "9" * 30, "-1", "nonsense"):
        assert send(gate, Untouchable(), CONTENT_LENGTH=told)[0] == "413 Too Large"


def test_a_sender_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(web.time, "monotonic", lambda: now[0])

    class Slow:
        def read(self, _size: int) -> bytes:
            now[0] += 1
            return b"x"

    gate = Gate(echo, 1, lambda _: 10_000)
    assert send(gate, Slow(), CONTENT_LENGTH="5000")[0] == "408 Request Timeout"
    assert send(gate, Slow(), CONTENT_LENGTH="50") == ("200 OK", b"x" * 50)


def test_slow_senders_keep_no_turn_and_at_most_so_many_work() -> None:
    arrived, go_on = threading.Event(), threading.Event()
    working, most = [0], [0]

    class Waiting:
        def read(self, _size: int) -> bytes:
            arrived.set()
            assert go_on.wait(10)
            return b""

    def work(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        working[0] += 1
        most[0] = max(most[0], working[0])
        start_response("200 OK", [])
        working[0] -= 1
        return []

    gate = Gate(work, 1, lambda _: 100)
    slow = threading.Thread(target=send, args=(gate, Waiting()), kwargs={"CONTENT_LENGTH": "10"})
    slow.start()
    assert arrived.wait(10)
    others = [threading.Thread(target=send, args=(gate, BytesIO())) for _ in range(8)]
    for other in others:
        other.start()
    for other in others:
        other.join(10)
        assert not other.is_alive()
    go_on.set()
    slow.join(10)
    assert most == [1]


def test_more_bodies_than_may_be_arriving_are_told_to_come_again() -> None:
    gate = Gate(echo, 1, lambda _: 100, Senders(0))
    told: list[tuple[str, str]] = []
    answer = gate(
        {"CONTENT_LENGTH": "5", "wsgi.input": BytesIO()},
        lambda status, headers: told.extend([("status", status), *headers]),
    )
    assert answer == [web.CROWDED]
    assert dict(told)["status"].startswith("503") and int(dict(told)["Retry-After"]) > 0


def test_half_a_body_is_not_acted_on() -> None:
    assert (
        send(Gate(echo, 1, lambda _: 100), BytesIO(b"half"), CONTENT_LENGTH="8")[0] == "408 Request Timeout"
    )


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A real server with eight threads, of which four may wait for bodies."""
    (tmp_path / "served.py").write_text(SERVED)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    words = [
        "--interface",
        "wsgi",
        "--factory",
        "served:application",
        "--http",
        "1",
        "--no-ws",
        "--port",
        str(port),
    ]
    words += ["--blocking-threads", "8", "--workers", "1", "--workers-kill-timeout", "1"]
    root = str(Path(web.__file__).parents[2])
    server = subprocess.Popen(
        [sys.executable, "-m", "granian", *words],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), root))},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not listens(port):
            assert server.poll() is None, "the server ended"
        yield port
    finally:
        server.terminate()
        server.wait()


def test_silent_senders_outnumber_the_threads_and_others_are_served(port: int) -> None:
    def connect(what: bytes) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        made.sendall(what)
        return made

    def whole(what: bytes) -> bytes:
        with connect(what) as asking:
            return b"".join(iter(lambda: asking.recv(65536), b""))

    silent = [connect(HALF) for _ in range(24)]
    try:
        assert whole(PAGE).endswith(b"page")
        assert whole(WHOLE).startswith(b"HTTP/1.1 503")
        with suppress(ConnectionError):  # itself silent for no longer than the others
            whole(PAGE.replace(b"GET /", b"GET /shut"))
        for connection in silent:  # refused at once, or cut off: either way it ends
            with suppress(ConnectionError):
                while connection.recv(65536):
                    pass
        assert whole(WHOLE).endswith(b"whole")
    finally:
        for connection in silent:
            connection.close()


def test_a_connection_that_the_server_closed_is_replaced(database: Any) -> None:
    with transaction(database.worker, Acting()) as session:
        before = session.execute(text("select pg_backend_pid()")).scalar_one()
    with database.admin().connect() as admin:
        admin.execute(text("select pg_terminate_backend(:pid, 5000)"), {"pid": before})
    with transaction(database.worker, Acting()) as session:
        assert session.execute(text("select pg_backend_pid()")).scalar_one() != before


APPLICATION = """
import sys
from types import SimpleNamespace
from unittest import mock
from portal.supervisor import web
router = SimpleNamespace(registry=SimpleNamespace(app_engine=None))
with mock.patch.object(web, "built", lambda: router), mock.patch("portal.app.refuse_strong_login"):
    web.application()
from portal.db import PortalSession
from portal.events import celery
with mock.patch.object(celery, "send_wake") as wake:
    session = PortalSession()
    session.info["wake"] = True
    session.commit()
print(len(wake.mock_calls))
"""


def test_what_a_web_process_commits_wakes_the_workers(tmp_path: Path) -> None:
    environment = {**os.environ, "VAR_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", APPLICATION], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1"]

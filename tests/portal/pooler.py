"""A pgbouncer in transaction mode before the test server, as portal/help/operator.md tells operators to set it up."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

SERVER_CONNECTIONS = 5
CONFIG = """
[databases]
* = host={host} port={port}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 500
server_reset_query = DISCARD ALL
server_reset_query_always = 1
"""


@contextmanager
def pgbouncer(server_url: str, logins: dict[str, str], folder: Path) -> Iterator[str]:
    """Its address, host and port. The test is skipped where it is not installed."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (Debian: apt-get install pgbouncer)")
    parts = urlsplit(server_url)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    users, config = folder / "users.txt", folder / "pgbouncer.ini"
    users.write_text("".join(f'"{login}" "{password}"\n' for login, password in logins.items()))
    with socket.create_server(("127.0.0.1", 0)) as free:
        listen = free.getsockname()[1]
    config.write_text(
        CONFIG.format(host=host, port=parts.port or 5432, listen=listen, users=users, size=SERVER_CONNECTIONS)
    )
    # It refuses to be root; whom the server runs as may reach its socket.
    demoted = (
        {"user": Path(host).stat().st_uid if host.startswith("/") else "nobody"} if os.getuid() == 0 else {}
    )
    for path in (folder, users, config, *folder.parents):
        if demoted and path.stat().st_uid == 0 and str(path).startswith("/tmp/"):
            path.chmod(path.stat().st_mode | (0o755 if path.is_dir() else 0o644))
    with (folder / "pgbouncer.log").open("wb") as log:
        process = subprocess.Popen([program, str(config)], stdout=log, stderr=log, **demoted)
        try:
            _wait(process, listen, folder / "pgbouncer.log")
            yield f"127.0.0.1:{listen}"
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            os.sched_yield()
    raise AssertionError(f"pgbouncer did not start: {log.read_text()}")

"""The embedded PostgreSQL: which programs, which folders, who may connect, and when it stops."""

import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from portal.settings import make
from portal.supervisor import postgres
from portal.supervisor.postgres import Owner, PostgresError, Programs, Server

NO_FSYNC = {"fsync": "off"}


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """A folder the server's OS user can reach: pytest's own is closed to everybody but us."""
    with tempfile.TemporaryDirectory(prefix="il") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def admin(var: Path) -> str:
    return make(var_dir=var).admin_url.replace("/interline?", "/postgres?")


def postmaster(var: Path) -> int:
    return int((var / "pg" / "postmaster.pid").read_text().splitlines()[0])


def ended(handle: int) -> bool:
    """Wait for a process to end; the bound only keeps a failing test from hanging."""
    try:
        return bool(select.select([handle], [], [], 60)[0])
    finally:
        os.close(handle)


def test_runs_private_without_tcp_and_stops_with_its_last_user(var: Path) -> None:
    first, second = Server(var, NO_FSYNC), Server(var, NO_FSYNC)
    socket = first.start()
    assert second.start() == socket
    assert stat.S_IMODE(socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((var / "pg").stat().st_mode) == 0o700
    with psycopg.connect(admin(var)) as connection:
        show = "select current_setting('listen_addresses'), current_setting('jit'), current_setting('lc_collate', true)"
        row = connection.execute(show).fetchone()
        assert row is not None
        assert row[:2] == ("", "off")
        encoding = connection.execute("show server_encoding").fetchone()
        assert encoding == ("UTF8",)
    handle = os.pidfd_open(postmaster(var))
    first.release()
    with psycopg.connect(admin(var)) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    second.release()
    assert ended(handle)
    assert not (var / "pg" / "postmaster.pid").exists()


def test_logins_need_their_password_even_on_the_socket(var: Path) -> None:
    settings = make(var_dir=var, interline_secret="x" * 40)
    url = settings.url_for("app").replace("/interline?", "/postgres?")
    with Server(var, NO_FSYNC):
        with psycopg.connect(admin(var), autocommit=True) as connection:
            connection.execute(
                f"create role interline_app login password '{settings.password_for('interline_app')}'"
            )
        with psycopg.connect(url) as connection:
            assert connection.execute("select current_user").fetchone() == ("interline_app",)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(url.replace(":" + settings.password_for("interline_app"), ":wrong"))


def test_kill_9_of_the_only_user_stops_it_in_good_order(var: Path) -> None:
    code = (
        "import sys, signal; from pathlib import Path; from portal.supervisor.postgres import Server\n"
        "Server(Path(sys.argv[1]), {'fsync': 'off'}).start(); print('up', flush=True); signal.pause()"
    )
    user = subprocess.Popen([sys.executable, "-c", code, str(var)], stdout=subprocess.PIPE, text=True)
    assert user.stdout is not None
    assert user.stdout.readline() == "up\n"
    handle = os.pidfd_open(postmaster(var))
    user.kill()
    user.wait()
    user.stdout.close()
    assert ended(handle)
    with Server(var, NO_FSYNC) as server:
        assert "was not properly shut down" not in server.log.read_text()


def test_a_killed_postmaster_comes_back_while_in_use(var: Path) -> None:
    with Server(var, NO_FSYNC):
        killed = postmaster(var)
        handle = os.pidfd_open(killed)
        os.kill(killed, signal.SIGKILL)
        assert ended(handle)
        again = Server(var, NO_FSYNC)
        again.start()
        try:
            assert postmaster(var) != killed
            with psycopg.connect(admin(var)) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
        finally:
            again.release()


def test_a_killed_keeper_is_replaced_while_in_use(var: Path) -> None:
    with Server(var, NO_FSYNC) as server:
        assert server._keeper is not None
        first, killed = server._keeper, os.pidfd_open(postmaster(var))
        server.mend()
        assert server._keeper is first, "nothing to mend"
        first.kill()
        first.wait()
        server.mend()
        assert server._keeper is not first
        assert ended(killed), "the first server went with its keeper"
        again = Server(var, NO_FSYNC)
        again.start()  # waits until the new one accepts connections
        try:
            with psycopg.connect(admin(var)) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
        finally:
            again.release()


def test_a_server_that_cannot_start_is_tried_until_it_can(var: Path) -> None:
    """As on a full disk: it fails again and again, and nobody has to come and start it when there is room."""
    with Server(var, NO_FSYNC) as server:
        needed = var / "pg" / "global" / "pg_control"
        aside = needed.rename(needed.with_name("aside"))
        known = server.log.read_text().count("could not find the database system")
        os.kill(postmaster(var), signal.SIGKILL)
        while server.log.read_text().count("could not find the database system") < known + 2:
            select.select([], [], [], 0.05)
        aside.rename(needed)
        again = Server(var, NO_FSYNC)
        again.start()
        try:
            with psycopg.connect(admin(var)) as connection:
                assert connection.execute("select 1").fetchone() == (1,)
        finally:
            again.release()


def test_programs_are_those_the_folder_was_made_with(tmp_path: Path) -> None:
    have = [Programs(Path("/new"), 18), Programs(Path("/old"), 15)]
    assert postgres.choose_programs(tmp_path, have).major == 18
    (tmp_path / "PG_VERSION").write_text("15\n")
    assert postgres.choose_programs(tmp_path, have).major == 15
    (tmp_path / "PG_VERSION").write_text("17\n")
    with pytest.raises(PostgresError, match=r"made by PostgreSQL 17; this machine has 18, 15\. Install"):
        postgres.choose_programs(tmp_path, have)


def test_the_wheel_is_a_way_out_where_the_system_has_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(postgres, "SYSTEM_BINARIES", tmp_path)
    (only,) = postgres.available_programs()
    assert only.major >= 18
    assert (only.folder / "initdb").exists()
    with pytest.raises(PostgresError, match="set DATABASE_URL"):
        postgres.choose_programs(tmp_path, [])


def test_socket_path_stays_short_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 90) / "var"
    for user in (0, 1000):
        monkeypatch.setattr(os, "geteuid", lambda user=user: user)
        path = postgres.socket_dir(long)
        assert path == postgres.socket_dir(long)
        assert not path.is_relative_to(long)
        assert len(str(path / postgres.SOCKET_NAME)) <= postgres.SOCKET_PATH_MAX


def test_a_closed_parent_folder_is_left_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    stranger = Owner("somebody", 54321, 54321)
    assert not postgres.reachable(tmp_path / "pg", stranger)
    assert postgres.data_dir(tmp_path, stranger).is_relative_to(postgres.ROOT_HOME)
    assert postgres.data_dir(tmp_path, None) == tmp_path / "pg"
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_a_link_in_place_of_the_socket_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PostgresError, match="belongs to somebody else"):
        postgres.private_folder(tmp_path / "run", None)

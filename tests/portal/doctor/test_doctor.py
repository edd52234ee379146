"""The doctor: what is well is called well, each thing that is broken is found, and its cure named."""

import json
import os
import socket
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import create_engine, text

from portal.doctor import command, machine, outside
from portal.doctor import database as doctor_database
from portal.doctor.findings import Finding
from portal.security.logins import psycopg_url
from portal.settings import Settings, with_login
from tests.conftest import Database

Check = Callable[[Settings], Iterator[Finding]]


@pytest.fixture
def settings(database: Database, tmp_path: Path) -> Settings:
    """Settings of a fresh database and folder, with nothing running."""
    (tmp_path / "broker").mkdir()
    given = {"var_dir": tmp_path, "port": free_port(), "storage_url": (tmp_path / "files").as_uri()}
    return database.settings.model_copy(update=given)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def found(check: Check, settings: Settings, part: str) -> Finding:
    """The worst thing the check says of this part."""
    order = ("ok", "off", "wrong")
    return max((f for f in check(settings) if f.part == part), key=lambda f: order.index(f.state))


def admin(database: Database, *statements: str) -> None:
    with database.admin().connect() as connection:
        for statement in statements:
            connection.execute(text(statement))


def owner(database: Database, *statements: str) -> None:
    with create_engine(psycopg_url(database.settings.url_for("owner"))).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_all_is_well(settings: Settings) -> None:
    findings = command.examine(settings)
    assert [f for f in findings if f.state == "wrong"] == []
    assert {f.part for f in findings} >= {
        *(
            "versions",
            "settings",
            "secret",
            "disk",
            "database",
            "schema",
            "rights",
            "clock",
            "processes",
            "web",
        ),
        *("broker", "mail", "storage", "PDF", "backup", "user"),
    }
    assert all(f.cure for f in findings if f.state != "ok")


def test_the_command_has_an_exit_code_and_json(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "make", lambda: settings)
    well = CliRunner().invoke(command.doctor, ["--json"])
    assert well.exit_code == 0 and json.loads(well.output.splitlines()[-1])["ok"] is True
    monkeypatch.setattr(command, "CHECKS", (lambda _: iter([Finding("x", "wrong", "broken", "mend it")]),))
    ill = CliRunner().invoke(command.doctor, ["--json"])
    assert ill.exit_code == 1 and "WRONG  x" in ill.output and "mend it" in ill.output
    assert json.loads(ill.output.splitlines()[-1])["findings"][0]["cure"] == "mend it"


def test_a_check_that_fails_is_a_finding_and_the_others_go_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def falls(_settings: Settings) -> Iterator[Finding]:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "CHECKS", (falls, machine.check_disk))
    parts = {f.part: f.state for f in command.examine(settings)}
    assert parts == {"doctor": "wrong", "disk": "ok"}


def test_a_public_site_without_a_secret_is_told_once(settings: Settings) -> None:
    given = {"public_url": "https://partners.example.com", "interline_secret": None}
    public = Settings(**{**settings.model_dump(), **given})
    findings = command.examine(public)
    (secret,) = [f for f in findings if f.part == "secret"]
    assert (secret.state, secret.detail) == ("wrong", "INTERLINE_SECRET is not set")
    assert "openssl rand" in secret.cure
    assert [f for f in findings if f.part == "doctor"] == [], "no check fails for want of it"
    assert {f.part for f in findings} >= {"settings", "disk", "mail", "storage"}, "the others go on"


def test_a_setting_that_cannot_be_used_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "70000")
    ill = CliRunner().invoke(command.doctor, ["--json"])
    (finding,) = json.loads(ill.output.splitlines()[-1])["findings"]
    assert ill.exit_code == 1 and (finding["part"], finding["state"]) == ("settings", "wrong")
    assert "PORT" in finding["detail"] and "free port" in finding["cure"]


def test_where_nothing_was_set_up_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("INTERLINE_CONFIG", str(tmp_path / "none.ini"))
    (tmp_path / "none.ini").touch()
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "new"))
    ill = CliRunner().invoke(command.doctor, ["--json"])
    findings = json.loads(ill.output.splitlines()[-1])["findings"]
    (wrong,) = [f for f in findings if f["state"] == "wrong"]
    assert ill.exit_code == 1 and wrong["part"] == "set-up"
    assert "nothing was set up here yet" in wrong["detail"] and "interline up" in wrong["cure"]
    assert not (tmp_path / "new").exists()
    (tmp_path / "new").mkdir()
    assert CliRunner().invoke(command.doctor).exit_code == 1
    assert list((tmp_path / "new").iterdir()) == []


# -- the database --------------------------------------------------------------------------------------------------


def test_an_unreachable_database(settings: Settings) -> None:
    away = settings.model_copy(update={"database_url": f"postgresql://x@127.0.0.1:{free_port()}/x"})
    finding = found(doctor_database.check_database, away, "database")
    assert finding.state == "wrong" and "DATABASE_URL" in finding.cure
    assert list(doctor_database.check_processes(away)) == []


def test_an_old_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_database, "OLDEST_MAJOR", 99)
    assert "99 or newer" in found(doctor_database.check_database, settings, "database").cure


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("bypassrls", "BYPASSRLS"),
        ("superuser", "is a superuser"),
        ("createdb", "more than it needs"),
        ("in role iltest_owner", "member of iltest_owner"),
    ],
)
def test_a_login_that_may_too_much(database: Database, settings: Settings, kind: str, says: str) -> None:
    name = f"odd{os.getpid()}_app"  # logins belong to the whole server, so not one that other tests use
    admin(database, f"create role {name} login password 'odd' {kind}")
    admin(database, f'grant connect on database "{settings.database_name}" to {name}')
    try:
        url = with_login(settings.database_url or "", name, "odd")
        odd = settings.model_copy(
            update={"database_url": url, "database_worker_url": settings.url_for("worker")}
        )
        finding = found(doctor_database.check_database, odd, "database")
    finally:
        admin(database, f"drop owned by {name}", f"drop role {name}")
    assert finding.state == "wrong" and says in finding.detail and finding.cure


def test_a_login_that_owns_tables(database: Database, settings: Settings) -> None:
    admin(database, "alter table throttles owner to iltest_app")
    finding = found(doctor_database.check_database, settings, "database")
    assert finding.state == "wrong" and "owns 1 tables" in finding.detail


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        ("alter table leads disable row level security", "leads is without row-level security"),
        ("alter table leads no force row level security", "leads is without row-level security"),
        ("revoke delete on offers from iltest_worker", "offers is closed to iltest_worker"),
        ("grant truncate on leads to iltest_app", "leads is too open to iltest_app"),
        (
            "grant execute on function app.act(bigint, text, bigint, bigint, bigint) to iltest_app",
            "act as anybody",
        ),
        ("revoke execute on function app.enter(text, bytea, bigint) from iltest_app", "not open a context"),
    ],
)
def test_rights_that_are_not_as_migrations_left_them(
    database: Database, settings: Settings, break_it: str, says: str
) -> None:
    assert found(doctor_database.check_database, settings, "rights").state == "ok"
    owner(database, break_it)
    finding = found(doctor_database.check_database, settings, "rights")
    assert finding.state == "wrong" and says in finding.detail
    owner(database, finding.cure.removeprefix("As owner: "))
    assert found(doctor_database.check_database, settings, "rights").state == "ok", "the cure helps"


def test_temporary_tables_for_everybody(database: Database, settings: Settings) -> None:
    admin(database, f'grant temporary on database "{settings.database_name}" to public')
    finding = found(doctor_database.check_database, settings, "rights")
    assert finding.state == "wrong"
    admin(database, finding.cure.removeprefix("As owner: "))
    assert found(doctor_database.check_database, settings, "rights").state == "ok"


def test_settings_of_a_login_that_override_ours(database: Database, settings: Settings) -> None:
    name = settings.database_name
    admin(database, f"alter role iltest_app in database \"{name}\" set search_path = 'x'")
    finding = found(doctor_database.check_database, settings, "rights")
    assert finding.state == "off" and "search_path" in finding.detail and "reset search_path" in finding.cure


def test_a_schema_that_is_behind_or_ahead(database: Database, settings: Settings) -> None:
    owner(database, "update alembic_version set version_num = '0001'")
    finding = found(doctor_database.check_database, settings, "schema")
    assert finding.state == "wrong" and "interline migrate" in finding.cure
    owner(database, "update alembic_version set version_num = '9999'")
    assert found(doctor_database.check_database, settings, "schema").state == "off"


def test_a_clock_that_is_wrong(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(doctor_database.check_database, settings, "clock").state == "ok"
    real = doctor_database.datetime

    class Late(real):  # type: ignore[misc,valid-type]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.now(tz).replace(year=2020)

    monkeypatch.setattr(doctor_database, "datetime", Late)
    finding = found(doctor_database.check_database, settings, "clock")
    assert finding.state == "wrong" and "NTP" in finding.cure


def test_processes_that_were_not_seen(database: Database, settings: Settings) -> None:
    assert found(doctor_database.check_processes, settings, "processes").state == "off"
    owner(database, "insert into heartbeats values ('worker', now()), ('beat', now() - interval '1 hour')")
    states = {f.part: f for f in doctor_database.check_processes(settings)}
    assert states["worker"].state == "ok" and "0 s ago" in states["worker"].detail
    assert states["beat"].state == "wrong" and "3600 s" in states["beat"].detail
    assert states["sequencer"].state == "wrong" and "never" in states["sequencer"].detail
    owner(
        database,
        "insert into work_items (id, realm_id, queue, kind, payload, state, run_at, created_at)"
        " values (1, 1, 'mail', 'x', '{}', 'parked', now(), now())",
    )
    finding = found(doctor_database.check_processes, settings, "work")
    assert finding.state == "off" and "interline work retry" in finding.cure


# -- outside -------------------------------------------------------------------------------------------------------


def test_the_web_server(settings: Settings) -> None:
    assert found(outside.check_web, settings, "web").state == "off"
    for status, state in ((200, "ok"), (503, "wrong")):
        with answering(settings.port, f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()):
            assert found(outside.check_web, settings, "web").state == state


class answering:
    """A server that says one thing to the first who connects."""

    def __init__(self, port: int, words: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", port))
        self.words = words

    def __enter__(self) -> None:
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        connection, _ = self.listening.accept()
        connection.recv(4096) if self.words.startswith(b"HTTP") else None
        connection.sendall(self.words)
        connection.close()

    def __exit__(self, *_: object) -> None:
        self.thread.join()
        self.listening.close()


def test_the_broker(settings: Settings) -> None:
    assert found(outside.check_broker, settings, "broker").state == "ok"
    (settings.var_dir / "broker").rmdir()
    gone = found(outside.check_broker, settings, "broker")
    assert gone.state == "wrong" and "interline up" in gone.cure, "no chmod of what is not there"
    for scheme in ("redis", "amqp"):
        away = settings.model_copy(update={"broker_url": f"{scheme}://127.0.0.1:{free_port()}/"})
        finding = found(outside.check_broker, away, "broker")
        assert finding.state == "off" and "BROKER_URL" in finding.cure


def test_the_mail_server(settings: Settings) -> None:
    assert found(outside.check_mail, settings, "mail").state == "ok"
    public = settings.model_copy(update={"public_url": "https://partners.example.com"})
    assert found(outside.check_mail, public, "mail").state == "wrong"
    port = free_port()
    smtp = settings.model_copy(update={"smtp_url": f"smtp://127.0.0.1:{port}", "mail_mode": "smtp"})
    finding = found(outside.check_mail, smtp, "mail")
    assert finding.state == "wrong" and "SMTP_URL" in finding.cure
    with answering(port, b"421 we are closed\r\n"):
        assert "421" in found(outside.check_mail, smtp, "mail").detail


def test_the_storage(settings: Settings) -> None:
    assert found(outside.check_storage, settings, "storage").state == "ok"
    assert not list((settings.var_dir / "files").rglob("doctor/*")), "the probe is gone"
    blocked = settings.var_dir / "blocked"
    blocked.write_text("a file where a folder should be")
    wrong = settings.model_copy(update={"storage_url": (blocked / "files").as_uri()})
    finding = found(outside.check_storage, wrong, "storage")
    assert finding.state == "wrong" and "STORAGE_URL" in finding.cure


def test_a_storage_that_takes_nothing_names_folder_step_and_cure(settings: Settings) -> None:
    closed = settings.model_copy(update={"storage_url": "file:///proc/interline/files"})
    finding = found(outside.check_storage, closed, "storage")
    assert finding.detail.startswith("/proc/interline/files: open failed: the storage failed")
    assert "chown" in finding.cure and "/proc/interline/files" in finding.cure
    folder = settings.var_dir / "half"
    folder.mkdir()
    (folder / "doctor").write_text("where the probe's folder should be")
    finding = found(
        outside.check_storage, settings.model_copy(update={"storage_url": folder.as_uri()}), "storage"
    )
    assert finding.state == "wrong" and finding.detail.startswith(f"{folder}: write failed: ")


# -- the machine ---------------------------------------------------------------------------------------------------


def test_a_full_disk(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage(10, 9, 2**20))
    finding = found(machine.check_disk, settings, "disk")
    assert finding.state == "wrong" and "1 MB free" in finding.detail and "Make room" in finding.cure


def test_a_folder_that_cannot_be_written(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine.Path, "touch", refuse)
    finding = found(machine.check_disk, settings, "disk")
    assert finding.state == "wrong" and "chown" in finding.cure


def test_no_pango_and_no_fonts(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "FONT_FOLDERS", (tmp_path / "none",))
    finding = found(machine.check_documents, settings, "PDF")
    assert finding.state == "off" and "apt-get install" in finding.cure

    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(machine.ctypes, "CDLL", missing)
    assert "no Pango" in found(machine.check_documents, settings, "PDF").detail


def test_no_program_for_backups(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from portal.backup import programs

    monkeypatch.setattr(programs, "server_major", lambda _: 99)
    finding = found(machine.check_programs, settings, "backup")
    assert finding.state == "off" and "postgresql-client-99" in finding.cure


def test_root_is_told(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    assert found(machine.check_user, settings, "user").state == "off"
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    assert found(machine.check_user, settings, "user").state == "ok"

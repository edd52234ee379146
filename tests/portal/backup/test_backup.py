"""Backup and restore: every row, right and policy comes back; cursors and sessions do not; a bad archive does nothing."""

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from sqlalchemy import text

from portal.backup import actions, archive, command, programs
from portal.bootstrap import bootstrap
from portal.events import sequencer
from portal.gateways import storage
from portal.security.logins import psycopg_url
from portal.settings import Settings, make
from tests.conftest import SECRET
from tests.portal.leads.test_flow import intake
from tests.portal.site import site, system
from tests.portal.test_guards import _shape
from tests.world import DANUBIA, World

# Not brought back as they were: who was signed in, attempts, who was alive, and the cursors' epoch.
LEFT_BEHIND = {"credentials", "throttles", "heartbeats", "feed_epochs"}


@pytest.fixture
def settings(world: World, tmp_path: Path) -> Settings:
    """The world's settings with a folder of files of its own."""
    given: Settings = world.database.settings
    return given.model_copy(update={"storage_url": (tmp_path / "files").as_uri()})


def checksums(settings: Settings) -> dict[str, str]:
    """Each table's rows as one hash."""
    with psycopg.connect(settings.url_for("owner")) as connection:
        names = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('app', 'public')"
        ).fetchall()
        found = {}
        for (name,) in names:
            rows = connection.execute(f"select t::text from {name} t order by 1").fetchall()
            found[name] = f"{len(rows)} {hashlib.sha256(repr(rows).encode()).hexdigest()}"
        return found


def written(settings: Settings) -> dict[str, list[str]]:
    """The schema, without the parentheses and casts that PostgreSQL adds when it reads its own words back."""
    shape = _shape(psycopg_url(settings.url_for("owner")))
    return {
        kind: sorted(
            re.sub(r"[()\[\] ]|::(character varying|text|double precision|integer)", "", one) for one in found
        )
        for kind, found in shape.items()
    }


def one(settings: Settings, query: str) -> Any:
    with psycopg.connect(settings.url_for("owner"), options="-c search_path=public") as connection:
        row = connection.execute(query).fetchone()  # type: ignore[call-overload]
        return row[0]


def stamp(world: World) -> None:
    while sequencer.stamp(world.database.worker):
        pass


def test_backup_change_restore(world: World, settings: Settings, tmp_path: Path) -> None:
    store = storage(settings)
    store.put("blobs/ab/one", b"as it was")
    for n in range(3):
        intake(world, account={"name": f"Customer {n}"})
    stamp(world)
    app = system(world, world.company(DANUBIA), "events:read")
    page = app.get("/api/v1/events")
    before, shape = checksums(settings), written(settings)
    numbers = one(settings, "select last_value from lead_numbers")
    made = actions.make(settings, tmp_path / "b.tar")
    assert (tmp_path / "b.tar").stat().st_mode & 0o077 == 0, "for its owner only"

    intake(world, account={"name": "After the backup"})
    with world.system() as session:
        session.execute(text("update companies set name = 'changed'"))
        session.execute(text("delete from shares"))
    stamp(world)
    store.delete("blobs/ab/one")
    assert checksums(settings) != before
    world.database.dispose()
    app.interline.registry.app_engine.dispose()
    done = actions.restore(settings, made.path, replace=True)

    after = checksums(settings)
    kept = {name for name in before if name.removeprefix("public.") not in LEFT_BEHIND}
    assert len(kept) > 30 and {n: after[n] for n in kept} == {n: before[n] for n in kept}
    assert written(settings) == shape, "rights, policies, functions, triggers"
    assert store.get("blobs/ab/one") == b"as it was"
    assert one(settings, "select last_value from lead_numbers") == numbers + actions.NUMBERS_LEFT_OUT
    assert done.manifest["companies"] == 4 and done.manifest["leads"] == 3

    assert app.get("/api/v1/events", status=401), "tokens ended"
    again = system(world, world.company(DANUBIA), "events:read")
    known = again.get("/api/v1/events").json["events"]
    assert known == page.json["events"], "the same events under the same ids"
    assert again.get(f"/api/v1/events?after={page.json['next']}", status=410)
    tag = {"If-None-Match": page.headers["ETag"]}
    assert again.get("/api/v1/events", headers=tag, status=200)
    with world.acting("ingrid@halden.example") as session:
        assert session.context.kind == "public", "and sessions"


def test_other_people_still_see_only_theirs(world: World, settings: Settings, tmp_path: Path) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    world.database.dispose()
    actions.restore(settings, made.path, replace=True)
    with world.database.app.connect() as connection:
        assert connection.execute(text("select count(*) from companies")).scalar() == 0, "no context, no rows"
    assert site(world.database).get("/sign-in", status=200)


def test_another_installation_takes_it_with_its_own_logins(
    world: World, settings: Settings, server_url: str, tmp_path: Path
) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    url = psycopg_url(server_url).set(drivername="postgresql", database=f"{settings.database_name}_other")
    other = make(
        database_url=url.render_as_string(hide_password=False),
        interline_secret=SECRET[::-1],
        login_prefix="iltesttoo",
        var_dir=tmp_path / "var",
        storage_url=(tmp_path / "elsewhere").as_uri(),
        public_url="http://localhost:6543",
    )
    try:
        bootstrap(other)
        done = actions.restore(other, made.path, replace=False)
        assert any("INTERLINE_SECRET" in note for note in done.notes)
        assert one(other, "select count(*) from companies") == 4
        with psycopg.connect(other.url_for("app")) as connection:
            assert connection.execute("select count(*) from companies").fetchone() == (0,)
        shape = json.dumps(_shape(psycopg_url(other.url_for("owner"))))
        assert "iltesttoo_app" in shape and "iltest_app" not in shape
    finally:
        with world.database.admin().connect() as connection:
            connection.exec_driver_sql(f'drop database if exists "{other.database_name}" with (force)')
            for login in ("app", "owner", "worker"):
                connection.exec_driver_sql(f"drop role if exists iltesttoo_{login}")


# -- what changes nothing ------------------------------------------------------------------------------------------


def test_a_filled_database_is_refused_without_replace(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    world.database.dispose()
    before = checksums(settings)
    with pytest.raises(actions.RestoreRefused, match=r"not empty \(4 companies.*--replace"):
        actions.restore(settings, made.path, replace=False)
    assert checksums(settings) == before


def test_a_running_site_is_not_restored_under_its_feet(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    with world.database.worker.connect() as connection:
        connection.execute(text("select 1"))
        with pytest.raises(actions.RestoreRefused, match="Stop it on every machine"):
            actions.restore(settings, made.path, replace=True)


def _bad_archives(good: Path) -> dict[str, bytes]:
    whole = good.read_bytes()
    flipped = bytearray(whole)
    flipped[4000] ^= 1
    foreign = io.BytesIO()
    with tarfile.open(fileobj=foreign, mode="w") as tar:
        info = tarfile.TarInfo("readme")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"hi"))
    return {
        "half": whole[: len(whole) // 2],
        "without its end": whole[: whole.rindex(b'{\n "format"')],
        "one bit": bytes(flipped),
        "a foreign tar": foreign.getvalue(),
        "empty": b"",
        "no tar": b"select 1;" * 1000,
    }


def test_a_bad_archive_changes_nothing(world: World, settings: Settings, tmp_path: Path) -> None:
    storage(settings).put("blobs/x", b"x" * 5000)
    good = actions.make(settings, tmp_path / "good.tar").path
    world.database.dispose()
    before = checksums(settings)
    for name, content in _bad_archives(good).items():
        bad = tmp_path / "bad.tar"
        bad.write_bytes(content)
        with pytest.raises(archive.ArchiveError, match=r"bad\.tar"):
            actions.restore(settings, bad, replace=True)
        assert checksums(settings) == before, name


def test_a_newer_versions_archive_is_refused(
    world: World, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    world.database.dispose()
    before = checksums(settings)
    monkeypatch.setattr(actions, "revisions", lambda: ["0001"])
    with pytest.raises(archive.ArchiveError, match="Upgrade first"):
        actions.restore(settings, made.path, replace=True)
    assert checksums(settings) == before


def test_a_restore_that_fails_half_way_changes_nothing(
    world: World, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = actions.make(settings, tmp_path / "b.tar")
    world.database.dispose()
    before = checksums(settings)

    def fails(_connection: Any) -> None:
        raise programs.ProgramError("the power went")

    monkeypatch.setattr(actions, "_begin_anew", fails)
    with pytest.raises(programs.ProgramError):
        actions.restore(settings, made.path, replace=True)
    assert checksums(settings) == before


def test_a_missing_program_is_named_with_its_cure() -> None:
    with pytest.raises(programs.ProgramError, match=r"pg_dump of PostgreSQL 99 .*postgresql-client-99"):
        programs.find("pg_dump", 99)
    path, major = programs.find("pg_dump", 15)
    assert major >= 15 and path.exists()


def test_a_failed_backup_leaves_no_file(
    world: World, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.Writer, "finish", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        actions.make(settings, tmp_path / "b.tar")
    assert [p.name for p in tmp_path.iterdir() if "b.tar" in p.name] == []


def test_a_backup_into_no_folder_names_it(world: World, settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(archive.ArchiveError, match=r"nowhere.*in a folder that is there"):
        actions.make(settings, tmp_path / "nowhere" / "b.tar")


# -- the commands --------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did(
    world: World, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "load", lambda: settings)
    settings.var_dir.mkdir(parents=True, exist_ok=True)
    made = CliRunner().invoke(command.backup, ["--json"])
    assert made.exit_code == 0, made.output
    told = json.loads(made.output)
    assert told["companies"] == 4 and told["file"].startswith(str(settings.var_dir / "backups"))
    world.database.dispose()
    refused = CliRunner().invoke(command.restore, [told["file"]])
    assert refused.exit_code == 1 and "--replace" in refused.output
    done = CliRunner().invoke(command.restore, [told["file"], "--replace"])
    assert done.exit_code == 0 and "4 companies" in done.output and "sign in again" in done.output
    assert CliRunner().invoke(command.restore, []).exit_code == 2


def test_a_restore_by_other_means_ends_the_cursors_too(
    world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "load", lambda: settings)
    app = system(world, world.vendor_id, "events:read")
    old = app.get("/api/v1/events").json["next"]
    assert json.loads(CliRunner().invoke(command.restore, ["--new-epoch", "--json"]).output)["epoch"] > 1
    assert app.get(f"/api/v1/events?after={old}", status=410)

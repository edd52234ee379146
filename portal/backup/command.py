"""`interline backup [FILE]` and `interline restore FILE [--replace]`."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click
import psycopg

from integrations.storage import StorageError
from portal.backup import actions
from portal.backup.archive import ArchiveError
from portal.backup.programs import ProgramError
from portal.settings import load

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
FAILURES = (ArchiveError, ProgramError, actions.RestoreRefused, StorageError, OSError, psycopg.Error)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), required=False)
@AS_JSON
def backup(file: Path | None, as_json: bool) -> None:
    """Write database and files to FILE (default: a new one in VAR_DIR/backups). The site may stay up."""
    settings = load()
    if file is None:
        folder = settings.var_dir / "backups"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"interline-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.tar"
    try:
        made = actions.make(settings, file.absolute())
    except FAILURES as error:
        raise click.ClickException(str(error).strip()) from error
    told = {name: made.manifest[name] for name in ("at", "revision", "companies", "leads", "events")}
    told |= {
        "file": str(made.path),
        "bytes": made.path.stat().st_size,
        "members": len(made.manifest["members"]),
    }
    if as_json:
        click.echo(json.dumps(told))
        return
    click.echo(
        f"{told['file']}: {told['bytes']:,} bytes, {told['members'] - 1} files, schema {told['revision']}"
    )


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@click.option(
    "--replace", is_flag=True, help="Although the database is not empty: everything in it is replaced."
)
@click.option(
    "--new-epoch", is_flag=True, help="Restore nothing; end all feed cursors, after a restore by other means."
)
@AS_JSON
def restore(file: Path | None, replace: bool, new_epoch: bool, as_json: bool) -> None:
    """Put the backup FILE in place, as a whole or not at all. Stop Interline on every machine first."""
    if (file is None) != new_epoch:
        raise click.UsageError("Give the FILE of a backup, or --new-epoch.")
    settings = load()
    try:
        if file is None:
            with psycopg.connect(settings.url_for("owner"), options="-c search_path=public") as connection:
                epoch = actions.new_epoch(connection)
            click.echo(json.dumps({"epoch": epoch}) if as_json else f"The feed's epoch is {epoch} now.")
            return
        done = actions.restore(settings, file.absolute(), replace=replace)
    except FAILURES as error:
        raise click.ClickException(str(error).strip()) from error
    told = {name: done.manifest[name] for name in ("at", "revision", "companies", "leads", "events")}
    if as_json:
        click.echo(json.dumps({"file": str(done.path), **told, "notes": done.notes}))
        return
    click.echo(f"Restored as of {told['at']}: {told['companies']} companies, {told['leads']} leads.")
    for note in done.notes:
        click.echo(note)

"""`interline import KIND FILE --mapping NAME` and `interline export KIND`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.engine import Engine

from integrations.tables import write_csv
from portal.bootstrap import worker_url
from portal.companies.actions import ensure_vendor
from portal.companies.queries import vendor_id
from portal.db import make_engine, transaction
from portal.errors import Refusal
from portal.imports import actions, sources
from portal.routing.rulesets.actions import publish_default
from portal.security.context import Acting
from portal.settings import load

KINDS = click.Choice(sorted(actions.KINDS))
EXPORTS = click.Choice(sorted(actions.EXPORTS))


@contextmanager
def worker() -> Iterator[Engine]:
    """The worker login's engine for the length of a command."""
    engine = make_engine(worker_url(load()))
    try:
        yield engine
    finally:
        engine.dispose()


def ready(engine: Engine, vendor: str) -> int:
    """The vendor's id; makes the vendor and the first rule set on an empty database."""
    with transaction(engine, Acting()) as session:
        ensure_vendor(session, vendor)
        company = vendor_id(session)
    with transaction(engine, Acting(kind="vendor", company_id=company)) as session:
        publish_default(session, company)
    return company


@click.command("import")
@click.argument("kind", type=KINDS)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--mapping", required=True, help="Name of a mapping, or the path of a YAML file of yours.")
@click.option(
    "--vendor", default="Vendor", show_default=True, help="Name of the vendor made on an empty database."
)
@click.option(
    "--wrong-file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Where wrong rows go (default: VAR_DIR/wrong/NAME.wrong.csv).",
)
@click.option("--no-route", is_flag=True, help="Leads: leave them to `interline route`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def import_(
    kind: str, file: Path, mapping: str, vendor: str, wrong_file: Path | None, no_route: bool, as_json: bool
) -> None:
    """Read partners, leads and so on from FILE; running it again changes nothing."""
    try:
        source = sources.from_path(kind, mapping, file)
        with worker() as engine:
            company = ready(engine, vendor)
            options = {"routed": False} if no_route and kind == "leads" else {}
            report = _with_progress(engine, source, company, sources.total(source), options)
    except (Refusal, ValueError) as error:
        raise click.ClickException(str(error)) from error
    # Not beside the file nor in the current folder: wrong rows hold personal data, and VAR_DIR is private.
    target = wrong_file or load().var_dir / "wrong" / f"{file.name.split('.')[0]}.wrong.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    written = actions.write_wrong(report, target)
    counts = {name: getattr(report, name) for name in ("new", "changed", "same", "wrong")}
    click.echo(", ".join(f"{number:,} {name}" for name, number in counts.items()))
    if report.duplicates:
        click.echo(f"{report.duplicates:,} of the new look like repeats and wait for a person.")
    if written:
        click.echo(f"Wrong rows with their reasons: {written}")
    if as_json:
        more = {"duplicates": report.duplicates} if kind == "leads" else {}
        click.echo(json.dumps({**counts, **more, "wrong_file": str(written) if written else None}))


def _with_progress(
    engine: Engine, source: actions.Source, company: int, total: int | None, options: dict[str, Any]
) -> actions.Report:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr(), transient=True) as progress:
        task = progress.add_task(f"Importing {source.kind}", total=total)
        return actions.run(
            engine,
            source,
            company,
            progress=lambda report: progress.update(task, completed=report.done),
            options=options,
        )


def _stderr() -> Any:
    from rich.console import Console

    return Console(stderr=True)


@click.command("export")
@click.argument("kind", type=EXPORTS)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="File to write (default: standard output).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def export(kind: str, output: Path | None, as_json: bool) -> None:
    """Write partners, leads or decisions as CSV."""
    with worker() as engine, transaction(engine, Acting()) as session:
        try:
            company = vendor_id(session)
        except Refusal as error:
            raise click.ClickException(error.message) from error
    with worker() as engine, transaction(engine, Acting(kind="vendor", company_id=company)) as session:
        rows = actions.found(actions.EXPORTS, kind)(session)
        if output is None:
            count = _write_csv(sys.stdout, rows)
        else:
            with output.open("w", encoding="utf-8-sig", newline="") as file:
                count = _write_csv(file, rows)
    if output is not None:
        click.echo(f"{count:,} rows written to {output}", err=True)
    if as_json:
        click.echo(json.dumps({"rows": count, "file": str(output) if output else None}))


def _write_csv(file: IO[str], rows: Any) -> int:
    """Rows as CSV with cells that a spreadsheet would run neutralised; how many."""
    iterator = iter(rows)
    first = next(iterator, None)
    return 0 if first is None else write_csv(file, list(first), chain([first], iterator))

"""`interline work status|retry`: what waits, what failed and why, and another try for it."""

import json

import click

from portal.bootstrap import worker_url
from portal.db import make_engine
from portal.events import work as items
from portal.settings import load

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")


@click.group()
def work() -> None:
    """Work items: status and retry."""


@work.command()
@AS_JSON
def status(as_json: bool) -> None:
    """Show open work by kind and state, with the reason of what was parked."""
    rows = items.status(make_engine(worker_url(load()), pool_size=1))
    if as_json:
        click.echo(json.dumps({"work": rows}, default=str))
        return
    if not rows:
        click.echo("Nothing waits.")
    for row in rows:
        reason = f"  {row['reason']}" if row["reason"] else ""
        click.echo(
            f"{row['kind']:<24} {row['state']:<8} {row['items']:>7}  next {row['next']:%Y-%m-%d %H:%M}{reason}"
        )


@work.command()
@click.argument("ids", nargs=-1, type=int)
@click.option("--all", "everything", is_flag=True, help="Every parked item.")
@AS_JSON
def retry(ids: tuple[int, ...], everything: bool, as_json: bool) -> None:
    """Make parked items (IDS or --all) ready again, with a fresh count of attempts."""
    if not ids and not everything:
        raise click.UsageError("Give the ids of parked items, or --all.")
    count = items.retry(make_engine(worker_url(load()), pool_size=1), None if everything else list(ids))
    click.echo(json.dumps({"retried": count}) if as_json else f"{count} ready again.")

"""`interline replay`: are stored decisions still what they were? `interline rehearse`: what would a draft move?"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import select

from portal.bootstrap import worker_url
from portal.companies.models import Company
from portal.companies.queries import vendor_id
from portal.db import PortalSession, make_engine, transaction
from portal.errors import Refusal
from portal.routing import rehearsing, replaying
from portal.routing.rulesets.actions import find
from portal.security.context import Acting
from portal.settings import load
from rules import RuleSet, minor_per_major
from rules.rehearsal import Effect

STOPPED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""
SHOWN = 20


@contextmanager
def _reading() -> Iterator[PortalSession]:
    """A session that sees everything of the realm."""
    engine = make_engine(worker_url(load()), pool_size=1)
    try:
        with transaction(engine, Acting()) as session:
            vendor = vendor_id(session)
        with transaction(engine, Acting(kind="vendor", company_id=vendor)) as session:
            yield session
    except Refusal as error:
        raise click.ClickException(error.message) from error
    finally:
        engine.dispose()


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


@click.command()
@click.option("--last", type=click.IntRange(1), default=1000, show_default=True, help="How many decisions.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def replay(last: int, as_json: bool) -> None:
    """Make the last decisions again from what is stored and compare; exit code 1 when one differs."""
    began, done, different, stopped = time.monotonic(), 0, [], False
    with _reading() as session, _progress() as progress:
        task = progress.add_task("Replaying", total=replaying.how_many(session, last))
        try:
            for one in replaying.replayed(session, last):
                done += 1
                if one.why:
                    different.append(one)
                progress.update(task, completed=done)
        except KeyboardInterrupt:
            stopped = True
    for one in different[: None if as_json else SHOWN]:
        click.echo(
            f"Decision {one.id} of {one.as_of:%Y-%m-%d %H:%M:%S} differs. {'; '.join(one.why)}", err=as_json
        )
    if len(different) > SHOWN and not as_json:
        click.echo(f"and {len(different) - SHOWN:,} more")
    words = "Stopped. " if stopped else ""
    click.echo(f"{words}{done - len(different):,} of {done:,} decisions are the same again.")
    if as_json:
        told = [
            {
                "decision": str(one.id),
                "lead": str(one.lead_id),
                "as_of": one.as_of.isoformat(),
                "why": list(one.why),
            }
            for one in different
        ]
        found = {
            "decisions": done,
            "equal": done - len(different),
            "different": told,
            "complete": not stopped,
        }
        click.echo(json.dumps(found | {"seconds": round(time.monotonic() - began, 3)}))
    sys.exit(1 if different else STOPPED if stopped else 0)


@click.command()
@click.option(
    "--draft", "version", type=click.IntRange(1), required=True, help="Version of the rule set to try."
)
@click.option(
    "--days", type=click.IntRange(1, rehearsing.MOST_DAYS), default=90, show_default=True,
    help="On the leads of so many days.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def rehearse(version: int, days: int, as_json: bool) -> None:
    """Try a rule set on the leads of the last days against the one in force. Ctrl-C stops it and prints what it has."""
    effects: dict[str, Effect] = {}
    complete = False
    with _reading() as session, _progress() as progress:
        try:
            after = RuleSet.parse(find(session, version).body)
        except Refusal as error:
            raise click.ClickException(f"--draft {version}: there is no rule set of that version.") from error
        given = rehearsing.material(session, after, days)
        tasks = {
            "rules": progress.add_task("The rules alone", total=len(given.past)),
            "full": progress.add_task("With capacity and turns", total=len(given.past)),
        }
        try:
            for name, step in rehearsing.rehearsed(given):
                effects[name] = step.effect
                progress.update(tasks[name], completed=step.done)
            complete = True
        except KeyboardInterrupt:
            click.echo("Stopped; this is what there is so far.", err=True)
        names = _names(session)
    if as_json:
        found = {
            "draft": version,
            "against": given.against,
            "days": days,
            "leads": len(given.past),
            "complete": complete,
        }
        click.echo(json.dumps(found | {name: rehearsing.stored(effect) for name, effect in effects.items()}))
    else:
        for name, effect in effects.items():
            _print(name, effect, len(given.past), given.against, names)
    sys.exit(0 if complete else STOPPED)


def _names(session: PortalSession) -> dict[int, str]:
    return {row.id: row.name for row in session.execute(select(Company.id, Company.name))}


def _print(name: str, effect: Effect, total: int, against: int, names: dict[int, str]) -> None:
    which = "By the rules alone" if name == "rules" else "With capacity and turns"
    far = "" if effect.done == total else f" (stopped after {effect.done:,})"
    minor = rehearsing.stored(effect)["minor"]
    worth = ", ".join(f"{currency} {_major(amount, currency)}" for currency, amount in minor.items())
    click.echo(
        f"{which}, against version {against}: {len(effect.moves):,} of {total:,} leads would move{far},"
        f" {effect.unroutable:,} would find no partner, {effect.routable:,} would find one at last"
        + (f"; {worth} changes hands." if worth else ".")
    )
    flows = sorted(effect.companies.items(), key=lambda item: (-item[1].gained - item[1].lost, str(item[0])))
    for taker, flow in flows[:SHOWN]:
        who = (
            "nobody"
            if taker is None
            else names.get(taker, taker)
            if isinstance(taker, int)
            else f"rep {taker}"
        )
        click.echo(f"  {who}: +{flow.gained:,} -{flow.lost:,}")
    if len(flows) > SHOWN:
        click.echo(f"  and {len(flows) - SHOWN:,} more")


def _major(minor: int, currency: str) -> Any:
    return f"{minor // minor_per_major(currency):,}"

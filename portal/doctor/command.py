"""The command: every check in order, then what was found."""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import click

from portal.doctor import database, machine, outside
from portal.doctor.findings import Finding, of_setting
from portal.settings import Settings, SettingsError, make
from portal.supervisor.postgres import PostgresError, Server

CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    machine.check_versions,
    machine.check_settings,
    machine.check_disk,
    database.check_database,
    database.check_processes,
    outside.check_web,
    outside.check_broker,
    outside.check_mail,
    outside.check_storage,
    machine.check_documents,
    machine.check_programs,
    machine.check_user,
)
# What can be said of a machine on which nothing was set up, without making anything there.
BEFORE: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    machine.check_versions,
    machine.check_settings,
    machine.check_set_up,
    machine.check_documents,
    machine.check_user,
)


def examine(settings: Settings) -> list[Finding]:
    """Every finding; the embedded database is started for the check when it does not run, and left as it was.

    Where nothing was set up yet, nothing is: the findings say so.
    """
    if list(machine.check_set_up(settings)):
        return _run(BEFORE, settings)
    server = Server(settings.var_dir) if settings.embedded_database else None
    findings = []
    try:
        if server is not None:
            server.start()
    except PostgresError as error:
        findings.append(Finding("database", "wrong", str(error), "See above."))
    try:
        findings += _run(CHECKS, settings)
    finally:
        if server is not None:
            server.release()
    return findings


def _run(checks: Sequence[Callable[[Settings], Iterator[Finding]]], settings: Settings) -> list[Finding]:
    """What the checks say, each thing once: several need the same setting. One that fails is a finding too."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += list(check(settings))
        except SettingsError as error:
            findings.append(of_setting(error))
        except Exception as error:  # the others go on
            said = f"{check.__name__} failed: {type(error).__name__}: {error}"
            findings.append(Finding("doctor", "wrong", said, "Please report this line."))
    return list(dict.fromkeys(findings))


def _examined() -> list[Finding]:
    """Every finding of this process's settings, which are not loaded: that would make the folders they name."""
    try:
        settings = make()
    except SettingsError as error:
        return [of_setting(error)]
    return examine(settings)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object as the last line.")
def doctor(as_json: bool) -> None:
    """Say what works, what is off, and the cure. Exit code 1 when something is wrong."""
    findings = _examined()
    marks = {"ok": "ok   ", "off": "off  ", "wrong": "WRONG"}
    for finding in findings:
        click.echo(f"{marks[finding.state]}  {finding.part:<14} {finding.detail}")
        if finding.state != "ok" and finding.cure:
            click.echo(f"{'':<22}{finding.cure}")
    wrong = [f for f in findings if f.state == "wrong"]
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "findings": [asdict(f) for f in findings]}))
    sys.exit(1 if wrong else 0)

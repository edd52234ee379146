"""The `interline` command: a short list of subcommands, each imported only when it is called."""

from __future__ import annotations

import errno
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

# name -> module:click command, whether the database must run for it, one line for --help.
# Imports are lazy so that `interline up` starts fast.
COMMANDS: dict[str, tuple[str, bool, str]] = {
    "up": ("portal.supervisor.command:up", False, "Start everything here and serve until Ctrl-C."),
    "doctor": ("portal.doctor:doctor", False, "Say what works, what is off, and the cure."),
    "migrate": ("portal.supervisor.migrate:migrate", True, "Bring the database to the newest schema."),
    "sequencer": (
        "portal.supervisor.sequencer:sequencer",
        True,
        "Stamp committed events with their position.",
    ),
    "demo": ("portal.demo.command:demo", True, "Fill an empty database with the demo company."),
    "import": ("portal.imports.command:import_", True, "Read partners, leads and so on from a file."),
    "export": ("portal.imports.command:export", True, "Write partners, leads or decisions to a file."),
    "route": ("portal.leads.command:route", True, "Route leads that wait."),
    "replay": ("portal.routing.command:replay", True, "Make stored decisions again and compare."),
    "rehearse": ("portal.routing.command:rehearse", True, "Try a rule set on the leads of the last days."),
    "client": ("portal.connections.command:client", True, "API clients: add, list, revoke."),
    "person": ("portal.companies.command:person", True, "People who may sign in."),
    "backup": ("portal.backup.command:backup", True, "Write database and files to one archive."),
    "restore": ("portal.backup.command:restore", True, "Put a backup in place, as a whole or not at all."),
    "work": ("portal.events.command:work", True, "Work items: status and retry."),
}


# Of the folders we keep things in: read-only, full, or another's.
UNWRITABLE = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM)


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when it is named, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (where, _, _) in COMMANDS.items() if _exists(where.partition(":")[0])]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command | None = getattr(importlib.import_module(module), attribute, None)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help from the table above, without importing a single subcommand."""
        rows = [(name, COMMANDS[name][2]) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="interline")
@click.pass_context
def interline(ctx: click.Context) -> None:
    """Interline: one vendor's extranet to its channel."""
    needs_database = COMMANDS.get(ctx.invoked_subcommand or "", ("", False, ""))[1]
    if needs_database and not {"-h", "--help"} & set(sys.argv):
        from portal.settings import load
        from portal.supervisor.embedded import running

        ctx.with_resource(running(load()))


@contextmanager
def errors_told() -> Iterator[None]:
    """Errors that name their cure are shown as one line, not as a traceback, and end the process."""
    from portal.settings import SettingsError
    from portal.supervisor.postgres import PostgresError

    try:
        yield
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SettingsError, PostgresError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        where = f": {error.filename}" if error.filename else ""
        click.echo(
            f"Error: {error.strerror}{where}. VAR_DIR must be a folder that we may write to, with room.",
            err=True,
        )
        sys.exit(2)


def main() -> None:
    """Entry point."""
    from portal.supervisor.process import collect_seldom

    collect_seldom()
    with errors_told():
        interline()


if __name__ == "__main__":
    main()

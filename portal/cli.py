"""The `interline` command: a short list of subcommands, each imported only when it is called."""

from __future__ import annotations

import importlib
import importlib.util

import click

# name -> (module, click command in it, one line for --help). Imports are lazy so that `interline up` starts fast.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "up": ("portal.supervisor.command", "up", "Start everything on this machine and serve until Ctrl-C."),
    "doctor": ("portal.doctor", "doctor", "Say what works, what is off, and the cure."),
    "sequencer": ("portal.events.sequencer", "sequencer", "Stamp committed events with their position (a child of up)."),
    "migrate": ("portal.migrate", "migrate", "Bring the database to the newest schema."),
    "demo": ("portal.demo.command", "demo", "Fill an empty database with the demo company."),
    "import": ("portal.imports.command", "import_", "Read a file of partners, leads, ... into the portal."),
    "export": ("portal.imports.command", "export", "Write partners, leads or decisions to a file."),
    "route": ("portal.routing.command", "route", "Route leads that wait."),
    "rehearse": ("portal.routing.command", "rehearse", "Try a rule set on past leads."),
    "replay": ("portal.routing.command", "replay", "Decide a past decision again and compare."),
    "client": ("portal.connections.command", "client", "API clients."),
    "person": ("portal.companies.command", "person", "People who may sign in."),
    "work": ("portal.events.command", "work", "Work items: status and retry."),
    "privacy": ("portal.accounts.command", "privacy", "Export or erase one person's data."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when it is named, not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, (module, _, _) in COMMANDS.items() if _exists(module)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS or not _exists(COMMANDS[name][0]):
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list for --help from the table above, without importing a single subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in self.list_commands(ctx)])


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="interline")
def main() -> None:
    """Interline: one vendor's extranet to its channel."""

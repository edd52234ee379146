"""The operator's page is true: its commands exist with the options it gives, its settings are settings, its unit is one."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest

from portal import metrics
from portal.cli import COMMANDS, interline
from portal.settings import HOME, Settings
from portal.supervisor.embedded import running

PAGE = (Path(HOME) / "portal" / "help" / "operator.md").read_text(encoding="utf-8")
LINES = [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]
CALLS = [line.partition("#")[0] for line in LINES if line.startswith("interline ")]
assert running


@pytest.mark.parametrize("line", CALLS)
def test_each_command_takes_what_the_page_gives_it(line: str, tmp_path: Path) -> None:
    words = shlex.split(line)[1:]
    context = click.Context(interline)
    command: click.Command = interline
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None, line
        command = found
    archive = tmp_path / "interline.tar"
    archive.touch()
    words = [str(archive) if word.endswith(".tar") else word for word in words]
    command.make_context(line, words)


LOAD = "set -a; . /etc/interline/env; set +a"


def test_each_command_stands_after_the_settings_are_loaded() -> None:
    first = next(n for n, line in enumerate(LINES) if line.startswith("interline "))
    assert LINES.index(LOAD) < first, "a shell does not read the file by itself"
    crontab = [line for line in LINES if "/bin/interline backup" in line]
    assert crontab and all("set -a; . /etc/interline/env;" in line for line in crontab), (
        "cron has its own shell"
    )


def test_that_line_gives_a_command_every_setting_of_the_file(tmp_path: Path) -> None:
    """The file of the page, word for word, read by a shell: what it says is what a command sees."""
    start = next(n for n, line in enumerate(LINES) if line.startswith("DATABASE_URL="))
    given = [line for line in LINES[start : start + 12] if re.match(r"[A-Z_]+=", line)]
    file = tmp_path / "env"
    file.write_text("\n".join(given))
    load = LOAD.replace("/etc/interline/env", str(file))
    done = subprocess.run(
        ["/bin/sh", "-c", f"{load}; env"], capture_output=True, text=True, check=True, env={}
    )
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines())
    wanted = {key: value.strip('"') for key, value in (line.split("=", 1) for line in given)}
    assert len(wanted) >= 8 and wanted.items() <= seen.items()


def test_the_page_tells_of_the_commands_that_keep_it_running() -> None:
    told = " ".join(CALLS)
    assert all(name in told for name in ("migrate", "backup", "restore", "doctor", "work", "person"))
    assert set(COMMANDS) >= {line.split()[1] for line in CALLS}


def test_its_settings_are_settings() -> None:
    given = {line.partition("=")[0] for line in LINES if re.match(r"[A-Z_]+=", line)}
    assert len(given) >= 8 and given <= {name.upper() for name in Settings.model_fields}


def test_its_figures_are_figures() -> None:
    source = (Path(HOME) / "portal" / "metrics.py").read_text(encoding="utf-8")
    named = set(re.findall(r"`(interline_[a-z_]+)`", PAGE))
    assert len(named) >= 6 and metrics.REQUESTS
    assert {name for name in named if name.removesuffix("_total") not in source} == set()


def test_its_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd is not installed here")
    unit = "\n".join(LINES[LINES.index("[Unit]") : LINES.index("WantedBy=multi-user.target") + 1])
    # What the page puts in /opt is not on this machine.
    unit = re.sub(r"^ExecStart=.*", "ExecStart=/bin/true", unit, flags=re.MULTILINE)
    path = tmp_path / "interline.service"
    path.write_text(re.sub(r"(?m)^(WorkingDirectory|User)=.*\n", "", unit).replace("[", "\n["))
    done = subprocess.run([program, "verify", str(path)], capture_output=True, text=True)
    assert "interline.service" not in done.stderr, done.stderr

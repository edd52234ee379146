"""pg_dump and pg_restore of the right major version: beside the server's programs, from the wheel, or on the path."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from portal.supervisor import postgres


class ProgramError(Exception):
    """A program is missing or failed; the message says what to do."""


def find(name: str, major: int) -> tuple[Path, int]:
    """The program of exactly this major version, else of the next newer one, and its version. Raises ProgramError."""
    found: dict[int, Path] = {}
    for path in _candidates(name):
        version = _major(path)
        if version is not None:
            found.setdefault(version, path)
    able = [version for version in sorted(found) if version >= major]
    if able:
        return found[able[0]], able[0]
    have = ", ".join(map(str, sorted(found))) or "none"
    raise ProgramError(
        f"{name} of PostgreSQL {major} or newer is needed; this machine has {have}."
        f" Install it: sudo apt-get install -y postgresql-client-{major}"
    )


def _candidates(name: str) -> Iterator[Path]:
    yield from sorted(postgres.SYSTEM_BINARIES.glob(f"*/bin/{name}"))
    for programs in postgres.available_programs():
        yield programs.folder / name
    on_path = shutil.which(name)
    if on_path:
        yield Path(on_path)


def _major(path: Path) -> int | None:
    try:
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=20, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", said)
    return int(found[1]) if found else None


def connection_of(url: str) -> tuple[str, Mapping[str, str]]:
    """Connection words for a program and its environment: the password stands in no list of processes."""
    parts = conninfo_to_dict(url)
    password = parts.pop("password", None)
    environment = {} if password is None else {"PGPASSWORD": str(password)}
    return make_conninfo(**parts), environment  # type: ignore[arg-type]


def server_major(connection: "psycopg.Connection[object]") -> int:
    """15 of 15.20."""
    return connection.info.server_version // 10_000

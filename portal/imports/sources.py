"""Makes a Source of a file and a mapping's name: what reads its rows and turns each into a record."""

from pathlib import Path

from portal.errors import Fault, Invalid
from portal.imports.actions import MAX_FILE, Source


def from_path(kind: str, mapping: str, path: Path) -> Source:
    """The source of a file on this machine."""
    if path.stat().st_size > MAX_FILE:
        raise Invalid(Fault("file", str(path), f"split it into files of at most {MAX_FILE} bytes"))
    return from_bytes(kind, mapping, path.name, path.read_bytes())


def from_bytes(kind: str, mapping: str, file_name: str, content: bytes) -> Source:
    """The source of an uploaded or stored file."""
    raise NotImplementedError


def total(source: Source) -> int | None:
    """How many rows there are, when that is cheap to know."""
    return None


def choices() -> list[tuple[str, str]]:
    """Mappings there are."""
    return []

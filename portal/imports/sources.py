"""Makes a Source of a file and a mapping's name: what reads its rows and turns each into a placed record."""

from pathlib import Path

from portal import gateways
from portal.errors import Fault, Invalid
from portal.imports.actions import KINDS, MAX_FILE, Source
from portal.imports.mapping import FOLDER, Mapping
from portal.imports.reader import Reader
from portal.web.limits import in_mb

# Up to this size counting the rows beforehand, for the progress bar, costs less than a second.
COUNTED = 20 * 1024 * 1024


def from_path(kind: str, mapping: str, path: Path) -> Source:
    """The source of a file on this machine; `mapping` is a name or the path of a YAML file."""
    if path.stat().st_size > MAX_FILE:
        raise Invalid(Fault("file", str(path), f"split it into files of at most {in_mb(MAX_FILE)} MB"))
    return from_bytes(kind, mapping, path.name, path.read_bytes())


def from_bytes(kind: str, mapping: str, file_name: str, content: bytes) -> Source:
    """The source of an uploaded or stored file. Invalid when its mapping is unknown or its first row unreadable."""
    try:
        found = _mapping(kind, mapping)
        reader = Reader(found, gateways.geocoder())
        next(iter(reader.rows(content)), None)
    except ValueError as error:
        raise Invalid(Fault("file", file_name, str(error))) from error
    return Source(
        kind=kind,
        mapping=found.name,
        file_name=file_name,
        content=content,
        rows=lambda: reader.rows(content),
        apply=reader.record,
        declared=found,
    )


def _mapping(kind: str, name: str) -> Mapping:
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        return Mapping.load(name, kind)
    found = Mapping.parse(path.read_text("utf-8"), path.stem)
    if found.kind != kind:
        raise ValueError(f"mapping {path} is for {found.kind}; import {found.kind} with it, not {kind}")
    return found


def total(source: Source) -> int | None:
    """How many rows there are, when that is cheap to know."""
    return sum(1 for _ in source.rows()) if len(source.content) <= COUNTED else None


def choices() -> list[tuple[str, str]]:
    """('partners/maryland', title) of every mapping beside this file, for a choice on a page."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        name, _, kind = path.stem.rpartition("_")
        if kind in KINDS:
            found.append((f"{kind}/{name}", Mapping.load(name, kind).title))
    return found

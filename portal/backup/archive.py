"""The archive file: members in order, their checksums in a manifest that comes last, so that half a file shows."""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

FORMAT = 1
MANIFEST = "manifest.json"
DATABASE = "database.dump"
FILES = "files/"
MOST_MANIFEST_BYTES = 256 * 2**20
CHUNK = 2**20


class ArchiveError(Exception):
    """The archive cannot be used; nothing was changed. The message says why."""


class Writer:
    """Adds members and remembers their checksums; `finish` writes the manifest."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.members: dict[str, dict[str, Any]] = {}

    def add(self, name: str, content: IO[bytes], size: int) -> None:
        """One member of `size` bytes."""
        reader = _Counting(content)
        info = tarfile.TarInfo(name)
        info.size, info.mode, info.mtime = size, 0o600, int(time.time())
        self._tar.addfile(info, reader)  # type: ignore[arg-type]
        self.members[name] = {"size": size, "sha256": reader.hash.hexdigest()}

    def add_pieces(self, name: str, pieces: Iterable[bytes]) -> None:
        """One member of unknown size, kept on disk until it is."""
        with TemporaryFile() as spool:
            for piece in pieces:
                spool.write(piece)
            size = spool.tell()
            spool.seek(0)
            self.add(name, spool, size)

    def finish(self, manifest: dict[str, Any]) -> None:
        """The manifest, last."""
        whole = json.dumps({"format": FORMAT, **manifest, "members": self.members}, indent=1).encode()
        info = tarfile.TarInfo(MANIFEST)
        info.size, info.mode, info.mtime = len(whole), 0o600, int(time.time())
        self._tar.addfile(info, io.BytesIO(whole))


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A new archive at `path`, for this user only; it appears whole when the block ends well, or not at all.
    ArchiveError where no file can be made."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as error:
        cure = "Name a file in a folder that is there and may be written to."
        raise ArchiveError(f"No file can be made in {path.parent}: {error.strerror}. {cure}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                yield Writer(tar)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def verify(path: Path) -> dict[str, Any]:
    """The manifest of an archive that is whole and of a format we read. Raises ArchiveError."""
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                content = tar.extractfile(member)
                if manifest is not None or content is None or member.name in found:
                    raise ArchiveError(f"{path} holds what no backup holds ({member.name}).")
                if member.name == MANIFEST:
                    manifest = json.loads(content.read(MOST_MANIFEST_BYTES))
                    continue
                reader = _Counting(content)
                while reader.read(CHUNK):
                    pass
                found[member.name] = {"size": member.size, "sha256": reader.hash.hexdigest()}
    except (tarfile.TarError, ValueError, EOFError, OSError) as error:
        raise ArchiveError(f"{path} cannot be read as a backup: {error}.") from error
    if not isinstance(manifest, dict):
        raise ArchiveError(f"{path} has no manifest: it is cut off, or no backup of Interline.")
    if manifest.get("format") != FORMAT:
        raise ArchiveError(
            f"{path} has format {manifest.get('format')}; this version reads {FORMAT}. Use the version that made it."
        )
    if manifest.get("members") != found or DATABASE not in found:
        wrong = [name for name, told in (manifest.get("members") or {}).items() if found.get(name) != told]
        raise ArchiveError(
            f"{path} is damaged: {', '.join(wrong[:3]) or 'its members'} differ from its manifest."
        )
    return manifest


def files(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Key and content of each stored file, in order; read each before the next. After `verify`."""
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            content = tar.extractfile(member)
            if member.name.startswith(FILES) and content is not None:
                yield member.name.removeprefix(FILES), content


def extract_database(path: Path, target: IO[bytes]) -> None:
    """The dump, into an open file. After `verify`."""
    with tarfile.open(path, "r:") as tar:
        content = tar.extractfile(DATABASE)
        assert content is not None
        while piece := content.read(CHUNK):
            target.write(piece)
    target.flush()


class _Counting:
    """Reads on and sums up what was read."""

    def __init__(self, content: IO[bytes]) -> None:
        self._content = content
        self.hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._content.read(size)
        self.hash.update(piece)
        return piece

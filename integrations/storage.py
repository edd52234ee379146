"""Where bytes live that do not belong in the database: a local folder or an S3 bucket, by key, through obstore.

A key is a path of plain names ("blobs/ab/abcd..."). `put` is whole or not at all; `get` of an unknown key raises
FileNotFoundError; `delete` of one does nothing; whatever else goes wrong outside is StorageError, worth another try.
S3 takes its key, region and endpoint from the environment (AWS_ACCESS_KEY_ID, AWS_REGION, AWS_ENDPOINT_URL, ...).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, ObjectStore, S3Store

SCHEMES = ("file", "s3", "memory")
CHUNK_BYTES = 256 * 1024
CONNECT_TIMEOUT, TIMEOUT = timedelta(seconds=5), timedelta(seconds=60)
RETRY_FOR = timedelta(seconds=20)


class StorageError(Exception):
    """The place where files live did not do what was asked; nothing is known to be wrong with the request."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of a listing."""

    key: str
    size: int
    modified: datetime


class Storage:
    """put, get, stream, delete and list by key. Safe to share between threads; open one per process, after a fork."""

    def __init__(self, url: str) -> None:
        """`url` is file:///folder (made when absent, for this user only), s3://bucket/prefix, or memory: for tests."""
        self._folder: Path | None = None
        with _told(by_key=False):
            self._store = self._open(url)

    def _open(self, url: str) -> ObjectStore:
        parts = urlsplit(url)
        if parts.scheme == "memory":
            return MemoryStore()
        if parts.scheme == "s3":
            endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT", "")
            plain = endpoint.startswith("http://")  # a store on the own network: its operator wrote it so
            return S3Store.from_url(
                url,
                client_options={"connect_timeout": CONNECT_TIMEOUT, "timeout": TIMEOUT, "allow_http": plain},
                retry_config={"max_retries": 3, "retry_timeout": RETRY_FOR},
            )
        if parts.scheme != "file":
            raise ValueError(f"{parts.scheme}: is no place for files; use one of {', '.join(SCHEMES)}")
        self._folder = Path(unquote(parts.path))
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return LocalStore(str(self._folder))

    def put(self, key: str, content: bytes | BinaryIO) -> None:
        """Keep `content` (bytes, or a file read from where it stands) under `key`, in place of what was there."""
        with _told(by_key=False):
            obstore.put(self._store, key, content)
            if self._folder is not None:
                # The row that names it is about to be committed: it may not outlive the bytes in a power cut.
                _flush(self._folder / key)

    def get(self, key: str) -> bytes:
        """All of it."""
        with _told():
            return bytes(obstore.get(self._store, key).bytes())

    def stream(self, key: str) -> Iterator[bytes]:
        """Piece by piece; an unknown key is noticed at once, not at the first piece."""
        with _told():
            found = obstore.get(self._store, key)
        return self._pieces(found)

    def _pieces(self, found: "obstore.GetResult") -> Iterator[bytes]:
        with _told():
            for piece in found.stream(min_chunk_size=CHUNK_BYTES):
                yield bytes(piece)

    def has(self, key: str) -> bool:
        """Whether something is kept under `key`."""
        try:
            with _told():
                obstore.head(self._store, key)
        except FileNotFoundError:
            return False
        return True

    def delete(self, key: str) -> None:
        """Forget it; an unknown key is no error."""
        try:
            with _told():
                obstore.delete(self._store, key)
        except FileNotFoundError:
            return

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """What is kept under a folder of keys ("blobs", without a slash at its end), in no particular order."""
        with _told(by_key=False):
            for page in obstore.list(self._store, prefix or None):
                for one in page:
                    yield Stored(one["path"], one["size"], one["last_modified"])


@contextmanager
def _told(*, by_key: bool = True) -> Iterator[None]:
    """Faults of the store in one word of ours, without the addresses and paths in their messages. Only what is asked
    `by_key` can be unknown; to who writes, a missing folder or bucket is a fault of the store."""
    try:
        yield
    except (BaseError, OSError) as error:
        if by_key and isinstance(error, FileNotFoundError):
            raise FileNotFoundError("nothing is kept under this key") from None
        raise StorageError(f"the storage failed: {type(error).__name__}") from error


def _flush(path: Path) -> None:
    for one in (path, path.parent):
        descriptor = os.open(one, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

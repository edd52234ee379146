"""Files of a subject: sniffed, capped, kept once by their hash, seen by level; reading them, and sweeping what nobody names.

The name is a text of kind `file` (names hold personal data, so they expire and are erased with the texts), the row of
`files` points to the bytes. Bytes first, then the rows: what a crash leaves is bytes without a row, which the sweep takes.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO, Literal

from sqlalchemy import delete, func, select, text

from integrations.uploads import KINDS, Kind, NotTaken, clean_name, sniff
from portal.companies.queries import vendor_id
from portal.db import PortalSession, new_id, put
from portal.errors import Fault, Invalid
from portal.events.work import enqueue
from portal.gateways import Storage
from portal.settings import Settings
from portal.sharing.models import HOLDER, File, Text
from portal.web.i18n import _, tr

MB = 1024 * 1024
CHUNK = 256 * 1024
FOLDER = "blobs"
MOST_AT_ONCE = 20
CODES = {kind.media_type: kind.code for kind in KINDS.values()}
# Who sees a file besides the company that added it.
Opens = Literal["own", "shared", "accepted"]

WHY_NOT = {
    "empty": _("The file is empty."),
    "program": _("Programs and scripts are not taken."),
    "markup": _("Web pages and SVG pictures are not taken. Send a PDF or a picture."),
    "archive": _("Archives are not taken. Send the files in it one by one."),
    "macros": _("Documents with macros are not taken. Save it without them."),
    "old_office": _("This old Office format is not taken. Save it as .docx, .xlsx, .pptx or PDF."),
    "unknown": _(
        "This kind of file is not taken. Send a PDF, a picture, an Office document, a drawing or plain text."
    ),
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file as this reader may know it."""

    id: int
    name: str
    media_type: str
    size: int
    sha256: str
    company_id: int
    person_id: int | None
    audience: Sequence[int]
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def opens(self) -> Opens:
        """Who sees it besides its company."""
        if HOLDER in self.audience:
            return "accepted"
        return "shared" if len(self.audience) > 1 else "own"

    @property
    def code(self) -> str:
        """Its kind in one word: pdf, docx, jpeg, ..."""
        return CODES.get(self.media_type, "text")


COLUMNS = (
    Text.id, Text.body, Text.content_type, File.size, File.sha256, Text.company_id, Text.person_id, Text.audience,
    Text.created_at, Text.expires_at,
)  # fmt: skip
FILES = select(*COLUMNS).join(File, File.text_id == Text.id)


def files_of(session: PortalSession, subject: tuple[str, int]) -> list[Attachment]:
    """The files of a subject that this reader may see, the newest first."""
    query = FILES.where(Text.subject_type == subject[0], Text.subject_id == subject[1], Text.kind == "file")
    return [_attachment(row) for row in session.execute(query.order_by(Text.id.desc()))]


def file_of(session: PortalSession, subject: tuple[str, int], file_id: int) -> Attachment | None:
    """One of them; None for a foreign or unknown one alike."""
    query = FILES.where(Text.subject_type == subject[0], Text.subject_id == subject[1], Text.id == file_id)
    row = session.execute(query).first()
    return None if row is None else _attachment(row)


def _attachment(row: Any) -> Attachment:
    return Attachment(
        row.id, row.body, row.content_type, row.size, bytes(row.sha256).hex(), row.company_id, row.person_id,
        tuple(row.audience), row.created_at, row.expires_at,
    )  # fmt: skip


def opening_on_acceptance(session: PortalSession, subject: tuple[str, int]) -> int:
    """How many files whoever accepts will see."""
    query = select(func.count()).where(
        Text.subject_type == subject[0], Text.subject_id == subject[1], Text.kind == "file",
        Text.audience.contains([HOLDER]),
    )  # fmt: skip
    return int(session.execute(query).scalar_one())


# -- keeping one -----------------------------------------------------------------------------------------------------


def keep_file(
    session: PortalSession,
    settings: Settings,
    storage: Storage,
    subject: tuple[str, int],
    given: tuple[str, BinaryIO],
    audience: Iterable[int],
    expires_at: datetime | None = None,
) -> tuple[Attachment, bool]:
    """Keep a file (its name, its bytes) for the company that acts and `audience`; (the file, whether it is new).

    The same bytes again on the same subject, as far as the reader sees, are the file that is there. Invalid says what
    is wrong with it; what was written to the storage then is swept.
    """
    kind = _sniffed(*given)
    size, digest = _measured(given[1], settings.max_file_mb)
    key = blob_key(digest)
    # Held until the rows are committed: the sweep never takes bytes that somebody is about to name.
    session.execute(text("select pg_advisory_xact_lock_shared(:key)"), {"key": lock_key(digest)})
    if not storage.has(key):
        given[1].seek(0)
        storage.put(key, given[1])
    ctx = session.context
    company = ctx.company_id or vendor_id(session)
    # One file of a company at a time and subject, so that two that come together do not both fit.
    session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": (subject[1] ^ company) & (2**63 - 1)})
    there = FILES.where(Text.subject_type == subject[0], Text.subject_id == subject[1], File.sha256 == digest)
    known = session.execute(there.order_by(Text.id)).first()
    if known is not None:
        return _attachment(known), False
    _room_for(session, settings, subject, company, size)
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": company,
        "kind": "file",
        "subject_type": subject[0],
        "subject_id": subject[1],
        "person_id": ctx.person_id,
        "body": clean_name(given[0], kind),
        "content_type": kind.media_type,
        "audience": sorted({company, *audience}),
        "created_at": ctx.now,
        "expires_at": expires_at,
    }
    put(session, Text, row)
    put(session, File, {"text_id": row["id"], "realm_id": ctx.realm_id, "sha256": digest, "size": size})
    made = Attachment(
        row["id"], row["body"], kind.media_type, size, digest.hex(), company, ctx.person_id,
        row["audience"], ctx.now, expires_at,
    )  # fmt: skip
    return made, True


def _sniffed(name: str, file: BinaryIO) -> Kind:
    try:
        return sniff(file)
    except NotTaken as refusal:
        raise Invalid(Fault("file", name, tr(WHY_NOT[refusal.code]), refusal.code)) from None


def _measured(file: BinaryIO, most_mb: int) -> tuple[int, bytes]:
    """(size, SHA-256), read piece by piece; Invalid as soon as it is too long."""
    file.seek(0)
    size, hashed = 0, hashlib.sha256()
    while piece := file.read(CHUNK):
        size += len(piece)
        if size > most_mb * MB:
            said = _("It is larger than ${mb} MB.", mapping={"mb": most_mb})
            raise Invalid(Fault("file", None, tr(said), "too_large"))
        hashed.update(piece)
    return size, hashed.digest()


def _room_for(
    session: PortalSession, settings: Settings, subject: tuple[str, int], company: int, size: int
) -> None:
    used = session.execute(
        select(func.coalesce(func.sum(File.size), 0))
        .join(Text, Text.id == File.text_id)
        .where(Text.subject_type == subject[0], Text.subject_id == subject[1], Text.company_id == company)
    ).scalar_one()
    if used + size > settings.max_files_mb * MB:
        said = _("Your company's files here would be more than ${mb} MB. Remove one first.")
        raise Invalid(Fault("file", None, tr(said % {"mb": settings.max_files_mb}), "full"))


def drop_files(session: PortalSession, ids: Collection[int]) -> None:
    """Forget files at once, their names and, where nobody else names them, their bytes."""
    digests = session.execute(select(File.sha256).where(File.text_id.in_(ids))).scalars().all()
    session.execute(delete(Text).where(Text.id.in_(ids), Text.kind == "file"))
    for digest in set(digests):
        enqueue(session, "files.sweep", {"sha256": bytes(digest).hex()})


# -- the bytes -------------------------------------------------------------------------------------------------------


def blob_key(digest: bytes) -> str:
    """Where the storage keeps the bytes with this SHA-256."""
    return f"{FOLDER}/{digest.hex()[:2]}/{digest.hex()}"


def lock_key(digest: bytes) -> int:
    """The advisory lock of a blob: shared while a row that names it is written, alone while it is swept."""
    return int.from_bytes(digest[:8], "big", signed=True)


NAMED = select(File.sha256)


def sweep(session: PortalSession, storage: Storage, digests: Iterable[bytes]) -> int:
    """Delete the bytes that no row names any more; how many. As `system`, which sees every row."""
    gone = 0
    for some in _batches(digests):
        named = {bytes(one) for one in session.execute(NAMED.where(File.sha256.in_(some))).scalars()}
        for digest in some:
            if digest not in named and _unnamed(session, digest):
                storage.delete(blob_key(digest))
                gone += 1
    return gone


def _unnamed(session: PortalSession, digest: bytes) -> bool:
    """Nobody is adding it now, and nobody has since we looked. The lock stands until the deletion is done."""
    lock = text("select pg_try_advisory_xact_lock(:key)")
    if not session.execute(lock, {"key": lock_key(digest)}).scalar_one():
        return False
    return session.execute(NAMED.where(File.sha256 == digest).limit(1)).first() is None


def kept(storage: Storage) -> Iterator[bytes]:
    """The SHA-256 of everything that the storage keeps for us."""
    for one in storage.list(FOLDER):
        name = one.key.rpartition("/")[2]
        if len(name) == 64 and set(name) <= set("0123456789abcdef"):
            yield bytes.fromhex(name)


def _batches(digests: Iterable[bytes], size: int = 200) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for digest in digests:
        batch.append(digest)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch

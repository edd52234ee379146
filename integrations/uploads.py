"""What an uploaded file really is, told from its bytes; a name for it that is safe to keep, show and send.

Neither the name nor the type that came with a file is believed. Only the kinds of KINDS are taken: pictures, documents,
tables and drawings. Programs, web pages, scripts, SVG, archives and files with macros are refused, each with a reason.
"""

import re
import unicodedata
import zipfile
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import quote

HEAD_BYTES = 64 * 1024
# A directory of more names than this within a .docx is no document; reading it would cost memory.
MAX_DIRECTORY_BYTES = 1_000_000
MAX_NAME = 120
END_OF_DIRECTORY = b"PK\x05\x06"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file that is taken; `endings` are right for it, the first is given to a name that has none of them."""

    code: str
    media_type: str
    endings: tuple[str, ...]


_OOXML = "application/vnd.openxmlformats-officedocument."
_ODF = "application/vnd.oasis.opendocument."
KINDS = {
    kind.code: kind
    for kind in (
        Kind("pdf", "application/pdf", ("pdf",)),
        Kind("jpeg", "image/jpeg", ("jpg", "jpeg")),
        Kind("png", "image/png", ("png",)),
        Kind("gif", "image/gif", ("gif",)),
        Kind("webp", "image/webp", ("webp",)),
        Kind("tiff", "image/tiff", ("tif", "tiff")),
        Kind("heic", "image/heic", ("heic", "heif")),
        Kind("docx", _OOXML + "wordprocessingml.document", ("docx",)),
        Kind("xlsx", _OOXML + "spreadsheetml.sheet", ("xlsx",)),
        Kind("pptx", _OOXML + "presentationml.presentation", ("pptx",)),
        Kind("odt", _ODF + "text", ("odt",)),
        Kind("ods", _ODF + "spreadsheet", ("ods",)),
        Kind("odp", _ODF + "presentation", ("odp",)),
        Kind("dwg", "image/vnd.dwg", ("dwg",)),
        Kind("dxf", "image/vnd.dxf", ("dxf",)),
        Kind("step", "model/step", ("step", "stp")),
        Kind("text", "text/plain", ("txt", "csv", "tsv", "md", "log")),
    )
}
PLAIN = (
    (b"%PDF-", "pdf"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"AC10", "dwg"),
    (b"ISO-10303-21;", "step"),
)
REFUSED = (
    (b"MZ", "program"),
    (b"\x7fELF", "program"),
    (b"\xca\xfe\xba\xbe", "program"),
    (b"\xcf\xfa\xed\xfe", "program"),
    (b"\xfe\xed\xfa", "program"),
    (b"dex\n", "program"),
    (b"#!", "program"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old_office"),
    (b"Rar!", "archive"),
    (b"7z\xbc\xaf", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"BZh", "archive"),
    (b"\xfd7zXZ", "archive"),
)
MARKUP = re.compile(
    rb"<\s*(?:!doctype|\?xml|html|head|body|script|svg|iframe|object|embed|img|a\s)", re.IGNORECASE
)
# Words that Windows takes for devices, whatever follows the dot.
DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
# What a browser's form escapes in a name, and nothing else (WHATWG HTML, multipart/form-data encoding algorithm).
ESCAPED = re.compile(r"%(22|0D|0A)")
FORBIDDEN = '<>:"|?*'


class NotTaken(Exception):
    """A file that is not taken. `code`: empty, program, markup, archive, macros, old_office or unknown."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def sniff(file: BinaryIO) -> Kind:
    """The kind of a file from its content; NotTaken when it is none of ours. Leaves the file at its beginning."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    try:
        return KINDS[_code(file, head)]
    finally:
        file.seek(0)


def _code(file: BinaryIO, head: bytes) -> str:
    if not head:
        raise NotTaken("empty")
    for start, code in PLAIN:
        if head.startswith(start):
            return code
    for start, why in REFUSED:
        if head.startswith(start):
            raise NotTaken(why)
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"heif", b"mif1", b"msf1"):
        return "heic"
    if head.startswith(b"PK"):
        return _packed(file)
    return _text(head)


def _packed(file: BinaryIO) -> str:
    """Office documents are ZIP archives; any other archive is refused, for nobody can say what is in it."""
    names = _names(file)
    lower = {name.lower() for name in names}
    if any(name.endswith("vbaproject.bin") or name.startswith("basic/") for name in lower):
        raise NotTaken("macros")
    if "[content_types].xml" in lower:
        for part, code in (("word/", "docx"), ("xl/", "xlsx"), ("ppt/", "pptx")):
            if any(name.startswith(part) for name in lower):
                return code
    if names[:1] == ["mimetype"]:
        with zipfile.ZipFile(file) as archive, archive.open("mimetype") as declared:
            media_type = declared.read(100).decode("ascii", "replace").strip()
        for code in ("odt", "ods", "odp"):
            if media_type == KINDS[code].media_type:
                return code
    raise NotTaken("archive")


def _names(file: BinaryIO) -> list[str]:
    size = file.seek(0, 2)
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(END_OF_DIRECTORY)
    if at < 0 or int.from_bytes(tail[at + 12 : at + 16], "little") > MAX_DIRECTORY_BYTES:
        raise NotTaken("archive")
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise NotTaken("archive") from None


def _text(head: bytes) -> str:
    """Plain text in UTF-8, UTF-16 with its mark, or an old Western code page; nothing that a browser would run."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        plain = head.decode("utf-16", "replace")
    elif b"\x00" in head:
        raise NotTaken("unknown")
    else:
        plain = head.decode("utf-8", "replace") if _is_utf8(head) else head.decode("cp1252", "replace")
    if sum(ord(c) < 32 and c not in "\t\n\r\f" for c in plain) or plain.count("\ufffd") > len(plain) // 20:
        raise NotTaken("unknown")
    if MARKUP.search(plain.encode("utf-8", "replace")):
        raise NotTaken("markup")
    return "dxf" if re.match(r"\s*(999\r?\n[^\n]*\n\s*)*0\r?\n\s*SECTION", plain) else "text"


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(head) == HEAD_BYTES and error.start > HEAD_BYTES - 4  # cut within a character
    return True


# -- names ---------------------------------------------------------------------------------------------------------


def clean_name(given: str, kind: Kind) -> str:
    """A name to keep: one line, no folders, nothing invisible or turning the reading direction, the right ending."""
    name = (
        unicodedata.normalize("NFC", ESCAPED.sub(lambda found: chr(int(found[1], 16)), given))
        .replace("\\", "/")
        .rpartition("/")[2]
    )
    name = "".join(" " if c.isspace() else c for c in name)
    name = "".join("_" if c in FORBIDDEN else c for c in name if unicodedata.category(c)[0] != "C")
    name = " ".join(name.split()).strip(". ")
    stem, dot, ending = name.rpartition(".")
    if not dot or ending.lower() not in kind.endings:
        stem, ending = name, kind.endings[0]
    stem = _cut(stem.strip(". "), MAX_NAME - len(ending) - 1) or "file"
    if DEVICES.match(stem):
        stem = f"_{stem}"
    return f"{stem}.{ending}"


def _cut(stem: str, most: int) -> str:
    stem = stem[:most]
    while len(stem.encode()) > 200:  # what most file systems hold
        stem = stem[:-1]
    return stem.strip(". ")


def disposition(name: str, how: str = "attachment") -> str:
    """Content-Disposition (RFC 6266): the name in ASCII for old readers, in full for the others."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^\w .()+,=@-]", "_", folded).strip() or "file"
    return f"{how}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"

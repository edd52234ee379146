"""Uploads: what a file is stands in its bytes, most kinds are refused with a reason, names are cleaned."""

import io
import zipfile

import pytest

from integrations.uploads import KINDS, MAX_NAME, NotTaken, clean_name, disposition, sniff

PDF = b"%PDF-1.7\n1 0 obj\n"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"


def packed(*names: str, first: tuple[str, bytes] | None = None) -> bytes:
    """A ZIP archive with these names."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        if first:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, "x")
    return made.getvalue()


ODT = ("mimetype", b"application/vnd.oasis.opendocument.text")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (PDF, "pdf"),
        (JPEG, "jpeg"),
        (b"\x89PNG\r\n\x1a\n\x00", "png"),
        (b"GIF89a\x01", "gif"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8 ", "webp"),
        (b"II*\x00\x08", "tiff"),
        (b"\x00\x00\x00\x18ftypheic\x00", "heic"),
        (b"AC1032\x00\x00", "dwg"),
        (b"ISO-10303-21;\nHEADER;", "step"),
        (b"  0\r\nSECTION\r\n  2\r\nHEADER", "dxf"),
        ("Größe;Menge\nDN 50;3\n".encode(), "text"),
        ("Größe;Menge\n".encode("cp1252"), "text"),
        ("Größe".encode("utf-16"), "text"),
        (b"5 < 6 and a>b\n", "text"),
        (packed("[Content_Types].xml", "word/document.xml"), "docx"),
        (packed("[Content_Types].xml", "xl/workbook.xml"), "xlsx"),
        (packed("[Content_Types].xml", "ppt/presentation.xml"), "pptx"),
        (packed("content.xml", first=ODT), "odt"),
    ],
)
def test_kinds_that_are_taken(content: bytes, code: str) -> None:
    file = io.BytesIO(content)
    assert sniff(file) is KINDS[code]
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"MZ\x90\x00", "program"),
        (b"\x7fELF\x02", "program"),
        (b"#!/bin/sh\nrm -rf /\n", "program"),
        (b"<!DOCTYPE html><p>hi", "markup"),
        (b"\n\n <HTML>", "markup"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "markup"),
        (b'<?xml version="1.0"?><svg/>', "markup"),
        ('<script>alert("ü")</script>'.encode("utf-16"), "markup"),
        (b"just words " * 900 + b"<script src=x>", "markup"),
        (packed("setup.exe"), "archive"),
        (packed("[Content_Types].xml", "word/document.xml", "word/vbaProject.bin"), "macros"),
        (packed("Basic/Standard/x.xml", first=ODT), "macros"),
        (packed("x", first=("mimetype", b"application/epub+zip")), "archive"),
        (b"PK\x03\x04 torn", "archive"),
        (b"\x1f\x8b\x08", "archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\x00", "old_office"),
        (b"\x00\x01\x02\x03", "unknown"),
        (b"bell \x07 and escape \x1b[2J", "unknown"),
        (b"\x81\x8d\x8f\x90\x9d" * 20, "unknown"),
    ],
)
def test_what_is_refused_and_why(content: bytes, why: str) -> None:
    with pytest.raises(NotTaken) as told:
        sniff(io.BytesIO(content))
    assert told.value.code == why


def test_a_zip_with_a_huge_directory_is_not_read() -> None:
    made = packed(*(f"[Content_Types].xml{i:060}" for i in range(9000)))
    with pytest.raises(NotTaken, match="archive"):
        sniff(io.BytesIO(made))


@pytest.mark.parametrize(
    ("given", "kind", "kept"),
    [
        ("Plan.pdf", "pdf", "Plan.pdf"),
        ("Plan.PDF", "pdf", "Plan.PDF"),
        ("C:\\Users\\eva\\Plan.pdf", "pdf", "Plan.pdf"),
        ("../../etc/passwd", "text", "passwd.txt"),
        ("invoice.exe", "pdf", "invoice.exe.pdf"),
        ("run.bat", "text", "run.bat.txt"),
        ("list.csv", "text", "list.csv"),
        ("fdp\u202egpj.exe", "jpeg", "fdpgpj.exe.jpg"),
        ("a\u200bb\u2066c\r\nd\x00.pdf", "pdf", "abc d.pdf"),
        ("Ma\u0308rz.pdf", "pdf", "M\u00e4rz.pdf"),
        ("", "png", "file.png"),
        ("...", "png", "file.png"),
        (".htaccess", "text", "htaccess.txt"),
        ("Angebot %22final%22.pdf", "pdf", "Angebot _final_.pdf"),
        ("a%0D%0Ab.pdf", "pdf", "a b.pdf"),
        ("100%25 %2e%2E%2Fx.pdf", "pdf", "100%25 %2e%2E%2Fx.pdf"),
        ("NUL.txt", "text", "_NUL.txt"),
        ('a<b>"c|?.pdf', "pdf", "a_b__c__.pdf"),
        ("図面 3.dwg", "dwg", "図面 3.dwg"),
    ],
)
def test_names_are_cleaned(given: str, kind: str, kept: str) -> None:
    assert clean_name(given, KINDS[kind]) == kept


def test_long_names_keep_their_ending_and_fit() -> None:
    for given in ("x" * 500 + ".pdf", "図" * 500 + ".pdf"):
        kept = clean_name(given, KINDS["pdf"])
        assert kept.endswith(".pdf") and len(kept) <= MAX_NAME and len(kept.encode()) <= 205


def test_the_name_travels_in_ascii_and_in_full() -> None:
    told = disposition('Größe "3"; 図.pdf')
    assert told == (
        "attachment; filename=\"Groe _3__ .pdf\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%223%22%3B%20%E5%9B%B3.pdf"
    )
    assert "\r" not in disposition("a\r\nb.pdf")

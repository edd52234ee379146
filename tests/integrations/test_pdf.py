"""PDF: made in a child that has no network, reads no files, and is stopped when it takes too long or too much."""

import ctypes.util
import io
import threading

import pypdf
import pytest
from pytest_httpserver import HTTPServer

from integrations import pdf

pytestmark = pytest.mark.skipif(
    ctypes.util.find_library("pango-1.0") is None, reason="no Pango on this machine, so no documents"
)
PAGE = '<html lang="de"><head><title>Ein Titel</title></head><body>{}</body></html>'


def test_a_document_is_tagged_and_names_its_language_and_title() -> None:
    document = pypdf.PdfReader(io.BytesIO(pdf.render(PAGE.format("<h1>Grüße</h1>"))))
    root = document.trailer["/Root"]
    assert root["/Lang"] == "de" and root["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in root
    assert document.metadata is not None and document.metadata.title == "Ein Titel"
    assert "Grüße" in document.pages[0].extract_text()


def test_neither_files_nor_the_network_are_read(
    httpserver: HTTPServer, tmp_path: pytest.TempPathFactory
) -> None:
    secret = tmp_path / "secret.txt"  # type: ignore[operator]
    secret.write_text("canary")
    httpserver.expect_request("/").respond_with_data("canary")
    outside = httpserver.url_for("/")
    body = "".join(
        f'<link rel="attachment" href="{a}"><link rel="stylesheet" href="{a}"><img alt="" src="{a}">'
        f'<style>@import url("{a}"); @font-face {{ font-family: x; src: url("{a}") }}</style>'
        f'<p style="font-family: x; background: url({a})">words</p>'
        f'<svg width="9" height="9"><image href="{a}" width="9" height="9"/></svg>'
        f'<object data="{a}"></object><embed src="{a}">'
        for a in (secret.as_uri(), outside, "//" + outside.partition("//")[2], "secret.txt")
    )
    made = pdf.render(PAGE.format(f'<base href="{secret.parent.as_uri()}/">{body}'))
    document = pypdf.PdfReader(io.BytesIO(made))
    assert not list(document.attachments) and b"canary" not in made
    assert "words" in document.pages[0].extract_text()
    assert httpserver.log == []


def test_what_takes_too_long_is_killed_and_says_so() -> None:
    rows = "<tr><td>a<td>b</tr>" * 50_000
    with pytest.raises(pdf.PdfError) as told:
        pdf.render(PAGE.format(f"<table>{rows}</table>"), timeout_s=0.5)
    assert told.value.code == "too_long"


def test_what_breaks_the_engine_breaks_the_child_only() -> None:
    with pytest.raises(pdf.PdfError) as told:
        pdf.render(PAGE.format("<div>" * 5_000 + "x"))
    assert told.value.code in ("failed", "too_long")


def test_only_so_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(pdf, "_in_child", lambda html, timeout_s: release.wait(30) and b"%PDF-")
    running = [threading.Thread(target=pdf.render, args=("",)) for _ in range(pdf.MOST_AT_ONCE)]
    for one in running:
        one.start()
    try:
        with pytest.raises(pdf.PdfError) as told:
            pdf.render("", wait_s=0)
        assert told.value.code == "busy"
    finally:
        release.set()
        for one in running:
            one.join()


def test_a_machine_without_pango_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.sys, "executable", "/bin/false")
    with pytest.raises(pdf.PdfError) as told:
        pdf.render(PAGE.format("x"))
    assert told.value.code == "failed"

"""The lead sheet: the reader's own sight of the lead on paper, withheld facts withheld, or a clear word why not."""

import ctypes.util
import io
import re
from typing import Any

import pypdf
import pytest
from webtest import Upload

from integrations import pdf
from portal.leads import actions
from tests.portal.leads.test_flow import intake
from tests.portal.leads.test_views import EVA, KATRIN, MANAGER, SECRETS, accept, url
from tests.portal.visitors import visitor
from tests.world import World

pango = pytest.mark.skipif(
    ctypes.util.find_library("pango-1.0") is None, reason="no Pango on this machine, so no documents"
)


@pytest.fixture
def lead(world: World) -> Any:
    """A lead offered to Danubia Technik."""
    return intake(world)


def read(content: bytes) -> tuple[pypdf.PdfReader, str]:
    """The document and all its words, in one line."""
    document = pypdf.PdfReader(io.BytesIO(content))
    return document, " ".join(" ".join(page.extract_text() for page in document.pages).split())


@pango
def test_before_acceptance_the_sheet_withholds_what_the_page_withholds(world: World, lead: Any) -> None:
    answer = visitor(world, KATRIN).get(url(lead, "/sheet.pdf"))
    assert answer.content_type == "application/pdf"
    assert answer.headers["Content-Disposition"].startswith(f'inline; filename="{lead.number}.pdf"')
    document, words = read(answer.body)
    assert lead.number in words and "Pump service contract" in words and "withheld" in words
    assert "4020 Linz" in words and "50,000 to 100,000" in words
    everything = words + str(document.metadata) + str(document.attachments)
    raw = b"".join(page.get_contents().get_data() for page in document.pages)  # type: ignore[union-attr]
    assert not [s for s in SECRETS if s in everything or s.encode() in raw or s.encode() in answer.body]
    assert f"{lead.number}" in (document.metadata or {}).get("/Title", "")
    catalog = document.trailer["/Root"]
    assert catalog["/Lang"] == "en" and catalog["/MarkInfo"]["/Marked"]
    fonts = [f.get_object() for page in document.pages for f in page["/Resources"]["/Font"].values()]
    descriptors = [f["/DescendantFonts"][0].get_object()["/FontDescriptor"] for f in fonts]
    assert descriptors and all({"/FontFile2", "/FontFile3"} & set(d.get_object()) for d in descriptors)


@pango
def test_the_holders_sheet_has_the_customer_and_no_private_words(world: World, lead: Any) -> None:
    katrin = accept(world, lead)
    with world.acting(KATRIN) as session:
        actions.comment(session, lead.lead_id, "canary-own-note", to_all=False)
        actions.comment(session, lead.lead_id, "canary-said-to-all", to_all=True)
    with world.acting(MANAGER) as session:
        actions.comment(session, lead.lead_id, "canary-vendor-note", to_all=False)
    _, words = read(katrin.get(url(lead, "/sheet.pdf")).body)
    for said in (
        "Eva Lenau",
        "+43 732 1",
        "Hafenstrasse 1",
        "84,000",
        "Katrin Moser accepted the lead",
        "1 / 1",
    ):
        assert said in words, said
    assert "canary" not in words and "You accepted" not in words


@pango
def test_paper_speaks_of_companies_by_name(world: World, lead: Any) -> None:
    offered = read(visitor(world, KATRIN).get(url(lead, "/sheet.pdf")).body)[1]
    assert "Turn: Danubia Technik" in offered and "Danubia Technik was chosen" in offered
    of_vendor = read(visitor(world, MANAGER).get(url(lead, "/sheet.pdf")).body)[1]
    assert "Turn: Danubia Technik" in of_vendor
    held = read(accept(world, lead).get(url(lead, "/sheet.pdf")).body)[1]
    for words in (offered, of_vendor, held):
        assert not re.search("Your turn|Their turn|You were", words), words


def test_files_are_headed_only_where_some_are_listed(
    world: World, lead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(pdf, "render", lambda html: given.append(html) or b"%PDF-")
    app = accept(world, lead)
    for audience, name in (("own", "ours.txt"), ("shared", "theirs.txt")):
        form = next(f for f in app.get(url(lead)).forms.values() if f.action.endswith("/files"))
        form["audience"] = audience
        form["file"] = [Upload(name, name.encode())]
        form.submit(status=303)
        app.get(url(lead, "/sheet.pdf"))
    first, second = given
    assert "<h2>Files</h2>" not in first and "ours.txt" not in first
    assert "<h2>Files</h2>" in second and "theirs.txt" in second and "ours.txt" not in second


def test_who_may_not_see_the_lead_gets_no_sheet(
    world: World, lead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "render", lambda html: pytest.fail("nothing to render"))
    visitor(world, EVA).get(url(lead, "/sheet.pdf"), status=404)


def test_what_is_handed_to_the_renderer_names_no_address(
    world: World, lead: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr(pdf, "render", lambda html: given.append(html) or b"%PDF-")
    app = accept(world, lead)
    app.get(url(lead, "/sheet.pdf"))
    visitor(world, MANAGER).get(url(lead, "/sheet.pdf"))
    assert len(given) == 2
    for html in given:
        assert "src=" not in html and "href=" not in html and "csrf" not in html and "url(" not in html


@pytest.mark.parametrize("code", ["no_pango", "too_long", "busy", "failed"])
def test_a_sheet_that_cannot_be_made_is_told_in_words(
    world: World, lead: Any, monkeypatch: pytest.MonkeyPatch, code: Any
) -> None:
    def fail(_html: str) -> bytes:
        raise pdf.PdfError(code, "canary of a detail")

    monkeypatch.setattr(pdf, "render", fail)
    answer = visitor(world, MANAGER).get(url(lead, "/sheet.pdf"), status=503)
    assert answer.headers["Retry-After"] and "canary" not in answer.text

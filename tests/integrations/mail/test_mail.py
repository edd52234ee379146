"""Mail: what a message looks like, what it refuses, and the folder that keeps it."""

from datetime import UTC, datetime

import pytest

from integrations.mail import (
    FolderSender,
    MailError,
    MemorySender,
    Message,
    NullSender,
    SmtpSender,
    listed,
    mime,
    read,
)

NOW = datetime(2026, 11, 22, 15, 7, tzinfo=UTC)


def message(**given) -> Message:
    usual = {
        "to": "Ingrid Sölberg <ingrid@example.com>",
        "subject": "Angebot für Linz – 3 Stunden",
        "text": "Grüße\n",
        "html": "<p>Grüße</p>",
        "message_id": "offer-1@example.com",
    }
    return Message(**{**usual, **given})


def test_text_comes_first_and_html_is_its_alternative():
    made = mime(message(), "Interline <no-reply@example.com>", NOW)
    assert made.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in made.iter_parts()] == ["text/plain", "text/html"]
    assert made["Message-ID"] == "<offer-1@example.com>"
    assert made["Auto-Submitted"] == "auto-generated"
    assert not [name for name in made if name.startswith("List-")]
    assert made.as_bytes().isascii()


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "x\r\nBcc: all@example.com"},
        {"to": "a@example.com\nBcc: b@example.com"},
        {"to": "a@example.com, b@example.com"},
        {"to": "nobody"},
        {"message_id": "a@b>\r\nX: y"},
        {"message_id": "no id"},
        {"subject": "a\u2028b"},
    ],
)
def test_headers_from_outside_cannot_begin_another(wrong):
    with pytest.raises(MailError):
        mime(message(**wrong), "no-reply@example.com", NOW)


def test_folder_keeps_one_file_a_message_and_reads_it_back(tmp_path):
    sender = FolderSender(tmp_path / "mail", "Interline <no-reply@example.com>")
    sender.send(message())
    sender.send(message(message_id="offer-2@example.com", subject="Second", html=None))
    sender.send(message(subject="Again"))
    kept = listed(tmp_path / "mail")
    assert [one.subject for one in kept] == ["Again", "Second"]
    assert kept[0].html is not None
    assert kept[0].html.strip() == "<p>Grüße</p>"
    one = read(tmp_path / "mail", kept[1].name)
    assert one is not None
    assert (one.text.strip(), one.html, one.message_id) == ("Grüße", None, "offer-2@example.com")


@pytest.mark.parametrize(
    "name", ["../secret", "x.eml", ".hidden", "20261122T150700000000-0000000000000000.eml"]
)
def test_folder_gives_out_nothing_else(tmp_path, name):
    (tmp_path / "x.eml").write_text("Subject: no\n\n")
    assert read(tmp_path, name) is None
    assert listed(tmp_path) == []


def test_memory_checks_as_the_others_do():
    sender = MemorySender()
    sender.send(message())
    with pytest.raises(MailError):
        sender.send(message(to="nobody"))
    assert len(sender.sent) == 1
    NullSender().send(message())


def test_an_unusable_server_address_is_refused_with_its_cure():
    with pytest.raises(MailError, match="SMTP_URL"):
        SmtpSender("http://example.com", "no-reply@example.com").send(message())

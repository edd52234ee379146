"""What takes a message away. Each raises OSError or smtplib.SMTPException when it could not; the caller tries again."""

import hashlib
import os
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from integrations.mail.message import MailError, Message, mime

SMTP_TIMEOUT_S = 15


class Sender(Protocol):
    """Sends one message."""

    def send(self, message: Message) -> None:
        """Return when somebody else has taken responsibility for the message."""


@dataclass(frozen=True, slots=True)
class SmtpSender:
    """smtp://user:password@host:587 (STARTTLS when offered; demanded with a password) or smtps://...:465."""

    url: str
    sender: str

    def send(self, message: Message) -> None:
        """Hand over to the server; its refusal is smtplib.SMTPException."""
        made = mime(message, self.sender)
        with self._session() as client:
            client.send_message(made)

    def check(self) -> None:
        """Greet the server, sign in, send nothing."""
        with self._session() as client:
            client.noop()

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        parts = urlsplit(self.url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise MailError("SMTP_URL: use smtp://user:password@host:587 or smtps://user:password@host:465")
        secure = ssl.create_default_context()
        if parts.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(
                parts.hostname, parts.port or 465, timeout=SMTP_TIMEOUT_S, context=secure
            )
        else:
            client = smtplib.SMTP(parts.hostname, parts.port or 25, timeout=SMTP_TIMEOUT_S)
        with client:
            if parts.scheme == "smtp" and (
                client.has_extn("starttls") or _offers_tls(client) or parts.password
            ):
                client.starttls(context=secure)
            if parts.username:
                client.login(unquote(parts.username), unquote(parts.password or ""))
            yield client


def _offers_tls(client: smtplib.SMTP) -> bool:
    client.ehlo_or_helo_if_needed()
    return client.has_extn("starttls")


@dataclass(frozen=True, slots=True)
class FolderSender:
    """One .eml file per message, whole or not at all; a repeat of a Message-ID replaces the first."""

    folder: Path
    sender: str

    def send(self, message: Message) -> None:
        """Write the file; its name sorts by time."""
        made = mime(message, self.sender).as_bytes()
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = hashlib.sha256(f"{message.message_id}\n{message.to}".encode()).hexdigest()[:16]
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        name, draft = f"{stamp}-{mark}.eml", self.folder / f".{stamp}-{mark}"
        # A symbolic link from the mark to the latest file finds an earlier one without listing a folder of thousands.
        latest = self.folder / f".{mark}"
        earlier = os.readlink(latest) if latest.is_symlink() else None
        draft.write_bytes(made)
        draft.replace(self.folder / name)
        draft.symlink_to(name)
        draft.replace(latest)
        if earlier and earlier != name:
            (self.folder / earlier).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class MemorySender:
    """Keeps messages in a list, for tests."""

    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        """Append, after the checks every sender makes."""
        mime(message, "test@example.com")
        self.sent.append(message)


@dataclass(frozen=True, slots=True)
class NullSender:
    """Mail is switched off."""

    def send(self, message: Message) -> None:
        """Do nothing."""

"""A message and its MIME form (RFC 5322, RFC 2046 alternative, RFC 3834 Auto-Submitted)."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, getaddresses

CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
MESSAGE_ID = re.compile(r"[^\s<>@]{1,200}@[^\s<>@]{1,200}")


class MailError(ValueError):
    """A message that cannot be sent as it is: which part, and the cure."""


@dataclass(frozen=True, slots=True)
class Message:
    """One mail to one address. `message_id` is given by the caller (without angle brackets), the same on a repeat."""

    to: str
    subject: str
    text: str
    html: str | None
    message_id: str
    zone: tzinfo | None = None
    """Where the reader is: the Date header then speaks of the same time as the text. None: UTC."""


def mime(message: Message, sender: str, now: datetime | None = None) -> EmailMessage:
    """The message as sent by `sender` ("Name <address>"). Raises MailError for an address or header with line ends."""
    for name, value in (("to", message.to), ("subject", message.subject), ("message_id", message.message_id)):
        if CONTROL.search(value):
            raise MailError(f"{name}: line ends are not allowed in a header; remove them")
    if not MESSAGE_ID.fullmatch(message.message_id):
        raise MailError(f"message_id: {message.message_id!r} is not an id; use name@host")
    made = EmailMessage()
    made["From"] = _address("from", sender)
    made["To"] = _address("to", message.to)
    made["Subject"] = message.subject
    made["Message-ID"] = f"<{message.message_id}>"
    made["Date"] = format_datetime((now or datetime.now(UTC)).astimezone(message.zone or UTC))
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"  # what Exchange reads instead
    made.set_content(message.text, cte="quoted-printable")
    if message.html is not None:
        made.add_alternative(message.html, subtype="html", cte="quoted-printable")
    return made


def _address(field: str, value: str) -> Address:
    # parseaddr would quietly take the first of several.
    several = getaddresses([value])
    if len(several) != 1:
        raise MailError(f"{field}: {value!r} is {len(several)} addresses; use one")
    name, spec = several[0]
    try:
        return Address(name, addr_spec=spec)
    except (ValueError, IndexError) as error:
        raise MailError(f"{field}: {value!r} is not an address; use name@example.com") from error

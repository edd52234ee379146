"""Mail out: a message as MIME, and what sends it: SMTP, a folder of .eml files, or a list for tests."""

from integrations.mail.folder import Kept, listed, read
from integrations.mail.message import MailError, Message, mime
from integrations.mail.senders import FolderSender, MemorySender, NullSender, Sender, SmtpSender

__all__ = [
    "FolderSender",
    "Kept",
    "MailError",
    "MemorySender",
    "Message",
    "NullSender",
    "Sender",
    "SmtpSender",
    "listed",
    "mime",
    "read",
]

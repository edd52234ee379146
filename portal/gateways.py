"""Outside systems, each real or a fake as the settings choose. Nothing else in portal/ opens a door to the outside."""

from functools import lru_cache

from integrations.geo import Geocoder, OfflineGeocoder
from integrations.mail import FolderSender, Message, NullSender, Sender, SmtpSender
from integrations.storage import Storage, StorageError
from portal.metrics import MAILS
from portal.settings import Settings

__all__ = ["Geocoder", "Message", "Sender", "Storage", "StorageError", "geocoder", "mailer", "storage"]


class Counted:
    """A sender whose mails /metrics counts."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    def send(self, message: Message) -> None:
        """Send, and count what came of it."""
        try:
            self.sender.send(message)
        except Exception:
            MAILS.labels("failed").inc()
            raise
        MAILS.labels("sent").inc()


def mailer(settings: Settings) -> Sender:
    """SMTP, the folder VAR_DIR/mail, or nothing."""
    return Counted(_sender(settings))


def _sender(settings: Settings) -> Sender:
    if settings.mail_backend == "smtp":
        assert settings.smtp_url is not None
        return SmtpSender(settings.smtp_url, settings.mail_from)
    if settings.mail_backend == "folder":
        return FolderSender(settings.var_dir / "mail", settings.mail_from)
    return NullSender()


@lru_cache(maxsize=1)
def geocoder(settings: Settings | None = None) -> Geocoder:
    """Finds places without the network; loads its tables at first use."""
    return OfflineGeocoder()


def storage(settings: Settings) -> Storage:
    """Where attachments and backups live: STORAGE_URL. One per process, opened at first use."""
    return _storage(settings.files_url)


@lru_cache(maxsize=8)
def _storage(url: str) -> Storage:
    return Storage(url)

"""Outside systems, each real or a fake as the settings choose. Nothing else in portal/ opens a door to the outside."""

from functools import lru_cache

from integrations.geo import Geocoder, OfflineGeocoder
from integrations.mail import FolderSender, Message, NullSender, Sender, SmtpSender
from portal.settings import Settings

__all__ = ["Geocoder", "Message", "Sender", "geocoder", "mailer"]


def mailer(settings: Settings) -> Sender:
    """SMTP, the folder VAR_DIR/mail, or nothing."""
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

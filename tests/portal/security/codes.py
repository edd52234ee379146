"""What an authenticator app would show."""

import time

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP


def code_for(secret: bytes, later: int = 0, now: float | None = None) -> str:
    """The code `later` steps of 30 s after now."""
    moment = int(time.time() if now is None else now) + later * 30
    app = TOTP(secret, 6, SHA1(), 30)  # noqa: S303 - what authenticator apps speak
    return app.generate(moment).decode()

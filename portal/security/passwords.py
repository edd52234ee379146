"""Passwords: argon2id, two at a time, and which ones are too easy to guess."""

import threading
import unicodedata

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from portal.web.i18n import _, tr

PASSWORD_MIN, PASSWORD_MAX = 10, 200
# OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(
    time_cost=2, memory_cost=19 * 1024, parallelism=1, hash_len=32, salt_len=16, type=Type.ID
)
# 19 MiB and 20 ms of one core each: more at once would starve everybody else on a small machine.
HASH_SLOTS = threading.BoundedSemaphore(2)
# The hash of a random password that nobody knows: verified for unknown names, so that they take the same time.
NOBODY = "$argon2id$v=19$m=19456,t=2,p=1$ac1zCZ58RsKLzowuh43dpA$hEmA51IzREh2VMASmkXLuSymjpdFAr89DsYC1wXCgNw"
# The longest of these have the ten characters we ask for: the rest fails by its length alone.
COMMON = frozenset(
    """
    1234567890 0123456789 12345678910 123456789a 1q2w3e4r5t 1qaz2wsx3edc qwertyuiop qwertzuiop asdfghjkl1
    password12 password123 password1234 passwort123 passw0rd123 p@ssword123 letmein123 welcome123 willkommen
    willkommen1 iloveyou12 administrator interline1 interline123 changeme123 geheim12345 sommer2026 winter2026
    qwerty123456 qwerty1234 abcdefghij abcd123456 aaaaaaaaaa 0000000000 1111111111 football123
    """.split()  # noqa: SIM905 - read more easily than thirty quoted words
)


def hash_password(password: str) -> str:
    """argon2id in PHC form; waits for one of the two slots."""
    with HASH_SLOTS:
        return HASHER.hash(_normal(password))


def verify(hash_: str, password: str) -> bool:
    """Whether `password` gave `hash_`; waits for one of the two slots. Too long ones are never hashed."""
    if len(password) > PASSWORD_MAX:
        password = ""
    try:
        with HASH_SLOTS:
            return HASHER.verify(hash_, _normal(password))
    except (VerificationError, InvalidHashError):
        return False


def _normal(password: str) -> str:
    # The same password typed on two keyboards may differ in its code points (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password)


def repeats(given: str) -> bool:
    """Whether it is one piece over and over: 'passwordpassword'."""
    return bool(given) and given in (given + given)[1:-1]


def password_fault(password: str, email: str, name: str = "") -> str | None:
    """Why this cannot be a password, with the cure; None when it can."""
    low = _normal(password).casefold()
    if len(password) < PASSWORD_MIN:
        return tr(_("Use at least ${n} characters.", mapping={"n": PASSWORD_MIN}))
    if len(password) > PASSWORD_MAX:
        return tr(_("Use at most ${n} characters.", mapping={"n": PASSWORD_MAX}))
    words = "".join(sign for sign in low if sign.isalpha())
    address = _normal(email).strip().casefold()
    own = {address, address.partition("@")[0], name.casefold(), name.casefold().replace(" ", "")}
    if low in own or low in COMMON or len(set(low)) < 4 or repeats(low) or repeats(words):
        return tr(
            _("This is easy to guess. Use a longer one, for example four words that do not belong together.")
        )
    return None

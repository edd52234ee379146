"""The second factor: codes of an authenticator app (TOTP, RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes.

The secret is stored encrypted under INTERLINE_SECRET and bound to its person; recovery codes are stored as keyed
hashes. A code counts once: the database only lets its step rise, and deletes a recovery code that was used.
"""

import base64
import hmac
import io
import secrets
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.constant_time import bytes_eq
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from markupsafe import Markup
from sqlalchemy import text

from portal.db import PortalSession
from portal.security import told
from portal.settings import Settings

STEP_S, DIGITS = 30, 6
# One step early or late: clocks of phones drift, and people type slowly (RFC 6238, 5.2).
WINDOW = 1
SECRET_BYTES = 20  # RFC 4226, 4: 160 bits
NONCE_BYTES = 12
RECOVERY_CODES, RECOVERY_LENGTH = 10, 12
# Neither 0 and O nor 1, I and L: codes are copied by hand. 30 signs, so 12 of them are 58 bits.
RECOVERY_SIGNS = "ABCDEFGHJKMNPQRSTVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Held:
    """A person's second factor as its owner sees it."""

    since: datetime
    codes_left: int


# -- codes ---------------------------------------------------------------------------------------------------------


def step_of(secret: bytes, code: str, now: float) -> int | None:
    """The step of 30 s that `code` belongs to, if it is one of the window around `now` (Unix time)."""
    app = TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303  # nosec B303  # what authenticator apps speak; HMAC needs no more
    here = int(now // STEP_S)
    given = code.encode()
    steps = range(max(0, here - WINDOW), here + WINDOW + 1)
    return max((step for step in steps if bytes_eq(app.generate(step * STEP_S), given)), default=None)


def bare(code: str) -> str:
    """A code as typed, without spaces and hyphens, in capitals."""
    return "".join(sign for sign in code.upper() if sign.isalnum())


def offered(settings: Settings, session: PortalSession, key: str) -> bytes:
    """The secret that is shown for enrolment in the sign-in or session `key`: the same at every look, new each time
    a second factor has been set up, known to nobody without INTERLINE_SECRET."""
    held = holds(session)
    purpose = f"{session.context.person_id}\0{key}\0{held.since if held else ''}"
    made = hmac.new(settings.derive("second factor offered"), purpose.encode(), sha256).digest()
    return made[:SECRET_BYTES]


def shown(secret: bytes) -> str:
    """The secret in groups of four, for typing."""
    plain = base64.b32encode(secret).decode().rstrip("=")
    return " ".join(plain[i : i + 4] for i in range(0, len(plain), 4))


def picture(secret: bytes, account: str, issuer: str) -> Markup:
    """The QR code that an authenticator app reads, as SVG within the page. Black on white in every theme."""
    app = TOTP(secret, DIGITS, SHA1(), STEP_S)  # noqa: S303  # nosec B303
    out = io.BytesIO()
    uri = app.get_provisioning_uri(account, issuer.replace(":", " "))
    segno.make(uri, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, scale=4, border=4, dark="#000", light="#fff", nl=False
    )
    return Markup(out.getvalue().decode())  # nosec


# -- the own second factor -----------------------------------------------------------------------------------------


def holds(session: PortalSession) -> Held | None:
    """The reader's second factor; None without one."""
    row = session.execute(
        text("""
            select confirmed_at, (select count(*) from recovery_codes r where r.person_id = f.person_id) as codes
            from second_factors f where person_id = :person
        """),
        {"person": session.context.person_id},
    ).first()
    return Held(row.confirmed_at, row.codes) if row else None


def is_recovery(code: str) -> bool:
    """Whether what was typed has the shape of a recovery code, not of a code of the app."""
    return len(bare(code)) == RECOVERY_LENGTH


def check(session: PortalSession, settings: Settings, code: str, half: bytes | None = None) -> bool:
    """Use up a code of the app, or a recovery code; `half` is the hash of the sign-in that it completes."""
    person = session.context.person_id
    given = bare(code)
    row = session.execute(
        text("select secret, extract(epoch from now()) as now from second_factors where person_id = :person"),
        {"person": person},
    ).first()  # real time, not business time: phones live in it
    if row is None or person is None:
        return False
    step = recovery = None
    if len(given) == DIGITS and given.isdecimal() and given.isascii():
        secret = _open(settings, person, row.secret)
        step = step_of(secret, given, float(row.now)) if secret else None
    elif is_recovery(code):
        recovery = _hash(settings, person, given)
    return (step is not None or recovery is not None) and _spend(session, step, recovery, half)


def confirm(
    session: PortalSession, settings: Settings, secret: bytes, code: str, half: bytes | None = None
) -> list[str] | None:
    """Keep the offered `secret` once a `code` shows that the app has it: the recovery codes, or None when it is wrong."""
    ctx = session.context
    assert ctx.person_id is not None
    now = float(session.execute(text("select extract(epoch from now())")).scalar_one())
    step = step_of(secret, bare(code), now)
    if step is None:
        return None
    session.execute(
        text("""
            insert into second_factors (person_id, realm_id, secret, confirmed_at)
            values (:person, :realm, :secret, :now)
            on conflict (person_id) do update
            set secret = excluded.secret, confirmed_at = excluded.confirmed_at, last_step = null
        """),
        {
            "person": ctx.person_id,
            "realm": ctx.realm_id,
            "secret": _sealed(settings, ctx.person_id, secret),
            "now": ctx.now,
        },
    )
    _spend(session, step, None, half)
    told.account(session, "factor.added")
    return _new_codes(session, settings)


def renew_codes(session: PortalSession, settings: Settings) -> list[str]:
    """Ten new recovery codes; the old ones are worth nothing."""
    codes = _new_codes(session, settings)
    told.account(session, "factor.codes_renewed")
    return codes


def remove(session: PortalSession) -> None:
    """Turn the own second factor off."""
    person = {"person": session.context.person_id}
    session.execute(text("delete from recovery_codes where person_id = :person"), person)
    session.execute(text("delete from second_factors where person_id = :person"), person)
    told.account(session, "factor.removed")


def _new_codes(session: PortalSession, settings: Settings) -> list[str]:
    ctx = session.context
    assert ctx.person_id is not None
    codes = [
        "".join(secrets.choice(RECOVERY_SIGNS) for _ in range(RECOVERY_LENGTH)) for _ in range(RECOVERY_CODES)
    ]
    session.execute(text("delete from recovery_codes where person_id = :person"), {"person": ctx.person_id})
    session.execute(
        text("insert into recovery_codes (person_id, hash, realm_id) values (:person, :hash, :realm)"),
        [
            {"person": ctx.person_id, "hash": _hash(settings, ctx.person_id, code), "realm": ctx.realm_id}
            for code in codes
        ],
    )
    return ["-".join(code[i : i + 4] for i in range(0, RECOVERY_LENGTH, 4)) for code in codes]


def _spend(session: PortalSession, step: int | None, recovery: bytes | None, half: bytes | None) -> bool:
    query = text("select app.spend_code(:step, :recovery, :half)")
    return bool(session.execute(query, {"step": step, "recovery": recovery, "half": half}).scalar_one())


# -- at rest -------------------------------------------------------------------------------------------------------


def _sealed(settings: Settings, person: int, secret: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(settings.derive("second factor")).encrypt(nonce, secret, str(person).encode())


def _open(settings: Settings, person: int, sealed: bytes) -> bytes | None:
    """None when INTERLINE_SECRET is another one now: then an administrator resets the second factor."""
    cipher = AESGCM(settings.derive("second factor"))
    try:
        return cipher.decrypt(bytes(sealed[:NONCE_BYTES]), bytes(sealed[NONCE_BYTES:]), str(person).encode())
    except InvalidTag:
        return None


def _hash(settings: Settings, person: int, code: str) -> bytes:
    return hmac.new(settings.derive("recovery codes"), f"{person}:{code}".encode(), sha256).digest()

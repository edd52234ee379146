"""A sign-in goes in steps: password, code, company, setting up a second factor. The database says what is missing.

Until nothing is, the cookie's key opens nothing: its credential is of purpose `half` (migration 0002).
"""

import secrets
from dataclasses import dataclass

from sqlalchemy import text

from portal.db import PortalSession
from portal.errors import NotFound
from portal.security import told
from portal.security.context import PUBLIC, Context, Credential, digest, enter

# A working day of silence ends a session, and a day ends every session.
SESSION_IDLE_S = 8 * 3600
SESSION_MAX_S = 24 * 3600
# How long a sign-in may wait for its code, company or enrolment.
HALF_S = 30 * 60
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a try to sign in ended: the cookie's `secret` and what is still missing (`stage`, 'open' for nothing), or
    seconds to wait, or neither (name or password wrong)."""

    secret: str | None = None
    retry_after: int = 0
    stage: str = "open"
    context: Context | None = None


def new_secret() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


def advance(session: PortalSession, secret: str, how: str = "") -> Attempt:
    """Open the session when nothing is missing any more, under a new key; else say what is missing. `how`: "recovery"
    where a recovery code stood in for the app, for the log."""
    stage = stage_of(session, secret)
    if stage == "closed":
        return Attempt()
    if stage != "open":
        return Attempt(secret, stage=stage)
    key = new_secret()
    opened = session.execute(
        text("select app.complete_session(:hash, :key, :idle, :max)"),
        {"hash": digest(secret), "key": digest(key), "idle": SESSION_IDLE_S, "max": SESSION_MAX_S},
    ).scalar()
    if not opened:
        return Attempt()
    session.credential = Credential("session", digest(key))
    session.ctx = enter(session.connection(), session.credential)
    told.here(session, "signin.succeeded", **({"how": how} if how else {}), **device_of(session, key))
    return Attempt(key, context=session.ctx)


def device_of(session: PortalSession, secret: str) -> dict[str, str]:
    """{"device": "firefox windows"} of a session."""
    query = text("select device from app.own_sessions(:hash) where here")
    device = session.execute(query, {"hash": digest(secret)}).scalar()
    return {"device": device} if device else {}


def stage_of(session: PortalSession, secret: str) -> str:
    """What the sign-in with this key still lacks: code, choose, enrol; 'open' for nothing, 'closed' for no sign-in."""
    found = session.execute(text("select stage from app.half(:hash)"), {"hash": digest(secret)}).scalar()
    return str(found) if found else "closed"


def enter_half(session: PortalSession, secret: str) -> str:
    """Become who is signing in with this key, as far as they have come; the stage (see stage_of)."""
    stage = stage_of(session, secret)
    if stage != "closed":
        session.ctx = enter(session.connection(), Credential("half", digest(secret)))
    return stage


def step_down(session: PortalSession) -> None:
    """Become nobody within this transaction: only nobody may read a hash or open a session."""
    session.ctx = enter(session.connection(), PUBLIC)


def step_back(session: PortalSession) -> None:
    """Become again who the transaction works for."""
    assert session.credential is not None
    session.ctx = enter(session.connection(), session.credential)


def sign_out(session: PortalSession, secret: str, everywhere: bool = False) -> None:
    """End the session of this cookie, or with `everywhere` all sessions of its person."""
    if session.context.kind in ("vendor", "partner"):
        if everywhere:
            told.account(session, "signin.signed_out", everywhere=True)
        else:
            told.here(session, "signin.signed_out", **device_of(session, secret))
    session.execute(
        text("select app.close_session(:hash, :everywhere)"),
        {"hash": digest(secret), "everywhere": everywhere},
    )


# -- for which company ---------------------------------------------------------------------------------------------


def choices(session: PortalSession) -> list[tuple[int, str]]:
    """(id, name) of the companies the reader works for."""
    return [(row.id, row.name) for row in session.execute(text("select id, name from app.own_companies()"))]


def choose(session: PortalSession, secret: str, company_id: int, how: str = "") -> Attempt:
    """Let the session with this key act for a company of its person. Raises NotFound for any other."""
    was = session.context
    chosen = session.execute(
        text("select app.choose_company(:hash, :company)"), {"hash": digest(secret), "company": company_id}
    ).scalar()
    if chosen is None:
        raise NotFound()
    if chosen != "open" or was.kind == "half":
        return advance(session, secret, how)
    step_back(session)
    if was.company_id != company_id:
        told.here(session, "signin.company_chosen", **device_of(session, secret))
    return Attempt(secret, context=session.context)

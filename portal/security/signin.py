"""People signing in: passwords, server-side sessions, invitations and resets.

The cookie holds a random key whose SHA-256 is a row of `credentials`; the database's own functions (migration 0001)
look it up, open and close it. Password hashes are argon2id and are handed out only to a transaction that is nobody yet.
"""

import base64
import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.companies.models import PARTNER_ROLES, VENDOR_ROLES
from portal.db import PortalSession, new_id
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.work import enqueue
from portal.security import throttle
from portal.security.context import PUBLIC, Context, Credential, digest, enter
from portal.security.passwords import NOBODY, hash_password, password_fault, verify
from portal.settings import Settings

# A working day of silence ends a session, and a day ends every session.
SESSION_IDLE_S = 8 * 3600
SESSION_MAX_S = 24 * 3600
INVITATION_TIME = timedelta(days=7)
RESET_TIME = timedelta(hours=2)
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a try to sign in ended: the cookie's `secret`, or seconds to wait, or neither (name or password wrong)."""

    secret: str | None = None
    retry_after: int = 0
    context: Context | None = None


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom an invitation or reset link is for."""

    person_id: int
    name: str
    email: str
    company: str


# -- signing in and out ------------------------------------------------------------------------------------------


def sign_in(
    session: PortalSession, email: str, password: str, address: str, old: str | None = None
) -> Attempt:
    """Try to sign in; the session `old` (the cookie's secret) ends when it works, so the key is always a new one.

    Returns the refusal instead of raising it: the count of attempts must be committed.
    """
    if old:
        step_down(session)
    key = email_key(email)
    wait = throttle.count(session, (throttle.SIGN_IN_ADDRESS, address), (throttle.SIGN_IN_ACCOUNT, key))
    if wait:
        return Attempt(retry_after=wait)
    row = session.execute(text("select * from app.password_of(:key)"), {"key": key}).first()
    if not verify(row.hash if row else NOBODY, password) or row is None or row.company_id is None:
        return Attempt()
    return _open(session, row.person_id, row.company_id, row.hash, old)


def _open(session: PortalSession, person_id: int, company_id: int, proof: str, old: str | None) -> Attempt:
    secret = new_secret()
    opened = session.execute(
        text("select app.open_session(:person, :company, :hash, :proof, :idle, :max)"),
        {
            "person": person_id,
            "company": company_id,
            "hash": digest(secret),
            "proof": proof,
            "idle": SESSION_IDLE_S,
            "max": SESSION_MAX_S,
        },
    ).scalar_one()
    if not opened:
        return Attempt()
    if old:
        sign_out(session, old)
    session.ctx = enter(session.connection(), Credential("session", digest(secret)))
    return Attempt(secret, context=session.ctx)


def step_down(session: PortalSession) -> None:
    """Become nobody within this transaction: only nobody may read a hash or open a session."""
    session.ctx = enter(session.connection(), PUBLIC)


def sign_out(session: PortalSession, secret: str, everywhere: bool = False) -> None:
    """End the session of this cookie, or with `everywhere` all sessions of its person."""
    session.execute(
        text("select app.close_session(:hash, :everywhere)"),
        {"hash": digest(secret), "everywhere": everywhere},
    )


def choices(session: PortalSession, secret: str) -> list[tuple[int, str]]:
    """(id, name) of the companies the person signed in with `secret` belongs to.

    A company's name is visible only from within, so each is entered in turn, and in the end the one we came from.
    """
    here = session.context
    ids = session.scalars(
        text("select distinct company_id from memberships where person_id = :person"),
        {"person": here.person_id},
    ).all()
    connection = session.connection()
    found = [
        (number, enter(connection, Credential("session", digest(secret), number)).company_name or "")
        for number in ids
    ]
    enter(connection, Credential("session", digest(secret), here.company_id))
    return sorted(found, key=lambda pair: (pair[1].casefold(), pair[0]))


def me(session: PortalSession) -> Row[Any]:
    """Name and e-mail of the signed-in person."""
    query = text("select name, email from people where id = :person")
    return session.execute(query, {"person": session.context.person_id}).one()


# -- names and secrets ------------------------------------------------------------------------------------------


def email_key(email: str) -> str:
    """What makes two spellings of an address the same account."""
    return unicodedata.normalize("NFKC", email).strip().casefold()


def new_secret() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(SECRET_BYTES)


# -- invitations and resets --------------------------------------------------------------------------------------


def invite(
    session: PortalSession,
    email: str,
    name: str,
    company_id: int,
    roles: Iterable[str],
    *,
    language: str = "en",
    mail: bool = True,
) -> int:
    """Give the person with `email` these roles in the company, made when unknown; the person's id.

    Somebody without a password gets a mail with a link (work item person.invite). Raises Invalid, Conflict.
    """
    wanted = list(dict.fromkeys(roles))
    key = email_key(email)
    kind = session.execute(text("select kind from companies where id = :id"), {"id": company_id}).scalar()
    if kind is None:
        raise NotFound()
    _check_invitation(email, name, wanted, kind)
    ctx = session.context
    if "operator" in wanted and ctx.kind == "vendor" and "operator" not in ctx.roles:
        raise Invalid(Fault("roles", "operator", "Only an operator can make another operator.", "forbidden"))
    made = new_id()
    # No RETURNING and no conflict target: both would read the row, and before its first role the new person is not
    # yet visible to who invites it.
    session.execute(
        text("""
            insert into people (id, realm_id, email, email_key, name, language, status, created_at)
            values (:id, :realm, :email, :key, :name, :language, 'invited', :now)
            on conflict do nothing
        """),
        {
            "id": made,
            "realm": ctx.realm_id,
            "email": email.strip(),
            "key": key,
            "name": name.strip(),
            "language": language,
            "now": ctx.now,
        },
    )
    person = session.execute(
        text("select id from people where realm_id = :realm and email_key = :key"),
        {"realm": ctx.realm_id, "key": key},
    ).scalar()
    _add_roles(session, person or made, company_id, wanted, known=person is not None)
    if mail:
        enqueue(session, "person.invite", {"person_id": str(person or made), "company_id": str(company_id)})
    return person or made


def _check_invitation(email: str, name: str, roles: list[str], kind: str) -> None:
    faults = []
    local, at, domain = email.strip().rpartition("@")
    if (
        not at
        or not local
        or "." not in domain
        or len(email) > 254
        or any(c.isspace() for c in email.strip())
    ):
        faults.append(Fault("email", email, "Write an address such as name@example.com.", "email"))
    if not 1 <= len(name.strip()) <= 200:
        faults.append(Fault("name", name, "Write the name, at most 200 characters.", "name"))
    allowed = VENDOR_ROLES if kind == "vendor" else PARTNER_ROLES
    wrong = [role for role in roles if role not in allowed]
    if wrong or not roles:
        faults.append(Fault("roles", roles, f"Choose from: {', '.join(allowed)}.", "role"))
    if faults:
        raise Invalid(*faults)


def _add_roles(
    session: PortalSession, person_id: int, company_id: int, roles: list[str], *, known: bool
) -> None:
    ctx = session.context
    with session.begin_nested() as point:
        try:
            session.execute(
                text("""
                    insert into memberships (id, realm_id, company_id, person_id, role, created_at)
                    values (:id, :realm, :company, :person, :role, :now)
                    on conflict (realm_id, company_id, person_id, role) do nothing
                """),
                [
                    {
                        "id": new_id(),
                        "realm": ctx.realm_id,
                        "company": company_id,
                        "person": person_id,
                        "role": role,
                        "now": ctx.now,
                    }
                    for role in roles
                ],
            )
        except Exception as error:
            # The address belongs to somebody of another company, whom a partner can neither see nor add.
            if known or getattr(getattr(error, "orig", None), "sqlstate", None) != "23503":
                raise
            point.rollback()
            raise Conflict(
                "This address has an account with another company. Ask the vendor to add that person to yours.",
                "person_elsewhere",
            ) from error


def link_token(settings: Settings, item_id: int) -> str:
    """The token of an invitation or reset: the same for every attempt of one work item, so a repeated mail repeats
    its link; nobody without INTERLINE_SECRET can make it."""
    made = hmac.new(settings.derive("person link"), str(item_id).encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def invitation(session: PortalSession, token: str) -> Invitation | None:
    """Whom the link is for, or None when it is used up, expired or unknown. Changes nothing."""
    row = session.execute(text("select * from app.invitation(:hash)"), {"hash": digest(token)}).first()
    return Invitation(row.person_id, row.name, row.email, row.company) if row else None


def accept(session: PortalSession, token: str, password: str, old: str | None = None) -> Attempt:
    """Set the password the link allows, end the person's other sessions and sign in. Raises NotFound, Invalid."""
    step_down(session)
    found = invitation(session, token)
    if found is None:
        raise NotFound("This link has been used or has expired. Ask for a new one.")
    fault = password_fault(password, found.email, found.name)
    if fault:
        raise Invalid(Fault("password", None, fault, "password"))
    hashed = hash_password(password)
    session.execute(
        text("select app.set_password(:link, :password)"), {"link": digest(token), "password": hashed}
    )
    row = session.execute(
        text("select * from app.password_of(:key)"), {"key": email_key(found.email)}
    ).first()
    if row is None or row.company_id is None:
        return Attempt()
    return _open(session, row.person_id, row.company_id, row.hash, old)


def ask_reset(session: PortalSession, email: str, address: str) -> int:
    """Mail a link for a new password when the account exists, and do the same work when it does not.

    0, or the seconds after which to try again.
    """
    step_down(session)
    key = email_key(email)
    wait = throttle.count(session, (throttle.RESET_ADDRESS, address), (throttle.RESET_ACCOUNT, key))
    if wait:
        return wait
    row = session.execute(text("select * from app.password_of(:key)"), {"key": key}).first()
    payload = {}
    if row is not None and row.company_id is not None:
        payload = {"person_id": str(row.person_id), "company_id": str(row.company_id)}
    enqueue(session, "person.reset", payload)
    return 0


# -- on the worker login only: commands, demo, tests ---------------------------------------------------------------


def set_password_directly(session: PortalSession, person_id: int, password: str) -> None:
    """Set a password without a link; the worker login only."""
    session.execute(
        text("""
            insert into passwords (person_id, realm_id, hash, changed_at)
            select id, realm_id, :hash, now() from people where id = :person
            on conflict (person_id) do update set hash = excluded.hash, changed_at = excluded.changed_at
        """),
        {"person": person_id, "hash": hash_password(password)},
    )
    session.execute(text("update people set status = 'active' where id = :person"), {"person": person_id})


def open_session_directly(session: PortalSession, person_id: int, company_id: int) -> str:
    """Open a session without a password, for tests and demo; the cookie's secret. The worker login only."""
    secret = new_secret()
    session.execute(text("update people set status = 'active' where id = :person"), {"person": person_id})
    session.execute(
        text("""
            insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, scopes, created_at, seen_at,
                idle_seconds, expires_at)
            select :hash, 'session', realm_id, 'person', :company, id, '{}', now(), now(), :idle,
                now() + make_interval(secs => :max)
            from people where id = :person
        """),
        {
            "hash": digest(secret),
            "company": company_id,
            "person": person_id,
            "idle": SESSION_IDLE_S,
            "max": SESSION_MAX_S,
        },
    )
    return secret

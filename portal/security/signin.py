"""People signing in: passwords, server-side sessions, invitations and resets.

The cookie holds a random key whose SHA-256 is a row of `credentials`; the database's own functions (migration 0001)
look it up, open and close it. Password hashes are argon2id and are handed out only to a transaction that is nobody yet.
"""

import base64
import hashlib
import hmac
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from portal.companies import actions as companies
from portal.companies import queries
from portal.companies.models import PARTNER_ROLES, VENDOR_ROLES
from portal.db import PortalSession, new_id
from portal.errors import Fault, Invalid, NotFound
from portal.events.work import enqueue
from portal.security import throttle
from portal.security.context import digest
from portal.security.passwords import NOBODY, hash_password, password_fault, verify
from portal.security.steps import (
    HALF_S,
    SESSION_IDLE_S,
    SESSION_MAX_S,
    Attempt,
    advance,
    new_secret,
    sign_out,
    step_down,
)
from portal.settings import Settings
from portal.web.i18n import _, tr

INVITATION_TIME = timedelta(days=7)
RESET_TIME = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Invitation:
    """Whom an invitation or reset link is for."""

    person_id: int
    name: str
    email: str
    company: str
    purpose: str
    language: str


# -- signing in ----------------------------------------------------------------------------------------------------


def sign_in(
    session: PortalSession,
    email: str,
    password: str,
    address: str,
    old: str | None = None,
    device: str | None = None,
) -> Attempt:
    """Try to sign in; the session `old` (the cookie's secret) ends when it works, so the key is always a new one.

    Returns the refusal instead of raising it: the count of attempts must be committed.
    """
    step_down(session)
    key = email_key(email)
    counted = throttle.sign_in_keys(session, key, address)
    wait = throttle.count(session, *counted)
    if wait:
        return Attempt(retry_after=wait)
    row = session.execute(text("select * from app.password_of(:key)"), {"key": key}).first()
    right = verify(row.hash if row and row.hash else NOBODY, password)
    if not right or row is None or row.hash is None or row.company_id is None:
        failed(session, row.person_id if row else None, "password")
        return Attempt()
    throttle.uncount(session, *counted)
    attempt = _open(session, row.person_id, row.hash, old, device)
    if attempt.context is not None:
        throttle.know(session, key, address)
    return attempt


def failed(session: PortalSession, person_id: int | None, what: str) -> None:
    """Let it be told to the companies concerned; the same work when the account does not exist."""
    enqueue(session, "signin.failed", {"person_id": str(person_id), "what": what} if person_id else {})


def _open(
    session: PortalSession, person_id: int, proof: str, old: str | None, device: str | None = None
) -> Attempt:
    secret = new_secret()
    opened = session.execute(
        text("select app.open_session(:person, :hash, :proof, :device, :seconds)"),
        {
            "person": person_id,
            "hash": digest(secret),
            "proof": proof,
            "device": device,
            "seconds": HALF_S,
        },
    ).scalar_one()
    if not opened:
        return Attempt()
    if old:
        sign_out(session, old)
    return advance(session, secret)


# -- names and secrets ------------------------------------------------------------------------------------------


def email_key(email: str) -> str:
    """What makes two spellings of an address the same account."""
    normal = unicodedata.normalize("NFKC", email).strip().casefold()
    # A line end marks the key of a stand-in (app.invited): nobody types one.
    return "".join(sign for sign in normal if sign.isprintable())


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

    A mail follows (work item person.invite): with a link to set the first password, or, when a partner invites
    somebody who has an account elsewhere, with a link to accept; until then a stand-in holds the roles, so that the
    partner learns nothing. Raises Invalid.
    """
    wanted = list(dict.fromkeys(roles))
    key = email_key(email)
    kind = queries.company(session, company_id, lock=True).kind
    _check_invitation(email, name, wanted, kind)
    ctx = session.context
    if "operator" in wanted and ctx.kind == "vendor" and "operator" not in ctx.roles:
        raise Invalid(Fault("roles", "operator", "Only an operator can make another operator.", "forbidden"))
    person = session.execute(
        text("select app.invited(:id, :email, :key, :name, :language, :company)"),
        {
            "id": new_id(),
            "email": email.strip(),
            "key": key,
            "name": name.strip(),
            "language": language,
            "company": company_id,
        },
    ).scalar_one()
    had = _roles_of(session, company_id, person)
    added = _add_roles(session, person, company_id, wanted, had)
    known = session.execute(
        text("select status = 'active' from people where id = :id"), {"id": person}
    ).scalar()
    if added:
        type_ = "member.roles_changed" if had else "member.added" if known else "member.invited"
        companies.told(session, type_, company_id, person_id=str(person), roles=sorted({*had, *added}))
    if mail and not (had and known):
        enqueue(session, "person.invite", {"person_id": str(person), "company_id": str(company_id)})
    return int(person)


def check_email(email: str) -> None:
    """Raises Invalid for what cannot be an address."""
    fault = _email_fault(email)
    if fault:
        raise Invalid(fault)


def _email_fault(email: str) -> Fault | None:
    local, at, domain = email.strip().rpartition("@")
    good = at and local and "." in domain and len(email) <= 254
    if good and all(c.isprintable() and not c.isspace() for c in email.strip()):
        return None
    return Fault("email", email, tr(_("Write an address such as name@example.com.")), "email")


def _check_invitation(email: str, name: str, roles: list[str], kind: str) -> None:
    fault = _email_fault(email)
    faults = [fault] if fault else []
    if not 1 <= len(name.strip()) <= 200:
        faults.append(Fault("name", name, tr(_("Write the name, at most 200 characters.")), "name"))
    allowed = VENDOR_ROLES if kind == "vendor" else PARTNER_ROLES
    wrong = [role for role in roles if role not in allowed]
    if wrong or not roles:
        faults.append(Fault("roles", roles, f"Choose from: {', '.join(allowed)}.", "role"))
    if faults:
        raise Invalid(*faults)


def _roles_of(session: PortalSession, company_id: int, person_id: int) -> list[str]:
    query = text(
        "select role from memberships where company_id = :company and person_id = :person order by role"
    )
    return list(session.scalars(query, {"company": company_id, "person": person_id}))


def _add_roles(
    session: PortalSession, person_id: int, company_id: int, roles: list[str], had: list[str]
) -> list[str]:
    """Give the roles that the person has not; which those are."""
    ctx = session.context
    missing = [role for role in roles if role not in had]
    if missing:
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
                for role in missing
            ],
        )
    return missing


def link_token(settings: Settings, item_id: int) -> str:
    """The token of an invitation or reset: the same for every attempt of one work item, so a repeated mail repeats
    its link; nobody without INTERLINE_SECRET can make it."""
    made = hmac.new(settings.derive("person link"), str(item_id).encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def invitation(session: PortalSession, token: str) -> Invitation | None:
    """Whom the link is for, or None when it is used up, expired or unknown. Changes nothing."""
    row = session.execute(text("select * from app.invitation(:hash)"), {"hash": digest(token)}).first()
    return Invitation(**row._mapping) if row else None


def accept(
    session: PortalSession, token: str, password: str, old: str | None = None, device: str | None = None
) -> Attempt:
    """Set the password the link allows, end the person's other sessions and sign in. Raises NotFound, Invalid.

    A second factor is asked for all the same: whoever reads the mail is not yet its owner.
    """
    step_down(session)
    found = invitation(session, token)
    if found is None or found.purpose == "join":
        raise NotFound("This link has been used or has expired. Ask for a new one.")
    fault = password_fault(password, found.email, found.name)
    if fault:
        raise Invalid(Fault("password", None, fault, "password"))
    hashed = hash_password(password)
    session.execute(
        text("select app.set_password(:link, :password)"), {"link": digest(token), "password": hashed}
    )
    if found.purpose == "reset":
        enqueue(session, "person.told", {"person_id": str(found.person_id), "what": "password"})
    return _open(session, found.person_id, hashed, old, device)


def join(session: PortalSession, token: str) -> bool:
    """Accept to work for one more company; False when the link is of no use any more."""
    found = session.execute(text("select app.join_company(:hash)"), {"hash": digest(token)}).scalar()
    return found is not None


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

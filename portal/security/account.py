"""The own account: profile, password, address, sessions, and what happened to it.

What changes how somebody signs in asks for the password again, and for a code where there is a second factor.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.db import PortalSession
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.work import enqueue
from portal.security import factor, signin, steps, throttle, told
from portal.security.context import digest
from portal.security.passwords import NOBODY, hash_password, password_fault, verify
from portal.settings import Settings
from portal.web.formatting import zone_names
from portal.web.i18n import _, languages, tr

NAME_MAX = 200
LAST_SIGN_INS = 12


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether somebody has shown again who they are; `hash` is what their password is checked against."""

    hash: str | None = None
    retry_after: int = 0


def me(session: PortalSession) -> Row[Any]:
    """Name, e-mail, language, time zone of the reader, and the address that waits for confirmation."""
    query = text("select name, email, language, time_zone, pending_email from people where id = :person")
    return session.execute(query, {"person": session.context.person_id}).one()


def change_profile(session: PortalSession, name: str, language: str, time_zone: str | None) -> None:
    """How the reader is called and reads. `time_zone` None: that of the company. Raises Invalid."""
    faults = []
    if not 1 <= len(name.strip()) <= NAME_MAX:
        faults.append(Fault("name", name, tr(_("Write the name, at most 200 characters.")), "name"))
    if language not in languages():
        faults.append(Fault("language", language, tr(_("Choose one of the list")), "language"))
    if time_zone and time_zone not in zone_names():
        faults.append(Fault("time_zone", time_zone, tr(_("Choose one of the list")), "time_zone"))
    if faults:
        raise Invalid(*faults)
    session.execute(
        text("update people set name = :name, language = :language, time_zone = :zone where id = :person"),
        {
            "name": name.strip(),
            "language": language,
            "zone": time_zone or None,
            "person": session.context.person_id,
        },
    )


def prove(session: PortalSession, settings: Settings, password: str, code: str, address: str) -> Proof:
    """Check the password, and a code where there is a second factor. Counted: commit even when it is wrong."""
    person = session.context.person_id
    counted = (throttle.SIGN_IN_ADDRESS, address), (throttle.PROOF_ACCOUNT, str(person))
    wait = throttle.count(session, *counted)
    if wait:
        return Proof(retry_after=wait)
    key = signin.email_key(me(session).email)
    steps.step_down(session)
    row = session.execute(text("select hash from app.password_of(:key)"), {"key": key}).first()
    steps.step_back(session)
    right = verify(row.hash if row and row.hash else NOBODY, password)
    if not right or row is None:
        return Proof()
    if factor.holds(session) and not factor.check(session, settings, code):
        return Proof()
    throttle.uncount(session, *counted)
    return Proof(row.hash)


def change_password(session: PortalSession, proof: Proof, password: str, key: str) -> None:
    """A new password; every session but the one with this key ends. Raises Invalid."""
    who = me(session)
    fault = password_fault(password, who.email, who.name)
    if fault:
        raise Invalid(Fault("new", None, fault, "password"))
    done = session.execute(
        text("select app.change_password(:proof, :password, :keep)"),
        {"proof": proof.hash, "password": hash_password(password), "keep": digest(key)},
    ).scalar()
    if not done:
        raise Conflict(tr(_("The password was changed elsewhere just now.")))
    tell(session, "password")


def tell(session: PortalSession, what: str) -> None:
    """Mail the reader what was done to the account."""
    enqueue(session, "person.told", {"person_id": str(session.context.person_id), "what": what})


# -- another address -----------------------------------------------------------------------------------------------


def ask_address(session: PortalSession, email: str) -> None:
    """Mail a link to the new address, and one that stops it to the present one. Raises Invalid.

    Says nothing about whether the address has an account already: its owner is told by mail.
    """
    signin.check_email(email)
    ctx = session.context
    if signin.email_key(email) == signin.email_key(me(session).email):
        raise Invalid(Fault("email", email, tr(_("This is your address already.")), "same"))
    session.execute(
        text("update people set pending_email = :email where id = :person"),
        {"email": email.strip(), "person": ctx.person_id},
    )
    payload = {"person_id": str(ctx.person_id), "company_id": str(ctx.company_id)}
    enqueue(session, "person.keep", payload)
    enqueue(session, "person.address", payload)
    told.account(session, "address.change_asked")


def forget_address(session: PortalSession) -> None:
    """Stay with the present address."""
    session.execute(
        text("update people set pending_email = null where id = :person"),
        {"person": session.context.person_id},
    )


def address_link(session: PortalSession, token: str) -> Row[Any] | None:
    """What a link that changes or keeps an address is for; None when it is of no use any more. Changes nothing."""
    return session.execute(text("select * from app.address_link(:hash)"), {"hash": digest(token)}).first()


def change_address(session: PortalSession, token: str, bound_to: str) -> str:
    """Use the link: 'changed', 'taken' or 'gone'. Every session ends."""
    values = {"hash": digest(token), "key": signin.email_key(bound_to)}
    return str(session.execute(text("select app.change_address(:hash, :key)"), values).scalar_one())


def keep_address(session: PortalSession, token: str, bound_to: str) -> str:
    """Use the link: 'kept', 'taken' or 'gone'. Every session ends, and a link for a new password is mailed."""
    values = {"hash": digest(token), "key": signin.email_key(bound_to)}
    row = session.execute(text("select * from app.keep_address(:hash, :key)"), values).one()
    if row.outcome == "kept" and row.company_id is not None:
        payload = {"person_id": str(row.person_id), "company_id": str(row.company_id)}
        enqueue(session, "person.reset", payload)
    return str(row.outcome)


# -- sessions ------------------------------------------------------------------------------------------------------


def sessions(session: PortalSession, key: str) -> list[Row[Any]]:
    """The reader's sessions, this one (with `key`) first: mark, device, company, since, seen, here."""
    return list(session.execute(text("select * from app.own_sessions(:here)"), {"here": digest(key)}))


def end_session(session: PortalSession, mark: str) -> None:
    """End one of them. Raises NotFound."""
    found = [one for one in sessions(session, "") if one.mark == mark]
    if not found or not _end(session, mark, None):
        raise NotFound
    told.account(session, "signin.signed_out", device=found[0].device)


def end_others(session: PortalSession, key: str) -> int:
    """End every session but the one with `key`; how many ended."""
    ended = _end(session, None, digest(key))
    if ended:
        told.account(session, "signin.signed_out", others=ended)
    return ended


def _end(session: PortalSession, mark: str | None, keep: bytes | None) -> int:
    query = text("select app.end_sessions(:mark, :keep)")
    return int(session.execute(query, {"mark": mark, "keep": keep}).scalar_one())


def last_sign_ins(session: PortalSession) -> list[Row[Any]]:
    """What happened to the reader's account lately, in any company: at, type, data, company, own."""
    return list(session.execute(text("select * from app.own_sign_ins(:rows)"), {"rows": LAST_SIGN_INS}))


# -- second factor -------------------------------------------------------------------------------------------------


def wrong_code() -> Fault:
    """A first code that does not fit the secret that was shown."""
    return Fault(
        "new_code", None, tr(_("This code is not right. Look at the app again and type what it shows."))
    )


def why_factor_stays(session: PortalSession) -> str:
    """Why the own second factor cannot be turned off: which company asks for one; "" when it can."""
    query = text("select name from app.own_companies() where factor_required limit 1")
    asks = session.execute(query).scalar()
    message = _("${company} asks for a second factor. You can move it to another app instead.")
    return tr(_(message, mapping={"company": asks})) if asks else ""


def factor_off(session: PortalSession) -> None:
    """Turn the own second factor off. Raises Conflict where a company asks for one."""
    stays = why_factor_stays(session)
    if stays:
        raise Conflict(stays, "factor_required")
    factor.remove(session)
    tell(session, "factor_removed")

"""Work of sign-in: the mails with a link and those that only tell, failed attempts, and sweeping out what has expired."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.gateways import mailer
from portal.security import throttle, told
from portal.security.context import digest
from portal.security.mails import compose
from portal.security.signin import INVITATION_TIME, RESET_TIME, email_key, link_token
from portal.settings import load

# DESIGN: answers are kept 30 days; a throttle's window is an hour at most; a negative one marks a known network.
ANSWERS_KEPT = timedelta(days=30)
THROTTLES_KEPT = timedelta(days=1)
SWEEP_ROWS = 10_000
ADDRESS_TIME = timedelta(hours=24)
# Long enough for a holiday mailbox to be read, short enough that an old address does not rule for ever.
KEEP_TIME = timedelta(days=7)
# Failed attempts of one account that the log tells in an hour; what is beyond is counted by the throttle alone.
FAILURES_TOLD = throttle.Limit("failures told", 10, 3600)

PERSON = text("""
    select p.id, p.realm_id, p.name, p.email, p.email_key, p.language, p.status, p.pending_email, c.name as company,
           c.id as company_id, v.name as vendor, coalesce(p.time_zone, c.time_zone) as time_zone,
           app.clock(p.realm_id) as now, r.clock_offset_seconds as offset_seconds,
           exists (select 1 from passwords w where w.person_id = p.id) as has_password,
           (select count(*) from recovery_codes r where r.person_id = p.id) as codes_left
    from people p join realms r on r.id = p.realm_id
    left join companies c on c.id = coalesce(cast(:company as bigint), (
        select m.company_id from memberships m where m.person_id = p.id order by m.created_at, m.id limit 1))
    left join companies v on v.realm_id = p.realm_id and v.kind = 'vendor'
    where p.id = :person
""")


@dataclass(frozen=True, slots=True)
class Link:
    """What a mailed link is for: purpose of the credential, its page, how long it lives."""

    purpose: str
    page: str
    lives: timedelta


LINKS = {
    "invite": Link("invite", "welcome", INVITATION_TIME),
    "join": Link("join", "welcome", INVITATION_TIME),
    "reset": Link("reset", "welcome", RESET_TIME),
    "address": Link("address", "address", ADDRESS_TIME),
    "keep": Link("keep", "address", KEEP_TIME),
}


@handler("person.invite", outside=True)
def invite(session: PortalSession, item: Item) -> Effect | None:
    """Mail a link to set the first password, or to accept one more company; who is in already is told."""
    who = _who(session, item)
    if who is None:
        return None
    if "\n" in who.email_key:
        return _mail(session, item, _account_of(session, who), "join", to=who.email, for_id=who.id)
    return _mail(session, item, who, "added" if who.has_password else "invite")


@handler("person.reset", outside=True)
def reset(session: PortalSession, item: Item) -> Effect | None:
    """Mail a link to set a new password; nothing when the address belongs to nobody."""
    who = _who(session, item)
    if who is None:
        return None
    return _mail(session, item, who, "invite" if who.status == "invited" else "reset")


@handler("person.address", outside=True)
def address(session: PortalSession, item: Item) -> Effect | None:
    """Mail a link to the new address; who has an account there is told instead, and whoever asked learns nothing."""
    who = _who(session, item)
    if who is None or who.pending_email is None:
        return None
    key = {"realm": who.realm_id, "key": email_key(who.pending_email), "id": who.id}
    query = text("select id from people where realm_id = :realm and email_key = :key and id <> :id")
    other = session.execute(query, key).scalar()
    if other is None:
        return _mail(session, item, who, "address", to=who.pending_email)
    owner = session.execute(PERSON, {"person": other, "company": None}).one()
    return _mail(session, item, owner, "address_taken")


@handler("person.keep", outside=True)
def keep(session: PortalSession, item: Item) -> Effect | None:
    """Tell the present address that another one is asked for, with a link that stops it."""
    who = _who(session, item)
    return None if who is None else _mail(session, item, who, "keep")


@handler("person.told", outside=True)
def tell(session: PortalSession, item: Item) -> Effect | None:
    """Tell somebody what was done to the own account."""
    who = _who(session, item)
    return None if who is None else _mail(session, item, who, item.payload["what"])


@handler("signin.failed")
def failed(session: PortalSession, item: Item) -> Effect | None:
    """Log a failed attempt where the account exists, at most ten in an hour."""
    person = item.payload.get("person_id")
    if person is None:
        return None
    left = session.execute(
        text("select app.throttle(:key, :limit, :seconds)"),
        {
            "key": FAILURES_TOLD.key(person),
            "limit": FAILURES_TOLD.attempts,
            "seconds": FAILURES_TOLD.seconds,
        },
    ).scalar_one()
    if left >= 0:
        told.about(session, int(person), "signin.failed", what=item.payload["what"])
    return None


def _who(session: PortalSession, item: Item) -> Row[Any] | None:
    if "person_id" not in item.payload:
        return None
    company = item.payload.get("company_id")
    values = {"person": int(item.payload["person_id"]), "company": int(company) if company else None}
    return session.execute(PERSON, values).first()


def _account_of(session: PortalSession, stand_in: Row[Any]) -> Row[Any]:
    """The account behind a stand-in, for its language and zone; the stand-in itself when there is none any more."""
    query = text("select id from people where realm_id = :realm and email_key = :key")
    key = {"realm": stand_in.realm_id, "key": stand_in.email_key.partition("\n")[0]}
    found = session.execute(query, key).scalar()
    values = {"person": found, "company": stand_in.company_id}
    return session.execute(PERSON, values).one() if found else stand_in


def _mail(
    session: PortalSession,
    item: Item,
    who: Row[Any],
    purpose: str,
    *,
    to: str = "",
    for_id: int | None = None,
) -> Effect:
    settings = load()
    at = session.execute(
        text("select created_at from work_items where id = :id"), {"id": item.id}
    ).scalar_one()
    url, until = "", None
    link = LINKS.get(purpose)
    if link:
        token = link_token(settings, item.id)
        until, to = _open_link(session, who, link, token, to or who.email, for_id)
        url = f"{settings.site_url}/{link.page}/{token}"
    elif purpose == "added":
        url = f"{settings.site_url}/sign-in"
    message = compose(settings, who, purpose, item.id, to=to, url=url, until=until, at=at)
    return lambda: mailer(settings).send(message)


def _open_link(
    session: PortalSession, who: Row[Any], link: Link, token: str, bound_to: str, for_id: int | None
) -> tuple[datetime, str]:
    """Store the link's hash in real time; a second attempt of the same item finds it there.

    Its end in business time, and the address it was first mailed to.
    """
    session.execute(
        text("""
            insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, bound_to, scopes,
                created_at, seen_at, expires_at)
            values (:hash, :purpose, :realm, 'person', :company, :person, :email, '{}', now(), now(), now() + :lives)
            on conflict (hash) do nothing
        """),
        {
            "hash": digest(token),
            "purpose": link.purpose,
            "realm": who.realm_id,
            "company": who.company_id,
            "person": for_id or who.id,
            "email": bound_to,
            "lives": link.lives,
        },
    )
    query = text("select expires_at, bound_to from credentials where hash = :hash")
    kept = session.execute(query, {"hash": digest(token)}).one()
    return kept.expires_at + timedelta(seconds=who.offset_seconds), kept.bound_to


@handler("credentials.expire")
def expire(session: PortalSession, _item: Item) -> Effect | None:
    """Delete what has expired: sessions, tokens and links, counts of attempts, answers kept for repeats."""
    session.execute(
        text("""
            delete from credentials where hash in (
                select hash from credentials
                where expires_at < now() or seen_at + make_interval(secs => idle_seconds) < now() limit :rows)
        """),
        {"rows": SWEEP_ROWS},
    )
    session.execute(
        text("""
            delete from throttles where window_start < now() - :kept
                and (count >= 0 or window_start < now() - make_interval(secs => :known))
        """),
        {"kept": THROTTLES_KEPT, "known": throttle.KNOWN.seconds},
    )
    session.execute(
        text("""
            delete from idempotent_answers where ctid in (
                select ctid from idempotent_answers where created_at < app.clock(realm_id) - :kept limit :rows)
        """),
        {"kept": ANSWERS_KEPT, "rows": SWEEP_ROWS},
    )
    return None

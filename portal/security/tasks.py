"""Work of sign-in: the mails with a link to set a password, and sweeping out what has expired."""

from datetime import timedelta
from typing import Any

from markupsafe import Markup
from pyramid.i18n import make_localizer
from sqlalchemy import text
from sqlalchemy.engine import Row

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.gateways import Message, mailer
from portal.security.context import digest
from portal.security.signin import INVITATION_TIME, RESET_TIME, link_token
from portal.settings import Settings, load
from portal.web.i18n import _

# DESIGN: answers are kept 30 days; a throttle's window is an hour at most.
ANSWERS_KEPT = timedelta(days=30)
THROTTLES_KEPT = timedelta(days=1)
SWEEP_ROWS = 10_000

PERSON = text("""
    select p.id, p.realm_id, p.name, p.email, p.language, c.name as company, v.name as vendor,
           exists (select 1 from passwords w where w.person_id = p.id) as has_password
    from people p join companies c on c.id = :company
    left join companies v on v.realm_id = p.realm_id and v.kind = 'vendor'
    where p.id = :person
""")


@handler("person.invite", outside=True)
def invite(session: PortalSession, item: Item) -> Effect | None:
    """Mail a link to set the first password; who has one already is told that the company was added."""
    return _mail(session, item, "invite", INVITATION_TIME)


@handler("person.reset", outside=True)
def reset(session: PortalSession, item: Item) -> Effect | None:
    """Mail a link to set a new password; nothing when the address belongs to nobody."""
    return _mail(session, item, "reset", RESET_TIME)


def _mail(session: PortalSession, item: Item, purpose: str, lives: timedelta) -> Effect | None:
    if "person_id" not in item.payload:
        return None
    who = session.execute(
        PERSON, {"person": int(item.payload["person_id"]), "company": int(item.payload["company_id"])}
    ).first()
    if who is None:
        return None
    settings = load()
    url = f"{settings.site_url}/sign-in"
    if purpose == "reset" or not who.has_password:
        token = link_token(settings, item.id)
        _open_link(session, who, int(item.payload["company_id"]), purpose, token, lives)
        url = f"{settings.site_url}/welcome/{token}"
    message = compose(settings, who, purpose, url, item.id)
    return lambda: mailer(settings).send(message)


def _open_link(
    session: PortalSession, who: Row[Any], company_id: int, purpose: str, token: str, lives: timedelta
) -> None:
    """Store the link's hash in real time; a second attempt of the same item finds it there."""
    session.execute(
        text("""
            insert into credentials (hash, purpose, realm_id, kind, company_id, person_id, bound_to, scopes,
                created_at, seen_at, expires_at)
            values (:hash, :purpose, :realm, 'person', :company, :person, :email, '{}', now(), now(), now() + :lives)
            on conflict (hash) do nothing
        """),
        {
            "hash": digest(token),
            "purpose": purpose,
            "realm": who.realm_id,
            "company": company_id,
            "person": who.id,
            "email": who.email,
            "lives": lives,
        },
    )


def compose(settings: Settings, who: Row[Any], purpose: str, url: str, item_id: int) -> Message:
    """The mail, as text and as plain HTML."""
    names = {"name": who.name, "company": who.company, "vendor": who.vendor or "Interline"}
    if purpose == "reset":
        subject = _("Set a new password")
        body = _("Somebody, probably you, asked for a new password. Choose one within two hours:")
        end = _("If it was not you, do nothing: your password stays as it is.")
    elif who.has_password:
        subject = _("You can now work for ${company} too", mapping=names)
        body = _(
            "${vendor} has added you to ${company}. Sign in as always and choose the company:", mapping=names
        )
        end = _("If you did not expect this, tell your company's administrator.")
    else:
        subject = _("${vendor} invites you to its partner network", mapping=names)
        body = _(
            "You are invited to work for ${company}. Choose a password within seven days:", mapping=names
        )
        end = _("If you did not expect this, do nothing: without a password nobody can sign in as you.")
    tr = make_localizer(who.language, []).translate
    lines = [tr(_("Hello ${name},", mapping=names)), tr(body), tr(end)]
    plain = f"{lines[0]}\n\n{lines[1]}\n\n{url}\n\n{lines[2]}\n"
    rich = Markup(
        '<!doctype html><html lang="{}"><body style="font:16px/24px system-ui,sans-serif;color:#1a2230">'
        '<p>{}</p><p>{}</p><p><a href="{}">{}</a></p><p style="color:#5a6478">{}</p></body></html>'
    ).format(who.language, lines[0], lines[1], url, url, lines[2])
    domain = settings.mail_from.rpartition("@")[2].rstrip(">") or "localhost"
    return Message(
        to=who.email,
        subject=tr(subject),
        text=plain,
        html=str(rich),
        message_id=f"person.{item_id}@{domain}",
    )


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
        text("delete from throttles where window_start < now() - :kept"), {"kept": THROTTLES_KEPT}
    )
    session.execute(
        text("""
            delete from idempotent_answers where ctid in (
                select ctid from idempotent_answers where created_at < app.clock(realm_id) - :kept limit :rows)
        """),
        {"kept": ANSWERS_KEPT, "rows": SWEEP_ROWS},
    )
    return None

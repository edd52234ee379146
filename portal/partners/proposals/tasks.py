"""The mail to whoever proposed a change: approved, or rejected with the reason."""

from markupsafe import Markup
from sqlalchemy import text

from portal.db import PortalSession
from portal.events.work import Effect, Item, handler
from portal.gateways import Message, mailer
from portal.partners.proposals.kinds import KINDS
from portal.settings import load
from portal.web.i18n import _, localizer_of

FOUND = text("""
    select pr.id, pr.kind, pr.state, p.name, p.email, p.language, v.name as vendor, t.body as reason
    from proposals pr
    join people p on p.id = pr.proposed_by and p.status = 'active'
    join companies v on v.realm_id = pr.realm_id and v.kind = 'vendor'
    left join texts t on t.id = pr.answer_id
    where pr.id = :id and pr.state in ('approved', 'rejected')
      and exists (select 1 from memberships m where m.person_id = p.id and m.company_id = pr.company_id)
""")


@handler("proposal.mail", outside=True)
def proposal_mail(session: PortalSession, item: Item) -> Effect | None:
    """Tell who proposed it; nobody when they no longer work for the company."""
    found = session.execute(FOUND, {"id": int(item.payload["proposal"])}).first()
    if found is None:
        return None
    settings = load()
    tr = localizer_of(found.language).translate
    names = {"name": found.name, "vendor": found.vendor, "what": tr(KINDS[found.kind].title)}
    subject = _("Not approved: ${what}", mapping=names)
    body = _("${vendor} did not approve the change you proposed. All stays as it was.", mapping=names)
    if found.state == "approved":
        subject = _("Approved: ${what}", mapping=names)
        body = _("${vendor} approved the change you proposed. It counts from now on.", mapping=names)
    url = f"{settings.site_url}/company/proposals/{found.id}"
    hello, said = tr(_("Hello ${name},", mapping=names)), found.reason or ""
    parts = [hello, tr(body), said, url]
    rich = Markup(
        '<!doctype html><html lang="{}"><body style="font:16px/24px system-ui,sans-serif;color:#1a2230">'
        '<p>{}</p><p>{}</p><p>{}</p><p><a href="{}">{}</a></p></body></html>'
    ).format(found.language, hello, tr(body), said, url, url)
    domain = settings.mail_from.rpartition("@")[2].rstrip(">") or "localhost"
    message = Message(
        to=found.email,
        subject=tr(subject),
        text="\n\n".join(part for part in parts if part) + "\n",
        html=str(rich),
        message_id=f"proposal.{item.id}@{domain}",
    )
    return lambda: mailer(settings).send(message)

"""Files of a lead: who may add one and for whom, what the offer view says of them, and taking one away again."""

from collections.abc import Iterable
from typing import BinaryIO

from sqlalchemy import text

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.log import record
from portal.events.work import Effect, Item, enqueue, handler
from portal.gateways import Storage
from portal.leads.actions import TAKES_PART, partners_in_lead
from portal.leads.offering import lock_lead
from portal.security.context import Context
from portal.security.permissions import MANAGERS
from portal.settings import Settings
from portal.sharing.files import Attachment, drop_files, file_of, keep_file, opening_on_acceptance
from portal.sharing.models import HOLDER
from portal.web.i18n import _, tr

OPENS = ("own", "shared", "accepted")


def add_file(
    session: PortalSession,
    settings: Settings,
    storage: Storage,
    lead_id: int,
    given: tuple[str, BinaryIO],
    opens: str,
) -> tuple[Attachment, bool]:
    """Add a file (its name, its bytes) for one of OPENS; (the file, whether it is new).

    own: the company that adds it alone. shared: vendor and holder of today. accepted: the vendor's, for whoever holds
    the lead, from acceptance until it leaves them; before, the offer says how many there are.
    """
    ctx = session.context
    if opens not in OPENS:
        cure = _("Choose one of: ${options}.", mapping={"options": ", ".join(OPENS)})
        raise Invalid(Fault("audience", opens, tr(cure), "choice"))
    mine = ctx.kind == "partner"
    if mine and not session.execute(TAKES_PART, {"lead": lead_id, "me": ctx.company_id}).first():
        raise Conflict(tr(_("Your company is not in this lead (any more).")), "not_in_lead")
    file, new = keep_file(
        session, settings, storage, ("lead", lead_id), given, _audience(session, lead_id, opens)
    )
    if new:
        lock_lead(session, lead_id)
        told = {"text": str(file.id), "opens": opens}
        record(session, "file.added", ("lead", lead_id), _told(session, lead_id, file), told)
        enqueue(session, "files.contact", {"lead": str(lead_id)})
        _count(session, lead_id, file)
    return file, new


def _audience(session: PortalSession, lead_id: int, opens: str) -> list[int]:
    vendor = vendor_id(session)
    if opens == "own":
        return []
    if session.context.kind == "partner":
        if opens == "accepted":
            said = tr(_("Only the vendor's files open on acceptance."))
            raise Invalid(Fault("audience", opens, said, "choice"))
        return [vendor]
    if opens == "accepted":
        return [vendor, HOLDER]
    holders = partners_in_lead(session, lead_id, "full")
    if not holders:
        said = tr(_("No partner holds this lead now. Let the file open on acceptance."))
        raise Invalid(Fault("audience", opens, said, "choice"))
    return [vendor, *holders]


def _told(session: PortalSession, lead_id: int, file: Attachment) -> set[int]:
    """The companies whose timeline tells of the file."""
    told = {file.company_id, *(one for one in file.audience if one != HOLDER)}
    return told | partners_in_lead(session, lead_id) if HOLDER in file.audience else told


def _count(session: PortalSession, lead_id: int, file: Attachment) -> None:
    """An offer that is out says how many files open: the one thing of it that follows the lead."""
    if HOLDER not in file.audience:
        return
    session.execute(
        text("""
            update offers set brief = jsonb_set(brief, '{files}', to_jsonb(cast(:n as int)))
            where lead_id = :lead and state = 'offered'
        """),
        {"n": opening_on_acceptance(session, ("lead", lead_id)), "lead": lead_id},
    )


def may_remove(ctx: Context, file: Attachment) -> bool:
    """Who added it, an administrator of that company, and the vendor's managers for what they see."""
    if ctx.kind == "vendor" and ctx.roles.intersection(MANAGERS):
        return True
    if ctx.company_id != file.company_id:
        return False
    return "administrator" in ctx.roles or ctx.person_id == file.person_id


def remove_file(session: PortalSession, lead_id: int, file_id: int) -> None:
    """Take a file away for everybody; its bytes go too, unless somebody else added the same."""
    lock_lead(session, lead_id)
    file = file_of(session, ("lead", lead_id), file_id)
    if file is None:
        raise NotFound()
    if not may_remove(session.context, file):
        raise Conflict(tr(_("Only who added it, or a channel manager, removes this file.")), "not_yours")
    told = _told(session, lead_id, file)
    drop_files(session, [file.id])
    record(session, "file.removed", ("lead", lead_id), told, {"opens": file.opens})
    _count(session, lead_id, file)


def forget_files(session: PortalSession, lead_ids: Iterable[int]) -> None:
    """Erase every file of these leads, whoever added it; as `system`, when a customer or a lead is erased."""
    found = session.execute(
        text(
            "select id from texts where kind = 'file' and subject_type = 'lead' and subject_id = any(:leads)"
        ),
        {"leads": list(lead_ids)},
    )
    drop_files(session, [row.id for row in found])


@handler("files.contact")
def link_contact(session: PortalSession, item: Item) -> Effect | None:
    """Note which contact a lead's files are about, so that erasing it finds them. A partner may not write that itself."""
    session.execute(
        text("""
            insert into text_contacts (text_id, contact_id, realm_id)
            select t.id, l.contact_id, t.realm_id from leads l
            join texts t on t.subject_type = 'lead' and t.subject_id = l.id and t.kind = 'file'
            where l.id = :lead and l.contact_id is not null on conflict do nothing
        """),
        {"lead": int(item.payload["lead"])},
    )
    return None

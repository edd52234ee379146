"""Propose, withdraw, approve, reject. Nothing of a proposal counts before it is approved: routing never reads this table.

Approval goes through the same directory actions as the vendor's own pages, so what changes is dated from that moment.
"""

from typing import Any, BinaryIO

from sqlalchemy import insert, select, update

from portal.companies import queries as companies
from portal.companies.actions import told
from portal.db import PortalSession, new_id
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.work import enqueue
from portal.gateways import Storage
from portal.partners.proposals.kinds import KINDS, Target
from portal.partners.proposals.models import Proposal
from portal.settings import Settings
from portal.sharing.actions import say
from portal.sharing.files import Attachment, keep_file
from portal.web.i18n import _, tr

MOST_OPEN = 50
"""Open proposals of one company."""
MAX_REASON = 2000


def propose(session: PortalSession, kind: str, target: Target, given: dict[str, Any], why: str = "") -> int:
    """Keep what the partner wants changed until the vendor decides. Its id.

    Refuses what the directory would refuse, what holds already, and a second proposal about the same thing.
    """
    ctx = session.context
    companies.company(session, target.company_id, lock=True)
    chosen = KINDS[kind]
    after = chosen.clean(session, target, given)
    before = chosen.now(session, target, after)
    if before:
        if before == after:
            raise Invalid(Fault("", None, tr(_("This is as it stands. Change something first.")), "same"))
        if kind == "address":  # only what differs, so that another field may change meanwhile
            after = {name: value for name, value in after.items() if value != before[name]}
            before = {name: before[name] for name in after}
    _refuse_repeat(session, kind, target, after)
    row = {
        "id": new_id(), "realm_id": ctx.realm_id, "company_id": target.company_id, "kind": kind,
        "location_id": target.location_id, "row_id": target.row_id, "before": before, "after": after,
        "state": "open", "proposed_by": ctx.person_id, "proposed_at": ctx.now,
    }  # fmt: skip
    vendor = companies.vendor_id(session)
    said = say(session, ("proposal", row["id"]), why[:MAX_REASON], [vendor])
    row["why_id"] = int(said["text"]) if said else None
    session.execute(insert(Proposal), [row])
    told(session, "proposal.made", target.company_id, proposal=str(row["id"]), kind=kind)
    return int(row["id"])


def attach(
    session: PortalSession,
    settings: Settings,
    storage: Storage,
    proposal_id: int,
    given: tuple[str, BinaryIO],
) -> Attachment:
    """Add the document (its name, its bytes) that proves what was proposed; the partner and whoever decides may open it."""
    found = _open(session, proposal_id)
    if not KINDS[found.kind].document:
        raise Invalid(Fault("file", given[0], tr(_("Nothing is to be proved here.")), "not_here"))
    vendor = companies.vendor_id(session)
    file, _new = keep_file(session, settings, storage, ("proposal", found.id), given, [vendor])
    return file


def _refuse_repeat(session: PortalSession, kind: str, target: Target, after: dict[str, Any]) -> None:
    query = select(Proposal).where(Proposal.company_id == target.company_id, Proposal.state == "open")
    waiting = session.execute(query).scalars().all()
    if len(waiting) >= MOST_OPEN:
        raise Conflict(tr(_("Too many changes wait for a decision. Withdraw one first.")), "full")
    several = kind in ("certification", "territory", "place")
    for other in waiting:
        about = (other.kind, other.location_id, other.row_id) == (kind, target.location_id, target.row_id)
        if about and (not several or other.after == after):
            message = _(
                "You have proposed this already and it waits for a decision. Withdraw that proposal first."
            )
            raise Conflict(tr(message), "waiting")


def withdraw(session: PortalSession, proposal_id: int) -> None:
    """The partner takes its proposal back."""
    found = _open(session, proposal_id)
    _settle(session, found, "withdrawn", {})


def approve(session: PortalSession, proposal_id: int, note: str = "") -> None:
    """Make it so from now on; Conflict when what it was about has changed since it was proposed."""
    found = _open(session, proposal_id)
    if conflicts(session, found):
        message = _(
            "This changed since it was proposed. Reject it, so that it can be proposed again as things are."
        )
        raise Conflict(tr(message), "stale")
    KINDS[found.kind].apply(session, target_of(found), found.after)
    said = say(session, ("proposal", found.id), note[:MAX_REASON], [found.company_id])
    _settle(session, found, "approved", said)
    enqueue(session, "proposal.mail", {"proposal": str(found.id)})


def reject(session: PortalSession, proposal_id: int, reason: str) -> None:
    """Leave things as they are, with the reason that the partner reads."""
    found = _open(session, proposal_id)
    if not reason.strip() or len(reason) > MAX_REASON:
        message = _(
            "Say in 1 to ${n} characters why; the partner reads it.", mapping={"n": f"{MAX_REASON:,}"}
        )
        raise Invalid(Fault("reason", reason[:80], tr(message), "length"))
    said = say(session, ("proposal", found.id), reason, [found.company_id])
    _settle(session, found, "rejected", said)
    enqueue(session, "proposal.mail", {"proposal": str(found.id)})


def conflicts(session: PortalSession, found: Proposal) -> dict[str, Any]:
    """Fields that no longer read as when the change was proposed, with what they read now; {} for none."""
    target = target_of(found)
    try:
        now = KINDS[found.kind].now(session, target, found.after)
    except NotFound:
        return dict.fromkeys(found.before)
    return {name: now[name] for name, was in found.before.items() if now.get(name) != was}


def target_of(found: Proposal) -> Target:
    """What a proposal is about."""
    return Target(found.company_id, found.location_id, found.row_id)


def _open(session: PortalSession, proposal_id: int) -> Proposal:
    """The proposal, its company and itself locked (in that order, as every change of the directory locks)."""
    query = select(Proposal).where(Proposal.id == proposal_id, Proposal.realm_id == session.context.realm_id)
    company_id = session.execute(query.with_only_columns(Proposal.company_id)).scalar_one_or_none()
    if company_id is None:
        raise NotFound
    companies.company(session, company_id, lock=True)
    found = session.execute(query.execution_options(populate_existing=True)).scalar_one()
    if found.state != "open":
        raise Conflict(tr(_("This proposal is decided already.")), "decided")
    return found


def _settle(session: PortalSession, found: Proposal, state: str, said: dict[str, str]) -> None:
    ctx = session.context
    values = {"state": state, "decided_by": ctx.person_id, "decided_at": ctx.now}
    values["answer_id"] = int(said["text"]) if said else None
    session.execute(
        update(Proposal)
        .where(Proposal.id == found.id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    told(session, f"proposal.{state}", found.company_id, proposal=str(found.id), kind=found.kind, **said)
    session.expire(found)

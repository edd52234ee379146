"""What happens to a rule set: drafted, edited, reviewed, scheduled, published, retired, rolled back.

Every step locks the rule set, counts its revision up and writes one event. Whoever changes something says which
revision it saw, so that nobody overwrites what they have not seen. The database refuses what these functions would not
do (migration 0010: only a draft can be edited, a published one can only be retired).
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from portal.companies.models import Company, Person
from portal.companies.queries import vendor_id
from portal.db import PortalSession, new_id, put
from portal.errors import Conflict, Fault, Invalid, NotFound
from portal.events.log import record
from portal.events.work import enqueue
from portal.routing.models import RuleSetRow
from portal.routing.rulesets.checks import blocks
from portal.routing.rulesets.compare import compare_rows, compare_settings
from portal.sharing.actions import say
from portal.web.formatting import fmt
from portal.web.i18n import _, tr
from rules import RuleSet, default_ruleset

SUBJECT = "rule_set"
LEADS = "lead"
MOST_TOLD = 50
"""Rows of one edit whose before and after are kept in the log; of larger ones their number."""
MAX_REASON = 2000


# -- reading for a change ----------------------------------------------------------------------------------------------


def of_realm(session: PortalSession) -> Any:
    """All rule sets for leads in the session's realm."""
    return select(RuleSetRow).where(
        RuleSetRow.realm_id == session.context.realm_id, RuleSetRow.subject_type == LEADS
    )


def find(session: PortalSession, version: int) -> RuleSetRow:
    """One rule set by its version; NotFound."""
    found: RuleSetRow | None = session.scalars(of_realm(session).where(RuleSetRow.version == version)).first()
    if found is None:
        raise NotFound
    return found


def in_force(session: PortalSession) -> RuleSetRow | None:
    """The published rule set, if there is one."""
    found: RuleSetRow | None = session.scalars(
        of_realm(session).where(RuleSetRow.state == "published")
    ).first()
    return found


def _lock(session: PortalSession) -> int:
    """The vendor's row: versions are counted, and one published for another, by one at a time. The vendor's id."""
    vendor = vendor_id(session)
    # FOR NO KEY UPDATE: rows that refer to the company may be written meanwhile.
    session.execute(select(Company.id).where(Company.id == vendor).with_for_update(key_share=True))
    return vendor


def _taken(session: PortalSession, version: int, revision: int | None, *states: str) -> RuleSetRow:
    """The rule set, locked, in one of `states` and as the caller saw it; Conflict otherwise."""
    query = of_realm(session).where(RuleSetRow.version == version).with_for_update()
    found: RuleSetRow | None = session.scalars(query.execution_options(populate_existing=True)).first()
    if found is None:
        raise NotFound
    if revision is not None and found.revision != revision:
        raise Conflict(_overtaken(session, found), "stale")
    if states and found.state not in states:
        raise Conflict(tr(WRONG_STATE[found.state]), "state")
    return found


WRONG_STATE = {
    "draft": _("This is a draft: that can be done only after it was submitted."),
    "in_review": _("It is in review. Take it back to edit it."),
    "scheduled": _("It waits to be published. Take it back first."),
    "published": _("It is published and never changes. Draft a new one from it."),
    "retired": _("It is retired and never changes. Draft a new one from it."),
}


def _overtaken(session: PortalSession, found: RuleSetRow) -> str:
    name = session.execute(select(Person.name).where(Person.id == found.updated_by)).scalar()
    values = {"who": name or tr(_("Somebody")), "when": fmt.when_text(found.updated_at or found.created_at)}
    return tr(_("${who} changed it, ${when}. Nothing of yours was saved over that.", mapping=values))


def _step(
    session: PortalSession,
    found: RuleSetRow,
    type_: str,
    *,
    data: Mapping[str, Any] | None = None,
    **values: Any,
) -> None:
    """Write the new values and the event; `found` reads as it is now."""
    ctx = session.context
    values = {"revision": found.revision + 1, "updated_by": ctx.person_id, "updated_at": ctx.now} | values
    session.execute(
        update(RuleSetRow)
        .where(RuleSetRow.id == found.id)
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    session.expire(found)
    _tell(session, found.id, type_, found.version, data or {})


def _tell(session: PortalSession, id_: int, type_: str, version: int, data: Mapping[str, Any]) -> None:
    vendor = vendor_id(session)
    record(
        session, f"rule_set.{type_}", (SUBJECT, id_), [vendor], {"version": version, **data},
        company_id=session.context.company_id or vendor,
    )  # fmt: skip


# -- drafts ------------------------------------------------------------------------------------------------------------


def draft(session: PortalSession, from_version: int | None = None) -> RuleSetRow:
    """A new draft: a copy of `from_version`, else of the one in force, else of the first rules as shipped."""
    _lock(session)
    source = in_force(session) if from_version is None else find(session, from_version)
    rules = RuleSet.parse(source.body) if source else default_ruleset()
    made = _insert(session, rules, "draft", based_on=source.version if source else None)
    _tell(session, made.id, "drafted", made.version, {"from": made.based_on} if made.based_on else {})
    return made


def _insert(session: PortalSession, rules: RuleSet, state: str, **values: Any) -> RuleSetRow:
    """The next version, with its number in its body; the caller holds the lock."""
    ctx = session.context
    newest = session.execute(
        select(func.max(RuleSetRow.version)).where(
            RuleSetRow.realm_id == ctx.realm_id, RuleSetRow.subject_type == LEADS
        )
    ).scalar()
    numbered = RuleSet.parse(rules.to_json() | {"version": (newest or 0) + 1})
    row = {
        "id": new_id(),
        "realm_id": ctx.realm_id,
        "company_id": vendor_id(session),
        "subject_type": LEADS,
        "name": numbered.name,
        "version": numbered.version,
        "state": state,
        "body": numbered.to_json(),
        "hash": numbered.hash,
        "created_by": ctx.person_id,
        "updated_by": ctx.person_id,
        "created_at": ctx.now,
        "updated_at": ctx.now,
        **values,
    }
    put(session, RuleSetRow, row)
    return find(session, numbered.version)


def save(session: PortalSession, version: int, revision: int, rules: RuleSet) -> RuleSetRow:
    """Replace a draft's content; nothing is written when it is the same. What was acknowledged stays so by name."""
    found = _taken(session, version, revision, "draft")
    rules = RuleSet.parse(rules.to_json() | {"version": version})
    if rules.hash == found.hash:
        return found
    body = rules.to_json()
    _step(
        session, found, "changed", data=_change(found.body, body),
        body=body, hash=rules.hash, name=rules.name, approved_by=None, submitted_by=None,
    )  # fmt: skip
    return found


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What an edit changed, for the log: rows with before and after, and the paths of settings."""
    rows = [one for one in compare_rows(before["rules"], after["rules"]) if one.kind != "same"]
    told = [
        {"kind": one.kind, "id": one.id, "at": one.at or one.was_at, "before": one.before, "after": one.after}
        if one.kind != "moved"
        else {"kind": "moved", "id": one.id, "at": one.at}
        for one in rows[:MOST_TOLD]
    ]
    settings = [one.path for one in compare_settings(before, after)]
    return {"rows": told, "changed": len(rows), "settings": settings}


def drop(session: PortalSession, version: int, revision: int) -> None:
    """Put a draft aside for good; it can be read and copied."""
    found = _taken(session, version, revision, "draft", "in_review", "scheduled")
    _step(session, found, "dropped", state="retired", publish_at=None)


# -- review ------------------------------------------------------------------------------------------------------------


def review_needed(session: PortalSession) -> bool:
    """Whether a second person has to approve before something is published."""
    query = select(Company.rules_reviewed).where(Company.id == vendor_id(session))
    return bool(session.execute(query).scalar_one())


def require_review(session: PortalSession, required: bool) -> None:
    """The vendor's setting; nothing happens when it is so already."""
    vendor = _lock(session)
    if review_needed(session) == required:
        return
    session.execute(
        update(Company)
        .where(Company.id == vendor)
        .values(rules_reviewed=required, updated_at=session.context.now)
        .execution_options(synchronize_session=False)
    )
    type_ = "company.rules_reviewed" if required else "company.rules_not_reviewed"
    record(session, type_, ("company", vendor), [vendor])


def submit(session: PortalSession, version: int, revision: int) -> None:
    """Ask for a second person's approval; it cannot be edited meanwhile."""
    found = _taken(session, version, revision, "draft")
    person = session.context.person_id
    _step(session, found, "submitted", state="in_review", submitted_by=person, approved_by=None)


def take_back(session: PortalSession, version: int, revision: int) -> None:
    """Make it a draft again: from review, or when it waits to be published."""
    found = _taken(session, version, revision, "in_review", "scheduled")
    _step(session, found, "taken_back", state="draft", publish_at=None, approved_by=None, submitted_by=None)


def approve(session: PortalSession, version: int, revision: int) -> None:
    """Say yes to what somebody else submitted."""
    found = _taken(session, version, revision, "in_review")
    person = session.context.person_id
    if person is None or person in (found.submitted_by, found.created_by):
        raise Conflict(tr(_("Another person has to approve what you wrote or submitted.")), "own")
    _step(session, found, "approved", approved_by=person)


def refuse(session: PortalSession, version: int, revision: int, reason: str) -> None:
    """Send it back with a reason; it is a draft again."""
    found = _taken(session, version, revision, "in_review")
    if not reason.strip() or len(reason) > MAX_REASON:
        message = _("Say in 1 to ${n} characters what has to change.", mapping={"n": f"{MAX_REASON:,}"})
        raise Invalid(Fault("reason", reason[:80], tr(message), "length"))
    said = say(session, (SUBJECT, found.id), reason, [])
    _step(session, found, "refused", data=said, state="draft", approved_by=None, submitted_by=None)


def acknowledge(session: PortalSession, version: int, revision: int, names: Mapping[str, bool]) -> None:
    """Note that the acting person has read these findings (name -> read or not)."""
    found = _taken(session, version, revision, "draft", "in_review")
    ctx = session.context
    kept = {name: by for name, by in found.acknowledged.items() if names.get(name) is not False}
    new = sorted(name for name, read in names.items() if read and name not in kept)
    gone = sorted(set(found.acknowledged) - set(kept))
    if not new and not gone:
        return
    kept |= {name: {"by": str(ctx.person_id), "at": ctx.now.isoformat()} for name in new}
    _step(session, found, "acknowledged", data={"findings": new, "taken_back": gone}, acknowledged=kept)


# -- publishing --------------------------------------------------------------------------------------------------------


def _refuse_unready(session: PortalSession, found: RuleSetRow) -> None:
    """Conflict when anything speaks against publishing it now."""
    if review_needed(session) and found.approved_by is None:
        raise Conflict(tr(_("A second person has to approve it first.")), "review")
    reasons = blocks(session, found)
    if reasons:
        raise Conflict(reasons[0].message, reasons[0].code)


def publish(session: PortalSession, version: int, revision: int) -> None:
    """Let it decide from now on; the one in force until now is retired. Conflict with what speaks against it."""
    _lock(session)
    found = _taken(session, version, revision, "draft", "in_review", "scheduled")
    _refuse_unready(session, found)
    _replace(session, found)


def _replace(session: PortalSession, found: RuleSetRow) -> None:
    """Retire what is in force, then publish `found`."""
    ctx = session.context
    over = _retire(session)
    by = ctx.person_id or found.updated_by
    data: dict[str, Any] = {"over": over} if over else {}
    if ctx.person_id is None and by is not None:
        data["scheduled_by"] = str(by)
    _step(
        session, found, "published", data=data, state="published", published_at=ctx.now, published_by=by,
        publish_at=None,
    )  # fmt: skip


def _retire(session: PortalSession) -> int | None:
    """Retire the one in force; its version."""
    current = in_force(session)
    if current is None:
        return None
    current = _taken(session, current.version, None, "published")
    _step(session, current, "retired", state="retired")
    return int(current.version)


def schedule(session: PortalSession, version: int, revision: int, when: datetime) -> None:
    """Publish it at a moment of the realm's clock. What speaks against it is said now and looked at again then."""
    found = _taken(session, version, revision, "draft", "in_review")
    if when <= session.context.now:
        raise Invalid(
            Fault("when", when.isoformat(), tr(_("Choose a moment that is still to come.")), "past")
        )
    _refuse_unready(session, found)
    _step(session, found, "scheduled", data={"for": when.isoformat()}, state="scheduled", publish_at=when)
    enqueue(session, "rule_set.publish", {"rule_set": str(found.id), "revision": found.revision}, run_at=when)


def publish_scheduled(session: PortalSession, rule_set_id: int, revision: int) -> None:
    """Its moment has come (`system`). What speaks against it by now makes it a draft again, and the log says why."""
    _lock(session)
    query = of_realm(session).where(RuleSetRow.id == rule_set_id).with_for_update()
    found: RuleSetRow | None = session.scalars(query).first()
    if found is None or found.state != "scheduled" or found.revision != revision:
        return  # taken back since, or scheduled for another moment
    if found.publish_at is None or found.publish_at > session.context.now:
        return  # whoever asks before its moment gets nothing
    try:
        _refuse_unready(session, found)
    except Conflict as why:
        _step(session, found, "not_published", data={"why": why.code}, state="draft", publish_at=None)
        return
    _replace(session, found)


def roll_back(session: PortalSession, to_version: int) -> RuleSetRow:
    """Publish a copy of an earlier version as a new one, in one step: it was in force before."""
    _lock(session)
    source = find(session, to_version)
    if source.published_at is None or source.state == "published":
        raise Conflict(tr(_("Only a version that was in force before can be rolled back to.")), "state")
    return _put_in_force(session, RuleSet.parse(source.body), "rolled_back", based_on=source.version)


def _put_in_force(
    session: PortalSession, rules: RuleSet, type_: str, based_on: int | None = None
) -> RuleSetRow:
    ctx = session.context
    over = _retire(session)
    made = _insert(
        session, rules, "published", based_on=based_on, published_at=ctx.now, published_by=ctx.person_id
    )
    data = {"over": over, "from": based_on}
    _tell(session, made.id, type_, made.version, {key: value for key, value in data.items() if value})
    return made


def publish_rules(session: PortalSession, _vendor: int, rules: RuleSet) -> int:
    """Publish `rules` as the next version at once (`system`: first start, tests); its version."""
    _lock(session)
    return int(_put_in_force(session, rules, "published").version)


def publish_default(session: PortalSession, vendor: int) -> int:
    """Publish the first rule set when none is in force; the version in force."""
    found = in_force(session)
    return int(found.version) if found else publish_rules(session, vendor, default_ruleset())

"""What speaks against publishing a rule set: examples that fail, and findings that nobody has acknowledged by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from portal.db import PortalSession
from portal.partners import queries as partners
from portal.routing.models import RuleSetRow
from portal.routing.snapshot import NoRuleSet, plan
from portal.web.i18n import _, ntr, tr
from rules import ExampleResult, RuleSet, RuleSetError, run_examples, run_table_examples, verify


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know before publishing. `name` stays the same for as long as the matter does; `row`: the id of the
    row it stands at."""

    name: str
    tone: str
    title: str
    text: str
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One reason why it cannot be published now; `code` as Conflict has it."""

    code: str
    message: str


def examples(rules: RuleSet) -> tuple[ExampleResult, ...]:
    """Every example of the rule set, decided by it."""
    return run_examples(rules)


# (code, reason) of rules/verify/findings.py -> tone, title, text
SAID: Mapping[tuple[str, str], tuple[str, Any, Any]] = {
    ("never_fires", "expired"): ("warn", _("Row ${n} is over"), _("Its last day has passed.")),
    ("never_fires", "contradiction"): ("bad", _("Row ${n} never applies"), _("Its cells exclude each other.")),
    ("never_fires", "unknown_values"): (
        "bad", _("Row ${n} never applies"), _("None of the values in one of its cells exists."),
    ),
    ("shadowed", "covered"): (
        "warn", _("Row ${n} changes nothing"), _("What it says is said by: ${others}."),
    ),
    ("shadowed", "no_points"): ("warn", _("Row ${n} changes nothing"), _("It gives no points.")),
    ("conflict", "disjoint_requires"): (
        "bad", _("Row ${n} contradicts another"), _("Where ${others} applies too, nobody can meet both."),
    ),
    ("conflict", "requires_excluded"): (
        "bad", _("Row ${n} contradicts another"), _("Whom one requires the other excludes: ${others}."),
    ),
    ("conflict", "opposite_boosts"): (
        "warn", _("Row ${n} contradicts another"), _("For the same partners one raises and one lowers: ${others}."),
    ),
    ("who_unmet", "blocks"): (
        "bad", _("Nobody meets row ${n} today"), _("Every lead to which it applies would find no partner."),
    ),
    ("who_unmet", "idle"): ("warn", _("Nobody meets row ${n} today"), _("It does nothing at present.")),
}  # fmt: skip


def findings(session: PortalSession, found: RuleSetRow, rules: RuleSet) -> list[Finding]:
    """What whoever publishes must have read."""
    noted = _about_the_set(session, found, rules)
    try:
        snapshot = plan(session).snapshot
    except NoRuleSet:  # the first one: nothing is routed yet, so nothing can be lost
        return noted
    known = {"when.product_lines": [code for code, _name in partners.product_lines(session)]}
    numbers = {row.id: n for n, row in enumerate(rules.rules, 1)}
    for one in verify.verify(rules, snapshot, session.context.now.date(), known).findings:
        tone, title, text = SAID.get((one.code, one.reason), ("warn", _("Row ${n}: see"), one.reason))
        others = ", ".join(f"{numbers.get(other, '')} {other}".strip() for other in one.others[:5])
        values = {"n": f"{numbers.get(one.row, '')} {one.row}".strip(), "others": others}
        noted.append(
            Finding(one.name, tone, tr(_(title, mapping=values)), tr(_(text, mapping=values)), one.row)
        )
    return noted


def _about_the_set(session: PortalSession, found: RuleSetRow, rules: RuleSet) -> list[Finding]:
    noted = []
    version = session.execute(
        select(RuleSetRow.version).where(
            RuleSetRow.realm_id == found.realm_id,
            RuleSetRow.subject_type == found.subject_type,
            RuleSetRow.state == "published",
        )
    ).scalar()
    if version is not None and version != found.based_on:
        values = {"version": version, "based": found.based_on or 0}
        text = _(
            "This began as a copy of version ${based}; version ${version} was published meanwhile. What changed there is"
            " not in here.",
            mapping=values,
        )
        title = _("Version ${version} would be undone", mapping=values)
        noted.append(Finding(f"overtaken:{version}", "warn", tr(title), tr(text)))
    if not rules.examples:
        text = _("Nothing shows that it still does what you rely on. Keep a past request as an example.")
        noted.append(Finding("no_examples", "warn", tr(_("No examples")), tr(text)))
    return noted


def open_findings(found: RuleSetRow, noted: list[Finding]) -> list[Finding]:
    """Those that nobody has acknowledged."""
    return [one for one in noted if one.name not in found.acknowledged]


def blocks(session: PortalSession, found: RuleSetRow) -> list[Block]:
    """Why it cannot be published now; empty when it can."""
    try:
        rules = RuleSet.parse(found.body)
    except RuleSetError as error:  # written by a later version of the engine
        return [Block("unreadable", str(error))]
    return [
        *_not_carried_out(rules),
        *_failing(rules),
        *_unread(open_findings(found, findings(session, found, rules))),
    ]


# What the engine decides and nothing here acts on yet: a rule that silently does nothing is the worst rule.
NOT_CARRIED_OUT = ("cap", "pool", "deadline", "parallel_offers", "house", "co_sell", "via_distributor")


def _not_carried_out(rules: RuleSet) -> list[Block]:
    """Effects of rows that would change nothing, or the wrong thing, for a lead."""
    kinds = {row.effect for row in rules.rules if row.effect in NOT_CARRIED_OUT or row.terms.rep}
    if not kinds:
        return []
    values = {"effects": ", ".join(sorted(kinds))}
    return [
        Block("effects", tr(_("Leads are not handled by these effects yet: ${effects}.", mapping=values)))
    ]


def _failing(rules: RuleSet) -> list[Block]:
    """Examples of the rule set and of its tables that come out otherwise."""
    failed = [one.name for one in (*examples(rules), *run_table_examples(rules)) if not one.passed]
    if not failed:
        return []
    names = ", ".join(failed[:3])
    said = ntr("One example fails: ${names}.", "${n} examples fail: ${names}.", len(failed), names=names)
    return [Block("examples", said)]


def _unread(unread: list[Finding]) -> list[Block]:
    if not unread:
        return []
    said = ntr(
        "One finding is not acknowledged: ${names}.", "${n} findings are not acknowledged: ${names}.",
        len(unread), names=", ".join(one.title for one in unread[:3]),
    )  # fmt: skip
    return [Block("findings", said)]

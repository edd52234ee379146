"""What a reader asks of a decision: which one, which tab, and "why not this partner?", answered gate by gate."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from pyramid.request import Request

from portal.companies.pages import TOP_ID
from portal.errors import NotFound
from portal.leads.decision import queries, telling
from portal.leads.decision.queries import Decided
from portal.leads.queries import Catalogue
from portal.web.filters import BadParameter
from portal.web.i18n import _, tr
from rules import ALL_GATES, Candidate

TABS = ("could", "short", "refused")


@dataclass(frozen=True, slots=True)
class Asked:
    """The address of this page: which decision, tab, gate, page, and whom the reader asked about."""

    number: str
    decision: int
    current: bool
    tab: str
    gate: str | None
    page: int
    why: int | None
    q: str

    def url(self, **changes: Any) -> str:
        """This page with changes; what is empty is left out."""
        values: dict[str, Any] = {} if self.current else {"decision": self.decision}
        values |= {"tab": self.tab, "gate": self.gate} | changes
        query = urlencode({k: v for k, v in values.items() if v})
        return f"/leads/{self.number}/decision" + (f"?{query}" if query else "")


def read(request: Request, number: str, newest: int) -> Asked:
    get = request.GET
    tab = get.get("tab") or "could"
    if tab not in TABS:
        raise BadParameter("tab", tab, tr(_("choose one of the tabs")), tr(_("Tab")))
    gate = get.get("gate") or None
    if gate is not None and gate not in (*ALL_GATES, "excluded"):
        raise BadParameter("gate", gate, tr(_("choose one of the bars of the funnel")), tr(_("Gate")))
    decision = _whole(get, "decision") or newest
    q = (get.get("q") or "").strip()
    if len(q) > 200 or "\x00" in q:
        cure = tr(_("give a name of at most 200 characters"))
        raise BadParameter("q", q.replace("\x00", ""), cure, tr(_("Partner")))
    return Asked(
        number, decision, decision == newest, tab, gate, _whole(get, "page") or 1, _whole(get, "why"), q
    )


def _whole(get: Any, key: str) -> int | None:
    text = (get.get(key) or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= TOP_ID):
        label = {"decision": _("Decision"), "page": _("Page"), "why": _("Partner")}[key]
        raise BadParameter(key, text, tr(_("give a whole number")), tr(label))
    return int(text)


def why_not(request: Request, asked: Asked, decided: Decided, catalogue: Catalogue) -> dict[str, Any]:
    """The answer about one partner: its gates with facts, and where it would stand."""
    found = queries.named(decided, asked.q) if asked.q else []
    candidate = decided.candidate(asked.why) if asked.why else None
    if asked.why and (candidate is None or candidate.id not in decided.gates):
        raise NotFound
    if candidate is None and len(found) == 1:
        candidate = found[0]
    base: dict[str, Any] = {
        "names": queries.names(request.db, decided),
        "choose": [],
        "missing": bool(asked.q) and not found,
        "told": None,
    }
    if candidate is None:
        towns = queries.towns(request.db, (c.id for c in found[:20]))
        base["choose"] = [(c.name, towns.get(c.id, ""), asked.url(why=c.id) + "#why") for c in found[:20]]
        return base
    explanation = queries.explained(decided, candidate.id)
    if explanation is None:
        raise NotFound
    gate = decided.gates[candidate.id]
    lines = [
        (one.gate, one.passed, *telling.gate_line(one, candidate, decided, catalogue))
        for one in explanation.gates
    ]
    base["told"] = {
        "candidate": candidate,
        "title": _why_title(decided, candidate, gate, lines),
        "lines": [line for line in lines if line[0] not in ("excludes", "requires") or not line[1]],
        "standing": explanation.standing,
        "terms": telling.terms(explanation.standing.ranked.terms),
        "would": _would(decided, candidate, explanation, gate),
        "differs": gate != (explanation.first_failing or "") and gate != "excluded",
    }
    return base


def _why_title(decided: Decided, candidate: Candidate, gate: str, lines: Any) -> str:
    values = {"name": candidate.name}
    if gate == "excluded":
        return tr(_("${name} was left out: it had this lead already.", mapping=values))
    if gate:
        facts = next(
            (f"{short}: {text}" if text else short for name, _ok, short, text in lines if name == gate), ""
        )
        line = tr(_("${name} was refused: ${why}.", mapping=values | {"why": tr(telling.REFUSED[gate])}))
        return (
            f"{line} {facts}." if facts and not next(ok for name, ok, *_ in lines if name == gate) else line
        )
    if candidate.id == decided.row.chosen_location_id:
        return tr(_("${name} was chosen.", mapping=values))
    return tr(_("${name} could take it, and ranked lower.", mapping=values))


def _would(decided: Decided, candidate: Candidate, explanation: Any, gate: str) -> str:
    """What it scored, or would have scored had it passed."""
    standing = explanation.standing
    score, behind = telling.points(standing.ranked.score), telling.points(standing.behind)
    first = decided.candidate(decided.row.chosen_location_id) if decided.row.chosen_location_id else None
    if candidate.id == decided.row.chosen_location_id:
        return tr(_("It scored ${score}, more than anybody else.", mapping={"score": score}))
    values = {"score": score, "behind": behind, "first": telling.name_of(first), "rank": standing.rank}
    if not standing.hypothetical and not gate:
        return tr(_("It scored ${score}, ${behind} behind ${first}.", mapping=values))
    if first is None:
        return tr(_("It would have scored ${score} and got the lead.", mapping=values))
    if standing.rank == 1:
        return tr(_("It would have scored ${score} and come first, before ${first}.", mapping=values))
    return tr(
        _(
            "It would have scored ${score} and come in place ${rank}, ${behind} behind ${first}.",
            mapping=values,
        )
    )

"""Gates, scores and outcomes of a decision in words."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from portal.leads import words
from portal.leads.decision.queries import Decided
from portal.leads.queries import Catalogue
from portal.routing.words import COLOURS, GATE_WORDS, TERM_WORDS
from portal.web.formatting import fmt
from portal.web.i18n import _, forms, inside, ntr, tr
from portal.web.parts import Gate, Term
from rules import POINT, Candidate, GateOutcome, RuleSet

# What a gate's refusal says of one partner, before the facts.
REFUSED = {
    "active": _("not active"),
    "agreement": _("has not accepted the agreement"),
    "territory": _("works elsewhere"),
    "certified": _("not certified on the day"),
    "authorised": _("may not sell all that is asked for"),
    "capacity": _("at capacity"),
    "opens": _("opens too late"),
    "excludes": _("excluded by a rule"),
    "requires": _("misses what a rule requires"),
    "cap": _("has had as many as a rule allows"),
    "claimed": _("the customer belongs to another partner"),
    "house": _("kept in-house by a rule"),
    "exclusive": _("exclusive to others by a rule"),
    "pool": _("not in the pool"),
    "distributor": _("goes through a distributor"),
    "excluded": _("had it already"),
}
# How many a gate dropped, counted.
DROPPED = {
    "active": forms("${n} is not active", "${n} are not active"),
    "agreement": forms("${n} has not accepted the agreement", "${n} have not accepted the agreement"),
    "territory": forms("${n} works elsewhere", "${n} work elsewhere"),
    "capacity": forms("${n} at capacity", "${n} at capacity"),
    "opens": forms("${n} opens too late", "${n} open too late"),
    "excludes": forms("${n} excluded by a rule", "${n} excluded by a rule"),
    "requires": forms("${n} misses a rule", "${n} miss a rule"),
    "cap": forms("${n} has had its share", "${n} have had their share"),
    "claimed": forms("${n} has no claim", "${n} have no claim"),
    "house": forms("${n} left out: kept in-house", "${n} left out: kept in-house"),
    "exclusive": forms("${n} left out: exclusive to others", "${n} left out: exclusive to others"),
    "pool": forms("${n} not in the pool", "${n} not in the pool"),
    "distributor": forms("${n} does not distribute", "${n} do not distribute"),
}
SHOWN_ALWAYS = ("territory", "certified", "authorised", "capacity")


def name_of(candidate: Candidate | None) -> str:
    """A location's name; words for one that is no longer there."""
    return candidate.name if candidate else tr(_("no longer there"))


def terms(pairs: Sequence[Sequence[Any]]) -> list[Term]:
    """Stored terms (thousandths) as parts of a bar."""
    return [Term(tr(TERM_WORDS.get(n, n)), round(v / POINT, 1), COLOURS.get(n, 3)) for n, v in pairs]


def legend(rules: RuleSet) -> list[tuple[str, int, int]]:
    """(label, weight, colour) of the score's terms."""
    score = rules.score
    weights = {
        "level": score.level.weight,
        "distance": score.distance.weight,
        "capacity": score.capacity.weight,
        "fairness": score.fairness.weight,
    }
    return [(tr(TERM_WORDS[name]), weight, COLOURS[name]) for name, weight in weights.items()]


def points(score: int) -> str:
    """Thousandths of a point as whole points."""
    return str(fmt.num(round(score / POINT)))


def place_word(decided: Decided) -> str:
    """The town of the request, else its postcode, else 'the place'."""
    place = decided.request.place
    return place.city or place.postal or tr(_("the place"))


def funnel(decided: Decided, url: Any, catalogue: Catalogue) -> list[Gate]:
    """Bars from everybody to those who could take it; `url(gate)` leads to the dropped ones."""
    before = decided.row.candidates
    day = fmt.day_text(decided.request.day)
    bars = [Gate(tr(_("Partner locations")), before, tr(_("on ${day}", mapping={"day": day})))]
    left_out = decided.stopped_at("excluded")
    if left_out:
        before -= left_out
        dropped = ntr("${n} had it already", "${n} had it already", left_out)
        bars.append(Gate(tr(_("Not asked before")), before, dropped, url("excluded")))
    for name, left in decided.row.counts:
        dropped_n = before - left
        if dropped_n or name in SHOWN_ALWAYS:
            text = dropped_words(name, dropped_n, decided, catalogue) if dropped_n else ""
            label = GATE_WORDS[name]
            if name == "territory":
                label = _("Cover ${place}", mapping={"place": place_word(decided)})
            bars.append(Gate(tr(label), left, text, url(name) if dropped_n else None))
        before = left
        if not left:
            break
    return bars


def dropped_words(name: str, n: int, decided: Decided, catalogue: Catalogue) -> str:
    """'38 lack ATEX that day'."""
    if name == "certified":
        what = catalogue.programme_names(decided.request.certifications)
        return ntr("${n} lacks ${what} that day", "${n} lack ${what} that day", n, what=what)
    if name == "authorised":
        what = catalogue.line_names(decided.request.product_lines)
        return ntr("${n} may not sell ${what}", "${n} may not sell ${what}", n, what=what)
    return ntr(*DROPPED[name], n)


def sentence(
    decided: Decided, catalogue: Catalogue, still: bool, by_hand: tuple[str, str] | None = None
) -> str:
    """The whole page in one sentence; `by_hand` is (who, to whom) when a person has assigned it since."""
    row = decided.row
    if by_hand:
        values = {"who": by_hand[0], "partner": by_hand[1]}
        if row.chosen_location_id is None:
            return tr(
                _("${who} assigned it by hand to ${partner}; the rules had found nobody.", mapping=values)
            )
        values["rules"] = name_of(decided.candidate(row.chosen_location_id))
        text = _("${who} assigned it by hand to ${partner}; the rules had chosen ${rules}.", mapping=values)
        return tr(text)
    if row.chosen_location_id is None:
        return nobody(decided, catalogue)
    chosen = decided.candidate(row.chosen_location_id)
    name = chosen.name if chosen else tr(_("A partner that is no longer there"))
    top = row.top[0]
    facts = praise(top.get("distance_m"), catalogue.level(chosen.level if chosen else None))
    values = {"name": name, "facts": facts}
    if row.eligible == 1:
        text = _("${name} got this lead: it was the only partner that could take it.", mapping=values)
        if not still:
            text = _(
                "${name} was offered this lead: it was the only partner that could take it.", mapping=values
            )
        return tr(text)
    values["n"] = row.eligible
    text = _("${name} got this lead: of the ${n} partners that could take it, ${facts}.", mapping=values)
    if not still:
        text = _(
            "${name} was offered this lead: of the ${n} partners that could take it, ${facts}.",
            mapping=values,
        )
    return tr(text)


def praise(metres: int | None, level: str) -> str:
    """'it is Gold and only 12 km from the customer'."""
    far = fmt.km(metres)
    if level and far:
        return tr(_("it is ${level} and ${far} from the customer", mapping={"level": level, "far": far}))
    if far:
        return tr(_("it is ${far} from the customer", mapping={"far": far}))
    if level:
        return tr(_("it is ${level}", mapping={"level": level}))
    return tr(_("it scored highest"))


def nobody(decided: Decided, catalogue: Catalogue) -> str:
    """Why nobody was left."""
    gate = next((name for name, left in decided.row.counts if left == 0), None)
    before = decided.row.candidates
    for name, left in decided.row.counts:
        if name == gate:
            break
        before = left
    n, left_out = decided.row.candidates, decided.stopped_at("excluded")
    start = ntr(
        "Nobody could take this lead: of ${n} partner location",
        "Nobody could take this lead: of ${n} partner locations",
        n,
    )
    if left_out and left_out == n:
        return tr(_("Nobody could take this lead: every partner had it already."))
    if gate is None:
        return start + "."
    return f"{start}, {dropped_words(gate, max(1, before - (left_out if gate == 'active' else 0)), decided, catalogue)}."


def against_first(first: Mapping[str, Any], entry: Mapping[str, Any], level: str) -> str:
    """'16 less for Silver, 7 for distance': what cost it the first place."""
    behind = []
    mine = dict(entry["terms"])
    for name, value in first["terms"]:
        less = round((value - mine.get(name, 0)) / POINT)
        if less >= 1:
            word = level if name == "level" and level else inside(tr(TERM_WORDS.get(name, name)))
            behind.append((less, word))
    behind.sort(reverse=True)
    if not behind:
        return tr(_("level with the first; it was the other's turn"))
    parts = [tr(_("${n} less for ${what}", mapping={"n": n, "what": word})) for n, word in behind[:1]]
    parts += [tr(_("${n} for ${what}", mapping={"n": n, "what": word})) for n, word in behind[1:2]]
    return ", ".join(parts)


def _day(text: Any) -> str:
    return fmt.day_text(date.fromisoformat(text)) if text else ""


def _territories(facts: Mapping[str, Any], key: str) -> str:
    parts = []
    for one in facts[key][:4]:
        match one["kind"]:
            case "circle":
                parts.append(tr(_("${n} km around it", mapping={"n": f"{one['radius_km'] or 0:g}"})))
            case "nationwide":
                parts.append(words.country(one["country"]) or tr(_("everywhere")))
            case "country":
                parts.append(words.country(one["country"]))
            case _:
                parts.append(str(one["code"]))
    return ", ".join(part for part in parts if part)


def gate_line(
    outcome: GateOutcome, candidate: Candidate, decided: Decided, catalogue: Catalogue
) -> tuple[str, str]:
    """(short verdict, facts) of one gate for one candidate."""
    facts: Mapping[str, Any] = outcome.facts
    if outcome.gate not in _SAY:
        return tr(GATE_WORDS[outcome.gate] if outcome.passed else REFUSED[outcome.gate]), ""
    say = _SAY[outcome.gate]
    return say(outcome.passed, facts, decided, catalogue)


def _say_active(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    return (tr(_("Active")), "") if ok else (tr(_("Not active")), "")


def _say_agreement(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    return (tr(_("Agreement accepted")), "") if ok else (tr(_("Agreement not accepted")), "")


def _say_territory(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    place, far = place_word(d), fmt.km(facts["distance_m"])
    if ok:
        text = ", ".join(part for part in (_territories(facts, "covering"), far) if part)
        return tr(_("Covers ${place}", mapping={"place": place})), text
    declared = _territories(facts, "declared")
    where = (
        tr(_("its territory: ${where}", mapping={"where": declared}))
        if declared
        else tr(_("no territory is declared"))
    )
    return tr(_("Does not cover ${place}", mapping={"place": place})), where


def _missing(one: Mapping[str, Any], c: Catalogue) -> str:
    values = {
        "what": c.programme_names([one["programme"]]),
        "line": c.line_names([one["product_line"]] if one["product_line"] else []),
    }
    match one["reason"]:
        case "expired":
            return tr(_("${what} ended ${day}", mapping=values | {"day": _day(one["expires"])}))
        case "not_yet":
            return tr(_("${what} begins ${day}", mapping=values | {"day": _day(one["issued"])}))
        case "other_line":
            return tr(_("${what} is not for ${line}", mapping=values))
    return tr(_("never held ${what}", mapping=values))


def _say_certified(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    if ok:
        return tr(_("Certified")), c.programme_names(facts["required"]) or tr(_("nothing is asked for"))
    told = dict.fromkeys(_missing(one, c) for one in facts["missing"])
    return tr(_("Not certified")), ", ".join(told)


def _say_authorised(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    if ok:
        return tr(_("Authorised")), c.line_names(facts["required"]) or tr(_("no line is asked for"))
    return tr(_("Not authorised")), c.line_names(facts["missing"])


def _say_capacity(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    text = tr(
        _("${load} of ${capacity} open leads", mapping={"load": facts["load"], "capacity": facts["capacity"]})
    )
    return (tr(_("Free")), text) if ok else (tr(_("At capacity")), text)


def _say_opens(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    opening = facts["opens_at"]
    when = fmt.when_text(datetime.fromisoformat(opening)) if opening else tr(_("never"))
    text = tr(_("next open ${when}", mapping={"when": when}))
    return (tr(_("Open in time")), text) if ok else (tr(_("Opens too late")), text)


def _say_excludes(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    if ok:
        return tr(_("No rule excludes it")), ""
    return tr(_("Excluded")), tr(_("row ${rows}", mapping={"rows": ", ".join(facts["hit"])}))


def _say_requires(ok: bool, facts: Mapping[str, Any], d: Decided, c: Catalogue) -> tuple[str, str]:
    if ok:
        return tr(_("Meets what rules require")), ""
    return tr(_("Misses what a rule requires")), tr(
        _("row ${rows}", mapping={"rows": ", ".join(facts["unmet"])})
    )


_SAY = {
    "active": _say_active,
    "agreement": _say_agreement,
    "territory": _say_territory,
    "certified": _say_certified,
    "authorised": _say_authorised,
    "capacity": _say_capacity,
    "opens": _say_opens,
    "excludes": _say_excludes,
    "requires": _say_requires,
}

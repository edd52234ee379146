"""Rule sets in words: a row as a sentence in the reader's language, a setting, what happened.

A sentence is made of what the row says, cell by cell: a phrase for each axis, and a general one for an axis that has
none. In German the phrases stand before the verb, so every phrase brings its own.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from markupsafe import Markup, escape

from portal.routing.rulesets.cells import Vocabulary
from portal.routing.rulesets.columns import column, columns
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.parts import Entry

WHEN_SAYS: Mapping[str, Any] = {
    "when.country": _("comes from ${value}"),
    "when.subdivision": _("comes from the region ${value}"),
    "when.postal_prefix": _("has a postcode that begins with ${value}"),
    "when.product_lines": _("asks for ${value}"),
    "when.language": _("is in the language ${value}"),
    "when.industry": _("is from the industry ${value}"),
    "when.source": _("came by ${value}"),
    "when.amount": _("is worth ${value}"),
}
WHO_SAYS: Mapping[str, Any] = {
    "who.level": _("at level ${value}"),
    "who.certification": _("with the certificate ${value}"),
    "who.country": _("in ${value}"),
}
WHEN_ELSE, WHO_ELSE = _("has ${axis} ${value}"), _("with ${axis} ${value}")
SETTINGS: Mapping[str, Any] = {
    "name": _("Name"),
    "note": _("Note"),
    "score.level.weight": _("Points for the level"),
    "score.level.default": _("Percent for another level, or none"),
    "score.distance.weight": _("Points for the distance"),
    "score.distance.full_km": _("All of them up to, km"),
    "score.distance.zero_km": _("None from, km"),
    "score.capacity.weight": _("Points for free capacity"),
    "score.fairness.weight": _("Points for whose turn it is"),
    "score.fairness.share": _("A turn is measured"),
    "offer.answer_within_minutes": _("Working minutes to answer"),
    "offer.cap_minutes": _("At the latest after, minutes"),
    "offer.reminder_at": _("Reminder after this part of the time"),
    "amount_bands": _("Amount bands"),
    "examples": _("Examples"),
}


def filled(message: Any, **values: Any) -> Markup:
    """A translated sentence with marked-up values in their places."""
    text = str(escape(tr(message)))
    return Markup(re.sub(r"\$\{(\w+)\}", lambda found: str(escape(values[found[1]])), text))  # nosec


def mark(text: str) -> Markup:
    """A value within a sentence."""
    return Markup('<b class="mk">{}</b>').format(text)


def listed(parts: Sequence[Any], last: Any) -> Markup:
    """'a, b and c'; `last` joins the last two: ${a} and ${b}."""
    if not parts:
        return Markup("")
    head = Markup(", ").join(parts[:-1])
    return filled(last, a=head, b=parts[-1]) if len(parts) > 1 else escape(parts[0])


AND, OR = _("${a} and ${b}"), _("${a} or ${b}")


def reading(row: Mapping[str, Any], words: Vocabulary) -> Markup:
    """The row in plain words."""
    when = _phrases("when", row, words, WHEN_SAYS, WHEN_ELSE)
    who = _phrases("who", row, words, WHO_SAYS, WHO_ELSE)
    partners = filled(_("partners ${who}"), who=listed(who, AND)) if who else tr(_("all partners"))
    what = _what(row.get("effect") or {}, partners)
    if not when:
        return filled(_("For every lead: ${what}${days}."), what=what, days=_days(row))
    return filled(
        _("When a lead ${when}: ${what}${days}."), when=listed(when, AND), what=what, days=_days(row)
    )


def _phrases(
    side: str, row: Mapping[str, Any], words: Vocabulary, says: Mapping[str, Any], other: Any
) -> list[Markup]:
    """A phrase for each cell, in the order of the columns (the database keeps none)."""
    cells = [(one.key, one.of(row)) for one in columns() if one.side == side]
    return [_phrase(key, value, words, says, other) for key, value in cells if value is not None]


def _phrase(key: str, value: Any, words: Vocabulary, says: Mapping[str, Any], other: Any) -> Markup:
    found = column(key)
    axis = found.label if found else key.partition(".")[2]
    return filled(says.get(key, other), value=mark(value_words(key, value, words)), axis=axis)


def value_words(key: str, value: Any, words: Vocabulary) -> str:
    """What a cell asks for: 'Austria or Czechia', 'EUR 50,000 or more'."""
    if isinstance(value, bool):
        return tr(_("yes")) if value else tr(_("no"))
    if isinstance(value, list):
        parts = [
            words.name(key, one) if isinstance(one, str) else value_words(key, one, words) for one in value
        ]
        return listed(parts, OR).unescape()
    if isinstance(value, dict):
        if set(value) == {"not"}:
            return tr(_("not ${value}", mapping={"value": value_words(key, value["not"], words)}))
        if set(value) <= {"currency", "from", "below"}:
            return _span_words(value)
        return ", ".join(f"{name}: {value_words(key, test, words)}" for name, test in value.items())
    return str(value)


def _span_words(span: Mapping[str, Any]) -> str:
    unit = f"{span['currency']}\u00a0" if "currency" in span else ""
    low, high = (None if span.get(end) is None else _limit(span[end]) for end in ("from", "below"))
    if low is not None and high is not None:
        return tr(_("${unit}${low} to less than ${high}", mapping={"unit": unit, "low": low, "high": high}))
    if low is not None:
        return tr(_("${unit}${low} or more", mapping={"unit": unit, "low": low}))
    return tr(_("less than ${unit}${high}", mapping={"unit": unit, "high": high}))


def _limit(value: Any) -> str:
    return str(fmt.num(value)) if isinstance(value, int | float) else str(value)


def _what(effect: Mapping[str, Any], partners: Any) -> Markup:
    kind = effect.get("kind")
    if kind == "require":
        return filled(_("only ${partners} may get it"), partners=partners)
    if kind == "exclude":
        return filled(_("${partners} may not get it"), partners=partners)
    if kind == "boost":
        points = effect.get("points") or 0
        said = _("${partners} get ${n} points more") if points >= 0 else _("${partners} get ${n} points less")
        return filled(said, partners=partners, n=mark(fmt.num(abs(points))))
    if kind == "exclusive":
        said = _("it is for ${partners} alone, also when none of them can take it")
        if not effect.get("hard"):
            said = _("it is for ${partners} alone, as long as one of them can take it")
        return filled(said, partners=partners)
    if kind == "cap":
        per = tr(PERIODS.get(str(effect.get("per")), effect.get("per")))
        said = _("${partners} get at most ${n} ${per}")
        return filled(said, partners=partners, n=mark(fmt.num(effect.get("most"))), per=per)
    if kind == "deadline":
        minutes = mark(fmt.num(effect.get("answer_within_minutes")))
        return filled(_("the answer is due within ${n} working minutes"), n=minutes)
    if kind == "parallel_offers":
        return filled(_("the first ${n} partners are asked at once"), n=mark(fmt.num(effect.get("most"))))
    given = ", ".join(
        f"{key} {value}" for key, value in effect.items() if key != "kind" and value is not None
    )
    return filled(_("${effect} for ${partners}"), effect=mark(f"{kind} {given}".strip()), partners=partners)


PERIODS = {
    "day": _("a day"), "week": _("a week"), "month": _("a month"), "quarter": _("a quarter"), "year": _("a year"),
}  # fmt: skip


def _days(row: Mapping[str, Any]) -> Markup:
    first, last = (
        date.fromisoformat(row[end]) if row.get(end) else None for end in ("valid_from", "valid_to")
    )
    values = {"a": mark(fmt.day_text(first)) if first else "", "b": mark(fmt.day_text(last)) if last else ""}
    if first and last:
        return filled(_(", from ${a} to ${b}"), **values)
    if first:
        return filled(_(", from ${a} on"), **values)
    return filled(_(", until ${b}"), **values) if last else Markup("")


def setting(path: str) -> str:
    """A setting's name."""
    if path.startswith("score.level.points."):
        return tr(_("Percent for level ${level}", mapping={"level": path.rpartition(".")[2]}))
    return tr(SETTINGS[path]) if path in SETTINGS else path


# -- what happened -----------------------------------------------------------------------------------------------------

EVENTS: Mapping[str, tuple[Any, str, str]] = {
    "drafted": (_("began this draft"), "pencil", "info"),
    "changed": (_("changed it"), "pencil", "info"),
    "submitted": (_("submitted it for review"), "send", "info"),
    "taken_back": (_("took it back: it is a draft again"), "arrow-back-up", "neutral"),
    "approved": (_("approved it"), "circle-check", "good"),
    "refused": (_("did not approve it"), "circle-minus", "warn"),
    "acknowledged": (_("read findings"), "eye", "info"),
    "scheduled": (_("set when it is published"), "clock", "info"),
    "not_published": (_("could not publish it: it is a draft again"), "alert-triangle", "bad"),
    "published": (_("published it: it decides from then on"), "circle-check", "good"),
    "rolled_back": (_("published it to undo a change"), "history", "good"),
    "retired": (_("replaced it by another version"), "history", "neutral"),
    "dropped": (_("put it aside"), "circle-minus", "neutral"),
}
WHY = {
    "examples": _("An example failed."),
    "findings": _("There were findings that nobody had acknowledged."),
    "review": _("Nobody had approved it."),
    "unreadable": _("This version of Interline cannot read it."),
}


def entries(events: Sequence[Any], names: Mapping[int, str], said: Mapping[int, str]) -> list[Entry]:
    """The timeline, newest first. `said`: texts by id."""
    found = []
    for event in events:
        sentence, icon, tone = EVENTS[event.type.removeprefix("rule_set.")]
        who = names.get(event.person_id or 0) or tr(_("Interline"))
        found.append(Entry(event.at, who, tr(sentence), _more(event, said), icon, tone))
    return found


def _more(event: Any, said: Mapping[int, str]) -> str:
    data: Mapping[str, Any] = event.data
    match event.type.removeprefix("rule_set."):
        case "changed":
            return _rows_changed(data)
        case "refused":
            return said.get(int(data.get("text") or 0), "")
        case "not_published":
            return tr(WHY.get(data.get("why", ""), ""))
        case "acknowledged":
            return ntr("One finding.", "${n} findings.", len(data.get("findings", ())))
        case "drafted" | "rolled_back" if data.get("from"):
            return tr(_("As a copy of version ${version}.", mapping={"version": data["from"]}))
        case "published" if data.get("over"):
            return tr(_("In place of version ${version}.", mapping={"version": data["over"]}))
        case _:
            return ""


KINDS = {"added": _("added"), "removed": _("removed"), "changed": _("changed"), "moved": _("moved")}


def _rows_changed(data: Mapping[str, Any]) -> str:
    """'Row 4 gold-in-linz changed, row 7 new added; Points for the level'."""
    rows = [
        tr(
            _(
                "row ${n} ${name} ${what}",
                mapping={"n": one.get("at") or "", "name": one["id"], "what": tr(KINDS[one["kind"]])},
            )
        )
        for one in data.get("rows", ())[:8]
    ]
    more = int(data.get("changed", 0)) - len(rows)
    if more > 0:
        rows.append(tr(_("and ${n} more", mapping={"n": more})))
    return "; ".join(
        [*([", ".join(rows)] if rows else []), *(setting(path) for path in data.get("settings", ()))]
    )

"""The words for codes of the lead's life: reasons, places, languages, in the reader's terms."""

from collections.abc import Iterable, Mapping
from typing import Any

from babel import Locale
from babel.core import UnknownLocaleError

from portal.web.formatting import fmt
from portal.web.i18n import _, tr

# Why a partner said no, gave back, lost; why the vendor took back. Small letters: they stand inside sentences.
REASONS = {
    "no_capacity": _("no capacity"),
    "too_far": _("too far"),
    "not_our_field": _("not our field"),
    "customer_conflict": _("conflict with a customer"),
    "dates": _("dates do not work"),
    "other": _("another reason"),
    "not_reachable": _("customer cannot be reached"),
    "no_answer": _("no answer"),
    "customer_asked": _("the customer asked for it"),
    "wrong_partner": _("wrong partner"),
    "error": _("offered by mistake"),
    "suspended": _("the partner was suspended"),
    "price": _("price"),
    "competitor": _("a competitor was chosen"),
    "no_budget": _("no budget"),
    "timing": _("timing"),
    "no_need": _("no need"),
    "wrong_contact": _("wrong contact"),
    "spam": _("spam"),
    "later": _("later"),
    "budget_next_year": _("budget next year"),
}
# Why a lead is in the queue: the sentence, and the cure.
QUEUE = {
    "all_refused": (
        _("Every partner that could take it has said no or let it lapse."),
        _("Assign it by hand, or re-route it when somebody is free again."),
    ),
    "no_rule_set": (_("No rule set is published."), _("Publish a rule set; then it is routed by itself.")),
    "nobody_active": (_("No active partner."), _("Activate a partner, then re-route.")),
    "nobody_agreement": (
        _("No partner has accepted the agreement."),
        _("Ask a partner to accept it, then re-route."),
    ),
    "nobody_territory": (
        _("No partner's territory covers the place."),
        _("Correct the place, extend a territory, or assign by hand."),
    ),
    "nobody_certified": (
        _("No partner there holds the certification asked for on the day."),
        _("Check what is asked for, renew a certificate, or assign by hand."),
    ),
    "nobody_authorised": (
        _("No certified partner there may sell every product line asked for."),
        _("Authorise a partner, split the request, or assign by hand."),
    ),
    "nobody_capacity": (
        _("Everybody who could take it is at capacity."),
        _("Wait for a place and re-route, or assign by hand."),
    ),
    "nobody_opens": (
        _("Nobody who could take it opens before an answer would be due."),
        _("Assign by hand, or re-route on a working day."),
    ),
    "nobody_excludes": (
        _("A rule excludes everybody who is left."),
        _("Look at the rule, or assign by hand."),
    ),
    "nobody_requires": (
        _("Nobody who is left has what a rule requires."),
        _("Look at the rule, or assign by hand."),
    ),
    "nobody_left": (_("Nobody is left."), _("Assign it by hand.")),
}
SOURCES = {
    "web_form": _("web form"),
    "form": _("form"),
    "phone": _("telephone"),
    "email": _("e-mail"),
    "fair": _("trade fair"),
    "api": _("API"),
    "import": _("import"),
    "partner": _("partner"),
    "other": _("other"),
}
CHANNELS = {"email": _("e-mail"), "phone": _("telephone"), "post": _("post"), "visit": _("visit")}
LEGAL = {
    "consent": _("Consent"),
    "contract": _("Steps before a contract"),
    "legitimate_interest": _("Legitimate interest"),
}


def reason(code: str | None) -> str:
    """A reason's words; an unknown code reads as itself rather than failing the page."""
    return word(REASONS, code)


def word(table: Mapping[str, str], code: str | None) -> str:
    """The word of a code in a table; '' for none."""
    if not code:
        return ""
    return tr(table[code]) if code in table else code.replace("_", " ")


def first_up(text: str) -> str:
    """The first letter large: a phrase as a label."""
    return text[:1].upper() + text[1:]


def chips(codes: Iterable[str]) -> list[tuple[str, str]]:
    """(code, label) of reasons as they stand on buttons; 'other' asks for words."""
    return [
        (code, tr(_("Other, say which")) if code == "other" else first_up(reason(code))) for code in codes
    ]


def queue_reason(code: str | None) -> tuple[str, str]:
    """Why a lead waits in the queue, and what helps."""
    why, cure = QUEUE.get(code or "", QUEUE["nobody_left"])
    return tr(why), tr(cure)


def country(code: str | None) -> str:
    """A country's name in the reader's language."""
    return str(fmt.country(code))


def language(code: str | None) -> str:
    """A language's name in the reader's language."""
    if not code:
        return ""
    return first_up(str(_babel().languages.get(code.lower(), code)))


def _babel() -> Locale:
    try:
        return Locale.parse(str(fmt.locale).replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        return Locale.parse("en")


def place(row: Mapping[str, Any]) -> str:
    """'4020 Linz', '370 01 České Budějovice'; the country alone when nothing else is known."""
    near = " ".join(part for part in (row.get("postal"), row.get("city")) if part)
    return near or country(row.get("country"))


def short_place(row: Mapping[str, Any]) -> str:
    """'Linz 4020' as on an offer; with the country when the town is not said."""
    if row.get("city"):
        return " ".join(part for part in (row["city"], row.get("postal")) if part)
    return ", ".join(part for part in (row.get("postal"), country(row.get("country"))) if part)

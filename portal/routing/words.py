"""Gates and terms of the score in words, and the colours of terms: one table for every page that shows a decision."""

from portal.web.i18n import _

COLOURS = {"level": 1, "distance": 2, "capacity": 4, "fairness": 5, "boost": 3}
TERM_WORDS = {
    "level": _("Level"),
    "distance": _("Distance"),
    "capacity": _("Free capacity"),
    "fairness": _("Fairness"),
    "boost": _("Rules"),
    "win_rate": _("Win rate"),
    "answer_speed": _("Answer speed"),
}
GATE_WORDS = {
    "active": _("Active"),
    "agreement": _("Agreement"),
    "territory": _("Cover the place"),
    "certified": _("Certified"),
    "authorised": _("Authorised"),
    "capacity": _("Free"),
    "opens": _("Open in time"),
    "excludes": _("Not excluded"),
    "requires": _("Meet the rules"),
    "cap": _("Below their cap"),
    "claimed": _("Claimed by nobody else"),
    "house": _("Not kept in-house"),
    "exclusive": _("Not exclusive to others"),
    "pool": _("In the pool"),
    "distributor": _("Distributors"),
}

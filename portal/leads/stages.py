"""The life of a lead after acceptance: who may move it where, and what must be said. One table."""

from dataclasses import dataclass
from typing import Literal

Who = Literal["holder", "vendor"]


@dataclass(frozen=True, slots=True)
class Move:
    """A move to a stage: who may make it, and what it needs."""

    by: frozenset[Who]
    needs: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


HOLDER: frozenset[Who] = frozenset({"holder"})
VENDOR: frozenset[Who] = frozenset({"vendor"})
BOTH = HOLDER | VENDOR

LOST_REASONS = ("price", "competitor", "no_budget", "no_answer", "timing", "other")
INVALID_REASONS = ("not_reachable", "no_need", "wrong_contact", "spam", "other")
NURTURE_REASONS = ("later", "budget_next_year", "other")

WON = Move(BOTH, needs=("won_amount", "won_on"))
LOST = Move(BOTH, reasons=LOST_REASONS)
INVALID = Move(BOTH, reasons=INVALID_REASONS)
NURTURE = Move(BOTH, reasons=NURTURE_REASONS)

# from -> to. Reopening is the vendor's; only a held lead moves (or one in nurture, by the vendor).
MOVES: dict[str, dict[str, Move]] = {
    "new": {"working": Move(BOTH), "lost": LOST, "invalid": INVALID, "nurture": NURTURE},
    "working": {"qualified": Move(BOTH), "lost": LOST, "invalid": INVALID, "nurture": NURTURE},
    "qualified": {
        "proposed": Move(BOTH),
        "working": Move(BOTH),
        "won": WON,
        "lost": LOST,
        "nurture": NURTURE,
    },
    "proposed": {"won": WON, "lost": LOST, "qualified": Move(BOTH), "nurture": NURTURE},
    "nurture": {"working": Move(BOTH), "lost": LOST, "invalid": INVALID},
    "won": {"proposed": Move(VENDOR)},
    "lost": {"working": Move(VENDOR)},
    "invalid": {"working": Move(VENDOR)},
}
# The stages in which a lead takes one of its holder's places.
OPEN = ("new", "working", "qualified", "proposed")

DECLINE_REASONS = ("no_capacity", "too_far", "not_our_field", "customer_conflict", "dates", "other")
HAND_BACK_REASONS = ("no_capacity", "not_reachable", "not_our_field", "customer_conflict", "dates", "other")
WITHDRAW_REASONS = ("customer_asked", "wrong_partner", "error", "other")


def moves(stage: str, who: Who) -> dict[str, Move]:
    """Where a lead in `stage` may go by the hand of `who`."""
    return {to: move for to, move in MOVES.get(stage, {}).items() if who in move.by}

"""The routing engine: pure, deterministic, explained. This file is its only door; no web, no database, no clock.

rules = RuleSet.parse(json)                     # or default_ruleset()
engine = Reference(rules, snapshot)             # once per rule set and snapshot version
shortlist = engine.shortlist(request)           # static gates; says whose state to read (shortlist.ids)
decision = engine.decide(request, shortlist, state)
explain(rules, snapshot, request, state, candidate_id, engine)
"""

from .calendars import (
    ALWAYS_OPEN,
    NEVER_OPEN,
    Calendar,
    add_working,
    deadline,
    next_opening,
    opens_within,
    working_minutes_between,
)
from .canonical import canonical_json, digest
from .checking import ExampleResult, run_examples
from .errors import (
    CalendarError,
    ConflictError,
    KindError,
    MissingError,
    NeverOpens,
    NotInThisVersion,
    RangeError,
    RequestError,
    RoutingError,
    RuleError,
    RuleSetError,
    UnknownError,
)
from .explain import Explanation, RowOutcome, Standing, explain
from .gates import GateOutcome, covers, one_short
from .geo import EARTH_RADIUS_M, distance_m
from .model import (
    ALL_GATES,
    CREDIT_ONE,
    ELIGIBLE,
    EXCLUDED,
    GATES,
    RULE_GATES,
    STATIC_GATES,
    TERRITORY_KINDS,
    Candidate,
    Certification,
    Decision,
    Engine,
    Place,
    Ranked,
    Request,
    Shortlist,
    Snapshot,
    State,
    Territory,
)
from .money import AmountBand, AmountBands, amount_band, minor_per_major
from .ranking import CREDIT_LIMIT, POINT, returned_credit
from .reference import Reference, decide
from .replay import Replay, Stored, replay
from .rows import AmountRange, Row
from .ruleset import RuleSet, default_ruleset
from .schema import SCHEMA

__all__ = [
    "ALL_GATES",
    "ALWAYS_OPEN",
    "CREDIT_LIMIT",
    "CREDIT_ONE",
    "EARTH_RADIUS_M",
    "ELIGIBLE",
    "EXCLUDED",
    "GATES",
    "NEVER_OPEN",
    "POINT",
    "RULE_GATES",
    "SCHEMA",
    "STATIC_GATES",
    "TERRITORY_KINDS",
    "AmountBand",
    "AmountBands",
    "AmountRange",
    "Calendar",
    "CalendarError",
    "Candidate",
    "Certification",
    "ConflictError",
    "Decision",
    "Engine",
    "ExampleResult",
    "Explanation",
    "GateOutcome",
    "KindError",
    "MissingError",
    "NeverOpens",
    "NotInThisVersion",
    "Place",
    "RangeError",
    "Ranked",
    "Reference",
    "Replay",
    "Request",
    "RequestError",
    "RoutingError",
    "Row",
    "RowOutcome",
    "RuleError",
    "RuleSet",
    "RuleSetError",
    "Shortlist",
    "Snapshot",
    "Standing",
    "State",
    "Stored",
    "Territory",
    "UnknownError",
    "add_working",
    "amount_band",
    "canonical_json",
    "covers",
    "deadline",
    "decide",
    "default_ruleset",
    "digest",
    "distance_m",
    "explain",
    "minor_per_major",
    "next_opening",
    "one_short",
    "opens_within",
    "replay",
    "returned_credit",
    "run_examples",
    "working_minutes_between",
]

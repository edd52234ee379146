"""The routing engine: pure, deterministic, explained. This file is its only door; no web, no database, no clock.

rules = RuleSet.parse(json)                     # or default_ruleset()
engine = Reference(rules, snapshot)             # once per rule set and snapshot version
shortlist = engine.shortlist(request)           # static gates; says whose state to read (shortlist.ids)
decision = engine.decide(request, shortlist, state)
engine.gates(request, shortlist, state)         # who was stopped where, when somebody asks
explain(rules, snapshot, request, state, candidate_id, engine)
"""

from .answers import PLAIN, Decision, Engine, Handling, Ranked, Shortlist, State
from .axes import WHEN, WHO, Asked, Axis, WhenAxis, WhoAxis
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
from .case import Case, cap_window
from .cellform import Declared, Vocabulary
from .cells import Cell, Inside, Is, OneOf, Prefixes, Test, Within, complement, merged
from .checking import ExampleResult, TableResult, run_examples, run_table_examples
from .effects import EFFECTS, Effect, Terms
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
from .explain import Explanation, RowOutcome, Standing, explain, one_short
from .facts import CellFacts, RowFacts, row_facts
from .gates import GateOutcome, certified, covers, why_not_certified
from .geo import EARTH_RADIUS_M, distance_m
from .model import (
    ALL_GATES,
    CREDIT_ONE,
    ELIGIBLE,
    EXCLUDED,
    FIGURES,
    GATES,
    RANKED_MOST,
    RULE_GATES,
    STATIC_GATES,
    TERRITORY_KINDS,
    Candidate,
    Certification,
    Place,
    Request,
    Snapshot,
    Territory,
)
from .money import AmountBand, AmountBands, Rate, Rates, amount_band, minor_per_major
from .performance import Count, Figures, Performance, freeze, shrunk
from .plan import Plan
from .ranking import CREDIT_LIMIT, POINT, returned_credit
from .reference import Reference, decide
from .replay import Replay, Stored, replay
from .rows import Row
from .ruleset import CLAIMS, FORMS, OfferPolicy, RuleSet, default_ruleset
from .schema import SCHEMA, SCHEMAS
from .shapes import Circle, Polygon
from .tables import POLICIES, CellTextError, Column, Table, cell_text, parse_cell

__all__ = [
    "ALL_GATES",
    "ALWAYS_OPEN",
    "CLAIMS",
    "CREDIT_LIMIT",
    "CREDIT_ONE",
    "EARTH_RADIUS_M",
    "EFFECTS",
    "ELIGIBLE",
    "EXCLUDED",
    "FIGURES",
    "FORMS",
    "GATES",
    "NEVER_OPEN",
    "PLAIN",
    "POINT",
    "POLICIES",
    "RANKED_MOST",
    "RULE_GATES",
    "SCHEMA",
    "SCHEMAS",
    "STATIC_GATES",
    "TERRITORY_KINDS",
    "WHEN",
    "WHO",
    "AmountBand",
    "AmountBands",
    "Asked",
    "Axis",
    "Calendar",
    "CalendarError",
    "Candidate",
    "Case",
    "Cell",
    "CellFacts",
    "CellTextError",
    "Certification",
    "Circle",
    "Column",
    "ConflictError",
    "Count",
    "Decision",
    "Declared",
    "Effect",
    "Engine",
    "ExampleResult",
    "Explanation",
    "Figures",
    "GateOutcome",
    "Handling",
    "Inside",
    "Is",
    "KindError",
    "MissingError",
    "NeverOpens",
    "NotInThisVersion",
    "OfferPolicy",
    "OneOf",
    "Performance",
    "Place",
    "Plan",
    "Polygon",
    "Prefixes",
    "RangeError",
    "Ranked",
    "Rate",
    "Rates",
    "Reference",
    "Replay",
    "Request",
    "RequestError",
    "RoutingError",
    "Row",
    "RowFacts",
    "RowOutcome",
    "RuleError",
    "RuleSet",
    "RuleSetError",
    "Shortlist",
    "Snapshot",
    "Standing",
    "State",
    "Stored",
    "Table",
    "TableResult",
    "Terms",
    "Territory",
    "Test",
    "UnknownError",
    "Vocabulary",
    "WhenAxis",
    "WhoAxis",
    "Within",
    "add_working",
    "amount_band",
    "canonical_json",
    "cap_window",
    "cell_text",
    "certified",
    "complement",
    "covers",
    "deadline",
    "decide",
    "default_ruleset",
    "digest",
    "distance_m",
    "explain",
    "freeze",
    "merged",
    "minor_per_major",
    "next_opening",
    "one_short",
    "opens_within",
    "parse_cell",
    "replay",
    "returned_credit",
    "row_facts",
    "run_examples",
    "run_table_examples",
    "shrunk",
    "why_not_certified",
    "working_minutes_between",
]

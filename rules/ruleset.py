"""A rule set: the JSON form read into frozen values, every fault found in one pass, and hashed in canonical form.

`RuleSet.parse` refuses what it cannot run (a later effect, an unknown key) rather than ignore it: a rule that silently
does nothing is the worst rule. `to_json` gives the whole form back with defaults filled in; its digest is the hash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

from .canonical import digest
from .cellform import MAX_ATTRIBUTES, Declared, Vocabulary
from .effects import MAX_MINUTES, NARROWING
from .errors import ConflictError, KindError, RangeError, RuleSetError
from .examples import MAX_EXAMPLES, Example
from .model import GATES, RULE_GATES
from .money import AmountBands
from .reading import CURRENCY, Node
from .rows import MAX_ROWS, Row
from .score import Score, read_score, write_score
from .tables.form import MAX_TABLES, Policy, Table

FORMS = ("interline.rule-set/1", "interline.rule-set/2")
KEYS_REQUIRED = ("schema", "name", "version", "gates", "score", "offer")
KEYS_OPTIONAL = ("note", "amount_bands", "rules", "examples")
KEYS_LATER = ("attributes", "claims", "tables")  # since the second form
CLAIMS = ("named_account", "relationship")
CLAIM_POLICIES = ("off", "soft", "hard")
NO_CLAIMS = ("off", "off")
# Which effect (or a claim) stands behind each gate of the rules.
GATE_EFFECTS = {
    "excludes": "exclude",
    "requires": "require",
    "cap": "cap",
    "claimed": "claim",
    "house": "house",
    "exclusive": "exclusive",
    "pool": "pool",
    "distributor": "via_distributor",
}


@dataclass(frozen=True, slots=True)
class OfferPolicy:
    """How long an offer stands: working minutes of the location, cut by a wall-clock cap; reminder at a fraction."""

    answer_within_minutes: int
    cap_minutes: int
    reminder_at: float


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A valid rule set; make one with `parse`. `hash` is the SHA-256 of its canonical JSON.

    `words` says which form it is of and what it declares. A set of the first form keeps its form, and so its hash.
    `rules` holds the rows of the tables too, after those that stand alone.
    `claims` are the policies for CLAIMS, in their order: who looks after a named account or works with the customer
    already has the request alone (`hard`), goes before others while one of them can take it (`soft`), or neither.
    """

    words: Vocabulary
    claims: tuple[str, ...]
    name: str
    version: int
    note: str
    gates: tuple[str, ...]
    score: Score
    offer: OfferPolicy
    amount_bands: tuple[AmountBands, ...]
    rules: tuple[Row, ...]
    tables: tuple[Table, ...]
    examples: tuple[Example, ...]
    hash: str

    @staticmethod
    def parse(data: object) -> RuleSet:
        """Read the JSON form (parsed JSON, not text). Raises RuleSetError with every fault, at most 100."""
        node = Node(data)
        parsed = _read(node)
        if node.faults or parsed is None:
            raise RuleSetError(node.faults)
        return parsed

    @staticmethod
    def loads(text: str | bytes) -> RuleSet:
        """Read the JSON form from text; a key that stands twice in one object is refused."""
        try:
            data = json.loads(text, object_pairs_hook=_no_twins)
        except (ValueError, RecursionError) as error:
            raise RuleSetError([KindError("", str(error), "is not JSON; mend the place it names")]) from error
        return RuleSet.parse(data)

    @property
    def narrows(self) -> bool:
        """Whether who may have a request can depend on who else could have it."""
        return self.claims != NO_CLAIMS or any(row.effect in NARROWING for row in self.rules)

    @property
    def policies(self) -> dict[str, Policy]:
        """The hit policy of each table."""
        return {table.id: table.policy for table in self.tables}

    @property
    def plain(self) -> bool:
        """Whether rows only require, exclude and boost, and the score is the first form's: no handling, no bands."""
        score = self.score
        later = score.bands or score.order != "score" or score.win_rate or score.answer_speed
        return (
            not later
            and self.claims == NO_CLAIMS
            and all(row.effect in ("require", "exclude", "boost") for row in self.rules)
            and all(table.policy == "C" for table in self.tables)
        )

    @property
    def gates_used(self) -> tuple[str, ...]:
        """The gates that can stop anybody under these rules, in their order: the hard ones always."""
        effects = {row.effect for row in self.rules} | ({"claim"} if self.claims != NO_CLAIMS else set())
        return GATES + tuple(gate for gate in RULE_GATES if GATE_EFFECTS[gate] in effects)

    def offer_by(self, row_id: str | None) -> OfferPolicy:
        """The policy of a deadline row (`Handling.deadline`), or the rule set's own for None."""
        row = next((row for row in self.rules if row.id == row_id), None)
        if row is None or row.effect != "deadline":
            return self.offer
        return OfferPolicy(row.terms.answer_within_minutes, row.terms.cap_minutes, self.offer.reminder_at)

    def to_json(self) -> dict[str, object]:
        """The canonical form: every default written out, level names in lower case and sorted."""
        return _to_json(self)


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """JSON objects without repeated keys: json would keep the last one and say nothing."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one object")
        found[key] = value
    return found


def _read(node: Node) -> RuleSet | None:
    form = 2 if isinstance(node.value, Mapping) and node.value.get("schema") == FORMS[1] else 1
    later = KEYS_LATER if form == 1 else ()
    if not node.keys(KEYS_REQUIRED, KEYS_OPTIONAL if later else KEYS_OPTIONAL + KEYS_LATER, later):
        return None
    node["schema"].choice(FORMS)
    words = _read_words(form, node["attributes"])
    _read_gates(node["gates"])
    claims, score = _read_claims(node["claims"]), read_score(node["score"], words)
    offer = _read_offer(node["offer"])
    bands = _read_bands(node["amount_bands"])
    rows = _read_rows(node["rules"], words)
    tables = _read_tables(node["tables"], words, rows)
    draft = RuleSet(
        words=words,
        claims=claims,
        name=node["name"].text(),
        version=node["version"].integer(1, 2**31 - 1),
        note="" if node["note"].value == "" else node["note"].text(most=2_000),
        gates=GATES,
        score=score,
        offer=offer,
        amount_bands=bands,
        rules=(*rows, *(row for table in tables for row in table.rows)),
        tables=tables,
        examples=tuple(Example.read(item, form) for item in node["examples"].items(MAX_EXAMPLES)),
        hash="",
    )
    if node.faults:
        return None
    return replace(draft, hash=digest(_to_json(draft)))


def _read_tables(node: Node, words: Vocabulary, rows: Sequence[Row]) -> tuple[Table, ...]:
    tables: list[Table] = []
    count, ids = len(rows), {row.id for row in rows}
    for item in [] if node.absent else node.items(MAX_TABLES):
        table = Table.read(item, words)
        count += len(table.rows)
        if table.id and table.id in {other.id for other in tables}:
            cure = "is the id of an earlier table; give each its own"
            item.fault(ConflictError(item["id"].path, table.id, cure))
        if not ids.isdisjoint(row.id for row in table.rows):
            item.fault(
                ConflictError(item["id"].path, table.id, "names its rows like a row outside; change one")
            )
        if count > MAX_ROWS:
            item.fault(RangeError(item["rows"].path, f"{count} rows", f"must be at most {MAX_ROWS} together"))
        tables.append(table)
    return tuple(tables)


def _read_words(form: int, node: Node) -> Vocabulary:
    """The form and its custom attributes: {"when": {name: declaration}, "who": {...}}."""
    if node.absent or not node.keys((), ("when", "who")):
        return Vocabulary(form)
    sides: list[dict[str, Declared]] = []
    for side in (node["when"], node["who"]):
        members = [] if side.absent else list(side.members())
        if len(members) > MAX_ATTRIBUTES:
            side.fault(RangeError(side.path, side.value, f"must hold at most {MAX_ATTRIBUTES} attributes"))
        sides.append({name: Declared.read(name, value) for name, value in members[:MAX_ATTRIBUTES]})
    return Vocabulary(form, *sides)


def _read_gates(node: Node) -> None:
    if not isinstance(node.value, (list, tuple)) or list(node.value) != list(GATES):
        node.items(100)
        cure = f"must be the seven gates in their fixed order: {', '.join(GATES)}"
        if isinstance(node.value, (list, tuple)):
            node.fault(ConflictError(node.path, node.value, cure))


def _read_claims(node: Node) -> tuple[str, ...]:
    if node.absent or not node.keys((), CLAIMS):
        return NO_CLAIMS
    return tuple(node[name].choice(CLAIM_POLICIES) for name in CLAIMS)


def _read_offer(node: Node) -> OfferPolicy:
    node.keys(("answer_within_minutes", "cap_minutes"), ("reminder_at",))
    return OfferPolicy(
        node["answer_within_minutes"].integer(1, MAX_MINUTES),
        node["cap_minutes"].integer(1, MAX_MINUTES),
        node["reminder_at"].number(0.01, 0.99, default=0.5),
    )


def _read_bands(node: Node) -> tuple[AmountBands, ...]:
    bands: list[AmountBands] = []
    for item in node.items(200):
        if not item.keys(("currency", "edges")):
            continue
        currency = "*" if item["currency"].value == "*" else item["currency"].text(CURRENCY)
        edges = tuple(edge.integer(1, 10**15) for edge in item["edges"].items(50, least=1))
        if any(after <= before for before, after in pairwise(edges)):
            item.fault(ConflictError(item["edges"].path, list(edges), "must rise from edge to edge"))
        if currency in {band.currency for band in bands}:
            item.fault(ConflictError(item["currency"].path, currency, "has bands already; keep one entry"))
        bands.append(AmountBands(currency, edges))
    return tuple(bands)


def _read_rows(node: Node, words: Vocabulary) -> tuple[Row, ...]:
    rows: list[Row] = []
    seen: set[str] = set()
    for item in node.items(MAX_ROWS):
        if node.full:
            break
        row = Row.read(item, words)
        if row.id and row.id in seen:
            item.fault(
                ConflictError(item["id"].path, row.id, "is the id of an earlier row; give each row its own")
            )
        seen.add(row.id)
        rows.append(row)
    return tuple(rows)


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _to_json(rules: RuleSet) -> dict[str, object]:
    return _first_json(rules) | (_later_json(rules) if rules.words.form > 1 else {})


def _later_json(rules: RuleSet) -> dict[str, object]:
    """What the second form adds."""
    return {
        "attributes": {
            side: {name: declared[name].to_json() for name in sorted(declared)}
            for side, declared in (("when", rules.words.when), ("who", rules.words.who))
        },
        "claims": dict(zip(CLAIMS, rules.claims, strict=True)),
        "tables": [table.to_json() for table in rules.tables],
    }


def _first_json(rules: RuleSet) -> dict[str, object]:
    return {
        "schema": FORMS[rules.words.form - 1],
        "name": rules.name,
        "version": rules.version,
        "note": rules.note,
        "gates": list(rules.gates),
        "score": write_score(rules.score, rules.words),
        "offer": {
            "answer_within_minutes": rules.offer.answer_within_minutes,
            "cap_minutes": rules.offer.cap_minutes,
            "reminder_at": rules.offer.reminder_at,
        },
        "amount_bands": [
            {"currency": band.currency, "edges": list(band.edges)} for band in rules.amount_bands
        ],
        "rules": [row.to_json(rules.words) for row in rules.rules if not row.table],
        "examples": [example.to_json() for example in rules.examples],
    }


@cache
def default_ruleset() -> RuleSet:
    """The first rule set, as shipped in default_ruleset.json."""
    return RuleSet.loads((Path(__file__).parent / "default_ruleset.json").read_text(encoding="utf-8"))

"""What a row does: one table of effects, from which parser, schema and canonical form follow.

| effect          | what it does                                                                       | who            |
|-----------------|------------------------------------------------------------------------------------|----------------|
| require         | only those in `who`                                                                | needed         |
| exclude         | none of those in `who`                                                             | needed         |
| boost           | so many points more                                                                | empty: all     |
| exclusive       | theirs alone; `hard`: even when none of them can take it                           | needed         |
| cap             | at most so many offers `per` day, week, month, quarter or year (UTC), by this row  | empty: each    |
| pool            | goes to these, in turns of their own, by `order`                                   | needed         |
| deadline        | how long an offer stands                                                           | empty: all     |
| parallel_offers | offered to the first so many at the same time; whoever accepts first has it        | none           |
| house           | kept for a rep of the vendor                                                       | none           |
| co_sell         | a rep of the vendor works on it with the partner                                   | empty: all     |
| via_distributor | offered to a distributor, who may offer it onward to its resellers                 | empty: any     |
| fallback        | when nobody is left: to these, rules waived but not gates, or kept for a rep       | or a rep       |

Of deadline, parallel_offers, house, co_sell, pool and via_distributor the first row that holds decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .errors import ConflictError
from .reading import NAME, TEXT, Node

MAX_BOOST = 1_000  # points
MAX_MINUTES = 60 * 24 * 366
MAX_CAP = 10**6
MAX_PARALLEL = 20
PERIODS = ("day", "week", "month", "quarter", "year")
ORDERS = ("score", "turns", "load")


@dataclass(frozen=True, slots=True)
class Terms:
    """The parameters of an effect; each effect uses the few it names in `EFFECTS`."""

    points: int = 0
    hard: bool = False
    most: int = 0
    per: str = ""
    name: str = ""
    order: str = ""
    answer_within_minutes: int = 0
    cap_minutes: int = 0
    rep: str = ""


NO_TERMS = Terms()


@dataclass(frozen=True, slots=True)
class Key:
    """One parameter: whole numbers from `least` to `most`, one of `options`, a name, text, or true and false."""

    kind: Literal["integer", "choice", "name", "text", "flag"]
    least: int = 0
    most: int = 0
    options: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """`who`: whether a row of this effect must say whom it means, may, or must not."""

    keys: Mapping[str, Key]
    who: Literal["needed", "may", "none"] = "needed"
    since: int = 2


_MINUTES = Key("integer", 1, MAX_MINUTES)
_REP = Key("text", most=80)
EFFECTS: Mapping[str, Effect] = {
    "require": Effect({}, since=1),
    "exclude": Effect({}, since=1),
    "boost": Effect({"points": Key("integer", -MAX_BOOST, MAX_BOOST)}, "may", since=1),
    "exclusive": Effect({"hard": Key("flag")}),
    "cap": Effect({"most": Key("integer", 0, MAX_CAP), "per": Key("choice", options=PERIODS)}, "may"),
    "pool": Effect({"name": Key("name"), "order": Key("choice", options=ORDERS)}),
    "deadline": Effect({"answer_within_minutes": _MINUTES, "cap_minutes": _MINUTES}, "may"),
    "parallel_offers": Effect({"most": Key("integer", 2, MAX_PARALLEL)}, "none"),
    "house": Effect({"rep": _REP}, "none"),
    "co_sell": Effect({"rep": _REP}, "may"),
    "via_distributor": Effect({}, "may"),
    "fallback": Effect({"rep": Key("text", most=80, optional=True)}, "may"),
}
# Effects that take the request from candidates who could have had it; what they do depends on all of them together.
NARROWING = ("house", "exclusive", "pool", "via_distributor", "fallback")


def effects_of(form: int) -> tuple[str, ...]:
    """The effects a form of rule sets knows."""
    return tuple(kind for kind, effect in EFFECTS.items() if effect.since <= form)


def read_effect(node: Node, who: Node | None, form: int) -> tuple[str, Terms]:
    """The effect's name and its terms; `who` is the row's, which must fit (None: no row yet). Faults are noted."""
    later = tuple(kind for kind, effect in EFFECTS.items() if effect.since > form)
    kind = node["kind"].choice(effects_of(form), later=later)
    if node["kind"].value in later:  # its other keys are of a later form too
        return kind, Terms()
    effect = EFFECTS[kind]
    needed = tuple(name for name, key in effect.keys.items() if not key.optional)
    if not node.keys(("kind", *needed), tuple(name for name, key in effect.keys.items() if key.optional)):
        return kind, Terms()
    terms = Terms(**{name: _read_key(node[name], key) for name, key in effect.keys.items()})  # type: ignore[arg-type]
    if who is not None:
        _fitting(node, who, kind, terms, form)
    if kind == "deadline" and terms.cap_minutes < terms.answer_within_minutes and not node.faults:
        cap = node["cap_minutes"]
        cure = f"must not be less than answer_within_minutes, which is {terms.answer_within_minutes}"
        node.fault(ConflictError(cap.path, cap.value, cure))
    return kind, terms


def _fitting(node: Node, who: Node, kind: str, terms: Terms, form: int) -> None:
    """Whether the row says whom it means, as its effect asks."""
    effect = EFFECTS[kind]
    if effect.who == "needed" and who.value == {}:
        cure = f"must say whom the row {kind}s; an empty one would {kind} everybody"
        if form > 1:
            cure = f"must say whom the row means; an empty one would make {kind} mean everybody"
        node.fault(ConflictError(who.path, {}, cure))
    if effect.who == "none" and who.value:
        node.fault(
            ConflictError(who.path, who.value, f"must be empty: {kind} does not depend on the partner")
        )
    if kind == "fallback" and bool(who.value) is bool(terms.rep):
        node.fault(ConflictError(node.path, node.value, "must say either whom in `who`, or a `rep`"))


def _read_key(node: Node, key: Key) -> int | bool | str:
    if key.kind == "integer":
        return node.integer(key.least, key.most, default=0)
    if key.kind == "choice":
        return node.choice(key.options)
    if key.kind == "flag":
        return node.boolean(False)
    if key.optional and node.absent:
        return ""
    return node.text(NAME, 64) if key.kind == "name" else node.text(TEXT, key.most)


def write_effect(kind: str, terms: Terms) -> dict[str, object]:
    """The effect as it is stored."""
    return {"kind": kind} | {
        name: value
        for name, key in EFFECTS[kind].keys.items()
        if (value := getattr(terms, name)) or not key.optional
    }

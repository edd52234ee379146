"""What a decision reads beside the request, and what it says: state, shortlist, ranking, handling, the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Protocol

from .model import Request, refuse
from .reading import MAX_INT, Node

Counts = Mapping[int, int]


@dataclass(frozen=True, slots=True)
class State:
    """What changes between decisions, by location: open leads, and fairness credit in 2**-32 turns. Absent is 0.

    `taken` is by id of a cap row: offers of its current period (`cap_window`). `pools` is by name of a pool: the
    credit of its own turns.
    """

    load: Counts = field(default_factory=dict)
    credit: Counts = field(default_factory=dict)
    taken: Mapping[str, Counts] = field(default_factory=dict)
    pools: Mapping[str, Counts] = field(default_factory=dict)

    def only(self, ids: Iterable[int]) -> State:
        """Just the values of these locations, zeros left out: what a decision stores (ids of its shortlist)."""
        ids = sorted(ids)
        return State(
            _only(self.load, ids),
            _only(self.credit, ids),
            {row: _only(counts, ids) for row, counts in self.taken.items()},
            {pool: _only(counts, ids) for pool, counts in self.pools.items()},
        )

    def to_json(self) -> dict[str, object]:
        """The stored form: ids as strings, zeros left out, credit as integers of 2**-32."""
        found: dict[str, object] = {"load": _json(self.load), "credit": _json(self.credit)}
        for name, counts in (("taken", self.taken), ("pools", self.pools)):
            kept = {key: _json(inner) for key, inner in sorted(counts.items()) if any(inner.values())}
            if kept:
                found[name] = kept
        return found

    @staticmethod
    def from_json(data: object) -> State:
        """Read the stored form; RequestError names the first thing that is wrong."""
        node = Node(data)
        node.keys((), ("load", "credit", "taken", "pools"))
        state = State(
            _read(node["load"], 0),
            _read(node["credit"], -MAX_INT),
            {key: _read(inner, 0) for key, inner in node["taken"].members()},
            {key: _read(inner, -MAX_INT) for key, inner in node["pools"].members()},
        )
        refuse(node)
        return state


def _only(counts: Counts, ids: Iterable[int]) -> dict[int, int]:
    return {i: counts[i] for i in ids if counts.get(i)}


def _json(counts: Counts) -> dict[str, int]:
    return {str(i): counts[i] for i in sorted(counts) if counts[i]}


def _read(node: Node, least: int) -> dict[int, int]:
    return {Node(k, n.path, n.faults).id(): n.integer(least, MAX_INT - 1) for k, n in node.members()}


class Shortlist(Protocol):
    """Who passed the static gates, in id order: whose state a decision reads. Goes back to the engine that made it."""

    @property
    def ids(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True)
class Ranked:
    """One eligible candidate. Scores are thousandths of a point; `distance_m` None: one side has no coordinates."""

    id: int
    score: int
    terms: tuple[tuple[str, int], ...]
    distance_m: int | None
    band: str | None = None


@dataclass(frozen=True, slots=True)
class Handling:
    """What the rows say of the request beyond who may have it; rows are named by their ids. `PLAIN`: nothing.

    `claim`: it belongs to whoever holds the named account or the relationship. `house`, `fallback`: the row that keeps
    it for `rep` or gives it to those who are left; `co_sell`: the row whose `rep` works on it too. `exclusive`, `pool`,
    `via`: rows that narrowed the field. `pool_name`: whose turns the credits are. `parallel`: to how many it is
    offered at once. `deadline`: the row whose answer and cap minutes count for the first. `distributors`: those to whom
    it may go, `onward`: resellers of the first of them who could take it, best first. `undecided`: unique tables of which
    several rows held, so that none acted.
    """

    claim: str | None = None
    house: str | None = None
    exclusive: tuple[str, ...] = ()
    pool: str | None = None
    pool_name: str | None = None
    via: str | None = None
    distributors: tuple[int, ...] = ()
    onward: tuple[int, ...] = ()
    fallback: str | None = None
    rep: str | None = None
    co_sell: str | None = None
    parallel: int = 1
    deadline: str | None = None
    undecided: tuple[str, ...] = ()

    def to_json(self) -> dict[str, object]:
        """What is said, the rest left out; ids as strings."""
        found: dict[str, object] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                found[one.name] = [str(i) for i in value] if isinstance(value, tuple) else value
        return found


PLAIN = Handling()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `counts` is (gate, how many are left after it); `credits` what to store if the first is offered.

    `ranked` holds the best RANKED_MOST of the `eligible`. `credits` holds only the locations whose credit changed: those
    that were in the running, and those offered. Which gate stopped whom is asked of the engine (`gates`), by those who
    want to know.
    """

    ranked: Sequence[Ranked]
    eligible: int
    counts: tuple[tuple[str, int], ...]
    credits: dict[int, int]
    result_hash: str
    handling: Handling = PLAIN


class Engine(Protocol):
    """What portal needs of an engine; `Reference` is one, an indexed matcher another with the same bytes."""

    def shortlist(self, request: Request) -> Shortlist: ...

    def decide(self, request: Request, shortlist: Shortlist, state: State) -> Decision: ...

    def gates(self, request: Request, shortlist: Shortlist, state: State) -> bytes:
        """One byte per candidate of the snapshot, by id: ELIGIBLE, EXCLUDED, or 1 + the index of the first failing gate."""
        ...

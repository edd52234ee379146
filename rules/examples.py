"""Example cases stored inside a rule set: a request, a few made-up partners, and what must come out.

They are read with the rule set and run before it is published (`rules.run_examples`). Everything that is not said
about a partner is in its favour: active, agreed, nationwide, always open, room for ten. Its id is its place, from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from .answers import State
from .errors import ConflictError, UnknownError
from .model import (
    ALL_GATES,
    FIGURES,
    RANKED_MOST,
    TERRITORY_KINDS,
    Candidate,
    Certification,
    Request,
    Territory,
    TerritoryKind,
    read_attributes,
    read_ids,
)
from .reading import COUNTRY, NAME, TEXT, Node

MAX_EXAMPLES = 200
MAX_CANDIDATES = RANKED_MOST  # so that a decision names all of them
EXCLUDED_NAME = "excluded"
PARTNER_KEYS = (
    *(
        "name",
        "active",
        "agreement_accepted",
        "level",
        "lat",
        "lon",
        "country",
        "territories",
        "certifications",
    ),
    *("product_lines", "capacity", "load"),
)
LATER_KEYS = ("tags", "accounts", "distributor_of", "figures", "custom")  # since the second form
_LONG_AGO = date(2000, 1, 1)
_NATIONWIDE = (Territory("nationwide"),)


@dataclass(frozen=True, slots=True)
class Example:
    """`order`: names of the eligible, best first; `gates`: the first failing gate by id, for those who must fail."""

    name: str
    request: Request
    candidates: tuple[Candidate, ...]
    load: Mapping[int, int]
    order: tuple[str, ...] | None
    gates: tuple[tuple[str, str], ...]
    source: Mapping[str, object]

    @staticmethod
    def read(node: Node, form: int = 2) -> Example:
        """Read one example; faults go into the node's list."""
        node.keys(("name", "request", "candidates", "expect"))
        candidates, load = _read_candidates(node["candidates"], form)
        names = {candidate.name for candidate in candidates}
        expect = node["expect"]
        expect.keys((), ("order", "gates"))
        order = None if expect["order"].absent else expect["order"].words(NAME, MAX_CANDIDATES)
        for name in order or ():
            if name not in names:
                expect.fault(UnknownError(expect["order"].path, name, "is none of the example's candidates"))
        if order is None and expect["gates"].absent:
            expect.fault(ConflictError(expect.path, expect.value, "must expect an order or gates"))
        return Example(
            name=node["name"].text(),
            request=Request.read(node["request"], form),
            candidates=candidates,
            load=load,
            order=order,
            gates=_read_gates(expect["gates"], names),
            source=node.value if isinstance(node.value, Mapping) else {},
        )

    def to_json(self) -> dict[str, object]:
        """As it was written: an example is documentation, its form is kept."""
        return dict(self.source)

    @property
    def state(self) -> State:
        return State(load=self.load)


def _read_gates(node: Node, names: set[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for name, value in node.members() if not node.absent else ():
        if name not in names:
            value.fault(UnknownError(value.path, name, "is none of the example's candidates"))
        found.append((name, value.choice((*ALL_GATES, EXCLUDED_NAME))))
    return tuple(found)


def _read_candidates(node: Node, form: int) -> tuple[tuple[Candidate, ...], dict[int, int]]:
    candidates: list[Candidate] = []
    load: dict[int, int] = {}
    for index, item in enumerate(node.items(MAX_CANDIDATES, least=1), start=1):
        candidate = _read_candidate(item, index, form)
        if candidate.name in {other.name for other in candidates}:
            item.fault(
                ConflictError(item["name"].path, candidate.name, "stands twice; give each its own name")
            )
        candidates.append(candidate)
        load[index] = item["load"].integer(0, 10**6, default=0)
    return tuple(candidates), load


def _read_candidate(node: Node, number: int, form: int) -> Candidate:
    later = LATER_KEYS if form == 1 else ()
    node.keys(("name",), PARTNER_KEYS if later else (*PARTNER_KEYS, *LATER_KEYS), later)
    territories = node["territories"]
    return Candidate(
        id=number,
        company_id=number,
        name=node["name"].text(NAME, 64),
        active=node["active"].boolean(True),
        agreement_accepted=node["agreement_accepted"].boolean(True),
        level=node["level"].text_or_none(),
        lat=node["lat"].number_or_none(-90, 90),
        lon=node["lon"].number_or_none(-180, 180),
        country=node["country"].text_or_none(COUNTRY),
        territories=_NATIONWIDE
        if territories.absent
        else tuple(map(_read_territory, territories.items(100))),
        certifications=tuple(_read_certification(item) for item in node["certifications"].items(100)),
        product_lines=frozenset(node["product_lines"].words(TEXT, 100)),
        capacity=node["capacity"].integer(0, 10**6, default=10),
        tags=None if node["tags"].absent else frozenset(node["tags"].words(TEXT, 100)),
        accounts=frozenset(node["accounts"].words(TEXT, 100)),
        distributor_of=read_ids(node["distributor_of"]) or frozenset(),
        figures=_read_figures(node["figures"]),
        custom=read_attributes(node["custom"]),
    )


def _read_figures(node: Node) -> dict[str, int]:
    if node.absent or not node.keys((), FIGURES):
        return {}
    return {name: value.integer(0, 10**9) for name, value in node.members()}


def _kind(text: str) -> TerritoryKind:
    return next(kind for kind in TERRITORY_KINDS if kind == text)


def _read_territory(node: Node) -> Territory:
    node.keys(("kind",), ("country", "code", "lat", "lon", "radius_km"))
    return Territory(
        _kind(node["kind"].choice(TERRITORY_KINDS)),
        node["country"].text_or_none(COUNTRY),
        node["code"].text_or_none(),
        node["lat"].number_or_none(-90, 90),
        node["lon"].number_or_none(-180, 180),
        node["radius_km"].number_or_none(0, 20_100),
    )


def _read_certification(node: Node) -> Certification:
    node.keys(("programme",), ("level", "issued", "expires", "product_line"))
    return Certification(
        node["programme"].text(),
        node["level"].text_or_none(),
        node["issued"].day() or _LONG_AGO,
        node["expires"].day(),
        node["product_line"].text_or_none(),
    )

"""The hash of a decision: what makes a replay the same answer, on any machine and in any process.

It covers what was decided (counts, the best of the eligible with every term, the credits) and by what (rule set,
snapshot version), in a fixed layout of 64-bit integers that an engine can write straight from its columns. A stored
hash names its form: "2:" and 64 hex digits; bare hex digits are of the first form, which also covered everybody's gate.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Sequence

from .answers import PLAIN, Handling, Ranked
from .canonical import canonical_json, digest

FORM = "2:"
NO_DISTANCE = -1

Counts = tuple[tuple[str, int], ...]


def head(ruleset_hash: str, version: int, counts: Counts, terms: Sequence[str]) -> bytes:
    """The text before the numbers: form, rules, snapshot version, the counts, and the names of the terms."""
    left = ",".join([f"{gate} {count}" for gate, count in counts])
    return f"{FORM}{ruleset_hash} {version}\n{left}\n{','.join(terms)}\n".encode("ascii")


def hash_of(text: bytes, ranked: bytes, credits: bytes) -> str:
    """The hash over `head`, one row of integers per ranked candidate (id, score, metres, terms), and (id, credit) by id.

    All integers are signed, 64 bits, little-endian; NO_DISTANCE stands for metres that nobody knows.
    """
    sizes = b"%d %d\n" % (len(ranked), len(credits))
    return FORM + hashlib.sha256(b"".join((text, sizes, ranked, credits))).hexdigest()


def _packed(numbers: list[int]) -> bytes:
    packed = array("q", numbers)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def result_hash(
    ruleset_hash: str,
    version: int,
    counts: Counts,
    ranked: Sequence[Ranked],
    credits: dict[int, int],
    handling: Handling = PLAIN,
) -> str:
    """The hash of a decision. Handling and bands are in its text where there are any: a line of canonical JSON."""
    terms = [name for name, _value in ranked[0].terms] if ranked else []
    rows: list[int] = []
    for one in ranked:
        rows += (one.id, one.score, NO_DISTANCE if one.distance_m is None else one.distance_m)
        rows += [value for _name, value in one.terms]
    owed = [number for i in sorted(credits) for number in (i, credits[i])]
    text = head(ruleset_hash, version, counts, terms)
    said, bands = handling.to_json(), [one.band for one in ranked]
    if said or any(bands):
        text += canonical_json({"handling": said, "bands": bands}).encode("ascii") + b"\n"
    return hash_of(text, _packed(rows), _packed(owed))


def first_result_hash(ranked: Sequence[Ranked], gates: bytes, counts: Counts, credits: dict[int, int]) -> str:
    """The first form: SHA-256 of canonical JSON; ids as strings, gates as hex, everybody ranked."""
    return digest(
        {
            "ranked": [[str(one.id), one.score, one.terms, one.distance_m] for one in ranked],
            "gates": gates.hex(),
            "counts": counts,
            "credits": {str(i): credits[i] for i in sorted(credits)},
        }
    )

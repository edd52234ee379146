"""The complete explanation of a decision: one row of bits per thing a gate asks, one column per candidate.

Never stored: it is worked out when somebody wants to know why, in less time than the decision took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model import ALL_GATES
from .bits import Slots, Words, count, nothing, slots_of


@dataclass(frozen=True, slots=True)
class Line:
    """A gate and what it asks there: a certification, a product line, the id of a row; empty for the gate itself."""

    gate: str
    asks: str = ""


class Matrix:
    """`lines[n]` is passed by those in `passed[n]`; a gate is passed by who passes all its lines."""

    def __init__(
        self,
        lines: Sequence[tuple[Line, Words]],
        present: Words,
        ids: NDArray[np.int64],
        slot_of: Slots,
        barred: Words,
        id_of: NDArray[np.int64],
    ) -> None:
        self.lines = tuple(line for line, _passed in lines)
        self.passed = np.array([passed for _line, passed in lines])
        self._present, self._ids, self._slot_of, self._barred = present, ids, slot_of, barred
        self._id_of = id_of

    def stopping(self, candidate_id: int) -> tuple[Line, ...] | None:
        """Everything that stops one candidate, in the order of the gates; None for a stranger."""
        at = int(self._ids.searchsorted(candidate_id))
        if at == len(self._ids) or self._ids[at] != candidate_id:
            return None
        slot = int(self._slot_of[at])
        met = (self.passed[:, slot >> 6] >> np.uint64(slot & 63)) & np.uint64(1)
        return tuple([self.lines[n] for n, bit in enumerate(met.tolist()) if not bit])

    def _gates(self) -> Iterator[tuple[str, Words]]:
        """Who passes each gate."""
        for gate in ALL_GATES:
            of_gate = [n for n, line in enumerate(self.lines) if line.gate == gate]
            if of_gate:
                yield gate, np.bitwise_and.reduce(self.passed[of_gate], axis=0)

    def first_stops(self) -> dict[str, int]:
        """How many each gate stopped first; the excluded are not counted."""
        left, found = self._present & ~self._barred, {}
        for gate, passed in self._gates():
            found[gate] = count(left & ~passed)
            left = left & passed
        return found

    def one_short(self) -> dict[int, str]:
        """The near misses: id and gate of everybody whom exactly one gate stopped; the excluded are none."""
        once, twice = nothing(len(self._present)), nothing(len(self._present))
        stopped: list[tuple[str, Words]] = []
        for gate, passed in self._gates():
            failed = self._present & ~self._barred & ~passed
            twice |= once & failed
            once |= failed
            stopped.append((gate, failed))
        found = {
            int(one): gate
            for gate, failed in stopped
            for one in self._id_of[slots_of(failed & ~twice)].tolist()
        }
        return dict(sorted(found.items()))

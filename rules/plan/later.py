"""What a plan adds for rules that do more than require, exclude and boost.

The shortlist comes from bitmaps as ever and leaves few; what such rules say of those few is judged one by one, as the
specification does (`judging`). Which rows hold, and who could have a claim, is looked up, not asked of everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..answers import State
from ..axes import Asked
from ..case import Case
from ..model import Candidate, Request, Snapshot
from ..ruleset import NO_CLAIMS, RuleSet
from .when import WhenIndex


class Later:
    """All rows of a rule set by what they ask of a request, and candidates by what a claim rests on."""

    def __init__(self, ruleset: RuleSet, candidates: Sequence[Candidate]) -> None:
        self._ruleset = ruleset
        self._rows = tuple(ruleset.rules)
        self._when = WhenIndex(self._rows)
        self._row_bytes = (len(self._rows) + 7) // 8
        self._claimed = ruleset.claims != NO_CLAIMS
        self._by_account: dict[str, tuple[int, ...]] = {}
        self._by_company: dict[int, tuple[int, ...]] = {}
        for candidate in candidates if self._claimed else ():
            self._know(candidate)

    def changed(self, changed: Sequence[Candidate]) -> Later:
        """With more candidates; who has gone is left out by whoever asks."""
        if not self._claimed or not changed:
            return self
        made = object.__new__(Later)
        made.__dict__.update(self.__dict__)
        made._by_account, made._by_company = dict(self._by_account), dict(self._by_company)
        for candidate in changed:
            made._know(candidate)
        return made

    def _know(self, candidate: Candidate) -> None:
        for account in candidate.accounts:
            self._by_account[account] = (*self._by_account.get(account, ()), candidate.id)
        known = self._by_company.get(candidate.company_id, ())
        self._by_company[candidate.company_id] = (*known, candidate.id)

    def case(self, snapshot: Snapshot, request: Request, state: State) -> Case:
        """The request before the rows that hold."""
        asked = Asked(request, snapshot.rates)
        found = self._when.rows(asked)
        holding = [self._rows[n] for n in _bits(found)]
        return Case.holding(self._ruleset, asked, state, holding, snapshot.performance)

    def claimants(self, snapshot: Snapshot, request: Request) -> list[Candidate]:
        """Everybody who may have a claim to the request, and perhaps others."""
        ids: set[int] = set()
        if request.account is not None:
            ids.update(self._by_account.get(request.account, ()))
        for company in request.relationships or ():
            ids.update(self._by_company.get(company, ()))
        positions = (snapshot.position(one) for one in sorted(ids))
        return [snapshot.candidates[at] for at in positions if at is not None]


def _bits(number: int) -> Iterable[int]:
    """The bits that are set, rising."""
    while number:
        least = number & -number
        yield least.bit_length() - 1
        number ^= least

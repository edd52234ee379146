"""One request before one rule set: the facts asked, the state, and the rows in force, found once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from .answers import PLAIN, Handling, State
from .axes import Asked
from .model import Candidate, Request, Snapshot
from .performance import Performance
from .rows import Row
from .ruleset import OfferPolicy, RuleSet
from .tables.form import acting


@dataclass(frozen=True, slots=True)
class Case:
    """`rows` are those that act: whose `when` holds on the day and whom hit policies choose, by effect, in order."""

    rules: RuleSet
    asked: Asked
    state: State
    rows: Mapping[str, tuple[Row, ...]]
    performance: Performance | None = None
    handling: Handling = PLAIN
    undecided: tuple[str, ...] = ()  # unique tables of which several rows hold

    @staticmethod
    def of(rules: RuleSet, snapshot: Snapshot, request: Request, state: State) -> Case:
        """Of a request, asking each row."""
        asked = Asked(request, snapshot.rates)
        holding = [row for row in rules.rules if row.applies(asked)]
        return Case.holding(rules, asked, state, holding, snapshot.performance)

    @staticmethod
    def holding(
        rules: RuleSet, asked: Asked, state: State, holding: list[Row], performance: Performance | None
    ) -> Case:
        """Of the rows whose `when` holds, in their order."""
        rows: dict[str, list[Row]] = {}
        undecided: tuple[str, ...] = ()
        if rules.tables:
            holding, undecided = acting(holding, rules.policies)
        for row in holding:
            rows.setdefault(row.effect, []).append(row)
        in_force = {effect: tuple(found) for effect, found in rows.items()}
        return Case(rules, asked, state, in_force, performance, undecided=undecided)

    @property
    def request(self) -> Request:
        return self.asked.request

    def in_force(self, effect: str) -> tuple[Row, ...]:
        """The rows of one effect."""
        return self.rows.get(effect, ())

    def load(self, candidate: Candidate) -> int:
        """Open leads of the candidate."""
        return self.state.load.get(candidate.id, 0)

    def meets(self, row: Row, candidate: Candidate) -> bool:
        """Whether the row means the candidate."""
        return row.meets(candidate, self.asked, self.load(candidate))

    def first(self, effect: str, candidate: Candidate) -> Row | None:
        """The first row of an effect that means the candidate."""
        return next((row for row in self.in_force(effect) if self.meets(row, candidate)), None)

    def named(self, row_id: str | None, effect: str) -> Row | None:
        """The row in force of that id."""
        return next((row for row in self.in_force(effect) if row.id == row_id), None)

    def offer_to(self, candidate: Candidate) -> OfferPolicy:
        """How long an offer to the candidate stands: by its first deadline row, else as the rule set says."""
        row = self.first("deadline", candidate)
        return self.rules.offer if row is None else self.rules.offer_by(row.id)


def cap_window(per: str, moment: datetime) -> tuple[datetime, datetime]:
    """The period of a cap that holds `moment`: from its first instant to that of the next one, in UTC."""
    day = moment.astimezone(UTC).date()
    if per == "week":
        first = day - timedelta(days=day.weekday())
        following = first + timedelta(days=7)
    elif per == "day":
        first, following = day, day + timedelta(days=1)
    else:
        months = {"month": 1, "quarter": 3, "year": 12}[per]
        number = (day.month - 1) // months * months
        first = date(day.year, number + 1, 1)
        carry, rest = divmod(number + months, 12)
        following = date(day.year + carry, rest + 1, 1)
    return datetime.combine(first, time(), UTC), datetime.combine(following, time(), UTC)

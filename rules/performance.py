"""Win rate and answer speed as the score uses them: a frozen, versioned table of shrunk figures.

A rate from few leads says little, so each is drawn towards the next larger group: a partner's towards all partners', a
partner's in one segment towards the partner's own. `strength` says how many leads of the larger group count as much as
the partner's: (wins + strength * prior) / (n + strength), the posterior mean of a Beta prior of that strength. The table
keeps n and wins beside each rate, so that a page can show what a figure rests on. Integers throughout: rates in
millionths, times in minutes. A decision reads the table of its snapshot and nothing newer, so it replays exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .canonical import digest

MILLION = 1_000_000
PARTNER_STRENGTH = 20  # leads; research on 200 partners x 12 segments found 10 to 30 alike
SEGMENT_STRENGTH = 10


@dataclass(frozen=True, slots=True)
class Count:
    """What one location did with leads of one segment: decided leads, those won, offers answered, and their minutes."""

    location_id: int
    segment: str | None
    n: int
    wins: int
    answered: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Shrunk figures and what they rest on: `win` in millionths, `answer` in minutes; None when nobody ever answered."""

    n: int
    wins: int
    win: int
    answered: int
    answer: int | None


NOTHING = Figures(0, 0, 0, 0, None)


@dataclass(frozen=True, slots=True)
class Performance:
    """Figures over all partners, of each location, and of each location in each segment; immutable once made."""

    version: int
    overall: Figures = NOTHING
    locations: Mapping[int, Figures] = field(default_factory=dict)
    segments: Mapping[tuple[int, str], Figures] = field(default_factory=dict)

    def of(self, location_id: int, segment: str | None) -> Figures:
        """The nearest figures: in the segment, else of the location, else of all (a newcomer is taken as average)."""
        if segment is not None and (location_id, segment) in self.segments:
            return self.segments[location_id, segment]
        return self.locations.get(location_id, self.overall)

    def to_json(self) -> dict[str, object]:
        """The stored form: [n, wins, win, answered, answer] by location, and by location and segment."""
        return {
            "version": self.version,
            "overall": _row(self.overall),
            "locations": {str(i): _row(self.locations[i]) for i in sorted(self.locations)},
            "segments": [[str(i), name, *_row(self.segments[i, name])] for i, name in sorted(self.segments)],
        }

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return digest(self.to_json())


def _row(figures: Figures) -> list[int | None]:
    return [figures.n, figures.wins, figures.win, figures.answered, figures.answer]


def shrunk(total: int, n: int, prior: int, strength: int) -> int:
    """The mean of `n` values that sum to `total`, drawn towards `prior` as if by `strength` more of that value."""
    if n + strength == 0:
        return prior
    return (total + strength * prior) // (n + strength)


def _figures(counts: Iterable[Count], prior: Figures, strength: int) -> Figures:
    n = wins = answered = minutes = 0
    for one in counts:
        n, wins = n + one.n, wins + one.wins
        answered, minutes = answered + one.answered, minutes + one.minutes
    win = shrunk(wins * MILLION, n, prior.win, strength)
    if prior.answer is not None:
        return Figures(n, wins, win, answered, shrunk(minutes, answered, prior.answer, strength))
    return Figures(n, wins, win, answered, minutes // answered if answered else None)


def freeze(
    counts: Iterable[Count],
    version: int,
    partner_strength: int = PARTNER_STRENGTH,
    segment_strength: int = SEGMENT_STRENGTH,
) -> Performance:
    """The table of these counts; their order changes nothing."""
    by_location: dict[int, list[Count]] = {}
    by_segment: dict[tuple[int, str], list[Count]] = {}
    for one in counts:
        by_location.setdefault(one.location_id, []).append(one)
        if one.segment is not None:
            by_segment.setdefault((one.location_id, one.segment), []).append(one)
    overall = _figures((one for found in by_location.values() for one in found), NOTHING, 0)
    locations = {i: _figures(found, overall, partner_strength) for i, found in sorted(by_location.items())}
    segments = {
        (i, name): _figures(found, locations[i], segment_strength)
        for (i, name), found in sorted(by_segment.items())
    }
    return Performance(version, overall, locations, segments)

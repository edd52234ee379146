"""The gate `opens` for many calendars at once: when its answer turns within a day, found once per calendar and day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from ..calendars import Calendar, windows
from .bits import Slots

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_DAY = 86_400_000_000  # microseconds
_NEVER = np.iinfo(np.int64).max
DAYS_KEPT = 4


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


class _Day:
    """`ends[calendar]`: the instants of the day at which the answer turns, no at first; rows are filled as asked for."""

    def __init__(self, calendars: int, wide: int) -> None:
        self.ends = np.full((calendars, wide), _NEVER, np.int64)
        self.known = np.zeros(calendars, np.bool_)
        self.complete = False


class Openings:
    """Calendars by number; shared by the plans of successive versions, so numbers are only added."""

    def __init__(self, cap_minutes: int) -> None:
        self._calendars: Sequence[Calendar] = ()
        self._cap = cap_minutes * 60_000_000
        self._days: dict[int, _Day] = {}
        self._turned: dict[int, dict[int, list[int]]] = {}

    def know(self, calendars: Sequence[Calendar]) -> None:
        """All calendars there are; earlier ones keep their numbers."""
        self._calendars = calendars

    def opens(self, calendars: Slots, moment: datetime) -> NDArray[np.bool_]:
        """Whether each calendar is open at some instant from `moment` to the cap (see `opens_within`)."""
        at = microseconds(moment)
        day = self._days.get(at // _DAY)
        if day is None or len(day.known) < len(self._calendars):
            day = self._keep(at // _DAY, _Day(len(self._calendars), 4))
        if not day.complete:
            known = day.known[calendars]
            if not known.all():
                day = self._fill(at // _DAY, day, np.unique(calendars[~known]).tolist())
        turned = np.add.reduce(day.ends[calendars] <= at, axis=1)
        open_: NDArray[np.bool_] = (turned & 1) != 0
        return open_

    def open_now(self, moment: datetime) -> NDArray[np.bool_]:
        """The answer of every calendar, by number."""
        return self.opens(np.arange(len(self._calendars)), moment)

    def opens_one(self, calendar: int, at: int) -> bool:
        """The same for one calendar, at an instant in microseconds."""
        day = self._turned.get(at // _DAY)
        if day is None:
            day = {}
            self._turned = dict(list(self._turned.items())[-(DAYS_KEPT - 1) :]) | {at // _DAY: day}
        turns = day.get(calendar)
        if turns is None:
            turns = day[calendar] = self._turns(self._calendars[calendar], at // _DAY)
        return bisect_right(turns, at) & 1 == 1

    def _keep(self, number: int, day: _Day) -> _Day:
        kept = dict(list(self._days.items())[-(DAYS_KEPT - 1) :])
        self._days = kept | {number: day}
        return day

    def _fill(self, number: int, day: _Day, calendars: list[int]) -> _Day:
        found = [(one, self._turns(self._calendars[one], number)) for one in calendars]
        wide = max(len(turns) for _one, turns in found)
        if wide > day.ends.shape[1]:
            wider = _Day(len(day.known), wide)
            wider.ends[:, : day.ends.shape[1]] = day.ends
            wider.known[:] = day.known
            day = self._keep(number, wider)
        for one, turns in found:
            day.ends[one, : len(turns)] = turns
            day.known[one] = True
        day.complete = bool(day.known.all())
        return day

    def _turns(self, calendar: Calendar, number: int) -> list[int]:
        """When the answer turns to yes and back within a day of UTC; a yes from midnight turns at midnight."""
        begin, end = number * _DAY, (number + 1) * _DAY
        turns: list[int] = []
        for opened, closed in windows(calendar, _EPOCH + begin * _TICK):
            # Open at `opened` counts from the first instant after `opened - cap`.
            yes = max(begin, (opened - _EPOCH) // _TICK - self._cap + 1)
            no = (closed - _EPOCH) // _TICK
            if yes >= end:
                break
            if turns and yes <= turns[-1]:
                turns[-1] = no
            else:
                turns += (yes, no)
        return turns

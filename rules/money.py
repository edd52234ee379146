"""Money as the engine needs it: minor units per currency, and the band in which an amount lies.

A partner sees the band, never the amount, until it has accepted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

# ISO 4217 (list one, 2024): currencies whose minor unit is not a hundredth.
_WHOLE = (
    *(
        "BIF",
        "CLP",
        "DJF",
        "GNF",
        "ISK",
        "JPY",
        "KMF",
        "KRW",
        "PYG",
        "RWF",
        "UGX",
        "UYI",
        "VND",
        "VUV",
        "XAF",
    ),
    *("XOF", "XPF"),
)
_THOUSANDTHS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_EXPONENTS = dict.fromkeys(_WHOLE, 0) | dict.fromkeys(_THOUSANDTHS, 3)


def minor_per_major(currency: str | None) -> int:
    """How many minor units make one unit of the currency: 100, 1 for JPY, 1000 for KWD; 100 when unknown."""
    return int(10 ** _EXPONENTS.get(currency or "", 2))


@dataclass(frozen=True, slots=True)
class AmountBands:
    """Ascending edges in whole units of the currency; `*` is for every currency without edges of its own."""

    currency: str
    edges: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AmountBand:
    """From `low` (included) to `high` (not included), in whole units; None is open."""

    low: int | None
    high: int | None
    currency: str


def amount_band(
    bands: tuple[AmountBands, ...], amount_minor: int | None, currency: str | None
) -> AmountBand | None:
    """The band of an amount; None when there is no amount, no currency, or no edges for it."""
    if amount_minor is None or currency is None:
        return None
    by_currency = {entry.currency: entry.edges for entry in bands}
    edges = by_currency.get(currency, by_currency.get("*"))
    if edges is None:
        return None
    unit = minor_per_major(currency)
    index = bisect_right([edge * unit for edge in edges], amount_minor)
    low = edges[index - 1] if index else None
    high = edges[index] if index < len(edges) else None
    return AmountBand(low, high, currency)


RATE_ONE = 10**9  # a rate of one unit for one unit of the base


@dataclass(frozen=True, slots=True)
class Rate:
    """`units` of `currency` (in 1e-9) for one unit of the base, on every day from `first` to `last`, both included."""

    currency: str
    units: int
    first: date
    last: date | None = None


@dataclass(frozen=True, slots=True)
class Rates:
    """Dated exchange rates as a bank publishes them: so many units of each currency for one of the base."""

    base: str
    rates: tuple[Rate, ...] = ()
    _by_currency: Mapping[str, tuple[Rate, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        found: dict[str, list[Rate]] = {}
        for rate in sorted(self.rates, key=lambda one: one.first, reverse=True):
            found.setdefault(rate.currency, []).append(rate)
        object.__setattr__(self, "_by_currency", {name: tuple(rates) for name, rates in found.items()})

    def units(self, currency: str, day: date) -> int | None:
        """The rate of the day: the last one that began by then, when it has not ended; None when there is none."""
        if currency == self.base:
            return RATE_ONE
        for rate in self._by_currency.get(currency, ()):
            if rate.first <= day:
                return rate.units if rate.last is None or day <= rate.last else None
        return None

    def convert(self, amount_minor: int, currency: str, wanted: str, day: date) -> int | None:
        """The amount in minor units of `wanted`, cut to a whole one; None when the day has no rate for either."""
        if currency == wanted:
            return amount_minor
        given, sought = self.units(currency, day), self.units(wanted, day)
        if not given or not sought:
            return None
        return amount_minor * sought * minor_per_major(wanted) // (given * minor_per_major(currency))


NO_RATES = Rates("")

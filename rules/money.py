"""Money as the engine needs it: minor units per currency, and the band in which an amount lies.

A partner sees the band, never the amount, until it has accepted.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

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

"""Codes of places as they are compared: postal codes and subdivisions, whatever way they were written."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65_536)
def plain_postal(postal: str | None) -> str:
    """A postal code as it is compared: upper case letters and digits only."""
    return "".join(char for char in (postal or "").upper() if char.isalnum())


def full_subdivision(code: str | None, country: str | None) -> str | None:
    """ISO 3166-2 in full: `MD` in US is `US-MD`; None when it cannot be told."""
    if not code:
        return None
    if "-" in code:
        return code
    return f"{country}-{code}" if country else None

"""Canonical JSON and its digest: the one form in which rule sets, requests and results are hashed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime


def canonical_json(value: object) -> str:
    """`value` as JSON with sorted keys, no spaces, ASCII only; NaN and infinity are refused (ValueError)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds and a Z, always 27 characters, so that it sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""Counting attempts before anything costly is done: sign-in, reset, tokens. Counts live in PostgreSQL (app.meter).

A count stays only when the transaction commits, so a throttled or failed attempt must *return* its refusal to the
view; raising would roll the count back.
"""

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import text

from portal.db import PortalSession

if TYPE_CHECKING:  # the command line counts too, and starts faster without the web framework
    from pyramid.request import Request

# IPv6 customers are given a /64 at least, so single addresses say nothing (RFC 6177).
IPV6_CUSTOMER_BITS = 64


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `attempts` per `seconds` for one key; `name` keeps the keys of different limits apart."""

    name: str
    attempts: int
    seconds: int

    def key(self, value: str) -> bytes:
        """What is stored: a hash, so that the table holds neither accounts nor addresses."""
        return hashlib.sha256(f"{self.name}|{value}".encode()).digest()


# Tries for one account from one network, and from all networks where it has not signed in before.
SIGN_IN_ACCOUNT = Limit("sign-in account", 10, 15 * 60)
SIGN_IN_ANYWHERE = Limit("sign-in anywhere", 100, 15 * 60)
# Not a count: -1 marks an account and a network it has signed in from.
KNOWN = Limit("known", 0, 90 * 24 * 3600)
SIGN_IN_ADDRESS = Limit("sign-in address", 100, 15 * 60)
# Codes of the second factor: ten tries among a million, three of them right at a time.
CODE_ACCOUNT = Limit("second factor", 10, 15 * 60)
# Password (and code) asked for again before something is changed in the own account.
PROOF_ACCOUNT = Limit("own account", 10, 15 * 60)
RESET_ACCOUNT = Limit("reset account", 3, 3600)
RESET_ADDRESS = Limit("reset address", 30, 3600)
TOKEN_CLIENT = Limit("token client", 60, 60)
TOKEN_ADDRESS = Limit("token address", 300, 60)

METER = text("select used, left_s from app.meter(:key, :calls, :seconds)")


def count(session: PortalSession, *counted: tuple[Limit, str]) -> int:
    """Count one attempt under each key; 0, or the seconds after which to try again."""
    waits = [0]
    for limit, value in counted:
        used, left_s = _meter(session, limit, value, 1)
        if used > limit.attempts:
            waits.append(max(1, math.ceil(left_s)))
    return max(waits)


def uncount(session: PortalSession, *counted: tuple[Limit, str]) -> None:
    """Take back what `count` counted in this transaction: the attempt was a right one."""
    for limit, value in counted:
        _meter(session, limit, value, -1)


def sign_in_keys(session: PortalSession, account: str, address: str) -> list[tuple[Limit, str]]:
    """What a try to sign in counts under. Where the account has signed in from before, tries from elsewhere do not
    count: else a stranger who only knows the address could keep its owner out."""
    pair = f"{account}|{address}"
    keys = [(SIGN_IN_ADDRESS, address), (SIGN_IN_ACCOUNT, pair)]
    known, _left = _meter(session, KNOWN, pair, 0)
    return keys if known < 0 else [*keys, (SIGN_IN_ANYWHERE, account)]


def know(session: PortalSession, account: str, address: str) -> None:
    """The account has signed in from here; earlier wrong tries from here are forgotten."""
    pair = f"{account}|{address}"
    forget(session, SIGN_IN_ACCOUNT, pair)
    session.execute(METER, {"key": KNOWN.key(pair), "calls": -1, "seconds": 0})


def forget(session: PortalSession, limit: Limit, value: str) -> None:
    """What was counted for a key does not count any more."""
    # A window of no time is always over: the count begins anew, at what is given.
    session.execute(METER, {"key": limit.key(value), "calls": 0, "seconds": 0})


def _meter(session: PortalSession, limit: Limit, value: str, calls: int) -> tuple[int, float]:
    given = {"key": limit.key(value), "calls": calls, "seconds": limit.seconds}
    row = session.execute(METER, given).one()
    return row.used, row.left_s


def address_of(request: "Request") -> str:
    """The network the request comes from: IPv4 address or IPv6 /64.

    X-Forwarded-For is believed only from a proxy in a private network in front of a site that is not local, and only
    its last entry: the one that proxy wrote itself.
    """
    peer = request.remote_addr or ""
    address = _parse(peer)
    if address is not None and address.is_private and not request.registry.portal.is_local:
        told = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        address = _parse(told) or address
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, IPV6_CUSTOMER_BITS), strict=False))
    return str(address or peer)


def _parse(text_: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text_.strip("[]"))
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return mapped or found

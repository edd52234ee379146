"""Counting attempts before anything costly is done: sign-in, reset, tokens. Counts live in PostgreSQL (app.throttle).

A count stays only when the transaction commits, so a throttled or failed attempt must *return* its refusal to the
view; raising would roll the count back.
"""

import hashlib
import ipaddress
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


SIGN_IN_ACCOUNT = Limit("sign-in account", 10, 15 * 60)
SIGN_IN_ADDRESS = Limit("sign-in address", 100, 15 * 60)
RESET_ACCOUNT = Limit("reset account", 3, 3600)
RESET_ADDRESS = Limit("reset address", 30, 3600)
TOKEN_CLIENT = Limit("token client", 60, 60)
TOKEN_ADDRESS = Limit("token address", 300, 60)

COUNT_TWO = text(
    "select app.throttle(:key_1, :limit_1, :seconds_1) as one, app.throttle(:key_2, :limit_2, :seconds_2) as two"
)


def count(session: PortalSession, first: tuple[Limit, str], second: tuple[Limit, str]) -> int:
    """Count one attempt under both keys, in one round trip; 0, or the seconds after which to try again."""
    parameters: dict[str, object] = {}
    for number, (limit, value) in enumerate((first, second), start=1):
        parameters |= {
            f"key_{number}": limit.key(value),
            f"limit_{number}": limit.attempts,
            f"seconds_{number}": limit.seconds,
        }
    left = session.execute(COUNT_TWO, parameters).one()
    over = [limit.seconds for (limit, _), rest in ((first, left.one), (second, left.two)) if rest < 0]
    return max(over, default=0)


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

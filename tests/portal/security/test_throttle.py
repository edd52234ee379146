"""Where a request comes from: the address that is counted cannot be chosen by the caller."""

from types import SimpleNamespace
from typing import Any

import pytest

from portal.security.throttle import Limit, address_of


def request(peer: str, forwarded: str = "", local: bool = False) -> Any:
    portal = SimpleNamespace(is_local=local)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    return SimpleNamespace(remote_addr=peer, headers=headers, registry=SimpleNamespace(portal=portal))


@pytest.mark.parametrize(
    ("peer", "forwarded", "local", "counted"),
    [
        ("198.51.100.7", "", False, "198.51.100.7"),
        ("8.8.8.8", "1.2.3.4", False, "8.8.8.8"),  # a stranger may write what it likes
        ("10.0.0.2", "6.6.6.6, 9.9.9.9", False, "9.9.9.9"),  # our proxy wrote the last one
        ("10.0.0.2", "rubbish", False, "10.0.0.2"),
        ("127.0.0.1", "9.9.9.9", True, "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", False, "2001:db8:1:2::/64"),
        ("::ffff:8.8.8.8", "", False, "8.8.8.8"),
        ("", "", True, ""),
    ],
)
def test_the_counted_address(peer: str, forwarded: str, local: bool, counted: str) -> None:
    assert address_of(request(peer, forwarded, local)) == counted


def test_keys_tell_nothing_and_limits_do_not_share_them() -> None:
    one, two = Limit("a", 1, 1), Limit("b", 1, 1)
    assert one.key("x@y.example") != two.key("x@y.example")
    assert b"y.example" not in one.key("x@y.example") and len(one.key("x")) == 32

"""Whoever wants the plan while it is read waits for it: it is not read twice."""

import threading
from typing import Any

import pytest

from portal.routing import snapshot
from tests.world import World


def test_two_who_want_it_at_once_read_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    read, begun, go_on = [], threading.Event(), threading.Event()
    load = snapshot.load

    def slow(*args: Any) -> Any:
        read.append(args)
        begun.set()
        assert go_on.wait(30)
        return load(*args)

    monkeypatch.setattr(snapshot, "load", slow)
    found: list[Any] = []

    def want() -> None:
        with world.system() as session:
            found.append(snapshot.plan(session))

    both = [threading.Thread(target=want) for _ in range(2)]
    both[0].start()
    assert begun.wait(30)
    both[1].start()
    go_on.set()
    for one in both:
        one.join(30)
    assert len(read) == 1 and found[0] is found[1]

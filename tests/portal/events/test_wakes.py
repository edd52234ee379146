"""Wakes are sent by one thread: whoever asks neither waits nor learns that the broker is slow, full or gone."""

import threading

from portal.events.wakes import Waker


def test_a_broker_that_hangs_holds_up_nobody() -> None:
    asked, answered = threading.Event(), threading.Event()
    calls: list[int] = []

    def hangs() -> None:
        calls.append(threading.get_ident())
        asked.set()
        answered.wait(60)

    wake = Waker(hangs, gap_s=0)
    before = threading.active_count()
    wake()
    assert asked.wait(60)
    for _ in range(1000):
        wake()
    assert threading.active_count() <= before + 1 and len(calls) == 1
    asked.clear()
    answered.set()
    assert asked.wait(60), "what was asked for meanwhile is one more wake"


def test_a_broker_that_is_gone_is_asked_again() -> None:
    tried = threading.Semaphore(0)

    def refuses() -> None:
        tried.release()
        raise ConnectionError

    wake = Waker(refuses, gap_s=0)
    for _ in range(3):
        wake()
        assert tried.acquire(timeout=60)

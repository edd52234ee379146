"""The watch hides no outage: what is struck again before it was back was away until then at least."""

from types import SimpleNamespace
from typing import Any

from tests.soak.watch import Blow, Watch


def worst(
    beats: dict[str, list[float]], blows: list[tuple[str, float]], answers: list[float]
) -> dict[str, Any]:
    watch = Watch(place=None, beats=beats, blows=[Blow(what, at) for what, at in blows])  # type: ignore[arg-type]

    def back_after(at: float) -> float | None:
        return next((answer - at for answer in answers if answer > at), None)

    return watch.worst(SimpleNamespace(back_after=back_after))  # type: ignore[arg-type]


def test_a_worker_that_came_back_only_with_the_supervisor_was_away_until_then() -> None:
    beats = {"worker": [0.0, 65.0], "beat": [65.0], "sequencer": [65.0]}
    found = worst(beats, [("worker", 1.0), ("supervisor", 62.0)], [63.0])
    assert found["worker"] == (1, 61.0)


def test_a_database_struck_again_while_it_is_away_was_away_all_the_time() -> None:
    found = worst({}, [("database", 0.0), ("database", 33.0)], [35.0])
    assert found["database"] == (2, 33.0)


def test_what_is_back_before_the_next_blow_counts_as_measured_and_what_never_is_as_never() -> None:
    assert worst({}, [("web", 0.0), ("web", 9.0)], [2.5, 10.0])["web"] == (2, 2.5)
    assert worst({}, [("web", 0.0)], [])["web"] == (1, None)

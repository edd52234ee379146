"""Cold start: from the command to the first page, installed and with a database, and the very first time."""

from tests.bench.harness import Result, median, result, site, yardsticks

ROUNDS = 3
TARGET_S = 4.0


def run() -> list[Result]:
    """One first start (makes the database), then starts of a stopped installation."""
    with site() as made:
        first = made.start()
        made.stop()
        again = []
        for _ in range(ROUNDS):
            again.append(made.start())
            measured = yardsticks(made)
            made.stop()
    return [
        result("first start, database made", "to first page", first, "s"),
        result("cold start", "to first page", median(again), "s", TARGET_S),
        *measured,
    ]

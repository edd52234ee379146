"""Everything in this folder is a soak test, but for the test of what they watch with.

`SOAK_SEED` repeats a run; `SOAK_SECONDS` shortens or lengthens the load.
"""

import os
import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

HERE = os.path.dirname(__file__)
ROWS: list[dict[str, Any]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if str(item.path).startswith(HERE) and item.path.name != "test_watch.py":
            item.add_marker(pytest.mark.soak)


@dataclass
class Story:
    """What a test tells while it runs, and its line in the table at the end: `story.row(kills=3, worst="1.2 s")`."""

    name: str
    figures: dict[str, Any] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Progress."""
        print(f"  {self.name}: {text}", flush=True)

    def row(self, **figures: Any) -> None:
        """Add figures to this test's line."""
        if not self.figures:
            ROWS.append({"scenario": self.name} | figures)
        self.figures |= figures
        ROWS[[row["scenario"] for row in ROWS].index(self.name)] |= figures


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    """Progress and the line in the summary."""
    print(flush=True)
    return Story(request.node.name.removeprefix("test_"))


@pytest.fixture
def seed(story: Story) -> int:
    """Of every chance in the test; printed, and SOAK_SEED repeats it."""
    chosen = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(1_000_000))
    story.say(f"SOAK_SEED={chosen}")
    story.row(seed=chosen)
    return chosen


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if not ROWS:
        return
    terminalreporter.write_line("")
    console = Console(width=150, force_terminal=False)
    table = Table("scenario", "figure", "value", title="soak")
    for row in ROWS:
        name = row.pop("scenario")
        for figure, value in row.items():
            table.add_row(name, figure.replace("_", " "), str(value))
            name = ""
        table.add_section()
    with console.capture() as captured:
        console.print(table)
    terminalreporter.write(captured.get())

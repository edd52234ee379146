"""One server and one Chromium for all browser tests of a process."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from portal.doctor import find_chromium
from tests.browser.stage import Stage, served
from tests.browser.walker import Walker
from tests.conftest import fresh_database


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture(scope="session")
def stage(chromium: Any, server_url: str, template: str) -> Iterator[Stage]:
    """The site with its small world; after `chromium`, so that nothing is built where there is no browser."""
    with fresh_database(server_url, template) as database, served(database) as made:
        yield made


@pytest.fixture
def walk(chromium: Any, stage: Stage) -> Iterator[Callable[..., Walker]]:
    """walk(width, email) opens a browser context for one person; all are closed after the test."""
    opened: list[Walker] = []

    def begin(width: int, email: str | None = None, script: bool = True) -> Walker:
        opened.append(Walker(chromium, stage, width, email, script))
        return opened[-1]

    yield begin
    for walker in opened:
        walker.close()

"""Log lines: what happens where they cannot be written."""

import contextlib
import os

import structlog

from portal.logs import Lines


def test_a_line_that_cannot_be_written_stops_nobody() -> None:
    """The reader of the pipe was killed, or the disk is full: a request that logs must still be answered."""
    read, write = os.pipe()
    os.close(read)
    nobody_reads = os.fdopen(write, "w")
    log = structlog.wrap_logger(Lines(nobody_reads))
    log.warning("database unavailable")
    log.error("unexpected error")
    with contextlib.suppress(OSError):
        nobody_reads.close()

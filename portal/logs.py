"""Logging of every process: one line per event on standard error, from LOG_LEVEL up, never with values of records.

A line of a request carries its `request` id, one of work the item's; the events either wrote carry the same id
(`events.request_id`), so that a line leads to what happened and an event to its lines. A request that was answered in
the transaction of another names it (`along`): the events carry that one's.
"""

import contextlib
import logging
import re
import secrets
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# What callers may choose themselves; anything else in X-Request-Id is replaced, so that no log line can be forged.
REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")


def configure(level: str, form: str = "text") -> None:
    """Set the level (debug, info, warning, error) and the form (text: key=value, json) for structlog and the
    standard library's loggers."""
    number = logging.getLevelNamesMapping()[level.upper()]
    first = ("timestamp", "level", "event")
    last: Any = structlog.processors.LogfmtRenderer(key_order=first, bool_as_flag=False)
    if form == "json":
        last = structlog.processors.JSONRenderer(ensure_ascii=False)
    logging.basicConfig(
        level=max(number, logging.WARNING),
        stream=sys.stderr,
        format="%(levelname)s %(name)s %(message)s",
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            frames_only,
            last,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: Lines(sys.stderr),
        cache_logger_on_first_use=True,
    )


class Lines(structlog.PrintLogger):
    """Writes lines; where they cannot be written (a full disk, a reader that was killed) the request goes on."""

    def msg(self, message: str) -> None:
        """Print the line, or lose it."""
        with contextlib.suppress(OSError, ValueError):
            super().msg(message)

    log = debug = info = warn = warning = error = err = exception = critical = fatal = failure = msg


def frames_only(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception as its class and where it was raised: messages of databases and parsers quote values of records."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        event["at"] = " < ".join(_frames(error))
    return event


def _frames(error: BaseException, most: int = 8) -> list[str]:
    """Where it was raised, then the frames of our own code that led there, the innermost first."""
    found: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if trace.tb_next is None or "site-packages" not in code.co_filename:
            found.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return found[::-1][:most]


def current() -> str | None:
    """The id of the request or work item that this thread works on; None outside of both."""
    found = structlog.contextvars.get_contextvars().get("request")
    return str(found) if found else None


def request_id(told: str | None) -> str:
    """The caller's id of this request when it is a plain word of 8 to 64 characters, else a new one."""
    return told if told and REQUEST_ID.fullmatch(told) else secrets.token_hex(8)

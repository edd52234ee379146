"""How much a request may bring: refused by what it announces, before anything is read, copied or asked of the database.

A request is tried again after a deadlock, for which its body is copied first; without these limits a stranger could
fill the disk. A body of unknown length is cut off as soon as it is too long.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any

from pyramid.config import PHASE1_CONFIG, Configurator
from pyramid.httpexceptions import HTTPRequestEntityTooLarge
from pyramid.request import Request
from pyramid.response import Response
from pyramid.tweens import EXCVIEW
from pyramid_retry import RetryableExecutionPolicy

from portal.web.i18n import _, tr

ATTEMPTS = 3
FORM_BYTES = 1_048_576
UPLOAD_BYTES = 32 * 1_048_576
"""For multipart forms of pages, and files by the API; what one file may have is for its page to say."""
TOO_LARGE = "interline.too_large"
SYSTEMS = ("/api/", "/oauth/")
"""Addresses of systems: their answers are problems, in English."""
MB = 1_048_576


def in_mb(size: int) -> int:
    """Whole megabytes, as people say how large a file is."""
    return size // MB


def too_large(most: int) -> str:
    """What is told about a form that brought more, and what helps."""
    return tr(_("Send at most ${mb} MB at once.", mapping={"mb": in_mb(most)}))


def too_large_for_system(most: int) -> str:
    """The same for a system, whose words are English."""
    return f"Send at most {in_mb(most)} MB in one request. Split what you send over several requests."


class TooLarge(Exception):
    """More came than was allowed."""


class Limited:
    """The body of a request that does not say how long it is, up to `most` bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.left = stream, most

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; TooLarge beyond the limit."""
        wanted = self.left + 1 if size < 0 else min(size, self.left + 1)
        data: bytes = self.stream.read(wanted)
        self.left -= len(data)
        if self.left < 0:
            raise TooLarge
        return data


def most_for(environ: dict[str, Any]) -> int:
    """The limit of this request."""
    path = environ.get("PATH_INFO", "")
    system = path.startswith(SYSTEMS) and not path.endswith("/files")
    upload = environ.get("CONTENT_TYPE", "").lower().startswith("multipart/form-data")
    return UPLOAD_BYTES if upload and not system else FORM_BYTES


def limited(policy: Callable[[dict[str, Any], Any], Response]) -> Callable[[dict[str, Any], Any], Response]:
    """`policy` for requests that are not too large; the others go on without their body, to be refused as a page."""

    def limit(environ: dict[str, Any], router: Any) -> Response:
        most = most_for(environ)
        told = environ.get("CONTENT_LENGTH") or ""
        if told:
            if not (told.isascii() and told.isdigit()) or int(told[:20]) > most:
                _empty(environ, most)
        elif environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = Limited(environ["wsgi.input"], most)
        try:
            return policy(environ, router)
        except TooLarge:
            _empty(environ, most)
            return policy(environ, router)

    return limit


def _empty(environ: dict[str, Any], most: int) -> None:
    environ[TOO_LARGE] = most
    environ["CONTENT_LENGTH"] = "0"
    environ["wsgi.input"] = BytesIO()


def limits_tween(handler: Callable[[Request], Response], _registry: Any) -> Callable[[Request], Response]:
    """Refuse what came too large: as a page or a problem, like any other refusal."""

    def tween(request: Request) -> Response:
        if TOO_LARGE in request.environ:
            system = request.environ.get("PATH_INFO", "").startswith(SYSTEMS)
            said = too_large_for_system if system else too_large
            raise HTTPRequestEntityTooLarge(said(request.environ[TOO_LARGE]))
        return handler(request)

    return tween


def includeme(config: Configurator) -> None:
    """The limits, around the attempts of pyramid_retry."""

    def register() -> None:
        config.set_execution_policy(limited(RetryableExecutionPolicy(ATTEMPTS)))

    config.action(None, register, order=PHASE1_CONFIG)
    config.add_tween("portal.web.limits.limits_tween", under=EXCVIEW)

"""Bytes that people gave us, sent so that no browser runs them: as an attachment, sandboxed, never sniffed."""

from collections.abc import Iterable
from datetime import datetime

from pyramid.request import Request
from pyramid.response import Response

from integrations.uploads import disposition

SANDBOX = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
# Kept by the reader's own browser, but asked about each time: who may see it can change at any moment.
PRIVATE = "private, no-cache"


def download(
    request: Request,
    name: str,
    media_type: str,
    size: int,
    etag: str,
    pieces: Iterable[bytes],
    modified: datetime | None = None,
) -> Response:
    """The file; 304 to who has it, 206 for a range."""
    response = Response(app_iter=pieces, content_type=media_type, conditional_response=True)
    response.content_length = size
    if media_type.startswith("text/"):
        response.charset = None
    response.content_disposition = disposition(name)
    response.headers["Content-Security-Policy"] = SANDBOX
    response.headers["Cache-Control"] = PRIVATE
    response.accept_ranges = "bytes"
    response.etag = etag
    response.last_modified = modified
    return response

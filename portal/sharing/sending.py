"""Sends the bytes of a file to who may see it; every room that keeps files answers with this."""

import structlog
from pyramid.request import Request
from pyramid.response import Response

from portal.errors import Conflict, NotFound
from portal.gateways import storage
from portal.sharing.files import Attachment, blob_key
from portal.web.downloads import download
from portal.web.i18n import _, tr

log = structlog.get_logger(__name__)


def sent(request: Request, file: Attachment | None) -> Response:
    """The file as a download; NotFound for None, Conflict when its bytes are lost."""
    if file is None:
        raise NotFound()
    try:
        pieces = storage(request.registry.portal).stream(blob_key(bytes.fromhex(file.sha256)))
    except FileNotFoundError:
        log.error("bytes of a file are missing", file=file.id)
        raise Conflict(tr(_("The content of this file is lost. Ask who added it to add it again."))) from None
    return download(request, file.name, file.media_type, file.size, file.sha256[:32], pieces, file.created_at)

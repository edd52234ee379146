"""Files of a lead for systems: GET and POST /api/v1/leads/{number}/files, GET /api/v1/leads/{number}/files/{id}."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from portal.connections.api import Answer, Endpoint, add_endpoint
from portal.errors import Fault, Invalid, NotFound
from portal.leads import queries
from portal.leads.api import MAX_NUMBER
from portal.leads.file_views import add_all, given_files, sent
from portal.sharing.files import MOST_AT_ONCE, Attachment, files_of

PATH = "/api/v1/leads/{number}/files"
NUMBER = {"number": "The lead's number, for example L-10482"}


class FileOut(BaseModel):
    """A file of a lead. `type` is told from its content, `name` is cleaned, `url` sends it."""

    id: str
    name: str = Field(examples=["Plan of the pump room.pdf"])
    type: str = Field(examples=["application/pdf"])
    size: int = Field(description="Bytes.", examples=[182_044])
    sha256: str
    audience: Literal["own", "shared", "accepted"]
    added_at: datetime
    url: str


class FilesOut(BaseModel):
    """The files that your company may see, the newest first. `waiting` more open when you accept."""

    files: list[FileOut]
    waiting: int = 0


class RefusedFile(BaseModel):
    """A file that was not taken, and why."""

    name: str
    code: str = Field(examples=["program"])
    message: str = Field(examples=["Programs and scripts are not taken."])


class FilesReceipt(BaseModel):
    """What came of each file. `known`: the same bytes were there already."""

    new: list[FileOut]
    known: list[FileOut]
    refused: list[RefusedFile]


FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {
            "type": "array",
            "items": {"type": "string", "contentMediaType": "application/octet-stream"},
            "minItems": 1,
            "maxItems": MOST_AT_ONCE,
            "description": "One part for each file: PDF, picture, Office document, drawing or text.",
        },
        "audience": {
            "type": "string",
            "enum": ["own", "shared", "accepted"],
            "default": "own",
            "description": "own: your company alone. shared: vendor and the partner that holds the lead today. accepted"
            " (the vendor's): whoever holds the lead, from acceptance until it leaves them.",
        },
    },
    "examples": [{"file": ["(the bytes of Plan.pdf)"], "audience": "accepted"}],
}


def seen_by(request: Request) -> queries.Seen:
    """The lead in the address as this system's company sees it; NotFound."""
    number = request.matchdict["number"]
    if len(number) > MAX_NUMBER or "\x00" in number:
        raise NotFound()
    return queries.find(request.db, number)


def shown(request: Request, number: str, file: Attachment) -> FileOut:
    """A file in the words of the API."""
    return FileOut(
        id=str(file.id),
        name=file.name,
        type=file.media_type,
        size=file.size,
        sha256=file.sha256,
        audience=file.opens,
        added_at=file.created_at,
        url=f"{request.registry.portal.site_url}/api/v1/leads/{number}/files/{file.id}",
    )


def index(request: Request, _data: None) -> Answer:
    """What there is."""
    seen = seen_by(request)
    found = [shown(request, seen.number, one) for one in files_of(request.db, ("lead", seen.id))]
    waiting = int(seen.brief.get("files") or 0) if seen.view == "offer" else 0
    return Answer(200, FilesOut(files=found, waiting=waiting).model_dump_json().encode())


def add(request: Request, _data: None) -> Answer:
    """Take files in."""
    seen = seen_by(request)
    given = given_files(request.POST)
    if not given:
        raise Invalid(
            Fault("file", None, "Send at least one part named file that has a file name.", "missing")
        )
    opens = request.POST.get("audience", "own")
    added = add_all(
        request.db, request.registry.portal, seen.id, given, opens if isinstance(opens, str) else ""
    )
    if added.refused and not added.new and not added.known:
        raise Invalid(
            *(Fault("file", None, f"{name[:120]}: {why.message}", why.code) for name, why in added.refused)
        )
    receipt = FilesReceipt(
        new=[shown(request, seen.number, one) for one in added.new],
        known=[shown(request, seen.number, one) for one in added.known],
        refused=[
            RefusedFile(name=name[:120], code=why.code, message=why.message) for name, why in added.refused
        ],
    )
    return Answer(201 if added.new else 200, receipt.model_dump_json().encode())


def content(request: Request, _data: None) -> Response:
    """The bytes of one."""
    number = request.matchdict["id"]
    if not (number.isascii() and number.isdigit() and len(number) <= 19):
        raise NotFound()
    return sent(request, seen_by(request))


def includeme(config: Configurator) -> None:
    """Declare the endpoints."""
    for endpoint in (
        Endpoint(
            name="list_files",
            method="GET",
            path=PATH,
            permission="api.leads.read",
            scope="leads:read",
            summary="Files of a lead",
            description="Before acceptance a partner sees its own files and how many more open.",
            act=index,
            answers={200: ("The files", FilesOut)},
            parameters=NUMBER,
        ),
        Endpoint(
            name="add_files",
            method="POST",
            path=PATH,
            permission="api.files.write",
            scope="files:write",
            summary="Add files to a lead",
            description="Each file is looked at by itself: what is wrong with one keeps no other out. When none is"
            " taken the answer is 422.",
            act=add,
            form=FORM,
            answers={
                201: ("At least one file is new", FilesReceipt),
                200: ("The files were there already", FilesReceipt),
            },
            parameters=NUMBER,
        ),
        Endpoint(
            name="read_file",
            method="GET",
            path=PATH + "/{id}",
            permission="api.leads.read",
            scope="leads:read",
            summary="Read a file",
            description="As an attachment; 304 to who has it, 206 for a range.",
            act=content,
            answers={200: ("The file's bytes", bytes), 206: ("The range of it that was asked for", bytes)},
            refusals={409: "The file's content is lost"},
            parameters={**NUMBER, "id": "The file's id"},
        ),
    ):
        add_endpoint(config, endpoint)

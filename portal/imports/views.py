"""The vendor's pages of imports: the runs, an upload, the wrong rows of a run."""

from pathlib import PurePath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pyramid.config import Configurator
from pyramid.request import Request
from pyramid.response import Response

from portal.companies.pages import add_pages, done, record_id, see_other
from portal.errors import Fault, Invalid
from portal.imports import actions, queries, sources
from portal.imports.models import Import
from portal.web import remembered
from portal.web.downloads import SANDBOX
from portal.web.exports import export_response, stream
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr
from portal.web.tables import Column, Listing, ListSpec, apply, count

# An upload is imported under one lease of a worker; longer files go through `interline import`.
MAX_UPLOAD = 8 * 1024 * 1024

KIND_WORDS = (("partners", _("Partners")), ("leads", _("Leads")))
SPEC = ListSpec(
    [
        Column("started_at", _("Started"), "when", expr=Import.started_at, sort=True, filter="date"),
        Column("kind", _("What"), expr=Import.kind, sort=True, filter="choice", choices=KIND_WORDS),
        Column("file_name", _("File"), expr=Import.file_name, sort=True),
        Column("mapping", _("Mapping"), expr=Import.mapping, sort=True),
        Column("state", _("State"), "status:import", expr=Import.state, sort=True, filter="choice"),
        Column("new", _("New"), "number", num=True, expr=Import.new, sort=True),
        Column("changed", _("Changed"), "number", num=True, expr=Import.changed, sort=True),
        Column("same", _("Same"), "number", num=True, expr=Import.same, sort=True),
        Column(
            "wrong",
            _("Wrong"),
            "number",
            num=True,
            expr=Import.wrong,
            sort=True,
            href=lambda row: f"/imports/{row.id}/wrong" if row.wrong else None,
        ),
        Column("person", _("By"), off=True),
    ],
    default_sort="-started_at",
    search=[Import.file_name, Import.mapping],
    tiebreak=Import.id.desc(),
    name="imports",
)


class UploadForm(BaseModel):
    """A file and how to read it."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    mapping: str = Field(title=_("Mapping"), description=_("How the file's columns are read."))
    file: Any = Field(
        title=_("File"),
        description=_("CSV, JSON or a packed one (.gz), at most 8 MB."),
        json_schema_extra={"widget": "file"},
    )


def imports(request: Request) -> Any:
    """The runs, newest first."""
    query = queries.table()
    state = remembered.state_of(request, SPEC)
    if state.export:
        return export_response(state, stream(request.db, apply(query, state)))
    rows = request.db.execute(apply(query, state)).all()
    return {"listing": Listing(state, rows, count(request.db, query, state), noun=_("imports"))}


def upload(request: Request) -> Any:
    """Take a file; a worker imports it."""
    form = Form(UploadForm, choices={"mapping": sources.choices()})

    def act(data: UploadForm) -> None:
        name, content = uploaded(data.file)
        kind, _sep, mapping = data.mapping.partition("/")
        sources.from_bytes(kind, mapping, name, content)  # refuses what cannot be read at all
        actions.accept_upload(request.db, kind, mapping, name, content)

    if done(request, form, act):
        flash(request, _("The file is being imported."), more=_("Reload this page to see how far it is."))
        return see_other("/imports")
    return {
        "title": _("Import a file"),
        "f": form,
        "url": "/imports/new",
        "submit": _("Import"),
        "cancel": "/imports",
        "crumbs": [(_("Imports"), "/imports")],
        "multipart": True,
    }


def uploaded(given: Any) -> tuple[str, bytes]:
    """(file name without folders, content) of an upload; Invalid when there is none or it is too large."""
    stream = getattr(given, "file", None)
    if stream is None or not given.filename:
        raise Invalid(Fault("file", None, tr(_("Choose a file."))))
    content = stream.read(MAX_UPLOAD + 1)
    if len(content) > MAX_UPLOAD:
        raise Invalid(
            Fault("file", len(content), tr(_("Send at most 8 MB, or use the command interline import.")))
        )
    return PurePath(given.filename.replace("\\", "/")).name[:200], content


def wrong(request: Request) -> Response:
    """The wrong rows of a run with their reasons, as a file."""
    found = queries.run(request.db, record_id(request))
    text = queries.file_of(request.db, found.id, "import.wrong")
    response = Response(body=bytes(text.blob or b""), content_type="text/csv", charset="utf-8")
    response.headers["Content-Security-Policy"] = SANDBOX
    response.content_disposition = f'attachment; filename="wrong-{found.id}.csv"'
    return response


def includeme(config: Configurator) -> None:
    """Routes and views."""
    form = "partners/form.jinja2"
    pages = [
        ("imports", "/imports", imports, "GET", "import.run", "imports/table.jinja2"),
        ("import_new", "/imports/new", upload, "GET POST", "import.run", form),
        ("import_wrong", r"/imports/{id:\d+}/wrong", wrong, "GET", "import.run", ""),
    ]
    add_pages(config, "string", pages)

"""Files on the lead page: the card with what there is, adding several at once, sending one, taking one away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pyramid.request import Request
from pyramid.response import Response

from portal.companies.queries import vendor_id
from portal.db import PortalSession
from portal.errors import Fault, Invalid, NotFound
from portal.gateways import storage
from portal.leads import files, queries
from portal.leads.queries import Seen
from portal.settings import Settings
from portal.sharing import sending
from portal.sharing.files import MOST_AT_ONCE, Attachment, file_of, files_of
from portal.web.flash import flash
from portal.web.formatting import fmt
from portal.web.i18n import _, ntr, tr
from portal.web.limits import UPLOAD_BYTES, in_mb, too_large

ICONS = {"pdf": "file-type-pdf", "docx": "file-text", "odt": "file-text", "text": "file-text",
         "xlsx": "file-spreadsheet", "ods": "file-spreadsheet", "pptx": "presentation", "odp": "presentation",
         "dwg": "ruler-2", "dxf": "ruler-2", "step": "cube"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One file of the card."""

    url: str
    name: str
    icon: str
    told: str
    private: bool
    removable: bool


@dataclass(frozen=True, slots=True)
class Card:
    """The files of a lead for this reader. choices: (value, label) of who may see a new one; none: none is added."""

    lines: Sequence[Line]
    waiting: str = ""
    choices: Sequence[tuple[str, str]] = ()
    limits: str = ""
    most: int = UPLOAD_BYTES
    large: str = ""

    @property
    def shown(self) -> bool:
        """Whether there is anything to show or do."""
        return bool(self.lines or self.waiting or self.choices)


def card(request: Request, seen: Seen, other: str) -> Card:
    """What the lead page shows of files. other: the company on the other side, '' when nobody is there."""
    session, ctx = request.db, request.ctx
    found = files_of(session, ("lead", seen.id))
    people = queries.people_names(session, (one.person_id for one in found))
    companies = queries.company_names(session, (one.company_id for one in found))
    lines = [
        _line(seen, one, people.get(one.person_id or 0) or companies.get(one.company_id, ""), ctx, other)
        for one in found
    ]
    waiting = ""
    if seen.view == "offer" and seen.brief.get("files"):
        n = int(seen.brief["files"])
        waiting = ntr("One file opens when you accept.", "${n} files open when you accept.", n)
    choices = _choices(request, seen, other) if request.may("lead.files") else []
    mb = request.registry.portal.max_file_mb
    limits = _(
        "PDF, pictures, Office documents, drawings or text, at most ${mb} MB each and ${most} MB at once.",
        mapping={"mb": mb, "most": in_mb(UPLOAD_BYTES)},
    )
    return Card(lines, waiting, choices, tr(limits), large=too_large(UPLOAD_BYTES))


def _line(seen: Seen, one: Attachment, who: str, ctx: Any, other: str) -> Line:
    if one.opens == "own":
        reads = tr(_("only ${name}", mapping={"name": ctx.company_name}))
    elif one.opens == "accepted":
        reads = tr(_("whoever holds the lead") if ctx.is_vendor else _("opened when you accepted"))
    else:
        reads = tr(_("shared with ${name}", mapping={"name": other})) if other else tr(_("shared"))
    told = ", ".join(part for part in (fmt.size(one.size), who, fmt.when_text(one.created_at), reads) if part)
    return Line(
        f"/leads/{seen.number}/files/{one.id}", one.name,
        "photo" if one.media_type.startswith("image/") and one.code not in ICONS else ICONS.get(one.code, "file"),
        told, one.opens == "own", files.may_remove(ctx, one),
    )  # fmt: skip


def _choices(request: Request, seen: Seen, other: str) -> list[tuple[str, str]]:
    """Who may see a new file; the first is chosen beforehand. Empty for who is not in the lead."""
    own = tr(_("Only ${name}", mapping={"name": request.ctx.company_name}))
    if seen.view == "vendor":
        assert seen.lead is not None
        holds = seen.lead["assignment"] == "held" and other
        whoever = ("accepted", tr(_("Whoever holds the lead, from acceptance")))
        return [
            ("own", own),
            whoever,
            *([("shared", tr(_("${name} too", mapping={"name": other})))] if holds else []),
        ]
    over = seen.view == "offer" and seen.offer is not None and seen.offer["state"] != "offered"
    if seen.view == "past" or over:
        return []
    return [("own", own), ("shared", tr(_("${name} too", mapping={"name": other})))]


def _other(session: PortalSession, seen: Seen) -> str:
    """The company on the other side: for the vendor who has the offer, for a partner the vendor."""
    offer = seen.offer["company_id"] if seen.offer is not None else None
    other = offer if seen.view == "vendor" else vendor_id(session)
    return queries.company_names(session, [other]).get(other, "")


# -- adding ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Added:
    """What came of several files at once."""

    new: Sequence[Attachment]
    known: Sequence[Attachment]
    refused: Sequence[tuple[str, Fault]]


def given_files(post: Any) -> list[tuple[str, BinaryIO]]:
    """(name, bytes) of the files in a form; those of fields that were left empty are skipped."""
    found = [one for one in post.getall("file") if getattr(one, "filename", None)]
    return [(one.filename, one.file) for one in found]


def add_all(
    session: PortalSession,
    settings: Settings,
    lead_id: int,
    given: Sequence[tuple[str, BinaryIO]],
    opens: str,
) -> Added:
    """Add each of them; what is wrong with one does not keep the others out. Invalid when there is none to add."""
    if not given:
        raise Invalid(Fault("file", None, tr(_("Choose a file.")), "missing"))
    if len(given) > MOST_AT_ONCE:
        raise Invalid(Fault("file", len(given), tr(_("Send at most 20 files at once.")), "too_many"))
    new, known, refused = [], [], []
    place = storage(settings)
    for one in given:
        try:
            file, is_new = files.add_file(session, settings, place, lead_id, one, opens)
        except Invalid as refusal:
            if refusal.faults[0].field != "file":
                raise
            refused.append((one[0], refusal.faults[0]))
        else:
            (new if is_new else known).append(file)
    return Added(new, known, refused)


def add(request: Request) -> Any:
    """POST /leads/{number}/files: several at once; who added them sees what was not taken and why."""
    from portal.leads.views import attempt

    seen = queries.find(request.db, request.matchdict["number"])

    def do() -> Any:
        opens = request.POST.get("audience", "own")
        if opens not in files.OPENS:
            options = ", ".join(label for _value, label in _choices(request, seen, _other(request.db, seen)))
            said = tr(_("Choose one of: ${options}.", mapping={"options": options or "-"}))
            raise Invalid(Fault("audience", opens, said, "choice"))
        added = add_all(request.db, request.registry.portal, seen.id, given_files(request.POST), opens)
        if added.refused and not added.new and not added.known:
            raise Invalid(*(_named(name, fault) for name, fault in added.refused))
        tell_added(request, added)
        if request.headers.get(
            "X-Upload"
        ):  # the page's script goes there itself, so that it can show the progress
            return Response(json_body={"to": request.route_path("lead", number=seen.number)})
        return None

    return attempt(request, seen, do)


def _named(name: str, fault: Fault) -> Fault:
    return Fault(fault.field, fault.value, f"{name[:120]}: {fault.message}", fault.code)


def tell_added(request: Request, added: Added) -> None:
    """Say what was added, what was there already, what was not taken and why."""
    said = ntr("One file added.", "${n} files added.", len(added.new)) if added.new else tr(_("Nothing new."))
    more = []
    if added.known:
        names = ", ".join(file.name for file in added.known)
        more.append(tr(_("Already there: ${names}.", mapping={"names": names})))
    if added.refused:
        more.append(tr(_("Not added:")))
        more += [_named(name, fault).message for name, fault in added.refused]
    flash(request, said, "warn" if added.refused else "good" if added.new else "info", more=" ".join(more))


# -- sending and removing ----------------------------------------------------------------------------------------------


def send(request: Request) -> Response:
    """GET /leads/{number}/files/{id}."""
    seen = queries.find(request.db, request.matchdict["number"])
    return sent(request, seen)


def sent(request: Request, seen: Seen) -> Response:
    """The file named in the address, for page and API alike."""
    number = int(request.matchdict["id"])
    return sending.sent(request, file_of(request.db, ("lead", seen.id), number) if number < 2**63 else None)


def remove(request: Request) -> Any:
    """POST /leads/{number}/files/{id}/remove."""
    from portal.leads.views import attempt

    seen = queries.find(request.db, request.matchdict["number"])
    number = int(request.matchdict["id"])
    if number >= 2**63:
        raise NotFound()

    def do() -> None:
        files.remove_file(request.db, seen.id, number)
        flash(request, _("Removed."), more=_("Nobody can open it any more."))

    return attempt(request, seen, do)


def includeme(config: Any) -> None:
    """Addresses under the lead's."""
    number, one = r"/leads/{number:L-\d{1,18}}/files", r"{id:\d{1,19}}"
    for name, path, view, method, permission in (
        ("lead.files", number, add, "POST", "lead.files"),
        ("lead.file", f"{number}/{one}", send, "GET", "lead.read"),
        ("lead.file_remove", f"{number}/{one}/remove", remove, "POST", "lead.files"),
    ):
        config.add_route(name, path)
        config.add_view(view, route_name=name, request_method=method, permission=permission)

"""Pages of saved filters: save one, rename, share, delete, choose the one a list opens with. Only one's own may change."""

from typing import Any

from pydantic import BaseModel, Field
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.request import Request

from portal.companies.pages import done, record_id, see_other
from portal.errors import NotFound
from portal.web import remembered
from portal.web.flash import flash
from portal.web.forms import Form
from portal.web.i18n import _, tr

# Where the list of each name is. A list that is not here remembers, but has no page to manage its filters on.
PLACES = {
    "leads": ("/leads", _("Leads")),
    "my-leads": ("/leads", _("Leads")),
    "my-leads-past": ("/leads?tab=past", _("Leads")),
    "queue": ("/leads/queue", _("Queue")),
    "partners": ("/partners", _("Partners")),
    "imports": ("/imports", _("Imports")),
    "proposals": ("/proposals", _("Proposed changes")),
    "proposals-decided": ("/proposals?tab=decided", _("Proposed changes")),
    "my-proposals": ("/company/proposals", _("Proposed changes")),
    "board": ("/leads/board", _("Board")),
    "sign-in-log": ("/company/log", _("Sign-in log")),
}
LIST = "{list}"


class FilterForm(BaseModel):
    """The name of a filter and who may use it."""

    name: str = Field(title=_("Name"), max_length=remembered.MAX_NAME)
    shared: bool = Field(False, title=_("Everybody in my company may use it"))
    query: str = Field("", max_length=remembered.MAX_QUERY, json_schema_extra={"widget": "hidden"})


def _place(request: Request) -> tuple[str, str, str]:
    """Name, address and title of the list; NotFound for one that is not there."""
    name = request.matchdict["list"]
    if name not in PLACES:
        raise NotFound
    url, title = PLACES[name]
    return name, url, title


def filters(request: Request) -> dict[str, Any]:
    """GET: the filters of one list, each with what may be done with it."""
    name, url, title = _place(request)
    memory = remembered.remembered(request.db, name)
    mark = "&" if "?" in url else "?"
    return {
        "list": name,
        "url": url,
        "title": title,
        "memory": memory,
        "address": lambda view: f"{url}{mark}view={view.id}&{view.query}".rstrip("&"),
    }


def save(request: Request) -> Any:
    """POST: keep the filter that the list was showing; a name that cannot be used is asked for again."""
    name, url, title = _place(request)
    form = Form(FilterForm)
    kept: list[int] = []

    def act(data: FilterForm) -> None:
        kept.append(remembered.save(request.db, name, data.name, data.query, shared=data.shared))

    if done(request, form, act):
        flash(request, _("The filter is saved."), more=_("You find it under Saved filters."))
        query = request.POST.get("query", "")
        return see_other(f"{url}{'&' if '?' in url else '?'}view={kept[0]}&{query}".rstrip("&"))
    return {
        "title": tr(_("Save this filter")),
        "f": form,
        "url": f"/lists/{name}",
        "submit": _("Save"),
        "cancel": url,
        "crumbs": [(title, url)],
    }


def change(request: Request) -> Any:
    """POST to one filter: rename and share, delete, or open the list with it."""
    name, _url, _title = _place(request)
    number, post = record_id(request), request.POST
    if post.get("do") == "delete":
        remembered.remove(request.db, number)
        flash(request, _("The filter is deleted."))
    elif post.get("do") == "default":
        remembered.open_with(request.db, name, number)
        flash(request, _("The list opens with this filter."))
    elif post.get("do") == "no_default":
        remembered.open_with(request.db, name, number, first=False)
        flash(request, _("The list opens as you left it."))
    else:
        remembered.change(request.db, number, post.get("name", ""), shared=bool(post.get("shared")))
        flash(request, _("Saved."))
    return HTTPSeeOther(f"/lists/{name}")


def includeme(config: Configurator) -> None:
    """Routes and views; whose a filter is, row-level security and the actions say."""
    config.include("portal.web.keys")
    config.add_route("filters", f"/lists/{LIST}")
    config.add_view(
        filters,
        route_name="filters",
        request_method="GET",
        permission="profile.own",
        renderer="lists/filters.jinja2",
    )
    config.add_view(
        save,
        route_name="filters",
        request_method="POST",
        permission="profile.own",
        renderer="partners/form.jinja2",
    )
    config.add_route("filter", rf"/lists/{LIST}/{{id:\d{{1,19}}}}")
    config.add_view(change, route_name="filter", request_method="POST", permission="profile.own")

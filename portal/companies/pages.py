"""Small helpers of form pages: ids from addresses, an action tried under a savepoint, the answer to a failed form."""

from collections.abc import Callable
from typing import Any

from pyramid.httpexceptions import HTTPFound
from pyramid.request import Request

from portal.errors import Conflict, Invalid, NotFound
from portal.web.forms import Form

TOP_ID = 2**63 - 1


def record_id(request: Request, name: str = "id") -> int:
    """An id from the address; NotFound for what can be none."""
    given = str(request.matchdict[name])
    if not (given.isascii() and given.isdigit() and len(given) <= 19 and int(given) <= TOP_ID):
        raise NotFound
    return int(given)


def own_id(request: Request) -> int:
    """The reader's company."""
    company_id = request.ctx.company_id
    if company_id is None:
        raise NotFound
    return int(company_id)


def done(request: Request, form: Form[Any], act: Callable[[Any], Any]) -> bool:
    """On POST: parse `form` and run `act` with its model under a savepoint; True when it was done.

    What the action refuses goes to its field, and what it had written before is undone.
    """
    if request.method != "POST":
        return False
    data = form.parse(request.POST)
    if data is not None:
        try:
            with request.db.begin_nested():
                act(data)
            return True
        except Invalid as error:
            names = {field.name for field in form.fields}
            for fault in error.faults:
                form.fail(fault.field if fault.field in names else "", fault.message)
        except Conflict as error:
            form.fail("", error.message)
    request.response.status_int = 422
    return False


def see_other(url: str) -> HTTPFound:
    """Redirect after POST."""
    return HTTPFound(url)


def add_pages(config: Any, template: str, pages: Any) -> None:
    """Routes and views from (name, path, view, methods, permission, template or '' for `template`) rows."""
    for name, path, view, methods, permission, own in pages:
        config.add_route(name, path)
        config.add_view(
            view,
            route_name=name,
            request_method=tuple(methods.split()),
            permission=permission,
            renderer=own or template,
        )

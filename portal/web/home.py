"""Home: what needs me now, and how we are doing."""

from typing import Any

from pyramid.renderers import render_to_response


def home(request: Any) -> Any:
    """GET /."""
    return render_to_response("home/home.jinja2", {}, request=request)


def includeme(config: Any) -> None:
    """The frame of every page, and home."""
    config.include("portal.web.shell")
    config.add_route("home", "/")
    config.add_view(home, route_name="home", request_method="GET", permission="home")

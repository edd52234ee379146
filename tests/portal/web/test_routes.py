"""The index of routes finds what Pyramid's own mapper finds, for every address that there is and for strange ones."""

import re
from typing import Any

import pytest
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.urldispatch import RoutesMapper

from portal.web.routes import SegmentMapper
from tests.portal.site import site

STRANGE = (
    "/",
    "//",
    "/leads/",
    "/LEADS",
    "/leads/L-1/none",
    "/static",
    "/static/css/x",
    "/o/abc/def",
    "/x",
    "",
)


def addresses(mapper: SegmentMapper) -> list[str]:
    """One address of each route."""
    patterns = [route.pattern for route in mapper.get_routes()]
    plain = [
        re.sub(r"\*\w+$", "a/b", re.sub(r"\{\w+(:(?:[^{}]|\{[^{}]*\})*)?\}", "L-7", p)) for p in patterns
    ]
    numbered = [one.replace("L-7", "7") for one in plain]
    return ["/" + one.removeprefix("/") for one in plain + numbered]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_index_finds_what_pyramid_finds(database: Any, method: str) -> None:
    mapper = site(database).interline.registry.getUtility(IRoutesMapper)
    assert isinstance(mapper, SegmentMapper)
    paths = [*addresses(mapper), *STRANGE]
    found = 0
    for path in paths:
        request = Request.blank("/", method=method)
        request.environ["PATH_INFO"] = path
        expected = RoutesMapper.__call__(mapper, request)
        assert mapper(request) == expected, path
        found += expected["route"] is not None
    assert found > 100


def test_a_route_of_a_variable_segment_keeps_its_place() -> None:
    mapper = SegmentMapper()
    for name, pattern in (("first", "/a/{x}"), ("any", "/{word}/b"), ("late", "/a/b"), ("rest", "*all")):
        mapper.connect(name, pattern)
    for path, name in (("/a/b", "first"), ("/c/b", "any"), ("/c", "rest"), ("/", "rest")):
        request = Request.blank(path)
        assert mapper(request)["route"].name == name == RoutesMapper.__call__(mapper, request)["route"].name
    mapper.connect("new", "/new")
    assert mapper(Request.blank("/new"))["route"].name == "rest", "the order of making is the order of trying"

"""Finds the route of a request: only those are tried whose pattern begins as the address does.

Pyramid tries one after the other, a hundred regular expressions for each page. The order of trying stays Pyramid's.
"""

from typing import Any

from pyramid.config import Configurator
from pyramid.interfaces import IRoutesMapper
from pyramid.request import Request
from pyramid.urldispatch import Route, RoutesMapper


class SegmentMapper(RoutesMapper):
    """Pyramid's mapper over an index of each pattern's first segment; patterns whose first is a variable are always
    tried."""

    def __init__(self) -> None:
        super().__init__()
        self._by_segment: dict[str, list[Route]] | None = None
        self._variable: list[Route] = []

    def connect(self, *args: Any, **kwargs: Any) -> Route:
        """Add a route; the index is made anew."""
        self._by_segment = None
        return super().connect(*args, **kwargs)

    def __call__(self, request: Request) -> dict[str, Any]:
        """As Pyramid's, over the routes that begin alike."""
        by_segment = self._by_segment
        if by_segment is None:
            by_segment = self._index()
        path = request.path_info or "/"
        for route in by_segment.get(segment(path), self._variable):
            match = route.match(path)
            if match is not None:
                info = {"match": match, "route": route}
                if not route.predicates or all(holds(info, request) for holds in route.predicates):
                    return info
        return {"route": None, "match": None}

    def _index(self) -> dict[str, list[Route]]:
        fixed = {segment(route.pattern) for route in self.routelist if not varies(route.pattern)}
        found = {
            one: [r for r in self.routelist if varies(r.pattern) or segment(r.pattern) == one]
            for one in fixed
        }
        self._variable = [route for route in self.routelist if varies(route.pattern)]
        self._by_segment = found
        return found


def segment(path: str) -> str:
    """The first segment of an address or a pattern, with or without its slash."""
    return path.removeprefix("/").partition("/")[0]


def varies(pattern: str) -> bool:
    """Whether the first segment of a pattern holds a variable, of either spelling, or the rest of the address."""
    return any(mark in segment(pattern) for mark in "{:*")


def includeme(config: Configurator) -> None:
    """In Pyramid's place, before the first route is made."""
    config.registry.registerUtility(SegmentMapper(), IRoutesMapper)

"""What a request may bring: too much is refused before it is read, whatever it says of its own length."""

from collections.abc import Callable
from typing import Any

import pytest
from webob import Request

from portal.web import limits
from tests.portal.site import site
from tests.world import World

JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=x"


class Unread:
    """A body that must not be touched."""

    def read(self, *_: Any) -> bytes:
        raise AssertionError("read before it was refused")

    readline = readlines = __iter__ = read


class Endless:
    """A body without an end; counts what was taken."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int = -1) -> bytes:
        assert size > 0, "never all at once"
        self.taken += size
        return b"x" * size


def send(
    world: World, path: str, stream: Any, change: Callable[[dict[str, Any]], None], kind: str = JSON
) -> Any:
    request = Request.blank(path, method="POST", content_type=kind)
    request.environ["wsgi.input"] = stream
    change(request.environ)
    return request.get_response(site(world.database).interline)


@pytest.mark.parametrize(
    ("path", "kind", "length"),
    [
        ("/api/v1/leads", JSON, limits.FORM_BYTES + 1),
        ("/api/v1/leads", MULTIPART, limits.FORM_BYTES + 1),
        ("/sign-in", "application/x-www-form-urlencoded", limits.FORM_BYTES + 1),
        ("/sign-in", MULTIPART, limits.UPLOAD_BYTES + 1),
        ("/nothing-here", JSON, 10**30),
        ("/sign-in", JSON, "9" * 5_000),
        ("/sign-in", JSON, "-1"),
    ],
)
def test_what_announces_too_much_is_not_read(world: World, path: str, kind: str, length: int | str) -> None:
    answer = send(world, path, Unread(), lambda e: e.update(CONTENT_LENGTH=str(length)), kind)
    assert answer.status_int == 413
    assert answer.content_type == ("application/problem+json" if path.startswith("/api/") else "text/html")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_does_not_say_its_length_is_cut_off(world: World) -> None:
    def chunked(environ: dict[str, Any]) -> None:
        environ.pop("CONTENT_LENGTH", None)
        environ["wsgi.input_terminated"] = True

    body = Endless()
    assert send(world, "/api/v1/leads", body, chunked).status_int == 413
    assert body.taken <= limits.FORM_BYTES + 1

"""Addresses that nobody types by accident: every list and every numbered page answers them with a page or a 400/404."""

from collections.abc import Iterator
from typing import Any

import pytest
from webob import Request
from webtest import TestApp

from tests.conftest import fresh_database
from tests.portal.site import ADDRESS, application
from tests.world import World, build_world

MANAGER, SELLER, ADMINISTRATOR = "ingrid@halden.example", "katrin@danubia.example", "lukas@danubia.example"
LISTS = [
    *((MANAGER, path) for path in ("/", "/leads", "/leads/queue", "/partners", "/imports")),
    *((SELLER, path) for path in ("/", "/leads", "/leads?tab=past", "/offers")),
    (ADMINISTRATOR, "/company/people"),
]
LONG = "x" * 5_000
HOSTILE = (
    "sort=zzz", "sort=-", "sort=-zzz", "sort=title;drop", "page=-1", "page=0", "page=x", "page=99999999999",
    "page=9223372036854775807", "page=1e3", "per=-1", "per=0", "per=99999999999", "per=x", "cols=zzz", "cols=",
    "q=%00", "q=a%00b", f"q={LONG}", "q=%25%25", "q=%5C", "q=%27%22%3B--", "q=%FF%FE", "q=%ED%A0%80", "q=%F0%9F%92%A7",
    "stage=zzz", "stage=%00", "assignment=", "status=zzz", "status=%00", "state=%00", "state=zzz", "country=%00",
    "worth.from=abc", "worth.from=1e999", "worth.from=NaN", "worth.to=-9999999999999999999999", "worth.from=%00",
    "received.from=9999-99-99", "received.from=0000-00-00", "received.to=9999-12-31", "received.from=0001-01-01",
    "at.from=9999-12-31", "at.to=0001-01-01", "product_lines=%00", "tab=%00", "tab=zzz", "export=zzz",
    "export=csv&page=99999999999", "export=csv&q=%00", "sort=&page=&per=&q=", "zzz=1", "=", "&&&", "%00=%00",
    "sort=number&sort=title", "page=1&page=2", f"{LONG}=1",
)  # fmt: skip
NUMBERS = (
    "0",
    "-1",
    "99999999999999999999",
    "9223372036854775808",
    "9223372036854775807",
    "%D9%A3",
    "1.0",
    "1%00",
    "x",
)
NUMBERED = [
    *((MANAGER, f"/partners/{{}}{rest}") for rest in ("", "/edit", "/locations/new", "/standing?to=zzz")),
    *(
        (MANAGER, path)
        for path in ("/partners/1/locations/{}", "/partners/1/certifications/{}/end", "/imports/{}/wrong")
    ),
    *((MANAGER, f"/leads/{{}}{rest}") for rest in ("", "/edit", "/duplicate", "/decision")),
    *((MANAGER, f"/leads/L-{{}}{rest}") for rest in ("", "/edit", "/duplicate", "/decision")),
    *((SELLER, f"/leads/L-{{}}{rest}") for rest in ("", "/decision")),
    *((ADMINISTRATOR, path) for path in ("/company/people/{}/remove", "/company/locations/{}")),
    *((MANAGER, path) for path in ("/help/{}", "/welcome/{}", "/o/{}", "/dev/mail/{}")),
]


@pytest.fixture(scope="module")
def visitors(server_url: str, template: str) -> Iterator[dict[str, TestApp]]:
    """A client for each reader, on one application."""
    with fresh_database(server_url, template) as database:
        world: World = build_world(database)
        app = application(database.settings)
        made = {}
        for email in (MANAGER, SELLER, ADMINISTRATOR):
            made[email] = TestApp(app, extra_environ=dict(ADDRESS))
            made[email].set_cookie("interline", world.sessions[email])
        yield made


def get(visitor: TestApp, address: str) -> Any:
    """As a browser or an attacker sends it: not quoted again."""
    return visitor.get(address, status="*")


@pytest.mark.parametrize(("who", "path"), LISTS)
def test_a_list_takes_any_query(visitors: dict[str, TestApp], who: str, path: str) -> None:
    wrong = []
    for query in HOSTILE:
        answer = get(visitors[who], f"{path}{'&' if '?' in path else '?'}{query}")
        if answer.status_int not in (200, 400):
            wrong.append((query[:60], answer.status_int))
    assert wrong == []


@pytest.mark.parametrize(
    ("who", "path"), [(w, p) for w, p in LISTS if p not in ("/", "/offers", "/company/people")]
)
def test_a_list_says_what_it_cannot_do(visitors: dict[str, TestApp], who: str, path: str) -> None:
    more = "&" if "?" in path else "?"
    assert get(visitors[who], f"{path}{more}sort=zzz").status_int == 400
    assert get(visitors[who], f"{path}{more}page=-1").status_int == 400


@pytest.mark.parametrize(("who", "path"), NUMBERED)
def test_a_number_that_is_none_is_not_found(visitors: dict[str, TestApp], who: str, path: str) -> None:
    answers = {number: get(visitors[who], path.format(number)).status_int for number in NUMBERS}
    assert {n: s for n, s in answers.items() if s not in (400, 404)} == {}


@pytest.mark.parametrize(
    "path", ["/\xff", "/leads/\xff", "/partners/\xff", "/o/\xff", "/help/\xff", "/api/v1/leads/\xff"]
)
def test_an_address_that_is_no_utf8_is_refused(visitors: dict[str, TestApp], path: str) -> None:
    request = Request.blank("/")
    request.environ["PATH_INFO"] = path  # WebTest would not send it
    answer = request.get_response(visitors[MANAGER].app)
    assert answer.status_int in (400, 404), answer.status


def test_a_form_that_is_no_utf8_is_refused(visitors: dict[str, TestApp]) -> None:
    form = "application/x-www-form-urlencoded"
    for path in ("/leads/new", "/sign-in", "/partners/new", "/theme"):
        answer = visitors[MANAGER].post(path, b"csrf_token=%FF&title=%FF%FE", content_type=form, status="*")
        assert answer.status_int == 400, path

"""Asking the whole site anything as anybody: requests are made from the route table and from the fields that views read,
so a new route or field is asked too without being written down anywhere."""

import base64
import io
import json
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import quote, urlencode

from lxml import html as lxml_html
from pyramid.request import Request as PyramidRequest
from webob import Request

from tests.portal.site import PART, application

NEVER = "99999999"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
ADDRESS = "192.0.2.10"
# Parts of addresses that name no record: secrets, which are their own credential, and pages of help and mail.
SECRETS = {"token"}
WORDS = {"page": "api", "name": "none", "list": "leads", "kind": "name", "step": "submit", "format": "csv"}
TABLES = {"partners": "companies", "lists": "saved_filters"}
PLURALS = {
    "version": "rule_sets",
    "person": "people",
    "company": "companies",
    "territory": "territories",
    "partner": "companies",
}


@dataclass
class Principal:
    """Somebody who asks: `sees` are the companies it may know of besides the vendor (None: the vendor's own people)."""

    name: str
    role: str
    sees: frozenset[int] = frozenset()
    realm: int = 1
    company: int | None = None
    cookies: dict[str, str] = field(default_factory=dict)
    bearer: str = ""
    link: str = ""
    csrf: str = ""

    @property
    def group(self) -> tuple[int, frozenset[int]]:
        """Who shares its view of the world."""
        return self.realm, self.sees


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    kind: str

    @property
    def text(self) -> str:
        """The body as text; whatever its type, nothing may hide in it."""
        assert not self.body.startswith(b"%PDF"), "teach this to read PDF before a page answers with one"
        if self.body.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(self.body)) as packed:
                names = [name for name in packed.namelist() if "docProps" not in name]
                return "\n".join(f"{name}: {packed.read(name).decode()}" for name in sorted(names))
        return self.body.decode("utf-8", "replace")

    def header(self, name: str) -> str:
        """One header or nothing."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


def ask(
    app: Any,
    who: Principal,
    method: str,
    path: str,
    query: Any = (),
    form: Any = None,
    body: bytes | None = None,
    kind: str = "application/x-www-form-urlencoded",
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request as `who`; `path` may hold anything. A form gets its CSRF token."""
    pairs = list(query.items() if isinstance(query, dict) else query)
    given = Request.blank("/", method=method)
    environ = given.environ
    raw, _sep, tail = path.partition("?")
    environ["PATH_INFO"] = raw.encode("utf-8", "surrogateescape").decode("latin-1")
    environ["QUERY_STRING"] = "&".join(part for part in (tail, urlencode(pairs)) if part)
    environ["REMOTE_ADDR"] = ADDRESS
    environ["HTTP_HOST"] = "localhost:6543"
    environ["interline.nonce"] = "nonce"
    environ["HTTP_X_REQUEST_ID"] = "asked-alike"
    if who.cookies:
        environ["HTTP_COOKIE"] = "; ".join(f"{key}={value}" for key, value in who.cookies.items())
    if who.bearer:
        environ["HTTP_AUTHORIZATION"] = f"Bearer {who.bearer}"
    if form is not None:
        sent = list(form.items() if isinstance(form, dict) else form)
        body = urlencode([("csrf_token", who.csrf), *sent]).encode()
    if body is not None:
        given.body = body
        given.content_type = kind
    for key, value in (headers or {}).items():
        given.headers[key] = value
    response = given.get_response(app)
    return Answer(
        response.status_int, tuple(sorted(response.headerlist)), response.body, response.content_type or ""
    )


def meet(app: Any, who: Principal) -> None:
    """Take a form's token and the cookie that belongs to it, so that every later request can be sent alike."""
    page = ask(
        app, who, "GET", "/sign-in" if who.role in ("stranger", "system", "link") else "/companies/choose"
    )
    found = re.search(rb'name="csrf_token" value="([^"]+)"', page.body)
    assert found is not None, (who.name, page.status)
    who.csrf = found[1].decode()
    for key, value in page.headers:
        if key.lower() == "set-cookie":
            for name, morsel in SimpleCookie(value).items():
                who.cookies[name] = morsel.value


# -- the application under test ----------------------------------------------------------------------------------------


class Watched:
    """A request's fields that note which of them a view asks for."""

    def __init__(self, fields: Any, asked: set[str]) -> None:
        self._fields, self._asked = fields, asked

    def get(self, key: str, default: Any = None) -> Any:
        self._asked.add(key)
        return self._fields.get(key, default)

    def getall(self, key: str) -> Any:
        self._asked.add(key)
        return self._fields.getall(key)

    def getone(self, key: str) -> Any:
        self._asked.add(key)
        return self._fields.getone(key)

    def __getitem__(self, key: str) -> Any:
        self._asked.add(key)
        return self._fields[key]

    def __contains__(self, key: str) -> bool:
        self._asked.add(key)
        return key in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fields, name)


READ: dict[str, set[str]] = defaultdict(set)
"""Route pattern -> names of the fields (of address or form) that its views have asked for so far."""


class WatchedRequest(PyramidRequest):
    """Notes the fields that a view reads."""

    def _watched(self, fields: Any) -> Any:
        route = getattr(self, "matched_route", None)
        return Watched(fields, READ[route.pattern]) if route is not None else fields

    @property
    def GET(self) -> Any:
        return self._watched(super().GET)

    @property
    def POST(self) -> Any:
        return self._watched(super().POST)

    @property
    def params(self) -> Any:
        return self._watched(super().params)


def harmless(settings: Any) -> Any:
    """The application, every transaction of which is rolled back in the end, and which notes what its views read."""

    def extra(config: Any) -> None:
        config.add_settings({"tm.commit_veto": lambda _request, _response: True})
        config.set_request_factory(WatchedRequest)

    return application(settings, extra)


# -- addresses ---------------------------------------------------------------------------------------------------------


def parts_of(pattern: str) -> list[tuple[str, str]]:
    """(name, table) of the parts of an address that name a record: {location} is one of locations, the {id} or {number}
    after /partners is one of partners."""
    found, before = [], ""
    for piece in re.split(r"(\{(?:[^{}]|\{[^}]*\})*\})", pattern):
        match = PART.fullmatch(piece)
        if match is None:
            before = piece.strip("/").rpartition("/")[2] or before
            continue
        name = match[1]
        if name in SECRETS or name in WORDS:
            continue
        table = before if name in ("id", "number") else PLURALS.get(name, f"{name}s")
        found.append((name, TABLES.get(table, table)))
    return found


def address(pattern: str, values: dict[str, str]) -> str:
    """The address with these values, quoted as a browser would not."""
    return PART.sub(lambda part: values.get(part[1], NEVER if part[1] != "number" else f"L-{NEVER}"), pattern)


# -- forms -------------------------------------------------------------------------------------------------------------

BY_TYPE = {
    "email": "somebody.new@new.example",
    "date": "2026-12-01",
    "number": "1",
    "tel": "+43 1",
    "url": "https://new.example",
}


def forms_of(answer: Answer) -> dict[str, list[tuple[str, str]]]:
    """Address -> fields of every form on a page, filled in as somebody in a hurry would."""
    if answer.kind != "text/html" or not answer.body.strip():
        return {}
    found: dict[str, list[tuple[str, str]]] = {}
    for form in lxml_html.fromstring(answer.body.decode()).forms:
        if (form.method or "").upper() != "POST":
            continue
        pairs = [(key, value) for key, value in form.form_values() if key != "csrf_token"]
        named = {key for key, value in pairs if value}
        pairs = [(key, value) for key, value in pairs if value]
        for element in form.inputs:
            name = element.get("name")
            if not name or name in named or name == "csrf_token":
                continue
            pairs.append((name, _typical(element)))
            named.add(name)
        found.setdefault(str(form.action), pairs)
    return found


def _typical(element: Any) -> str:
    if element.tag == "select":
        return next((option for option in element.value_options if option), "")
    if element.tag == "input" and element.get("type") in ("checkbox", "radio"):
        return str(element.get("value") or "1")
    return BY_TYPE.get(element.get("type") or "", "words")


# -- comparing ---------------------------------------------------------------------------------------------------------

UNCOMPARED = {"ratelimit", "ratelimit-policy", "content-length", "etag"}
NEW_ID = re.compile(r"\b\d{17,19}\b")
CURSOR = re.compile(r'(after=|"next":")\d+\.\d+')  # how far the one log has come, whoever wrote it
SEEN = re.compile(r"last seen <time.*?</time>")  # in real time, which goes on
NEW_NUMBER = re.compile(r"\bL-\d{5,}\b")


def told(answer: Answer, known: frozenset[str]) -> tuple[Any, ...]:
    """What somebody learns from an answer: everything, but for numbers made in it and times in cookies."""

    def plain(text: str) -> str:
        def number(found: re.Match[str]) -> str:
            return found[0] if found[0] in known else "NEW"

        text = SEEN.sub("", text)
        return CURSOR.sub("", NEW_NUMBER.sub(number, NEW_ID.sub(number, text)))

    headers = [
        (key.lower(), _cookie(value) if key.lower() == "set-cookie" else plain(value))
        for key, value in answer.headers
        if key.lower() not in UNCOMPARED
    ]
    return answer.status, tuple(headers), plain(answer.text)


def differences(one: tuple[Any, ...], other: tuple[Any, ...]) -> list[str]:
    """What two answers say differently, for people."""
    lines = [[str(told[0]), *map(str, told[1]), *told[2].splitlines()] for told in (one, other)]
    return [line[:500] for line in unified_diff(*lines, lineterm="", n=0)][2:20]


def _cookie(value: str) -> str:
    """A cookie of ours without its signature and times."""
    name, _eq, rest = value.partition("=")
    content = rest.partition(";")[0]
    if name != "interline_flash" or not content:
        return value
    padded = content + "=" * (-len(content) % 4)
    state = json.loads(base64.urlsafe_b64decode(padded)[64:])[2]
    return f"{name}={quote(json.dumps(state, sort_keys=True))}"

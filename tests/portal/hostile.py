"""What nobody sends by accident: values for every field of every address, form and document of the site, made from the
route table, the fields that views read (tests/portal/asking.py) and the models of the API."""

import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tests.portal import asking
from tests.portal.asking import Answer, Principal, ask, forms_of
from tests.portal.site import PART

LONG = "x" * 10_000
DIGITS = "9" * 4_301
"""More digits than int() takes."""
Pairs = list[tuple[Any, Any]]

TEXTS: tuple[Any, ...] = (
    "", " ", "zzz", "-", "-zzz", "title;drop", "0", "-1", "+1", "1.0", "1e3", "1e999", "NaN", "Infinity", "٣", "１２",
    "99999999999", "9223372036854775807", "9223372036854775808", "-9223372036854775809", DIGITS, f"-{DIGITS}",
    f"0.{DIGITS}", "\x00", "a\x00b", b"\xff\xfe", b"\xed\xa0\x80", b"%ff", "%", "%25%00", "\\", "'\";--", "{}", "[]", "null",
    "\u202eabc\u2066", "\ufeff", "\u0085\u2028", "\r\nSet-Cookie: a=b", "<script>alert(1)</script>", "{{7*7}}", "💧",
    "é" * 300, LONG, "0000-00-00", "0000-01-01", "0001-01-01", "9999-12-31", "9999-99-99", "99999-01-01", "2026-02-30",
    "2026-12-01T25:61", "0.0", "1.999999999999999999", "999999999999999999.999999999999999999", "-1.-1", "1." + "9" * 18,
    "//evil.example", "/\\evil.example", "javascript:alert(1)", "../../etc/passwd", "a@b", "@", "true", "None",
)  # fmt: skip
"""One value of one field, as it is typed; bytes are sent as they are."""

JSONS: tuple[str, ...] = (
    *(
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "1e999",
        "-1e999",
        "NaN",
        "Infinity",
        "-Infinity",
        DIGITS,
        f"1.{DIGITS}",
        '""',
        '" "',
    ),
    *(
        '"zzz"',
        '"\\u0000"',
        '"a\\u0000b"',
        '"\\ud800"',
        '"\\udc00\\ud800"',
        '"\\u202eabc"',
        '"\\ufeff"',
        '"NaN"',
        '"-1"',
        '"1e999"',
    ),
    *(
        f'"{LONG}"',
        f'"{DIGITS}"',
        '"0000-00-00"',
        '"99999-01-01"',
        '"9999-12-31T23:59:59Z"',
        '"0001-01-01T00:00:00+14:00"',
    ),
    *(
        "[]",
        "[null]",
        "[[]]",
        "{}",
        '{"":""}',
        "[1,1,1]",
        "9223372036854775808",
        "-9223372036854775809",
        '"\\r\\n"',
    ),
    *(
        "[" * 1_000 + "]" * 1_000,
        '{"a":' * 1_000 + "1" + "}" * 1_000,
        "[" * 100_000,
        '"' + "\\u0301" * 300 + '"',
    ),
)
"""One value of one field of a document, as it stands in JSON."""

DOCUMENTS: tuple[bytes, ...] = (
    *(b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"{", b'{"a":1', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"\x00", b"NaN"),
    *(b"[" * 1_000 + b"]" * 1_000, b"[" * 200_000, b'{"a":' * 1_000 + b"1" + b"}" * 1_000, b'{"\\ud800":1}', b'{"a\xff":1}'),
    *(b'{"\\u0000":1}', DIGITS.encode(), b'{"a":1}{"b":2}', b"<a/>", '{"é":1}'.encode("utf-16")),
)  # fmt: skip
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"
PART_HEAD = b"--x\r\nContent-Disposition: form-data"
KINDS: tuple[tuple[str, bytes], ...] = (
    *((FORM, body) for body in (b"", b"&&&", b"=", b"%00=%00", b"%ff=%ff", b"a=%FF%FE", b"\xff", b"a=1&a=2", b"x" * 10_000)),
    ("multipart/form-data", b"x"), ("multipart/form-data; boundary=", b"--\r\n"), (MULTIPART, b""),
    (MULTIPART, b"--x\r\n\r\n--x--"), (MULTIPART, PART_HEAD + b"\r\n\r\na"), (MULTIPART, PART_HEAD + b'; name="a\x00'),
    (MULTIPART, PART_HEAD + b'; name="a\xff"; filename="\xff\x00"\r\n\r\n\xff\r\n--x--\r\n'),
    (MULTIPART, PART_HEAD + b'; name="a"\r\nContent-Type: multipart/mixed\r\n\r\n\r\n--x--\r\n'),
    (MULTIPART, PART_HEAD + b'; name="a"\r\nContent-Length: -9\r\n\r\nb\r\n--x--\r\n'),
    ("multipart/form-data; boundary=" + "x" * 300, b"--x\r\n"), ("multipart/mixed", b"--x\r\n"),
    ("application/json", b'{"a":1}'), ("text/plain", b"a=1"), ("", b"a=1"), ("zzz", b"\xff"), ("application/xml", b"<a/>"),
    (f"{FORM}; charset=utf-7", b"a=1"), (f"{FORM}; charset=zzz", b"a=1"), ("text/html; charset=zzz", b"a=1"),
)  # fmt: skip
"""Whole bodies with the type they claim."""

QUERIES: tuple[str, ...] = (
    "=", "&&&", "%00=%00", "%ff=1", "zzz=1", f"{LONG}=1", "=".join("a" * 200),
    "&".join(f"a{n}=1" for n in range(2_000)), ";", "?",
    "%", "%zz", "a[]=1&a[b]=2", "sort=number&sort=title", "page=1&page=2", "export=csv&page=99999999999",
    "sort=&page=&per=&q=",
)  # fmt: skip
"""Whole queries."""


OURS = (b"Traceback (", b'File "/', b"psycopg", b"sqlalchemy", b"pydantic")
"""Words of our insides."""


@dataclass(frozen=True)
class Try:
    """One request that nobody means well."""

    who: Principal
    method: str
    path: str
    query: Any = ()
    form: Any = None
    body: bytes | None = None
    kind: str = FORM
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, app: Any) -> Answer:
        """Ask; what is raised through the whole application is an answer like the web server's."""
        sent = (self.path, self.query, self.form, self.body, self.kind, self.headers)
        try:
            return ask(app, self.who, self.method, *sent)
        except Exception as error:
            return Answer(599, (), repr(error)[:200].encode(), "")

    def __str__(self) -> str:
        told = [self.who.name, self.method, self.path, self.query, self.form, self.body, self.kind]
        return " ".join(str(part)[:150] for part in told if part)


def faults(answer: Answer, asked: Try) -> list[str]:
    """What is wrong with an answer, whoever asked whatever."""
    if answer.status == 599:
        return [f"raised {answer.text}"]
    wrong = [f"status {answer.status}"] if answer.status >= 500 else []
    wrong += [f"tells {word!r}" for word in OURS if word in answer.body]
    path = urlsplit(asked.path).path
    if answer.status < 400 or asked.method == "HEAD":
        return wrong
    if path.startswith("/oauth/"):
        given = json.loads(answer.body)
        return wrong if given.get("error") or given.get("detail") else [*wrong, "no error code"]
    if path.startswith("/api/"):
        return wrong + problem_faults(answer)
    page = answer.kind == "text/html" and b"<html" in answer.body and b"<h1" in answer.body
    return wrong if page else [*wrong, f"no page: {answer.kind} {answer.body[:80]!r}"]


def problem_faults(answer: Answer) -> list[str]:
    """Whether a refusal of the API is a problem document that says what and how to mend it."""
    if answer.kind != "application/problem+json":
        return [f"no problem document: {answer.kind}"]
    given = json.loads(answer.body)
    wrong = [f"{key} is missing" for key in ("type", "title", "status", "detail") if not given.get(key)]
    wrong += [] if given.get("status") == answer.status else ["another status within"]
    if answer.status == 422:
        errors = given.get("errors") or [{}]
        wrong += [
            "a fault without field or cure" for e in errors if not e.get("field") or not e.get("message")
        ]
    return wrong


# -- making them -------------------------------------------------------------------------------------------------------


def some(values: Iterable[Any], salt: str, most: int) -> list[Any]:
    """`most` of the values spread over all, others for each salt, the same in every run."""
    all_ = list(values)
    if most >= len(all_):
        return all_
    first = zlib.crc32(salt.encode())
    return [all_[(first + n * (len(all_) // most)) % len(all_)] for n in range(most)]


def addresses(who: Principal, method: str, pattern: str, own: dict[str, str], most: int) -> Iterator[Try]:
    """Each part of the address in turn is something that it is not."""
    for part in PART.finditer(pattern):
        for value in some(TEXTS, f"{who.role}{method}{pattern}{part[1]}", most):
            raw = value if isinstance(value, bytes) else value.encode()
            path = asking.address(pattern, own | {part[1]: raw.decode("utf-8", "surrogateescape")})
            if len(path) < 60_000:
                yield Try(who, method, path.replace("?", "%3F"), form={} if method == "POST" else None)


def queries(who: Principal, path: str, names: Iterable[str], most: int) -> Iterator[Try]:
    """Each parameter that the page reads in turn, and queries as a whole."""
    for name in sorted(names):
        for value in some(TEXTS, f"{who.role}{path}{name}", most):
            yield Try(who, "GET", path, query=[(name, value)])
        yield Try(who, "GET", path, query=[(name, "1"), (name, "zzz"), (name, "a\x00b")])
    for query in some(QUERIES, f"{who.role}{path}", most):
        yield Try(who, "GET", f"{path}{'&' if '?' in path else '?'}{query}")


def forms(who: Principal, path: str, good: Pairs, names: Iterable[str], most: int) -> Iterator[Try]:
    """Each field of a form in turn, the others as they should be; then bodies that are no form."""
    for name in sorted({*names, *(key for key, _value in good)}):
        rest = [(key, value) for key, value in good if key != name]
        for value in some(TEXTS, f"{who.role}{path}{name}", most):
            yield Try(who, "POST", path, form=[*rest, (name, value)])
        yield Try(who, "POST", path, form=[*rest, (name, "1"), (name, "zzz"), (name, "a\x00b")])
    for kind, body in some(KINDS, f"{who.role}{path}", most):
        token = {"X-CSRF-Token": who.csrf}  # as htmx sends it, so that the form is read
        yield Try(who, "POST", path, body=body, kind=kind, headers=token)


def documents(who: Principal, path: str, good: dict[str, Any], most: int) -> Iterator[Try]:
    """Each leaf of a JSON document in turn, then documents as a whole, under right and wrong types."""
    json_ = "application/json"
    for where in leaves(good):
        for value in some(JSONS, f"{who.role}{path}{where}", most):
            yield Try(who, "POST", path, body=changed(good, where, value).encode(), kind=json_)
        twice = changed(good, where, f'1, "{where[-1]}": []' if isinstance(where[-1], str) else "1")
        yield Try(who, "POST", path, body=twice.encode(), kind=json_)
    for body in some(DOCUMENTS, f"{who.role}{path}", max(most, 12)):
        yield Try(who, "POST", path, body=body, kind=json_)
    for kind, body in some(KINDS, f"{who.role}{path}", most):
        yield Try(who, "POST", path, body=body, kind=kind)
    for key in ("", " ", "x" * 201, "é", "a b", "\t", LONG):
        text = json.dumps(good).encode()
        yield Try(who, "POST", path, body=text, kind=json_, headers={"Idempotency-Key": key})


def leaves(node: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values of a document stand, and its branches."""
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(node, dict):
        inside = node.items()
    elif isinstance(node, list):
        inside = enumerate(node)
    found = [before] if before else []
    return found + [leaf for key, value in inside for leaf in leaves(value, (*before, key))]


def changed(good: dict[str, Any], where: tuple[Any, ...], value: str) -> str:
    """The document as JSON with `value`, which is written as it stands, at one place."""
    copy = json.loads(json.dumps(good))
    node = copy
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = "HERE-IT-STANDS"
    return json.dumps(copy).replace('"HERE-IT-STANDS"', value)


def example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """A value with everything that a schema knows, each field filled."""
    if "$ref" in schema:
        return example(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example(next(one for one in schema[several] if one.get("type") != "null"), document)
    if schema.get("examples"):
        return schema["examples"][0]
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        return {name: example(part, document) for name, part in schema.get("properties", {}).items()}
    if kind == "array":
        return [example(schema.get("items", {}), document)]
    return {"string": "words", "integer": 1, "number": 1.5, "boolean": True}.get(str(kind))


def read_forms(app: Any, who: Principal, paths: Iterable[str]) -> dict[str, Pairs]:
    """Address -> filled fields of the forms on these pages."""
    found: dict[str, Pairs] = {}
    for path in paths:
        answer = ask(app, who, "GET", path)
        for action, pairs in (forms_of(answer) if answer.status == 200 else {}).items():
            found.setdefault(urlsplit(action or path).path, pairs)
    return found


def own_path(pattern: str, values: dict[str, str]) -> str:
    """The address with own values, as a browser quotes it."""
    return quote(asking.address(pattern, values), safe="/:?=&")


def matches(pattern: str, path: str) -> bool:
    """Whether a path could be of this route."""
    pieces = re.split(r"\{(?:[^{}]|\{[^}]*\})*\}", pattern)
    return re.fullmatch("[^/]+".join(map(re.escape, pieces)), path) is not None


def filled(document: bytes, pattern: str) -> dict[str, Any]:
    """The body that the API's document describes for a POST, every field given."""
    described = json.loads(document)
    content = described["paths"][pattern]["post"]["requestBody"]["content"]
    made: dict[str, Any] = example(content["application/json"]["schema"], described)
    return made

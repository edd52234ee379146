"""Storage: the same promises in a folder, in a bucket and in memory; a bucket here is a small server that speaks S3."""

import io
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from integrations.storage import Storage, StorageError


def bucket(server: HTTPServer) -> dict[str, bytes]:
    """Answers PUT, GET, HEAD, bulk delete and the listing of a bucket from a dict of its objects."""
    kept: dict[str, bytes] = {}

    def answer(request: Request) -> Response:
        key = request.path.removeprefix("/bucket").strip("/")
        if request.method == "PUT":
            kept[key] = request.get_data()
            return Response(headers={"ETag": '"1"'})
        if request.method == "POST" and "delete" in request.args:
            names = re.findall("<Key>(.*?)</Key>", request.get_data(as_text=True))
            done = "".join(f"<Deleted><Key>{name}</Key></Deleted>" for name in names)
            for name in names:
                kept.pop(name, None)
            return Response(f"<DeleteResult>{done}</DeleteResult>", content_type="application/xml")
        if not key:
            return Response(listing(request.args.get("prefix", "")), content_type="application/xml")
        if key not in kept:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404, content_type="application/xml")
        body = b"" if request.method == "HEAD" else kept[key]
        made = Response(body, headers={"ETag": '"1"', "Last-Modified": "Mon, 23 Nov 2026 10:00:00 GMT"})
        made.headers["Content-Length"] = str(len(kept[key]))
        return made

    def listing(prefix: str) -> str:
        rows = "".join(
            f"<Contents><Key>{escape(k)}</Key><LastModified>2026-11-23T10:00:00.000Z</LastModified>"
            f"<ETag>&quot;1&quot;</ETag><Size>{len(v)}</Size></Contents>"
            for k, v in kept.items()
            if k.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>"

    server.expect_request(re.compile("^/bucket")).respond_with_handler(answer)
    return kept


@pytest.fixture(params=["file", "s3", "memory"])
def storage(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    httpserver: HTTPServer,
) -> Iterator[Storage]:
    """An empty one of each kind."""
    if request.param == "file":
        yield Storage((tmp_path / "a folder").as_uri())
        return
    if request.param == "memory":
        yield Storage("memory:")
        return
    to_server(monkeypatch, httpserver)
    kept = bucket(httpserver)
    yield Storage("s3://bucket/pre/fix")
    assert all(key.startswith("pre/fix/") for key in kept)


def to_server(monkeypatch: pytest.MonkeyPatch, server: HTTPServer) -> None:
    """What an operator sets for a bucket that is not Amazon's."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url_for("").rstrip("/"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")


def test_what_is_put_is_there_until_it_is_deleted(storage: Storage) -> None:
    storage.put("blobs/ab/one", b"first")
    storage.put("blobs/cd/two", io.BytesIO(b"second" * 100_000))
    storage.put("backups/three", b"")
    assert storage.get("blobs/ab/one") == b"first"
    assert b"".join(storage.stream("blobs/cd/two")) == b"second" * 100_000
    assert storage.get("backups/three") == b""
    assert {(one.key, one.size) for one in storage.list("blobs")} == {
        ("blobs/ab/one", 5),
        ("blobs/cd/two", 600_000),
    }
    assert {one.key for one in storage.list()} == {"blobs/ab/one", "blobs/cd/two", "backups/three"}
    assert storage.has("blobs/ab/one")
    storage.delete("blobs/ab/one")
    storage.delete("blobs/ab/one")
    assert not storage.has("blobs/ab/one")
    assert [one.key for one in storage.list("blobs")] == ["blobs/cd/two"]


def test_a_second_put_replaces_the_first(storage: Storage) -> None:
    storage.put("a", b"old and longer")
    storage.put("a", b"new")
    assert storage.get("a") == b"new"


def test_an_unknown_key_is_not_found_before_anything_is_sent(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.get("nothing")
    with pytest.raises(FileNotFoundError):
        storage.stream("nothing")


def test_a_folder_is_for_its_user_only_and_a_key_stays_inside_it(tmp_path: Path) -> None:
    made = Storage((tmp_path / "files").as_uri())
    assert stat.S_IMODE((tmp_path / "files").stat().st_mode) == 0o700
    with pytest.raises(ValueError, match="path"):
        made.put("../outside", b"x")
    assert list(tmp_path.iterdir()) == [tmp_path / "files"]


def test_a_place_that_does_not_answer_is_told_without_its_address(
    monkeypatch: pytest.MonkeyPatch, httpserver: HTTPServer
) -> None:
    to_server(monkeypatch, httpserver)
    httpserver.expect_request("/bucket/a").respond_with_data("<Error><Code>AccessDenied</Code></Error>", 403)
    with pytest.raises(StorageError) as told:
        Storage("s3://bucket").put("a", b"x")
    assert "localhost" not in str(told.value)
    assert "bucket" not in str(told.value)


def test_another_scheme_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for files"):
        Storage("ftp://example.com/files")

"""The help page's steps, run as they stand there: the curl lines are read and sent through WebTest."""

import re
import shlex
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from webtest import TestApp

from portal.connections import command
from portal.events import sequencer
from portal.settings import HOME
from tests.portal.site import site
from tests.world import World

PAGE = Path(HOME) / "portal" / "help" / "api.md"


FILES = {"pdf": b"%PDF-1.7 x", "jpg": b"\xff\xd8\xff\xe0 x"}


def lines(start: str) -> list[str]:
    """The indented code lines that begin with `start`."""
    return [
        line.strip()
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"    {start}")
    ]


def send(app: TestApp, line: str, known: dict[str, str]) -> Any:
    """What curl would do with this line: -u, -d, -H and -F are understood."""
    filled = re.sub(r"\$([A-Z_]+)", lambda found: known[found[1]], line)
    words = shlex.split(filled)[1:]
    headers, body, url = {}, None, ""
    form, files = {}, []
    app.authorization = None
    while words:
        word = words.pop(0)
        if word == "-u":
            app.authorization = ("Basic", tuple(words.pop(0).split(":")))
        elif word == "-d":
            body = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-F":
            name, _, value = words.pop(0).partition("=")
            if value.startswith("@"):
                files.append((name, value[1:], FILES[value.rpartition(".")[2]]))
            else:
                form[name] = value
        else:
            url = word
    path = url.removeprefix(known["SITE"])
    if files:
        return app.post(path, form, headers=headers, upload_files=files)
    return app.get(path, headers=headers) if body is None else app.post(path, body, headers=headers)


def test_the_steps_of_the_page_work(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(command, "load", lambda: world.database.settings)
    app = site(world.database)
    (make,) = lines("interline client")
    made = CliRunner().invoke(command.client, shlex.split(make)[2:])
    known = {"SITE": world.database.settings.site_url}
    known["CLIENT_ID"], known["CLIENT_SECRET"] = re.findall(r"^client \w+ +(\S+)$", made.output, re.MULTILINE)
    token, post, read, upload, follow, on = lines("curl")
    known["TOKEN"] = send(app, token, known).json["access_token"]
    sent = send(app, post, known)
    assert sent.status_int == 201 and sent.json["outcome"] == "new"
    known["NUMBER"] = sent.json["number"]
    assert send(app, read, known).json["external_key"] == "crm-4711"
    assert [f["name"] for f in send(app, upload, known).json["new"]] == ["plan.pdf", "photo.jpg"]
    while sequencer.stamp(world.database.worker):
        pass
    told = send(app, follow, known).json
    assert [e["type"] for e in told["events"]] == [
        *("lead.received", "lead.decided", "lead.offered"),
        *("file.added", "file.added"),
    ]
    known["NEXT"] = told["next"]
    assert send(app, on, known).json["events"] == []

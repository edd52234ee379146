"""Reads back what FolderSender wrote, for the development page and tests."""

import re
from dataclasses import dataclass
from datetime import datetime
from email import policy
from email.parser import BytesParser
from pathlib import Path

NAME = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{16}\.eml")


@dataclass(frozen=True, slots=True)
class Kept:
    """One written message; `name` is its file's name."""

    name: str
    to: str
    subject: str
    date: datetime | None
    text: str
    html: str | None
    message_id: str


def listed(folder: Path, limit: int = 200) -> list[Kept]:
    """The newest messages first."""
    names = sorted((p.name for p in folder.glob("*.eml") if NAME.fullmatch(p.name)), reverse=True)
    found = (read(folder, name) for name in names[:limit])
    return [one for one in found if one is not None]


def read(folder: Path, name: str) -> Kept | None:
    """One message by file name; None for a name that is not ours or is gone."""
    path = folder / name
    if not NAME.fullmatch(name) or not path.is_file():
        return None
    parsed = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
    plain, rich = parsed.get_body(("plain",)), parsed.get_body(("html",))
    date = parsed["Date"].datetime if parsed["Date"] else None
    return Kept(
        name=name,
        to=str(parsed["To"] or ""),
        subject=str(parsed["Subject"] or ""),
        date=date,
        text=plain.get_content() if plain else "",
        html=rich.get_content() if rich else None,
        message_id=str(parsed["Message-ID"] or "").strip("<>"),
    )

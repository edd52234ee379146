"""The house rules that import-linter cannot say: rooms that may not know each other, and files that stay small."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.settings import HOME

COLLABORATIONS = ("leads", "carts", "catalog", "incidents", "content")


def imports_of(path: Path) -> Iterator[str]:
    """Every module a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(module: str) -> str:
    """The room of a dotted name within portal, or an empty string."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "portal" else ""


@pytest.mark.parametrize("room", COLLABORATIONS)
def test_a_collaboration_never_imports_another(room: str) -> None:
    others = set(COLLABORATIONS) - {room}
    found = [
        f"{path.relative_to(HOME)} imports {module}"
        for path in (HOME / "portal" / room).rglob("*.py")
        for module in imports_of(path)
        if rooms(module) in others
    ]
    assert not found


def test_the_check_sees_imports_inside_functions(tmp_path: Path) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text("def f():\n    from portal import carts\n    import portal.leads.actions\n")
    assert {rooms(m) for m in imports_of(sample)} >= {"carts", "leads"}


def test_no_lock_file_names_a_package_index() -> None:
    files = [*HOME.glob("requirements*.txt"), HOME / "package-lock.json"]
    assert len(files) == 5
    for file in files:
        text = file.read_text()
        addresses = re.findall("(.*)://", text)
        assert all(before.strip() == '"url": "https' for before in addresses), (
            file
        )  # whom to thank, in npm's lock
        assert "sha" in text


def test_every_locked_requirement_has_a_hash() -> None:
    for file in HOME.glob("requirements*.txt"):
        lines = [line for line in file.read_text().splitlines() if line and not line.lstrip().startswith("#")]
        names = [number for number, line in enumerate(lines) if not line.startswith(" ")]
        assert names
        assert all("--hash=sha256:" in lines[number + 1] for number in names), file


def test_every_file_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(HOME))
        for folder in ("portal", "integrations", "rules")
        for path in (HOME / folder).rglob("*.py")
        if path.stat().st_size and ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) is None
    ]
    assert not silent

"""HTML to PDF (tagged, PDF/UA-1) by WeasyPrint in a child process of its own: limited memory and time, no network, no files.

A document can make a layout engine run for ever or eat all memory, and nothing stops it from within (WeasyPrint issues
660, 1549): so it runs in a process that is killed. Everything a document shows comes with it: its only addresses are
data: ones. `python -m integrations.pdf` is that child: HTML on its standard input, the PDF on its standard output.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
from typing import Any, Literal

TIMEOUT_S = 20
MEMORY_BYTES = 1024 * 1024 * 1024
MOST_AT_ONCE = 2
WAIT_S = 10
NO_PANGO = 3
# What a document has no business doing, whatever a library would let it: audit events of the interpreter.
FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "urllib.")

_slots = threading.BoundedSemaphore(MOST_AT_ONCE)


class PdfError(Exception):
    """No document came of it. code: no_pango (not on this machine), too_long, busy, or failed."""

    def __init__(self, code: Literal["no_pango", "too_long", "busy", "failed"], detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code


def render(html: str, *, timeout_s: float = TIMEOUT_S, wait_s: float = WAIT_S) -> bytes:
    """The PDF of an HTML document, which names its language and title. PdfError when there is none."""
    if not _slots.acquire(timeout=wait_s):
        raise PdfError("busy")
    try:
        return _in_child(html, timeout_s)
    finally:
        _slots.release()


def _in_child(html: str, timeout_s: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="interline-pdf-") as folder:
        # Nothing of our environment: it holds passwords. Fonts are found from the system's own settings.
        environment = {"PATH": os.defpath, "HOME": folder, "TMPDIR": folder, "LANG": "C.UTF-8"}
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "integrations.pdf"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            made, said = child.communicate(html.encode(), timeout=timeout_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            raise PdfError("too_long") from None
    if child.returncode == NO_PANGO:
        raise PdfError("no_pango", said.decode(errors="replace").strip())
    lines = said.decode(errors="replace").strip().splitlines()
    if child.returncode in (-signal.SIGKILL, -signal.SIGXCPU) or lines[-1:] == ["MemoryError"]:
        raise PdfError("too_long")  # or too much: the limits of the child
    if child.returncode != 0 or not made.startswith(b"%PDF-"):
        raise PdfError("failed", lines[-1] if lines else f"exit code {child.returncode}")
    return made


# -- in the child --------------------------------------------------------------------------------------------------


def main() -> int:
    """Read HTML, write its PDF; the exit code says what kept it from that."""
    _limit()
    html = sys.stdin.buffer.read().decode()
    try:
        from weasyprint import HTML
        from weasyprint.text.fonts import FontConfiguration
        from weasyprint.urls import URLFetcher
    except OSError as error:  # WeasyPrint loads Pango when it is imported
        print(f"Pango is missing: {error}", file=sys.stderr)
        return NO_PANGO

    class DataOnly(URLFetcher):  # type: ignore[misc]
        """Nothing but what stands in the document itself."""

        def __init__(self) -> None:
            super().__init__(allowed_protocols=["data"], allow_redirects=False)

        def fetch(self, url: str, headers: Any = None) -> Any:
            if not url.lower().startswith("data:"):
                raise ValueError("only data: addresses are read")
            return super().fetch(url, headers)

    fetcher = DataOnly()
    sys.addaudithook(_refuse)
    document = HTML(string=html, url_fetcher=fetcher, base_url=None)
    made = document.write_pdf(pdf_variant="pdf/ua-1", font_config=FontConfiguration())
    sys.stdout.buffer.write(made)
    return 0


def _limit() -> None:
    for which, value in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, TIMEOUT_S),
        (resource.RLIMIT_FSIZE, 64 * 1024 * 1024),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(which, (value, value))


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event.startswith(FORBIDDEN) and not event.startswith("urllib.Request"):
        raise PermissionError(f"{event} is not allowed here")


if __name__ == "__main__":
    sys.exit(main())

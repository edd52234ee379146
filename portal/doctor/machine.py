"""What this machine has: versions, settings, libraries and programs, space, the user we run as."""

import ctypes
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path

import portal
from portal.doctor.findings import Finding, judged, of_setting
from portal.settings import Settings, SettingsError
from portal.supervisor.postgres import has_data

PANGO_PACKAGES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), Path("~/.fonts"))
LEAST_FREE_MB = 500
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_chromium() -> str | None:
    """Path of a Chromium for the browser tests: CHROMIUM, the system's, or the one Playwright installed."""
    for name in (os.environ.get("CHROMIUM", ""), *CHROMIUM_NAMES):
        if name and (found := shutil.which(name)):
            return found
    home = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", Path.home() / ".cache" / "ms-playwright"))
    found_here = sorted(home.glob("chromium-*/chrome-linux*/chrome"))
    return str(found_here[-1]) if found_here else None


def check_versions(_settings: Settings) -> Iterator[Finding]:
    """Python and the program's own version."""
    ours = importlib.metadata.version("interline")
    yield Finding(
        "versions", "ok", f"Interline {ours}, Python {platform.python_version()}, {platform.platform()}"
    )


def check_settings(settings: Settings) -> Iterator[Finding]:
    """Where things are; that the secret can be had."""
    database = "embedded PostgreSQL" if settings.embedded_database else "DATABASE_URL"
    broker = "BROKER_URL" if settings.broker_url else "files in VAR_DIR/broker"
    yield Finding(
        "settings", "ok", f"{settings.site_url}; {database}; broker: {broker}; mail: {settings.mail_backend}"
    )
    try:
        if settings.has_secret or not settings.is_local:
            yield Finding("secret", "ok", f"{len(settings.secret)} characters")
    except SettingsError as error:
        yield of_setting(error)
    if settings.embedded_database and not settings.is_local:
        cure = "Set DATABASE_URL and back it up; the embedded one lives in VAR_DIR/pg of this machine only."
        yield Finding("database", "off", "a public site on the embedded database", cure)


def check_set_up(settings: Settings) -> Iterator[Finding]:
    """Whether there is anything to look at; the other checks would make it by looking."""
    missing = [] if settings.var_dir.is_dir() else [str(settings.var_dir)]
    if settings.is_local and not settings.has_secret:
        missing.append("a secret")
    if settings.embedded_database and not has_data(settings.var_dir):
        missing.append("a database")
    if missing:
        said = f"nothing was set up here yet (no {', no '.join(missing)})"
        yield Finding(
            "set-up", "wrong", said, "Run: interline up (or interline migrate). If it was: check VAR_DIR."
        )


def check_documents(_settings: Settings) -> Iterator[Finding]:
    """What PDF documents are made with: libraries, and a font that is not a row of boxes."""
    cure = f"sudo apt-get install -y --no-install-recommends {PANGO_PACKAGES}"
    try:
        for library in ("libpango-1.0.so.0", "libpangoft2-1.0.so.0"):
            ctypes.CDLL(library)
    except OSError:
        yield Finding("PDF", "off", "no Pango: documents cannot be made", cure)
        return
    fonts = sum(1 for _ in font_files())
    yield judged("PDF", fonts > 0, f"Pango found, {fonts} font files", cure, "off")


def font_files() -> Iterator[Path]:
    """Fonts where fontconfig looks for them."""
    for folder in FONT_FOLDERS:
        for kind in ("*.ttf", "*.otf", "*.ttc"):
            yield from folder.expanduser().rglob(kind)


def check_programs(settings: Settings) -> Iterator[Finding]:
    """Programs and files that parts of the portal need."""
    vendor = Path(portal.__file__).parent / "web" / "static" / "vendor"
    if vendor.is_dir():
        yield Finding("browser files", "ok", str(vendor))
    else:
        yield Finding("browser files", "off", "pages have no style sheet", "Run: make install")
    yield _backup_programs(settings)
    browser = find_chromium()
    if browser:
        yield Finding("browser tests", "ok", browser)
    else:
        yield Finding("browser tests", "off", "no Chromium", "sudo apt-get install -y chromium")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Space where we keep things."""
    free = shutil.disk_usage(settings.var_dir).free // 2**20
    cure = f"Make room, or move VAR_DIR; {LEAST_FREE_MB} MB is the least."
    yield judged("disk", free > LEAST_FREE_MB, f"{free} MB free in {settings.var_dir}", cure)
    probe = settings.var_dir / f".doctor-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        cure = f"Give this user the right to write there: chown -R {os.getuid()} {settings.var_dir}"
        yield Finding("disk", "wrong", f"{settings.var_dir} cannot be written: {error.strerror}", cure)


def check_user(_settings: Settings) -> Iterator[Finding]:
    """Nothing here needs root."""
    cure = "Run it as a user of its own, as the systemd unit on /help/operator does (User=interline)."
    yield judged("user", os.geteuid() != 0, f"runs as user id {os.geteuid()}", cure, "off")


def _backup_programs(settings: Settings) -> Finding:
    """What `interline backup` will need for the server in use."""
    import psycopg

    from portal.backup import programs

    try:
        with psycopg.connect(settings.url_for("worker"), connect_timeout=5) as connection:
            major = programs.server_major(connection)
        path, found = programs.find("pg_dump", major)
    except psycopg.Error:
        return Finding(
            "backup", "off", "which PostgreSQL to back up is not known", "Mend the database first."
        )
    except programs.ProgramError as error:
        return Finding("backup", "off", "no backup can be made", str(error))
    return Finding("backup", "ok", f"{path} (PostgreSQL {found})")

"""Typed settings and what follows from them; a bad value stops the boot with its name and cure.

`load()` reads them once per process. What an operator can choose stands in portal/choices.py.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import secrets
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import ValidationError, model_validator

from portal.choices import HOME, Choices, SettingsError

__all__ = ["HOME", "Settings", "SettingsError", "help_page", "load", "make", "with_login"]
# The filesystem broker polls; 0.1 s means a wake arrives within 100 ms at next to no cost (measured 11 to 99 ms).
BROKER_POLL_S = 0.1

Login = Literal["owner", "app", "worker"]


class Settings(Choices):
    """The choices and what follows from them. Read it with `load()`; tests make their own: `Settings(var_dir=..., ...)`."""

    @model_validator(mode="after")
    def _together(self) -> Settings:
        if self.mail_mode == "smtp" and self.smtp_url is None:
            raise SettingsError("MAIL_MODE", "smtp", "Set SMTP_URL too, or use MAIL_MODE=folder.")
        if self.pooled and self.database_owner_url is None:
            raise SettingsError(
                "DATABASE_POOLER",
                "transaction",
                "Set DATABASE_OWNER_URL to PostgreSQL itself too: migrations and backups go past the pooler.",
            )
        if self.demo and not self.is_local:
            raise SettingsError(
                "DEMO", "on", f"PUBLIC_URL is {self.public_url}; the demo is for this machine only."
            )
        return self

    @property
    def embedded_database(self) -> bool:
        """True when PostgreSQL is ours to start and stop."""
        return self.database_url is None

    @property
    def pooled(self) -> bool:
        """True when a pooler hands out the connections of web and worker by the transaction."""
        return self.database_pooler == "transaction"

    @property
    def site_url(self) -> str:
        """PUBLIC_URL or its default, without a trailing slash."""
        return self.public_url or f"http://localhost:{self.port}"

    @property
    def over_https(self) -> bool:
        """Whether people reach the site by https, whatever the proxy in front of it speaks to the web processes."""
        return self.site_url.startswith("https")

    @property
    def is_local(self) -> bool:
        """True when people reach this installation from this machine only."""
        host = urlsplit(self.site_url).hostname or ""
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False

    @property
    def demo_on(self) -> bool:
        """DEMO when given; else on only when nothing is configured."""
        if self.demo is not None:
            return self.demo
        configured = (self.database_url, self.broker_url, self.public_url, self.smtp_url, self.storage_url)
        return self.interline_secret is None and not any(configured)

    @property
    def mail_backend(self) -> Literal["folder", "smtp", "off"]:
        """MAIL_MODE with auto resolved."""
        if self.mail_mode == "auto":
            return "smtp" if self.smtp_url else "folder"
        return self.mail_mode

    @property
    def files_url(self) -> str:
        """STORAGE_URL or its default."""
        return self.storage_url or (self.var_dir / "files").as_uri()

    @property
    def celery_broker_url(self) -> str:
        """BROKER_URL or the broker made of files."""
        return self.broker_url or "filesystem://localhost"

    @property
    def broker_transport_options(self) -> dict[str, Any]:
        """Options of kombu's transport; the wakes it carries may be lost, so short timeouts are safe."""
        if self.broker_url is None:
            folder = str(self.var_dir / "broker")
            return {
                "data_folder_in": folder,
                "data_folder_out": folder,
                "control_folder": str(self.var_dir / "broker" / "control"),
                "polling_interval": BROKER_POLL_S,
            }
        if self.broker_url.startswith(("redis", "valkey")):
            return {"visibility_timeout": 60, "socket_keepalive": True, "health_check_interval": 10}
        return {}

    @property
    def has_secret(self) -> bool:
        """Whether `secret` can be had without making one."""
        return self.interline_secret is not None or (self.is_local and (self.var_dir / "secret").exists())

    @cached_property
    def secret(self) -> bytes:
        """The key everything derives from; made and kept in VAR_DIR/secret (0600) on a local installation."""
        if self.interline_secret is not None:
            return self.interline_secret.get_secret_value().encode()
        if not self.is_local:
            cure = Settings.model_fields["interline_secret"].json_schema_extra
            raise SettingsError("INTERLINE_SECRET", None, f"PUBLIC_URL is not local. {cure['cure']}")  # type: ignore[index,call-overload]
        return _kept_secret(self.var_dir / "secret")

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HMAC-SHA256 of its name under INTERLINE_SECRET)."""
        return hmac.new(self.secret, purpose.encode(), hashlib.sha256).digest()

    def password_for(self, login: str) -> str:
        """Password of a database login that we made: base64url, 43 characters, never stored."""
        return base64.urlsafe_b64encode(self.derive(f"database login {login}")).rstrip(b"=").decode()

    def login(self, which: Login) -> str:
        """Name of one of the three database logins."""
        return f"{self.login_prefix}_{which}"

    @property
    def admin_url(self) -> str:
        """Login that may make logins and databases: the embedded superuser, else DATABASE_OWNER_URL or DATABASE_URL."""
        if self.database_url is not None:
            return self.database_owner_url or self.database_url
        return f"postgresql://postgres@/{self.database_name}?host={quote(str(self.socket_dir))}"

    @property
    def database_name(self) -> str:
        """The database within the server."""
        return urlsplit(self.database_url).path.lstrip("/") if self.database_url else "interline"

    @property
    def socket_dir(self) -> Path:
        """Folder of the embedded server's socket: short, private, the same for every process of this folder."""
        from portal.supervisor.postgres import socket_dir

        return socket_dir(self.var_dir)

    def url_for(self, which: Login) -> str:
        """Connection address (libpq form) of a login.

        A DATABASE_*_URL that already names a login of that kind (user ends in _owner, _app, _worker) is used as it
        stands; else our login of that kind takes the place of its user, with the derived password.
        """
        given = {
            "owner": self.database_owner_url,
            "app": self.database_url,
            "worker": self.database_worker_url,
        }[which]
        base = given or self.database_url or self.admin_url
        if given and (urlsplit(given).username or "").endswith(f"_{which}"):
            return given
        if which == "worker" and given:
            return given
        return with_login(base, self.login(which), self.password_for(self.login(which)))


def with_login(url: str, user: str, password: str | None) -> str:
    """The same server and database under another login."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    secret = f":{quote(password, safe='')}" if password is not None else ""
    made = urlunsplit((parts.scheme, f"{quote(user, safe='')}{secret}@{host}", parts.path, parts.query, ""))
    return made.replace(":///", "://", 1) if host else made


def _kept_secret(path: Path) -> bytes:
    """Read the secret, making it on first use; two processes that start together agree on one (link is atomic)."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".secret-{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            os.link(draft, path)
        except FileExistsError:
            pass  # another process was first; its secret is the secret
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)
    return path.read_text().strip().encode()


def make(**values: Any) -> Settings:
    """Settings from the environment and the file, `values` first; raises SettingsError for the first bad one."""
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        field = Settings.model_fields.get(name)
        extra = field.json_schema_extra if field and isinstance(field.json_schema_extra, dict) else {}
        secret = name != "public_url" and name.endswith(("_secret", "_url"))
        value = (
            "(hidden)" if secret and "input" in first else first.get("input", values.get(name, _raw(name)))
        )
        raise SettingsError(name.upper(), value, str(extra.get("cure", first["msg"]))) from None


def _raw(name: str) -> str | None:
    """The value as the operator wrote it, for the message only."""
    return os.environ.get(name.upper()) or os.environ.get(name)


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process; makes the folders they name. Raises SettingsError."""
    settings = make()
    for folder in ("", "broker", "broker/control", "mail", "log"):
        path = settings.var_dir / folder
        try:
            path.mkdir(mode=0o700 if folder else 0o755, parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                "VAR_DIR", str(settings.var_dir), f"{error.strerror}: {error.filename}"
            ) from error
    return settings


def help_page() -> str:
    """The text of portal/help/settings.md, made from the fields above."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable, or the same name in lower case in section `[interline]` of",
        "`development.ini` (another file: `INTERLINE_CONFIG`). The environment wins. With none set, everything is",
        "embedded and local. A value that cannot be used stops the start and is named with its cure.",
        "",
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else str(field.default)
        lines.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"

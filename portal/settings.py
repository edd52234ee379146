"""Typed settings: development.ini, overridden by the environment; a bad value stops the boot with its name and cure.

`load()` reads them once per process. Sources, strongest first: environment variable (DATABASE_URL), the same name in
lower case in section [interline] of development.ini (another file: INTERLINE_CONFIG), the default. All of them are
listed for operators in portal/help/settings.md; a test keeps that page equal to this file.
"""

from __future__ import annotations

import base64
import configparser
import difflib
import hashlib
import hmac
import ipaddress
import os
import secrets
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

HOME = Path(__file__).resolve().parent.parent
SECTION = "interline"
MIN_SECRET_LENGTH = 32
# The filesystem broker polls; 0.1 s means a wake arrives within 100 ms at next to no cost (measured 11 to 99 ms).
BROKER_POLL_S = 0.1

Login = Literal["owner", "app", "worker"]


class SettingsError(Exception):
    """A setting that cannot be used: which one, its value (secrets hidden) and what to do about it."""

    def __init__(self, name: str, value: object, cure: str) -> None:
        super().__init__(f"Setting {name} = {value!r} cannot be used. {cure}")
        self.name, self.value, self.cure = name, value, cure


def _setting(default: Any, meaning: str, cure: str) -> Any:
    """One setting: its default, one line for operators, and the cure shown when its value cannot be used."""
    return Field(default=default, description=meaning, json_schema_extra={"cure": cure})


class IniSource(PydanticBaseSettingsSource):
    """Section [interline] of the configuration file; an unknown name in it is refused, with the nearest known one."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        path = Path(os.environ.get("INTERLINE_CONFIG", HOME / "development.ini"))
        if not path.exists():
            if "INTERLINE_CONFIG" in os.environ:
                raise SettingsError(
                    "INTERLINE_CONFIG", str(path), "No such file; name one that exists or unset it."
                )
            return {}
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(path, encoding="utf-8")
        except configparser.Error as error:
            raise SettingsError("INTERLINE_CONFIG", str(path), f"Not an ini file: {error}") from error
        values = dict(parser[SECTION]) if parser.has_section(SECTION) else {}
        known = set(self.settings_cls.model_fields)
        for name in values.keys() - known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"Did you mean {near[0]}?" if near else "Remove the line; portal/help/settings.md lists all."
            )
            raise SettingsError(f"{name} in {path.name}", values[name], f"There is no such setting. {hint}")
        return {name: value for name, value in values.items() if value.strip()}


class Settings(BaseSettings):
    """Everything an operator can choose. Read it with `load()`; tests make their own: `Settings(var_dir=..., ...)`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=False, env_ignore_empty=True, hide_input_in_errors=True
    )

    database_url: str | None = _setting(
        None,
        "PostgreSQL (15 or newer) to use; unset: one of our own in VAR_DIR/pg",
        "Give postgresql://user:password@host:5432/database, or unset it for the embedded one.",
    )
    database_owner_url: str | None = _setting(
        None,
        "Login that migrates and makes the other logins; unset: derived from DATABASE_URL",
        "Give postgresql://owner:password@host:5432/database.",
    )
    database_worker_url: str | None = _setting(
        None,
        "Login of background work; unset: derived from DATABASE_URL",
        "Give postgresql://worker:password@host:5432/database.",
    )
    database_pooler: Literal["none", "transaction"] = _setting(
        "none",
        "What DATABASE_URL leads to: none is PostgreSQL itself, transaction a pooler such as pgbouncer in transaction mode",
        "Use none or transaction.",
    )
    login_prefix: str = _setting(
        "interline",
        "Name before _owner, _app and _worker in the database logins we make",
        "Use lower-case letters, digits and _ (at most 40), beginning with a letter.",
    )
    broker_url: str | None = _setting(
        None,
        "Celery broker that wakes workers; unset: files in VAR_DIR/broker (one machine)",
        "Give redis://host:6379/0 or amqp://user:password@host/vhost, or unset it.",
    )
    port: int = _setting(
        6543, "Port the web server listens on", "Give a free port from 1 to 65535, e.g. PORT=6544."
    )
    bind: str = _setting(
        "127.0.0.1", "Address the web server listens on", "Give an IP address, e.g. 0.0.0.0."
    )
    public_url: str | None = _setting(
        None,
        "Address people use, in links of mails and on wires; unset: http://localhost:PORT",
        "Give scheme and host without a path, e.g. https://partners.example.com.",
    )
    smtp_url: str | None = _setting(
        None,
        "Mail server; unset: mail is written to VAR_DIR/mail and shown on /dev/mail",
        "Give smtp://user:password@host:587 (STARTTLS) or smtps://user:password@host:465.",
    )
    mail_mode: Literal["auto", "folder", "smtp", "off"] = _setting(
        "auto",
        "Where mail goes: auto is smtp when SMTP_URL is set, else folder",
        "Use auto, folder, smtp or off.",
    )
    mail_from: str = _setting(
        "Interline <no-reply@localhost>", "Sender of all mail", "Give Name <address@example.com>."
    )
    storage_url: str | None = _setting(
        None,
        "Where attachments live; unset: VAR_DIR/files",
        "Give file:///path or s3://bucket/prefix, or unset it.",
    )
    max_file_mb: int = _setting(
        25, "Largest file that may be added to a lead, in MB", "Give a number from 1 to 30."
    )
    max_files_mb: int = _setting(
        200,
        "How much one company may add to one lead, in MB",
        "Give a number from 1 to 100000, at least MAX_FILE_MB.",
    )
    interline_secret: SecretStr | None = _setting(
        None,
        "Key from which logins' passwords, signatures and the encryption of second factors derive; unset and local:"
        " made and kept in VAR_DIR/secret",
        f"Give at least {MIN_SECRET_LENGTH} random characters, the same on every machine: openssl rand -base64 48",
    )
    demo: bool | None = _setting(
        None,
        "Fill an empty database with the demo company; unset: only when nothing is configured",
        "Use on or off. It is refused when PUBLIC_URL is not local, because its passwords are printed.",
    )
    var_dir: Path = _setting(
        Path("var"), "Folder for all that this machine keeps", "Give a folder you may write to."
    )
    web_processes: int = _setting(
        2, "Web server processes", "Give a number from 1 to 64; about one per core."
    )
    web_threads: int = _setting(
        2, "Threads in each web process", "Give 1 to 16; 1 or 2 are best, more only convoy."
    )
    worker_threads: int = _setting(2, "Threads of the background worker", "Give a number from 1 to 64.")
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "How much is logged", "Use debug, info, warning or error."
    )
    log_format: Literal["text", "json"] = _setting(
        "text", "How a line of the log is written: key=value or one JSON object", "Use text or json."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, IniSource(settings_cls)

    # -- checks ------------------------------------------------------------------------------------------------

    @field_validator("log_level", "log_format", "mail_mode", "database_pooler", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("database_url", "database_owner_url", "database_worker_url")
    @classmethod
    def _postgresql(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("not a PostgreSQL address")
        return value

    @field_validator("login_prefix")
    @classmethod
    def _identifier(cls, value: str) -> str:
        plain = value.isascii() and value.replace("_", "a").isalnum() and value[:1].isalpha()
        if not plain or value != value.lower() or len(value) > 40:
            raise ValueError("not a plain name")
        return value

    @field_validator("bind")
    @classmethod
    def _address(cls, value: str) -> str:
        return str(ipaddress.ip_address(value))

    @field_validator("port", "web_processes", "web_threads", "worker_threads", "max_file_mb", "max_files_mb")
    @classmethod
    def _range(cls, value: int, info: Any) -> int:
        tops = {"port": 65535, "web_threads": 16, "max_file_mb": 30, "max_files_mb": 100_000}
        top = tops.get(info.field_name, 64)
        if not 1 <= value <= top:
            raise ValueError("out of range")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.hostname
            or parts.path not in {"", "/"}
            or parts.query
        ):
            raise ValueError("not an address of a site")
        return value.rstrip("/")

    @field_validator("storage_url")
    @classmethod
    def _place_for_files(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        named = parts.path.startswith("/") if parts.scheme == "file" else bool(parts.netloc)
        if parts.scheme not in {"file", "s3", "memory"} or not (named or parts.scheme == "memory"):
            raise ValueError("not a place for files")
        return value

    @field_validator("interline_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_SECRET_LENGTH:
            raise ValueError("too short")
        return value

    @field_validator("var_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return (HOME / value.expanduser()).absolute()

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

    # -- what follows from them --------------------------------------------------------------------------------

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

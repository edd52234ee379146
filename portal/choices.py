"""What an operator can choose: names, defaults, checks and cures, and where values are read.

Sources, strongest first: environment variable (DATABASE_URL), the same name in lower case in section [interline] of
development.ini (another file: INTERLINE_CONFIG), the default. All of them are listed for operators in
portal/help/settings.md; a test keeps that page equal to this file.
"""

from __future__ import annotations

import configparser
import difflib
import ipaddress
import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

HOME = Path(__file__).resolve().parent.parent
SECTION = "interline"
MIN_SECRET_LENGTH = 32


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


class Choices(BaseSettings):
    """Everything an operator can choose, each value checked by itself; portal.settings adds what follows from them."""

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

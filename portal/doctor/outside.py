"""What we talk to: our own web server, broker, mail server, storage of files."""

import http.client
import os
import secrets
import smtplib
import time
from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from integrations.mail import MailError, SmtpSender
from integrations.storage import StorageError
from portal.doctor.findings import Finding, judged
from portal.gateways import storage
from portal.settings import Settings

PATIENCE_S = 5


def check_web(settings: Settings) -> Iterator[Finding]:
    """Whether the web server of this machine answers, and is ready."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.bind, settings.bind)  # noqa: S104 - read, not bound
    connection = http.client.HTTPConnection(host, settings.port, timeout=PATIENCE_S)
    began = time.monotonic()
    try:
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        said = f"nothing answers on {host}:{settings.port} ({type(error).__name__})"
        yield Finding("web", "off", said, "Start it: interline up")
        return
    finally:
        connection.close()
    took = (time.monotonic() - began) * 1000
    cure = f"See what is missing: curl http://{host}:{settings.port}/readyz"
    yield judged("web", status == 200, f"/readyz answers {status} in {took:.0f} ms", cure)


def check_broker(settings: Settings) -> Iterator[Finding]:
    """Whether workers can be woken; without it they find work by themselves, half a second later."""
    from kombu import Connection as Broker

    if settings.broker_url is None:
        folder = settings.var_dir / "broker"
        if not folder.exists():
            yield Finding(
                "broker", "wrong", f"{folder} is not there", "`interline up` makes it: start it (again)."
            )
            return
        try:
            probe = folder / f".doctor-{secrets.token_hex(4)}"
            probe.touch()
            probe.unlink()
            yield Finding("broker", "ok", f"files in {folder}")
        except OSError as error:
            yield Finding(
                "broker", "wrong", f"{folder}: {error.strerror}", f"Make it writable: chmod u+rwx {folder}"
            )
        return
    cure = "Check BROKER_URL and that the broker runs; until then work starts up to half a second later."
    options = settings.broker_transport_options | {"socket_connect_timeout": PATIENCE_S}
    try:
        with Broker(settings.broker_url, connect_timeout=PATIENCE_S, transport_options=options) as broker:
            broker.ensure_connection(max_retries=1, timeout=PATIENCE_S, interval_start=0.1)
            with broker.channel():
                yield Finding("broker", "ok", f"{broker.transport_cls} at {broker.hostname}")
    except Exception as error:  # every broker's library has errors of its own
        yield Finding("broker", "off", f"it does not answer: {type(error).__name__}", cure)


def check_mail(settings: Settings) -> Iterator[Finding]:
    """Whether the mail server takes us; nothing is sent."""
    if settings.mail_backend != "smtp":
        where = (
            f"written to {settings.var_dir / 'mail'}" if settings.mail_backend == "folder" else "switched off"
        )
        state = settings.is_local
        cure = "Set SMTP_URL: nobody gets mail from a public site without it."
        yield judged("mail", state, where, cure, "off" if settings.mail_backend == "off" else "wrong")
        return
    assert settings.smtp_url is not None
    try:
        SmtpSender(settings.smtp_url, settings.mail_from).check()
        yield Finding("mail", "ok", "the mail server takes us")
    except (OSError, smtplib.SMTPException, MailError) as error:
        said = f"the mail server does not take us: {type(error).__name__}"
        if isinstance(error, smtplib.SMTPResponseException):
            said += f" {error.smtp_code}"
        yield Finding(
            "mail", "wrong", said, "Check SMTP_URL: host, port, user, password, and whether TLS is on."
        )


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Write, read and delete a probe; says which of them the folder or bucket refused."""
    key, content = f"doctor/{secrets.token_hex(8)}", secrets.token_bytes(64)
    url = urlsplit(settings.files_url)
    local = url.scheme == "file"
    place = unquote(url.path) if local else f"{url.scheme}://{url.netloc}{url.path}"
    cure = "Check the bucket of STORAGE_URL, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION."
    if local:
        cure = (
            f"Let this user write there (mkdir -p {place} && chown -R {os.geteuid()} {place}), make room,"
            " or name another folder in STORAGE_URL."
        )
    step = "open"
    try:
        store = storage(settings)
        step = "write"
        store.put(key, content)
        step = "read"
        same = store.get(key) == content
        step = "delete"
        store.delete(key)
        yield judged(
            "storage", same, f"files are kept in {place}", f"What is read is not what was written. {cure}"
        )
    except (StorageError, OSError, ValueError) as error:
        yield Finding("storage", "wrong", f"{place}: {step} failed: {error}", cure)

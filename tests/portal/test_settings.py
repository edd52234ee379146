"""Settings: where values come from, what is refused and how it is said, what derives from the secret."""

import stat
from pathlib import Path

import pytest

from portal.settings import HOME, Settings, SettingsError, _kept_secret, help_page, make, with_login

SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting from the environment or the checkout's own file."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    (tmp_path / "empty.ini").write_text("[interline]\n")
    monkeypatch.setenv("INTERLINE_CONFIG", str(tmp_path / "empty.ini"))


def test_with_nothing_set_everything_is_embedded_and_local() -> None:
    settings = make()
    assert settings.embedded_database
    assert settings.is_local
    assert settings.demo_on
    assert settings.site_url == "http://localhost:6543"
    assert settings.mail_backend == "folder"
    assert settings.celery_broker_url.startswith("filesystem://")
    assert settings.broker_transport_options["polling_interval"] == 0.1


def test_environment_overrides_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "site.ini"
    file.write_text("[interline]\nport = 7000\nweb_threads = 1\nsmtp_url =\n")
    monkeypatch.setenv("INTERLINE_CONFIG", str(file))
    monkeypatch.setenv("PORT", "7001")
    settings = make()
    assert (settings.port, settings.web_threads, settings.smtp_url) == (7001, 1, None)


def test_unknown_name_in_the_file_is_refused_with_the_nearest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "site.ini"
    file.write_text("[interline]\nweb_thread = 1\n")
    monkeypatch.setenv("INTERLINE_CONFIG", str(file))
    with pytest.raises(SettingsError, match="Did you mean web_threads"):
        make()


def test_missing_configuration_file_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("INTERLINE_CONFIG", str(tmp_path / "none.ini"))
    with pytest.raises(SettingsError, match="INTERLINE_CONFIG"):
        make()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "seven"),
        ("WEB_PROCESSES", "0"),
        ("WEB_THREADS", "17"),
        ("LOG_LEVEL", "loud"),
        ("DEMO", "perhaps"),
        ("BIND", "localhost"),
        ("DATABASE_URL", "mysql://db/x"),
        ("STORAGE_URL", "ftp://files/x"),
        ("STORAGE_URL", "file://relative"),
        ("PUBLIC_URL", "partners.example.com"),
        ("PUBLIC_URL", "https://partners.example.com/portal"),
        ("INTERLINE_SECRET", "short"),
        ("LOGIN_PREFIX", "Robert'); --"),
        ("MAIL_MODE", "pigeon"),
        ("MAIL_MODE", "smtp"),
        ("DATABASE_POOLER", "session"),
        ("DATABASE_POOLER", "transaction"),
    ],
)
def test_bad_value_names_setting_value_and_cure(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        make()
    assert caught.value.name == name
    assert caught.value.cure
    hidden = name in {"INTERLINE_SECRET", "DATABASE_URL", "STORAGE_URL"}
    assert (value in str(caught.value)) is not hidden


def test_demo_is_off_when_anything_is_configured_and_refused_in_public() -> None:
    assert not make(broker_url="redis://localhost/0").demo_on
    assert make(broker_url="redis://localhost/0", demo=True).demo_on
    with pytest.raises(SettingsError, match="DEMO"):
        make(public_url="https://partners.example.com", demo=True)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:1", True),
        ("http://127.3.4.5", True),
        ("http://[::1]:80", True),
        ("http://shop.localhost", True),
        ("https://example.com", False),
        ("http://192.168.0.4", False),
        ("http://localhost.example.com", False),
    ],
)
def test_local_means_this_machine_only(url: str, local: bool) -> None:
    assert make(public_url=url).is_local is local


def test_secret_is_made_once_and_private(tmp_path: Path) -> None:
    first = make(var_dir=tmp_path).secret
    assert first == make(var_dir=tmp_path).secret == _kept_secret(tmp_path / "secret")
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.glob("*secret*")] == ["secret"]


def test_public_site_without_a_secret_does_not_start(tmp_path: Path) -> None:
    settings = make(var_dir=tmp_path, public_url="https://partners.example.com")
    with pytest.raises(SettingsError, match="INTERLINE_SECRET"):
        _ = settings.secret
    assert not (tmp_path / "secret").exists()


def test_passwords_derive_from_secret_and_login() -> None:
    one, two = make(interline_secret=SECRET), make(interline_secret=SECRET[::-1])
    assert one.password_for("interline_app") == make(interline_secret=SECRET).password_for("interline_app")
    passwords = {s.password_for(login) for s in (one, two) for login in ("interline_app", "interline_worker")}
    assert len(passwords) == 4
    assert all(len(p) == 43 for p in passwords)


def test_our_logins_take_the_place_of_an_administrator() -> None:
    url = "postgresql://admin:pw@db.example:5433/il?sslmode=require"
    settings = make(database_url=url, interline_secret=SECRET)
    password = settings.password_for("interline_app")
    want = f"postgresql://interline_app:{password}@db.example:5433/il?sslmode=require"
    assert settings.url_for("app") == want
    assert settings.admin_url == url
    assert settings.url_for("worker").startswith("postgresql://interline_worker:")


def test_a_login_of_the_right_kind_is_used_as_it_stands() -> None:
    app, owner = "postgresql://acme_app:a@db/il", "postgresql://acme_owner:o@db/il"
    settings = make(database_url=app, database_owner_url=owner, interline_secret=SECRET)
    assert settings.url_for("app") == app
    assert settings.url_for("owner") == owner
    assert settings.admin_url == owner


def test_with_login_keeps_socket_addresses() -> None:
    assert with_login("postgresql://postgres@/il?host=%2Frun", "a", "p:/@") == (
        "postgresql://a:p%3A%2F%40@/il?host=%2Frun"
    )


def test_help_page_lists_every_setting_as_it_is() -> None:
    assert (HOME / "portal" / "help" / "settings.md").read_text() == help_page()


def test_the_checked_in_file_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INTERLINE_CONFIG")
    assert make().port == 6543

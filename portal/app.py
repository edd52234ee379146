"""The WSGI application: one ordered list of includes. Read this first."""

from typing import Any

import pyramid_tm
from pyramid.config import Configurator
from pyramid.router import Router
from pyramid.session import SignedCookieSessionFactory
from sqlalchemy import text

from portal import logs, published
from portal.bootstrap import app_url
from portal.db import make_engine, wait_until_up
from portal.security.cookie import host_only
from portal.settings import Settings, load

assert published
# Flash messages and the CSRF token only; who somebody is stands in the database (portal/security).
COOKIE_SESSION_S = 13 * 3600


def main(settings: Settings | None = None) -> Router:
    """The application, ready to serve; refuses to as a login that row-level security does not bind."""
    router = build(settings)
    refuse_strong_login(router.registry.app_engine)
    return router


def build(settings: Settings | None = None) -> Router:
    """Put the application together; opens no connection and starts no thread, so that processes may be forked with it."""
    chosen = settings or load()
    logs.configure(chosen.log_level, chosen.log_format)
    config = Configurator(
        settings={
            "tm.manager_hook": pyramid_tm.explicit_manager,
            "tm.annotate_user": False,
            "jinja2.directories": [],
        },
        session_factory=cookie_session(chosen),
    )
    config.registry.portal = chosen
    config.registry.app_engine = make_engine(app_url(chosen), pool_size=chosen.web_threads)

    config.include("portal.web.routes")  # before any route is made
    config.include("portal.web.limits")  # outermost: large bodies refused; each attempt is a new request
    config.include("pyramid_tm")  # then one transaction per attempt
    config.include("portal.web.headers")  # nonce and security headers, also on errors
    config.include("portal.web.observe")  # around those: request id, log line, figures
    config.include("portal.security.policy")  # request.db and request.ctx need the transaction above
    config.include("portal.web")  # templates, static files, CSRF, translations
    config.include("portal.web.errors")  # refusals and exceptions as pages or problems
    config.include("portal.web.health")
    config.include("portal.web.help")
    config.include("portal.security.views")  # sign-in, sign-out, invitation
    config.include("portal.web.home")
    config.include("portal.companies")
    config.include("portal.partners")
    config.include("portal.routing.rulesets")
    config.include("portal.leads")
    config.include("portal.imports")
    config.include("portal.connections")  # OAuth tokens, OpenAPI
    config.include("portal.events.api")  # the feed of the one log
    if chosen.is_local:
        config.include("portal.web.dev")  # /dev/mail
    return config.make_wsgi_app()


def cookie_session(settings: Settings) -> Any:
    """Signed cookie for flash messages and CSRF; Pyramid's defaults are neither Secure nor HttpOnly."""
    return SignedCookieSessionFactory(
        settings.derive("cookie session").hex(),
        cookie_name=host_only("interline_flash", settings),
        secure=settings.over_https,
        httponly=True,
        samesite="Lax",
        timeout=COOKIE_SESSION_S,
        reissue_time=COOKIE_SESSION_S // 10,
    )


def refuse_strong_login(engine: Any) -> None:
    """The owner or a superuser would see every company's rows: do not serve as one."""
    wait_until_up(engine)
    with engine.connect() as connection:
        row = connection.execute(
            text("""
                select current_user as name, rolsuper or rolbypassrls as strong,
                       exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace
                               where n.nspname = 'public' and c.relkind = 'r' and c.relowner = r.oid) as owns
                from pg_roles r where rolname = current_user
            """)
        ).one()
    if row.strong or row.owns:
        raise RuntimeError(
            f"Refusing to serve as database login {row.name!r}: it is a superuser or owns tables, so row-level"
            " security would not bind it. Let `interline migrate` make the app login, or name it in DATABASE_URL."
        )

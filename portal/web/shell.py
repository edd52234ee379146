"""What every page shows around its content: brand, reader, navigation with what waits, clock, zone and language."""

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from pyramid.events import BeforeRender
from pyramid.request import Request
from sqlalchemy import text

from portal.security.context import Context
from portal.security.permissions import permits
from portal.web.i18n import _
from portal.web.parts import Me, NavItem, Site

ROLE_WORDS = {
    "operator": _("Operator"),
    "channel_manager": _("Channel manager"),
    "account_manager": _("Account manager"),
    "sales_rep": _("Sales representative"),
    "service_agent": _("Service agent"),
    "administrator": _("Administrator"),
    "sales": _("Sales"),
    "service": _("Service"),
}
# One statement for brand and counts. What a context may not see is not counted.
ONE_VENDOR = "(select name from companies where kind = 'vendor' and realm_id = :realm limit 1)"
OFFERS_WAITING = """
    (select count(*) from (select 1 from offers where company_id = :company and state = 'offered' and deadline_at > :now
                           limit 1001) as open)
"""
QUEUE_WAITING = """
    (select count(*) from (
        select 1 from leads where realm_id = :realm and stage not in ('won', 'lost', 'invalid', 'duplicate')
          and (assignment in ('unroutable', 'handed_back', 'pulled_back')
               or (assignment = 'unrouted' and suspected_duplicate_of is not null)) limit 1001) as waiting)
"""
SHORTCUTS = "(select shortcuts from people where id = :person)"
ASKED = {
    "partner": text(f"select {ONE_VENDOR}, {OFFERS_WAITING}, {SHORTCUTS}"),
    "vendor": text(f"select {ONE_VENDOR}, {QUEUE_WAITING}, {SHORTCUTS}"),
    "nobody": text(f"select {ONE_VENDOR}, null, {SHORTCUTS}"),
}
_brands: "WeakKeyDictionary[Any, dict[int, str]]" = WeakKeyDictionary()


@dataclass(slots=True)
class Shell:
    """The frame of one page."""

    site: Site = field(default_factory=Site)
    me: Me | None = None
    nav: list[NavItem] = field(default_factory=list)
    ctx: Context | None = None
    shortcuts: bool = True
    waiting: int | None = None  # what waits where the navigation says so


# label, address, permission, what waits there
VENDOR_NAV = (
    (_("Home"), "/", "home", ""),
    (_("Leads"), "/leads", "lead.read", ""),
    (_("Queue"), "/leads/queue", "lead.queue", "waiting"),
    (_("Decisions"), "/decisions", "decision.search", ""),
    (_("Partners"), "/partners", "partner.read", ""),
    (_("Rules"), "/rules", "rules.read", ""),
    (_("Imports"), "/imports", "import.run", ""),
    (_("People"), "/company/people", "member.manage", ""),
)
PARTNER_NAV = (
    (_("Home"), "/", "home", ""),
    (_("Offers"), "/offers", "offer.answer", "waiting"),
    (_("Leads"), "/leads", "lead.read", ""),
    (_("Why"), "/why", "decision.own", ""),
    (_("Our company"), "/company", "company.read", ""),
)


def known_context(request: Request) -> Context | None:
    """Who reads, without ever failing: an error page is drawn where the database cannot be asked."""
    try:
        if request.environ.get("tm.active"):
            return request.ctx  # type: ignore[no-any-return]
    except Exception:
        return None
    session = request.__dict__.get("db")
    return getattr(session, "ctx", None)


def _frame(request: Request) -> Shell:
    ctx = known_context(request)
    if ctx is None:
        return Shell()
    name, waiting, shortcuts = _asked(request, ctx)
    shell = Shell(site=Site(name) if name else Site(), ctx=ctx, shortcuts=shortcuts, waiting=waiting)
    if ctx.person_id is None or ctx.kind not in ("vendor", "partner"):
        return shell
    partner = ctx.kind == "partner"
    role = next((word for role, word in ROLE_WORDS.items() if role in ctx.roles), "")
    shell.me = Me(ctx.person_name or "", (ctx.company_name or "") if partner else role)
    shell.nav = [
        NavItem(label, url, waiting if waits else None, _on(request.path, url))
        for label, url, permission, waits in (PARTNER_NAV if partner else VENDOR_NAV)
        if permits(ctx, permission)
    ]
    if sum(item.on for item in shell.nav) > 1:  # /leads/queue lies under /leads
        longest = max((item.url for item in shell.nav if item.on), key=len)
        shell.nav = [NavItem(i.label, i.url, i.count, i.url == longest) for i in shell.nav]
    return shell


def _on(path: str, url: str) -> bool:
    return path == url if url == "/" else path == url or path.startswith(url + "/")


def _asked(request: Request, ctx: Context) -> tuple[str, int | None, bool]:
    """Brand, count and whether keys act; the brand last seen, and no count, where the transaction is already broken."""
    engine = request.registry.app_engine
    brands = _brands.setdefault(engine, {})
    who = "nobody"
    if ctx.kind == "partner" and ctx.person_id:
        who = "partner"
    elif ctx.kind == "vendor" and permits(ctx, "lead.queue"):
        who = "vendor"
    if request.exception is not None or not request.environ.get("tm.active"):
        return brands.get(ctx.realm_id, ""), None, True
    parameters = {"realm": ctx.realm_id, "company": ctx.company_id, "now": ctx.now, "person": ctx.person_id}
    row = request.db.execute(ASKED[who], parameters).one()
    if row[0]:
        brands[ctx.realm_id] = row[0]
    return row[0] or "", row[1], row[2] is not False


def add_globals(event: BeforeRender) -> None:
    """site, me, nav, ctx, now for the layouts; once per request however many templates it renders."""
    request = event.get("request")
    page = str(event.get("renderer_name", "")).endswith(".jinja2")  # JSON has no layout to fill
    if request is None or not page or not hasattr(request, "shell"):
        return
    shell: Shell = request.shell
    for name in ("site", "me", "nav", "ctx", "shortcuts"):
        event.setdefault(name, getattr(shell, name))
    event.setdefault("now", request.fmt.now)


def time_zone(request: Request) -> str:
    """The reader's time zone."""
    ctx = known_context(request)
    return ctx.time_zone if ctx else "UTC"


def includeme(config: Any) -> None:
    """Frame, zone and language of every request."""
    config.add_settings(
        {"jinja2.newstyle": True}
    )  # _('... %(name)s', name=x) escapes x and needs no format call
    config.add_request_method(_frame, "shell", reify=True)
    config.add_request_method(time_zone, "time_zone", property=True)
    config.include("portal.web.language")
    config.add_subscriber(add_globals, BeforeRender)

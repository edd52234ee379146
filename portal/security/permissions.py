"""Who may do what: the whole policy of the site on one page.

A permission is granted when any of its clauses is true for the context; a permission that is not here is granted to
nobody, and a view that declares none does not boot. *Which* record is a matter of what the context sees (shares and
row-level security): a foreign id is not found, never forbidden.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from portal.security.context import Context

Clause = Callable[[Context], bool]


def anybody(_ctx: Context) -> bool:
    """Pages that show no company's data to a stranger."""
    return True


def signed_in(ctx: Context) -> bool:
    """Any person with a role."""
    return ctx.person_id is not None and bool(ctx.roles)


def link(ctx: Context) -> bool:
    """Whoever holds a mail link; it opens one offer."""
    return ctx.kind == "link"


def vendor(*roles: str) -> Clause:
    """A person of the vendor with one of `roles`."""
    return lambda ctx: ctx.kind == "vendor" and bool(ctx.roles.intersection(roles))


def partner(*roles: str) -> Clause:
    """A person of a partner with one of `roles`."""
    return lambda ctx: ctx.kind == "partner" and bool(ctx.roles.intersection(roles))


def system(scope: str) -> Clause:
    """A company's system whose token carries `scope`."""
    return lambda ctx: ctx.client_id is not None and scope in ctx.scopes


MANAGERS = ("operator", "channel_manager")
SELLERS = ("operator", "channel_manager", "account_manager", "sales_rep")
CARERS = ("operator", "channel_manager", "account_manager")

PERMISSIONS: Mapping[str, tuple[Clause, ...]] = MappingProxyType(
    {
        "public": (anybody,),
        "home": (signed_in,),
        "profile.own": (signed_in,),
        "lead.read": (vendor(*SELLERS), partner("administrator", "sales")),
        "lead.create": (vendor(*SELLERS),),
        "lead.edit": (vendor(*SELLERS),),
        "lead.assign": (vendor(*MANAGERS),),
        "lead.export": (vendor(*SELLERS), partner("administrator", "sales")),
        "lead.comment": (vendor(*SELLERS), partner("administrator", "sales")),
        "lead.files": (vendor(*SELLERS), partner("administrator", "sales")),
        "lead.progress": (vendor(*SELLERS), partner("administrator", "sales")),
        "lead.board": (partner("administrator", "sales"),),
        "lead.queue": (vendor(*MANAGERS),),
        "decision.read": (vendor(*SELLERS), partner("administrator", "sales")),
        "decision.search": (vendor(*SELLERS),),
        "load.read": (vendor(*CARERS),),
        "decision.own": (partner("administrator", "sales"),),
        "offer.answer": (partner("administrator", "sales"),),
        "offer.link": (link,),
        "partner.read": (vendor(*SELLERS, "service_agent"),),
        "partner.edit": (vendor(*CARERS),),
        "company.read": (partner("administrator", "sales", "service"),),
        "company.edit": (partner("administrator"),),
        "member.manage": (partner("administrator"), vendor("operator", "channel_manager")),
        "signin.require": (partner("administrator"), vendor("operator")),
        "partner.members": (vendor(*MANAGERS),),
        "rules.read": (vendor(*CARERS),),
        "rules.edit": (vendor("channel_manager"),),
        "rules.require": (vendor("operator"),),
        "import.run": (vendor(*MANAGERS),),
        "work.read": (vendor("operator"),),
        "api.leads.write": (system("leads:write"),),
        "api.leads.read": (system("leads:read"),),
        "api.files.write": (system("files:write"),),
        "api.events.read": (system("events:read"),),
    }
)


def permits(ctx: Context, permission: str) -> bool:
    """True when any clause of `permission` holds; unknown permissions hold for nobody."""
    return any(clause(ctx) for clause in PERMISSIONS.get(permission, ()))

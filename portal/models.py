"""Every table, imported once so that Base.metadata is complete (migrations, guards)."""

from portal.accounts import models as accounts
from portal.companies import models as companies
from portal.connections import models as connections
from portal.events import models as events
from portal.imports import models as imports
from portal.leads import models as leads
from portal.partners import models as partners
from portal.partners.proposals import models as proposals
from portal.routing import models as routing
from portal.security import models as security
from portal.sharing import models as sharing
from portal.web import models as lists

__all__ = [
    "accounts",
    "companies",
    "connections",
    "events",
    "imports",
    "leads",
    "lists",
    "partners",
    "proposals",
    "routing",
    "security",
    "sharing",
]

"""The columns of the partners table, with the choices that the catalogue gives."""

from typing import Any

from portal.companies.models import Company, LocationFact
from portal.db import PortalSession
from portal.partners import queries
from portal.partners.forms import STATUS_WORDS
from portal.partners.models import Standing
from portal.web.i18n import _
from portal.web.tables import Column, ListSpec


def spec(session: PortalSession) -> ListSpec:
    """The list's columns; programmes, levels and countries are those of this realm."""
    levels = queries.levels(session)
    words = dict(levels)
    countries = [(code, code) for code in queries.countries(session)]

    def url(row: Any) -> str:
        return f"/partners/{row.id}"

    return ListSpec(
        [
            Column("name", _("Partner"), expr=Company.name_key, sort=True, href=url, value=lambda r: r.name),
            Column(
                "status",
                _("Status"),
                "status:company",
                expr=Standing.status,
                sort=True,
                filter="choice",
                choices=tuple(STATUS_WORDS.items()),
            ),
            Column(
                "level",
                _("Level"),
                expr=Standing.level,
                sort=True,
                filter="choice",
                choices=levels,
                value=lambda r: words.get(r.level, r.level),
            ),
            Column("city", _("Town"), expr=LocationFact.city, sort=True),
            Column(
                "country",
                _("Country"),
                expr=LocationFact.country,
                sort=True,
                filter="choice",
                choices=countries,
            ),
            Column("locations", _("Locations"), "number", num=True, expr=queries.LOCATIONS, sort=True),
            Column("open", _("Open leads"), "number", num=True, expr=queries.OPEN_LEADS, sort=True),
            Column("next_expiry", _("First certificate ends"), "date", expr=queries.NEXT_EXPIRY, sort=True),
            Column(
                "certification",
                _("Certification"),
                expr=queries.HoldsCertification(),
                filter="choice",
                choices=queries.programmes(session),
                off=True,
                value=lambda r: None,
            ),
            Column("external_key", _("Key"), expr=Company.external_key, sort=True, off=True),
        ],
        default_sort="name",
        search=[Company.name, Company.external_key, LocationFact.city, LocationFact.postal],
        tiebreak=Company.id,
        name="partners",
        search_label=_("Search partners"),
    )

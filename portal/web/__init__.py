"""The web shell: templates, components (tables, forms, status, waybill parts), formatting, static files."""

from typing import Any


def includeme(config: Any) -> None:
    """Templates with their globals, static files, translations, the appearance cookie; CSRF checked on every form."""
    config.set_default_csrf_options(require_csrf=True)
    config.include("portal.web.jinja")
    config.include("portal.web.theme")

"""Icons inline: reads the sprite that build_assets made out of Tabler's outline icons (MIT)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

SPRITE = Path(__file__).parent / "static" / "vendor" / "icons.svg"
_SYMBOL = re.compile(r'<symbol id="([a-z0-9-]+)"[^>]*>([^\n]*)</symbol>')


@cache
def _sprite() -> dict[str, str]:
    """Icon name -> inner SVG; empty before `make install` has built the sprite, pages then show words only."""
    if not SPRITE.exists():
        return {}
    return dict(_SYMBOL.findall(SPRITE.read_text(encoding="utf-8")))


@cache
def icon(name: str, label: str | None = None, size: str = "") -> Markup:
    """Inline SVG of an icon. Decorative unless `label` is given. size: '' 16 px, 's' 14, 'l' 20."""
    hidden = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    inner = Markup(_sprite().get(name, ""))  # nosec
    return Markup(
        '<svg class="icon{}" viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" '
        'stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>'
    ).format(Markup(" ") + escape(size) if size else "", hidden, inner)

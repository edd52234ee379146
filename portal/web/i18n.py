"""Marking and translating strings: `_('...')` in Python marks, `tr(text)` gives the reader's language."""

from __future__ import annotations

from typing import Any

from pyramid.i18n import Localizer, TranslationStringFactory, get_localizer, make_localizer
from pyramid.threadlocal import get_current_request
from translationstring import TranslationString

_ = TranslationStringFactory("interline")

_plain = make_localizer("en", [])


def localizer() -> Localizer:
    """The current request's localizer; English when there is no request (commands, tests)."""
    request = get_current_request()
    if request is None or getattr(request, "registry", None) is None:
        return _plain
    return get_localizer(request)


def tr(text: Any) -> str:
    """Translate a marked string now; anything else becomes its str()."""
    if not isinstance(text, TranslationString):
        return "" if text is None else str(text)
    return str(localizer().translate(text))


def ntr(singular: str, plural: str, n: int, **values: Any) -> str:
    """Plural form for n; `${n}` and further names in the text are filled in."""
    mapping = {"n": n, **values}
    return str(localizer().pluralize(singular, plural, n, domain="interline", mapping=mapping))

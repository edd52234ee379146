"""Marking and translating strings: `_('...')` in Python marks, `tr(text)` gives the reader's language."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from babel import Locale
from pyramid.i18n import Localizer, TranslationStringFactory, get_localizer, make_localizer
from pyramid.threadlocal import get_current_request
from pyramid_jinja2.i18n import GetTextWrapper
from translationstring import TranslationString

_ = TranslationStringFactory("interline")

LOCALE = Path(__file__).parent.parent / "locale"
SOURCE = "en"
"""The language the strings are written in."""


@cache
def languages() -> dict[str, str]:
    """What a reader may choose: code -> the language's own name. English, and each compiled catalogue."""
    found = {SOURCE, *(file.parent.parent.name for file in LOCALE.glob("*/LC_MESSAGES/interline.mo"))}
    names = {code: str(Locale.parse(code).get_display_name(code)) for code in found}
    return {code: name[:1].upper() + name[1:] for code, name in sorted(names.items(), key=lambda one: one[1])}


def spoken(language: str) -> str:
    """`language` where there are translations of it, else English: words and dates in one language."""
    code = language.replace("-", "_").split("_")[0].lower()
    return code if code in languages() else SOURCE


@cache
def localizer_of(language: str) -> Localizer:
    """Translations of one language, English where there are none: for mails, which have no request."""
    return make_localizer(spoken(language), [str(LOCALE)])


def localizer() -> Localizer:
    """The current request's localizer; English when there is no request (commands, tests)."""
    request = get_current_request()
    if request is None or getattr(request, "registry", None) is None:
        return localizer_of(SOURCE)
    return get_localizer(request)


def tr(text: Any) -> str:
    """Translate a marked string now; anything else becomes its str()."""
    return said_in(localizer(), text)


def said_in(of: Localizer, text: Any) -> str:
    """A marked string in the language of `of`; anything else becomes its str()."""
    if not isinstance(text, TranslationString):
        return "" if text is None else str(text)
    return str(of.translate(text)) if text.mapping else _said(of, text)


_words: WeakKeyDictionary[Localizer, dict[tuple[str, str | None, str | None], str]] = WeakKeyDictionary()


def _said(of: Localizer, text: str) -> str:
    """A string without values, looked up once: a page has hundreds, always the same ones."""
    kept = _words.setdefault(of, {})
    key = (str(text), getattr(text, "default", None), getattr(text, "context", None))
    found = kept.get(key)
    if found is None:
        found = kept[key] = str(of.translate(text, domain="interline"))
    return found


class Said(GetTextWrapper):
    """What templates translate with."""

    def gettext(self, message: str, mapping: dict[str, Any] | None = None) -> str:
        """As pyramid_jinja2 does, each string once."""
        return super().gettext(message, mapping) if mapping else _said(self.localizer, message)


def ntr(singular: str, plural: str, n: int, **values: Any) -> str:
    """Plural form for n; `${n}` and further names in the text are filled in."""
    return counted_in(localizer(), singular, plural, n, **values)


def counted_in(of: Localizer, singular: str, plural: str, n: int, **values: Any) -> str:
    """As `ntr`, in the language of `of`."""
    return str(of.pluralize(singular, plural, n, domain="interline", mapping={"n": n, **values}))


def forms(singular: str, plural: str) -> tuple[str, str]:
    """Marks both forms of a sentence that is kept in a table and counted later with `ntr(*forms, n)`."""
    return singular, plural


def inside(word: str) -> str:
    """A label within a sentence: English drops its capital, a language that writes nouns with one keeps it."""
    return word.lower() if localizer().locale_name.startswith(SOURCE) else word

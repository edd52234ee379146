"""How templates are drawn fast: found by name at once, plain functions called plainly, parts of the frame drawn once."""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

from jinja2 import Environment
from jinja2.runtime import Context
from markupsafe import Markup

from portal.web.i18n import localizer

MOST_PARTS = 512
PLAIN = frozenset((FunctionType, MethodType, BuiltinFunctionType))


class PageContext(Context):
    """Calls functions that ask for nothing of Jinja without asking them four times: a page has hundreds of calls."""

    def call(self, called: Any, /, *args: Any, **kwargs: Any) -> Any:
        """As Context.call, with the short way for plain functions."""
        if type(called) in PLAIN and getattr(called, "jinja_pass_arg", None) is None:
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
            return called(*args, **kwargs)
        return super().call(called, *args, **kwargs)


class PageRenderer:
    """A template by its name on the search path. pyramid_jinja2 looks beside the caller's package first, on the disk, at
    each page; all of ours are on the path."""

    def __init__(self, environment: Callable[[], Environment], info: Any) -> None:
        self.environment, self.name = environment, info.name

    def __call__(self, value: dict[str, Any], system: dict[str, Any]) -> str:
        """The page."""
        return self.environment().get_template(self.name).render({**system, **value})


_parts: dict[Any, Markup] = {}


def once(part: Any, *args: Any) -> Markup:
    """What the macro `part` draws of `args` alone (nothing of the request but its language): drawn once and kept."""
    key = (part.name, localizer().locale_name, args)
    found = _parts.get(key)
    if found is None:
        if len(_parts) >= MOST_PARTS:
            _parts.clear()
        found = _parts[key] = part(*args)
    return found

"""Helpers for tests of pages."""

import re
from typing import Any

SHELL = ("/search", "/theme", "/language", "/sign-out", "")


def main_form(page: Any) -> Any:
    """The form of the page's content: the one POST form that is not the shell's."""
    forms = {id(form): form for form in page.forms.values()}.values()
    (found,) = [form for form in forms if form.method.upper() == "POST" and form.action not in SHELL]
    return found


def said(page: Any) -> str:
    """A page without what is new in every answer (nonce, CSRF token) and without its own address."""
    text = re.sub(r'nonce="[^"]*"', "", page.text)
    text = re.sub(r'name="csrf_token" value="[^"]*"', "", text)
    return str(text.replace(page.request.path, ""))

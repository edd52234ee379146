"""The short ways of drawing draw what the long ones do: calls, parts kept of the frame, filled markup."""

from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from integrations.markup import filled
from portal.web import rendering
from portal.web.parts import NavItem
from tests.portal.web.sheets import environment, reader


def test_functions_of_every_kind_are_called_as_jinja_calls_them() -> None:
    class Caller:
        def __call__(self, word: str) -> str:
            return f"object {word}"

        def method(self, word: str = "") -> str:
            return f"method {word}"

    @pass_context
    def asked(context: Any, word: str) -> str:
        return f"{context['x']} {word}"

    env, one = environment(), Caller()
    assert env.context_class is rendering.PageContext
    source = (
        "{% macro m(a) %}{{ caller() }} {{ a }}{% endmacro %}"
        "{% for n in [1] %}{% set x = n %}{{ f('a') }}, {{ one('b') }}, {{ one.method(word='c') }}, {{ asked('d') }},"
        " {% call m('e') %}{{ x }}{% endcall %}{% endfor %}"
    )
    values = {"f": lambda word: f"plain {word}", "one": one, "asked": asked, "x": 7}
    drawn = env.from_string(source).render(values)
    assert drawn == "plain a, object b, method c, 1 d, 1 e"
    env.context_class = Context
    assert env.from_string(source).render(values) == drawn


def test_a_kept_part_is_drawn_once_for_each_reader_of_a_kind() -> None:
    env, drawn = environment(), []
    env.globals["note"] = lambda nav: drawn.append(nav) or ""
    page = env.from_string(
        "{% macro links(nav) %}{{ note(nav) }}{% for n in nav %}{{ n.label|tr }}{{ n.count }}{% endfor %}{% endmacro %}"
        "{{ once(links, nav) }}"
    )
    one, other = (NavItem("<Offers>", "/offers", 3),), (NavItem("<Offers>", "/offers", 4),)
    rendering._parts.clear()
    with reader():
        assert page.render(nav=one) == page.render(nav=one) == "&lt;Offers&gt;3"
        assert page.render(nav=other) == "&lt;Offers&gt;4"
    assert drawn == [one, other]
    with reader(language="de"):
        page.render(nav=one)
    assert len(drawn) == 3, "another language is another part"


def test_filled_markup_escapes_what_is_neither_number_nor_markup() -> None:
    template, values = "<a x='{:.1f}' y='{}'>{}{}</a>", (1.25, 3, '<b> & "c"', Markup("<i>d</i>"))
    assert filled(template, *values) == Markup(template).format(*values)
    assert isinstance(filled(template, *values), Markup)
    assert filled("{}{}", None, "{x}") == "None{x}"

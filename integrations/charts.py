"""Charts drawn on the server as SVG, each with the same numbers as a table. Pure: no database, no request, no clock.

Every text comes in ready to show (translated, formatted); every text is escaped here. Colours are class names that the
page's CSS maps to variables, so a chart follows light and dark. A chart's `svg` has role=img, a title and a description.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from integrations.markup import filled

TEXT_PX = 6.2
"""Average width of a character at 12 px, to leave room for labels; names longer than the room are cut with an ellipsis."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture, its title, the legend as (mark, word) pairs, and the table (head, rows) that says the same."""

    title: str
    svg: Markup
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    legend: Sequence[tuple[Markup, str]] = ()


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: value, the earlier period's value for the thin tick, and how both read."""

    label: str
    value: float
    before: float | None = None
    text: str = ""
    before_text: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """One row of time to accept: the median and the slowest tenth, in hours."""

    label: str
    middle: float
    slow: float
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line over the same x positions; colour 1 to 5; None leaves a gap."""

    label: str
    values: Sequence[float | None]
    colour: int = 1
    area: bool = False


@dataclass(slots=True)
class _Canvas:
    width: int
    height: int
    parts: list[Markup] = field(default_factory=list)
    links: bool = False

    def add(self, template: str, *values: object) -> None:
        """Append markup; values are escaped."""
        self.parts.append(filled(template, *values))

    def text(self, x: float, y: float, words: str, css: str = "", anchor: str = "start") -> None:
        """A label at its baseline."""
        self.add(
            '<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>', x, y, css, anchor, words
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, css: str) -> None:
        """A straight line."""
        self.add('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>', x1, y1, x2, y2, css)

    def svg(self, title: str, about: str) -> Markup:
        """The whole picture with its accessible name."""
        # By what it shows, so that a page is the same whatever this process drew for others before.
        number = zlib.crc32("\0".join((title, about, *self.parts)).encode())
        wide = "wide" if self.width > 500 else ""
        role = "group" if self.links else "img"  # an image may not hold links
        head = Markup(
            '<svg width="{}" height="{}" viewBox="0 0 {} {}" class="{}" role="{}" aria-labelledby="c{}t c{}d">'
            '<title id="c{}t">{}</title><desc id="c{}d">{}</desc>'
        )
        return (
            head.format(
                self.width,
                self.height,
                self.width,
                self.height,
                wide,
                role,
                number,
                number,
                number,
                title,
                number,
                about,
            )
            + Markup("").join(self.parts)
            + Markup("</svg>")
        )


def _cut(words: str, room: float) -> str:
    """Words shortened to about so many pixels."""
    most = max(4, int(room / TEXT_PX))
    return words if len(words) <= most else words[: most - 1].rstrip() + "…"


def _link(url: str | None, body: Callable[[], None], canvas: _Canvas, label: str) -> None:
    if url:
        canvas.links = True
        canvas.add('<a href="{}" aria-label="{}">', url, label)
    body()
    if url:
        canvas.add("</a>")


def nice_steps(top: float, most: int = 5) -> list[float]:
    """Round numbers from 0 to at least `top`, at most `most` steps apart: 0, 2, 4, 6, 8, 10."""
    if top <= 0 or not math.isfinite(top):
        return [0.0, 1.0]
    raw = top / most
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    return [round(step * i, 10) for i in range(math.ceil(round(top / step, 6)) + 1)]


def number(value: float) -> str:
    """A number as an axis shows it."""
    return f"{value:,.10g}"


def mark(shape: str, css: str) -> Markup:
    """Legend mark: square, dot, tick, line or dumbbell."""
    drawn = {
        "square": '<rect width="10" height="10" x="1" y="1" rx="2" class="{}"/>',
        "dot": '<circle cx="6" cy="6" r="5" class="{}"/>',
        "tick": '<line x1="6" y1="0" x2="6" y2="12" class="{}" stroke-width="2"/>',
        "line": '<line x1="0" y1="6" x2="12" y2="6" class="{}" stroke-width="2"/>',
        "dumbbell": '<path d="M0 6H11M11 2V10" fill="none" class="{}" stroke-width="2"/>',
    }[shape]
    return (
        Markup('<svg viewBox="0 0 12 12" aria-hidden="true">') + Markup(drawn).format(css) + Markup("</svg>")  # nosec
    )


def bars(
    title: str, items: Sequence[Bar], head: tuple[str, str, str], about: str = "", legend: tuple[str, str] | None = None,
    width: int = 360, label_room: int = 104, unit: str = "",
) -> Chart:  # fmt: skip
    """Horizontal bars, one per item, with a thin tick for the period before. head: table heads (what, now, before)."""
    row, top = 28, 2
    canvas = _Canvas(width, row * len(items) + top + (20 if unit else 4))
    value_room = 44
    most = max([1e-9, *(max(i.value, i.before or 0) for i in items)])
    room = width - label_room - value_room
    for n, item in enumerate(items):
        y = top + n * row

        def draw(item: Bar = item, y: float = y) -> None:
            canvas.text(0, y + 18, _cut(item.label, label_room - 6), "lb")
            length = max(0.0, room * item.value / most)
            canvas.add('<rect x="{}" y="{:.1f}" width="{:.1f}" height="16" rx="2" class="f1"><title>{}</title></rect>',
                       label_room, y + 6, length, f"{item.label}: {item.text or number(item.value)}")  # fmt: skip
            if item.before is not None:
                x = label_room + room * item.before / most
                canvas.line(x, y + 3, x, y + 25, "halo")
                canvas.line(x, y + 3, x, y + 25, "tick")
            canvas.text(width, y + 18, item.text or number(item.value), "vl", "end")

        _link(item.url, draw, canvas, item.label)
    canvas.line(label_room, 0, label_room, top + row * len(items) + 4, "axis")
    if unit:
        canvas.text(0, top + row * len(items) + 18, unit)
    rows = [
        (i.label, i.text or number(i.value), i.before_text or ("" if i.before is None else number(i.before)))
        for i in items
    ]
    has_before = any(i.before is not None for i in items)
    words = legend or (head[1], head[2])
    marks = [(mark("square", "f1"), words[0]), (mark("tick", "tick"), words[1])] if has_before else []
    return Chart(
        title, canvas.svg(title, about or ", ".join(f"{r[0]} {r[1]}" for r in rows)),
        head if has_before else head[:2], rows if has_before else [r[:2] for r in rows], marks,
    )  # fmt: skip


def dumbbells(
    title: str, items: Sequence[Dumbbell], promise: float, promise_label: str, head: tuple[str, str, str], about: str = "",
    unit: str = "h", width: int = 360, label_room: int = 146, top_value: float | None = None,
) -> Chart:  # fmt: skip
    """Median (dot) and slowest tenth (cap) per row, with the promise as a dashed line; amber where it is missed."""
    row, top = 26, 24
    steps = nice_steps(max([promise, *(i.slow for i in items)]) if top_value is None else top_value)
    bottom = top + row * len(items)
    canvas = _Canvas(width, bottom + 22)
    room = width - label_room - 28

    def at(value: float) -> float:
        return label_room + room * min(value, steps[-1]) / steps[-1]

    for step in steps:
        canvas.line(at(step), top - 4, at(step), bottom + 2, "grid")
        canvas.text(
            at(step), bottom + 18, number(step) + (f" {unit}" if step == steps[-1] else ""), "", "middle"
        )
    canvas.line(at(promise), top - 8, at(promise), bottom + 2, "promise")
    canvas.text(at(promise), 12, promise_label, "lb", "middle")
    for n, item in enumerate(items):
        y = top + n * row + row / 2

        def draw(item: Dumbbell = item, y: float = y) -> None:
            late = item.slow > promise
            css = "swarn" if late else "s2"
            canvas.text(0, y + 4, _cut(item.label, label_room - 8), "lb")
            canvas.add('<path d="M{:.1f} {:.1f}H{:.1f}M{:.1f} {:.1f}v10" fill="none" stroke-width="2" class="{}"/>',
                       at(item.middle), y, at(item.slow), at(item.slow), y - 5, css)  # fmt: skip
            tip = f"{item.label}: {number(item.middle)} {unit}, {number(item.slow)} {unit}"
            canvas.add(
                '<circle cx="{:.1f}" cy="{:.1f}" r="5" class="f1"><title>{}</title></circle>',
                at(item.middle),
                y,
                tip,
            )
            if late:
                canvas.text(at(item.slow) + 6, y + 4, number(item.slow), "wn")

        _link(item.url, draw, canvas, item.label)
    rows = [(i.label, number(i.middle), number(i.slow)) for i in items]
    marks = [(mark("dot", "f1"), head[1]), (mark("dumbbell", "s2"), head[2])]
    said = about or ", ".join(f"{r[0]} {r[1]} / {r[2]} {unit}" for r in rows)
    return Chart(title, canvas.svg(title, f"{promise_label}. {said}"), head, rows, marks)


def dot_strip(
    title: str, values: Sequence[float], head: tuple[str, str], promise: float | None = None, promise_label: str = "",
    missed: int = 0, unit: str = "h", about: str = "", width: int = 318, bins: int = 40,
) -> Chart:  # fmt: skip
    """One dot per value, stacked where they fall together; values past the promise and `missed` ones are open amber dots.

    The table counts values per step of the axis.
    """
    steps = nice_steps(max([1e-9, *values, *([promise * 1.3] if promise else [])]), 4)
    size, room = steps[-1] / bins, width - 16
    stacks: dict[int, int] = {}
    places: list[tuple[float, int, bool]] = []
    marks_at = [(v, promise is not None and v > promise) for v in sorted(values)]
    for value, late in marks_at + [(promise or 0.0, True)] * (missed if promise else 0):
        slot = min(bins, int(value / size))
        places.append((8 + room * (slot + 0.5) / (bins + 1), stacks.get(slot, 0), late))
        stacks[slot] = stacks.get(slot, 0) + 1
    high = max([3, *stacks.values()])
    pitch = min(11.0, 110.0 / high)
    base = 26 + high * pitch
    canvas = _Canvas(width, int(base) + 24)
    for step in steps:
        x = 8 + room * step / steps[-1]
        canvas.line(x, base, x, base + 4, "axis")
        label = number(step) + (f" {unit}" if step == steps[-1] else "")
        canvas.text(x, base + 18, label, "", "end" if step == steps[-1] else "middle")
    canvas.line(0, base, width, base, "axis")
    if promise is not None:
        x = 8 + room * promise / steps[-1]
        canvas.line(x, 18, x, base, "promise")
        canvas.text(min(x, width - 34), 12, promise_label, "lb", "middle")
    for x, level, late in places:
        css = 'class="fsurf swarn" stroke-width="2"' if late else 'class="f1"'
        canvas.add(
            '<circle cx="{:.1f}" cy="{:.1f}" r="{:.1f}" {}/>',
            x,
            base - 7 - level * pitch,
            min(4.5, pitch / 2.2),
            Markup(css),  # nosec
        )
    rows = [
        (
            f"{number(low)}–{number(high_)} {unit}",
            str(sum(low <= v < high_ or v == high_ == steps[-1] for v in values)),
        )
        for low, high_ in pairwise(steps)
    ]
    if missed:
        rows.append((promise_label, str(missed)))
    return Chart(title, canvas.svg(title, about or ", ".join(f"{a}: {b}" for a, b in rows)), head, rows)


def lines(
    title: str, labels: Sequence[str], series: Sequence[Series], head: str, about: str = "", unit: str = "",
    width: int = 640, height: int = 200,
) -> Chart:  # fmt: skip
    """Lines (or areas) over time; labels name the positions, about six of them are written under the axis."""
    left, right, top, bottom = 44, 12, 12, 26
    known = [v for s in series for v in s.values if v is not None]
    steps = nice_steps(max([1e-9, *known]), 4)
    canvas = _Canvas(width, height)
    room_x, room_y = width - left - right, height - top - bottom

    def place(n: int, value: float) -> tuple[float, float]:
        return left + room_x * (n / max(1, len(labels) - 1)), top + room_y * (1 - value / steps[-1])

    for step in steps:
        y = place(0, step)[1]
        canvas.line(left, y, width - right, y, "grid")
        canvas.text(left - 8, y + 4, number(step), "", "end")
    every = max(1, math.ceil(len(labels) / 6))
    for n in range(0, len(labels), every):
        canvas.text(place(n, 0)[0], height - 8, labels[n], "", "middle" if n else "start")
    for s in series:
        run: list[tuple[float, float]] = []
        runs = [run]
        for n, value in enumerate(s.values):
            if value is None:
                run = []
                runs.append(run)
            else:
                run.append(place(n, value))
        for points in (r for r in runs if r):
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            if s.area:
                closed = (
                    f"{path}L{points[-1][0]:.1f} {top + room_y:.1f}L{points[0][0]:.1f} {top + room_y:.1f}Z"
                )
                canvas.add('<path d="{}" class="area f{}"/>', closed, s.colour)
            canvas.add('<path d="{}" class="line s{}"/>', path, s.colour)
            if len(points) == 1:
                canvas.add('<circle cx="{:.1f}" cy="{:.1f}" r="3" class="f{}"/>', *points[0], s.colour)
    rows = [
        [label, *("" if s.values[n] is None else number(float(s.values[n] or 0)) for s in series)]
        for n, label in enumerate(labels)
    ]
    heads = [head, *(f"{s.label}, {unit}" if unit else s.label for s in series)]
    marks = [(mark("line", f"s{s.colour}"), s.label) for s in series] if len(series) > 1 else []
    return Chart(title, canvas.svg(title, about or title), heads, rows, marks)

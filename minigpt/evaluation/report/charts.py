"""Charts as inline SVG: no script, no font, no file beside the page. Colours are the page's, day and night."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .markup import Markup, join, tag

WIDTH, HEIGHT = 340, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 36  # room around the drawing
ROW, ROOMY = 26, 420  # height of a row of a dot plot, and its width
Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """Points joined by a line, or as dots. `look` chooses colour and dashes, so series are told apart by both; one
    without a label is not in the legend."""

    label: str
    points: Sequence[Sequence[float]]
    look: int = 0
    dots: bool = False


@dataclass(frozen=True)
class Scale:
    """Maps numbers from `low` to `high` to places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers that span low to high."""
    if low == high:  # a constant: show it against zero
        low, high = min(0.0, 1.5 * low), max(0.0, 1.5 * high) or 1.0
    raw = (high - low) / (count - 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def short(value: float) -> str:
    """1,500,000 as 1.5M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def percent(value: float) -> str:
    return f"{value:.0%}"


def line_chart(
    title: str, series: Sequence[Series], x_label: str, y_label: str = "", *, square: bool = False
) -> Markup:
    """Lines and dots over a common axis. A `square` one shows probabilities against shares: both axes run from 0 to 1,
    and the diagonal is drawn."""
    drawn = [s for s in series if s.points]
    points = [point for s in drawn for point in s.points]
    if not points:
        return join()
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    low, high = min(ys), max(ys)
    if 0 < low < 0.4 * high:
        low = 0.0  # a curve that falls far is shown down to nothing
    y_ticks = [0, 0.25, 0.5, 0.75, 1] if square else ticks(low, high)
    x_ticks = y_ticks if square else [t for t in ticks(min(xs), max(xs)) if min(xs) <= t <= max(xs)]
    x_range = (0.0, 1.0) if square else (min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1)
    x = Scale(*x_range, LEFT, WIDTH - RIGHT)
    y = Scale(y_ticks[0], y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y, x_ticks, y_ticks, x_label, y_label)]
    if square:
        parts.append(tag("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="diagonal"))
    for s in drawn:
        places = [(x(point[0]), y(point[1])) for point in s.points]
        if not s.dots or square:
            parts.append(tag("polyline", points=" ".join(f"{a:g},{b:g}" for a, b in places), class_=f"curve s{s.look}"))
        if s.dots:
            parts += [tag("circle", cx=a, cy=b, r=3, class_=f"dot s{s.look}") for a, b in places]
    told = "; ".join(f"{s.label or title} from {s.points[0][1]:.4g} to {s.points[-1][1]:.4g}" for s in drawn)
    return _figure(title, [s for s in drawn if s.label], f"{title}: {told}", (WIDTH, HEIGHT), parts)


def histogram_chart(title: str, edges: Sequence[float], counts: dict[str, Sequence[float]], x_label: str) -> Markup:
    """Counts between common edges: the first kind filled, the others outlined with dashes."""
    y_ticks = ticks(0, max(max(c) for c in counts.values()))
    x_ticks = [t for t in ticks(edges[0], edges[-1]) if edges[0] <= t <= edges[-1]]
    x, y = Scale(edges[0], edges[-1], LEFT, WIDTH - RIGHT), Scale(0, y_ticks[-1], HEIGHT - BOTTOM, TOP)
    parts = [_axes(x, y, x_ticks, y_ticks, x_label, "answers")]
    for look, heights in enumerate(counts.values()):
        stairs = "".join(f"V{y(n):g}H{x(edge):g}" for n, edge in zip(heights, edges[1:], strict=True))
        parts.append(tag("path", d=f"M{x(edges[0]):g} {y(0):g}{stairs}V{y(0):g}", class_=f"area s{look}"))
    legend = [Series(name, (), look) for look, name in enumerate(counts)]
    told = "; ".join(f"{name}: mean {_mean(edges, heights):.2f}" for name, heights in counts.items())
    return _figure(title, legend, f"{title}. {told}", (WIDTH, HEIGHT), parts)


def _mean(edges: Sequence[float], heights: Sequence[float]) -> float:
    middles = [(a + b) / 2 for a, b in pairwise(edges)]
    return sum(m * n for m, n in zip(middles, heights, strict=True)) / max(1, sum(heights))


def dot_plot(title: str, rows: dict[str, dict[str, tuple[float, tuple[float, float]]]]) -> Markup:
    """Shares with their intervals: {row: {mark: (share, (low, high))}}. Marks differ in shape and in colour."""
    left, height = 74, 20 + ROW * len(rows) + BOTTOM
    x, bottom = Scale(0, 1, left, ROOMY - 14), height - BOTTOM
    parts = []
    for t in (0, 0.25, 0.5, 0.75, 1):
        parts.append(tag("line", x1=x(t), x2=x(t), y1=TOP, y2=bottom, class_="rule"))
        parts.append(tag("text", percent(t), x=x(t), y=bottom + 14, text_anchor="middle"))
    parts.append(tag("text", "share of the answers", x=(left + ROOMY) / 2, y=height - 4, text_anchor="middle"))
    for i, (row, marks) in enumerate(rows.items()):
        middle = TOP + ROW * (i + 0.5) + 5
        parts.append(tag("text", row, x=left - 10, y=middle + 4, text_anchor="end", class_="row"))
        for look, (share, (low, high)) in enumerate(marks.values()):
            line = middle + 7 * (look - (len(marks) - 1) / 2)
            parts.append(tag("line", x1=x(low), x2=x(high), y1=line, y2=line, class_=f"whisker s{look}"))
            parts.append(_mark(look, x(share), line))
    legend = [Series(name, (), look, dots=True) for look, name in enumerate(next(iter(rows.values())))]
    told = "; ".join(
        f"{row}: " + ", ".join(f"{name} {share:.1%}" for name, (share, _) in marks.items())
        for row, marks in rows.items()
    )
    return _figure(title, legend, f"{title}. {told}", (ROOMY, height), parts, marks=True)


def bar(share: float) -> Markup:
    """A thin bar under a share in a table; the number says the same."""
    drawn = [tag("rect", width=100, height=4, class_="empty"),
             tag("rect", width=round(100 * share, 1), height=4, class_="full")]  # fmt: skip
    return tag(
        "svg", *drawn, class_="bar", viewBox="0 0 100 4", preserveAspectRatio="none", aria_hidden="true",
        focusable="false",
    )  # fmt: skip


def _mark(look: int, x: float, y: float) -> Markup:
    """A circle, then a diamond."""
    if look == 0:
        return tag("circle", cx=x, cy=y, r=3.6, class_="dot s0")
    return tag("path", d=f"M{x - 4.6:g} {y:g}L{x:g} {y - 4.6:g}L{x + 4.6:g} {y:g}L{x:g} {y + 4.6:g}Z",
               class_=f"dot s{look}")  # fmt: skip


def _axes(x: Scale, y: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float], x_label: str, y_label: str) -> Markup:
    parts = []
    for t in y_ticks:
        parts.append(tag("line", x1=x.start, x2=x.end, y1=y(t), y2=y(t), class_="rule"))
        parts.append(tag("text", short(t), x=x.start - 6, y=y(t) + 3.5, text_anchor="end"))
    for t in x_ticks:
        anchor = "end" if x(t) > x.end - 8 else "middle"
        parts.append(tag("text", short(t), x=x(t), y=y.start + 15, text_anchor=anchor))
    parts.append(tag("text", x_label, x=(x.start + x.end) / 2, y=HEIGHT - 5, text_anchor="middle"))
    if y_label:
        middle = (y.start + y.end) / 2
        parts.append(tag("text", y_label, x=10, y=middle, text_anchor="middle", transform=f"rotate(-90 10 {middle:g})"))
    return join(*parts)


def _figure(
    title: str,
    legend: Sequence[Series],
    told: str,
    size: tuple[float, float],
    parts: Sequence[Markup],
    marks: bool = False,
) -> Markup:
    """`told` is what the picture says to those who cannot see it."""
    keys = []
    for s in legend:
        if s.dots:
            sign = _mark(s.look if marks else 0, 10, 5)
            sign = sign if marks else tag("circle", cx=10, cy=5, r=3, class_=f"dot s{s.look}")
        else:
            sign = tag("line", x1=0, x2=20, y1=5, y2=5, class_=f"curve s{s.look}")
        swatch = tag("svg", sign, viewBox="0 0 20 10", class_="swatch", aria_hidden="true", focusable="false")
        keys.append(tag("span", swatch, s.label, class_="key"))
    caption = tag("figcaption", tag("strong", title), tag("span", *keys, class_="keys") if keys else None)
    return tag(
        "figure", caption, tag("svg", *parts, viewBox=f"0 0 {size[0]:g} {size[1]:g}", role="img", aria_label=told)
    )  # fmt: skip

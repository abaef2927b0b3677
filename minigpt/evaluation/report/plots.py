"""The report card's charts: matplotlib draws them as SVG, and the page's style sheet colours them, by day and by night.

The same numbers give the same bytes: no date, ids that follow from what is drawn, and no look at a user's matplotlibrc.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup
from matplotlib import rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter, StrMethodFormatter

from ...alignment.reward_metrics import wilson_interval
from ...training.plots import PANELS
from .measures import STAGE_NAMES, look_up, marks_of, spoken, titled

#: What is drawn in these colours takes the style sheet's colour of that name.
COLOURS = {"#5b5d64": "--muted", "#e4e0d8": "--line", "#ffffff": "--surface", "#0d655d": "--s0", "#a2491a": "--s1",
           "#5a4a9c": "--s2"}  # fmt: skip
MUTED, _, _, *SERIES = COLOURS
DASHES: tuple[Any, ...] = ("-", (0, (4, 2)), (0, (1, 1.6)))  # series differ in more than colour
BEFORE = {"color": MUTED, "linestyle": (0, (2, 2)), "linewidth": 1}
TICKS: dict[str, Any] = {"nbins": 5, "steps": [1, 2, 2.5, 5, 10]}
SMALL, WIDE = (3.4, 2.0), 4.4  # inches: a curve, and the width of a dot plot
#: What a line or its dots are called (nothing: not in the legend), its points, and how they are drawn.
Series = tuple[str, Sequence[Sequence[float]], dict[str, Any]]
#: {model: {mark: (share, (low, high))}}
Shares = dict[str, dict[str, tuple[float, Sequence[float]]]]


class Chart(NamedTuple):
    """`svg` is ready to stand in the page, and says in words what it shows."""

    title: str
    svg: Markup


def charts(report: dict[str, Any], earlier: dict[str, Any]) -> dict[str, list[Chart]]:
    """The charts of each section that has some. Curves of an `earlier` report are drawn behind the new ones."""
    with style.context(["default", Path(__file__).parent / "charts.mplstyle"]):
        drawn = {
            "curves": [loss_chart(name, report, earlier) for name in report["stages"] if name != "ppo"],
            "reward": reward_charts(report, earlier),
            "ppo": ppo_charts(look_up(report, ("stages", "ppo", "curves")) or {}),
            "sentiment": sentiment_charts(report.get("sentiment")),
            "grammar": grammar_charts(report.get("grammar")),
            "win_rate": win_rate_charts(report.get("win_rate"), report.get("questions", 0)),
        }
    return {section: [chart for chart in found if chart] for section, found in drawn.items()}


def loss_chart(stage: str, report: dict[str, Any], earlier: dict[str, Any]) -> Chart | None:
    path = ("stages", stage, "curves")
    curves, before = look_up(report, path), look_up(earlier, (*path, "valid")) or []
    series: list[Series] = [("before", before, BEFORE), ("training, smoothed", curves["train"], line(0)),
                            ("held out", curves["valid"], dots(1))]  # fmt: skip
    return line_chart(STAGE_NAMES[stage], series, "tokens read", "loss (nats)")


def reward_charts(report: dict[str, Any], earlier: dict[str, Any]) -> list[Chart | None]:
    """Can its probabilities be trusted, and does it tell good answers from bad?"""
    path = ("stages", "reward", "figures")
    figures, before = look_up(report, path) or {}, look_up(earlier, (*path, "calibration")) or []
    found: list[Chart | None] = []
    if calibration := figures.get("calibration"):
        now = ("held out" if before else "", calibration, dots(0) | line(0))
        axes = ("probability the model gives", "share that came true")
        found.append(line_chart("Calibration", [("before", before, BEFORE), now], *axes, square=True))
    if histogram := figures.get("histogram"):
        found.append(histogram_chart("Scores", histogram["edges"], histogram))
    return found


def ppo_charts(curves: dict[str, Any]) -> list[Chart | None]:
    """PPO's dashboard: lines for the answers of each update, dots for the held-out prompts."""
    found = []
    for title, names in PANELS:
        series: list[Series] = []
        drawn = [name for name in names if name in curves]
        for i, name in enumerate(drawn):
            label = spoken(name.removeprefix("true_")) if len(drawn) > 1 else ""
            series += [(label, curves[name]["train"], line(i)), ("", curves[name]["valid"], dots(i))]
        found.append(line_chart(title[0].upper() + title[1:], series, "update"))
    return found


def sentiment_charts(sentiment: dict[str, Any] | None) -> list[Chart | None]:
    if not sentiment:
        return []
    rows: Shares = {name: {"": (row["wanted"], row["interval"])} for name, row in sentiment["entrants"].items()}
    return [dot_plot(f"How likely an answer is {sentiment['label']}, by the reward model", rows, "probability")]


def grammar_charts(stages: dict[str, Any] | None) -> list[Chart | None]:
    """BLiMP's phenomena for each stage that was asked, easy ones first."""
    return [
        bar_chart(STAGE_NAMES[name], {spoken(p): share for p, share in row["phenomena"].items()}, "pairs right", 0.5)
        for name, row in (stages or {}).items()
    ]


def win_rate_charts(columns: dict[str, Any] | None, questions: int) -> list[Chart | None]:
    """For each kind of prompts the first and the last of the grader's marks, with their intervals (95 %)."""
    found: list[Chart | None] = []
    for column, entrants in (columns or {}).items():
        rows: Shares = {}
        for name, row in entrants.items():
            first, *_, last = marks_of(row)
            rows[name] = {m: (row[m], wilson_interval(row[m] * questions, questions)) for m in (first, last)}
        found.append(dot_plot(titled(column), rows, "share of the answers"))
    return found


# The kinds of charts.


def line(i: int) -> dict[str, Any]:
    return {"color": SERIES[i % len(SERIES)], "linestyle": DASHES[i % len(DASHES)]}


def dots(i: int) -> dict[str, Any]:
    return {"color": SERIES[i % len(SERIES)], "linestyle": "none", "marker": "o", "clip_on": False, "zorder": 3}


def line_chart(
    title: str, series: Sequence[Series], x_label: str, y_label: str = "", *, square: bool = False
) -> Chart | None:
    """Lines and dots over a common axis; None without a point. A `square` one holds probabilities against shares: both
    axes run from 0 to 1, and the diagonal is drawn."""
    known = [(label, [p for p in points if None not in p], look) for label, points, look in series]
    found = [(label, points, look) for label, points, look in known if points]
    if not found:
        return None
    figure, ax = blank(SMALL)
    for label, points, look in found:
        ax.plot([p[0] for p in points], [p[1] for p in points], label=label, **look)
    if square:
        ax.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
        ax.set(xlim=(0, 1), ylim=(0, 1))
    else:
        xs, ys = ([point[axis] for _, points, _ in found for point in points] for axis in (0, 1))
        low, high = min(ys), max(ys)
        if 0 < low < 0.4 * high or low == high:  # what falls far is shown down to nothing, a constant against it
            low, high = min(low, 0), max(high, 0)
        rule(ax, low, high)
        ax.set_xlim(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1)
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.set(xlabel=x_label, ylabel=y_label)
    told = [f"{label or title} from {points[0][1]:.4g} to {points[-1][1]:.4g}" for label, points, _ in found]
    return finish(figure, title, "; ".join(told))


def histogram_chart(title: str, edges: Sequence[float], counts: dict[str, Sequence[float]]) -> Chart:
    """How many answers have which score: the better ones filled, the worse ones outlined with dashes."""
    figure, ax = blank(SMALL)
    told = []
    for i, name in enumerate(("better", "worse")):
        heights = counts[name]
        ax.stairs(heights, edges, fill=not i, alpha=1 if i else 0.4, label=f"{name} answers", linewidth=1.2, **line(i))
        total = sum((a + b) / 2 * count for (a, b), count in zip(pairwise(edges), heights, strict=True))
        told.append(f"{name} answers: mean {total / max(1, sum(heights)):.2f}")
    rule(ax, 0, max(*counts["better"], *counts["worse"]))
    ax.set(xlim=(edges[0], edges[-1]), xlabel="raw score", ylabel="answers")
    return finish(figure, title, "; ".join(told))


def dot_plot(title: str, rows: Shares, x_label: str) -> Chart:
    """Shares with their intervals. Marks differ in shape and in colour."""
    figure, ax = blank((WIDE, 0.85 + 0.36 * len(rows)))
    names, marks = [STAGE_NAMES.get(name, name) for name in rows], list(next(iter(rows.values())))
    for i, mark in enumerate(marks):
        heights = [row + 0.24 * (i - (len(marks) - 1) / 2) for row in range(len(rows))]
        low, high = ([row[mark][1][side] for row in rows.values()] for side in (0, 1))
        ax.hlines(heights, low, high, color=SERIES[i], alpha=0.5)
        ax.plot([row[mark][0] for row in rows.values()], heights, "oD"[i], color=SERIES[i], markersize=(6, 5.2)[i],
                label=mark, clip_on=False)  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel=x_label)
    ax.set_yticks(range(len(rows)), names)
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(visible=False)
    ax.grid(axis="x")
    told = [
        f"{name}: " + ", ".join(f"{mark} {share:.1%}".strip() for mark, (share, _) in row.items())
        for name, row in zip(names, rows.values(), strict=True)
    ]
    return finish(figure, title, "; ".join(told))


def bar_chart(title: str, shares: dict[str, float], x_label: str, chance: float) -> Chart:
    """Shares as bars, the largest first, with a line where guessing would end."""
    rows = dict(sorted(shares.items(), key=lambda row: -row[1]))
    figure, ax = blank((WIDE, 0.6 + 0.22 * len(rows)))
    ax.barh(list(rows), list(rows.values()), height=0.62, color=SERIES[0])
    ax.axvline(chance, color=MUTED, linestyle=":", linewidth=1)
    ax.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel=x_label)
    ax.set_yticks(range(len(rows)), list(rows))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(visible=False)
    ax.grid(axis="x")
    return finish(figure, title, "; ".join(f"{name} {share:.1%}" for name, share in rows.items()))


def blank(size: tuple[float, float]) -> tuple[Figure, Axes]:
    """Without pyplot, which would choose a window system; a few round ticks on both axes."""
    figure = Figure(size, layout="constrained")
    ax = figure.subplots()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(**TICKS))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    return figure, ax


def rule(ax: Axes, low: float, high: float) -> None:
    """A vertical axis that begins and ends at a tick."""
    ticks = MaxNLocator(**TICKS).tick_values(low, high)
    ax.set(yticks=ticks, ylim=(ticks[0], ticks[-1]))


def finish(figure: Figure, title: str, told: str) -> Chart:
    """`told` is what the chart says to those who cannot see it."""
    if any(figure.axes[0].get_legend_handles_labels()[1]):
        figure.legend(loc="outside upper left", ncols=3)
    written = io.StringIO()
    with rc_context({"svg.hashsalt": f"{title} {told}"}):  # charts share a page, so their ids must differ
        figure.savefig(written, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Chart(title, inline(written.getvalue(), f"{title}: {told}"))


def inline(svg: str, told: str) -> Markup:
    """An SVG file as an element of the page: the page's colours, no style attributes (the page's policy lets none in),
    no style sheet of its own, and no ids but those that are referred to."""
    root = ElementTree.fromstring(svg)
    root.remove(next(child for child in root if child.find("{*}style") is not None))  # it would reach the whole page
    wanted = set(re.findall(r"#([\w-]+)", svg))
    for element in root.iter():
        element.tag = element.tag.split("}")[-1]
        attributes = {name.split("}")[-1]: value for name, value in element.items()}
        looks = dict(re.findall(r"([\w-]+): ([^;]+)", attributes.pop("style", "")))
        attributes |= {name: value for name, value in looks.items() if not name.startswith("font")}
        if attributes.get("id") not in wanted:
            attributes.pop("id", None)
        element.attrib.clear()
        element.attrib.update(attributes)
    root.attrib.update({"role": "img", "aria-label": told})
    for name in ("width", "height", "version"):
        del root.attrib[name]
    text = ElementTree.tostring(root, encoding="unicode")
    return Markup(re.sub(r'"(#[0-9a-f]{6})"', lambda match: f'"var({COLOURS[match[1]]})"', text))

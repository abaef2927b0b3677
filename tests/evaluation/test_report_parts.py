"""The parts of the report card that need no model: sentences from numbers, and charts."""

from __future__ import annotations

import re

import pytest
from matplotlib import style

from minigpt.evaluation.report.findings import findings
from minigpt.evaluation.report.plots import charts


def win_rate_of(before: tuple[float, float], after: tuple[float, float]) -> dict:
    return {
        column: {name: {"good": good, "right": right} for name, (good, right) in
                 (("sft", before), ("ppo", after))} for column in ("asked", "held_out")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("after", "known", "verdict"),
    [
        ((0.9, 0.81), 0.96, "alignment taught manners, it does not add knowledge"),
        ((0.3, 0.80), 0.95, "manners did not improve"),
        ((0.9, 0.60), 0.95, "better manners cost knowledge"),
        ((0.9, 0.92), 0.96, "brings knowledge out, it does not add knowledge"),
        ((0.9, 0.92), 1.00, "greedy ones too (100.0% against 95.0%"),
    ],
)
def test_the_finding_follows_from_the_numbers(after, known, verdict):
    knowledge = {"pretrain": {"asked": 0.95, "held_out": 0.95}, "sft": {"asked": 0.9, "held_out": 0.9},
                 "ppo": {"asked": known, "held_out": known}}  # fmt: skip
    (sentence,) = findings(win_rate_of((0.3, 0.8), after), knowledge, 200)
    assert f"from 30.0% to {after[0]:.1%}" in sentence and f"from 80.0% to {after[1]:.1%}" in sentence
    assert verdict in sentence


def chart_of(train: list, valid: list, earlier: list | None = None) -> str:
    """The SVG of a loss curve; empty if there is none."""
    report, before = ({"stages": {"sft": {"curves": {"train": t, "valid": v}}}} for t, v in
                      ((train, valid), ([], earlier or [])))  # fmt: skip
    return "".join(chart.svg for chart in charts(report, before)["curves"])


def points_of(svg: str, colour: str) -> list[tuple[float, float]]:
    """Where the line of that colour goes in the picture."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]* stroke="var\({colour}\)"', svg)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", paths[0])]


def test_a_line_goes_where_its_numbers_go_and_stays_in_its_frame():
    svg = chart_of([(0, 5.0), (40, -1.0), (100, 2.0)], [(50, None), (60, 2.0)])
    drawn = points_of(svg, "--s0")
    (left, high), (between, low), (right, middle) = drawn
    assert high < middle < low and left < between < right  # SVG counts from the top
    assert (between - left) / (right - left) == pytest.approx(0.4, abs=1e-3)
    width, height = map(float, re.findall(r'viewBox="0 0 (\S+) (\S+)"', svg)[0])
    assert all(0 <= x <= width and 0 <= y <= height for x, y in drawn)
    assert 'aria-label="SFT: training, smoothed from 5 to 2; held out from 2 to 2"' in svg


def test_the_earlier_curve_is_drawn_on_the_same_axes():
    before, now = [(0, 4.0), (100, 3.0)], [(0, 4.0), (100, 1.0)]
    svg = chart_of(now, [], before)
    (old_start, old_end), (start, end) = points_of(svg, "--muted"), points_of(svg, "--s0")
    assert old_start == start and old_end[0] == end[0] and old_end[1] < end[1]


@pytest.mark.parametrize("points", [[(0, 0.0)], [(3, 5.0), (3, 5.0)], [(0, -2.0), (9, -2.0)], [(0, 1e-9), (1, 2e6)]])
def test_a_curve_of_any_numbers_can_be_drawn(points):
    svg = chart_of(points, points)
    height = float(re.findall(r'viewBox="0 0 \S+ (\S+)"', svg)[0])
    assert all(0 <= y <= height for _, y in points_of(svg, "--s0"))


def test_without_a_number_there_is_no_chart():
    assert chart_of([], [(1, None)]) == ""
    assert not any(charts({"stages": {}}, {}).values())


def test_what_models_are_called_is_no_markup_and_no_formula():
    row = {"wanted": 0.25, "interval": [0.1, 0.4]}
    sentiment = {"label": 'a "$x$" <b>', "entrants": {"sft": row, "ppo-$x$<i>": row | {"wanted": 1.0}}}
    (chart,) = charts({"stages": {}, "sentiment": sentiment}, {})["sentiment"]
    assert "<b>" not in chart.svg and "<i>" not in chart.svg and ">ppo-$x$&lt;i&gt;</text>" in chart.svg
    assert "SFT: 25.0%; ppo-$x$&lt;i&gt;: 100.0%" in chart.svg


def test_a_users_own_style_of_plots_changes_nothing():
    plain = chart_of([(0, 5.0), (9, 1.0)], [])
    with style.context("dark_background"):
        assert chart_of([(0, 5.0), (9, 1.0)], []) == plain

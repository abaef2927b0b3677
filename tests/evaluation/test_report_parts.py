"""The parts of the report card that need no model: sentences from numbers, charts, markup."""

from __future__ import annotations

import re

import pytest

from minigpt.evaluation.report.charts import Series, line_chart, ticks
from minigpt.evaluation.report.markup import tag
from minigpt.evaluation.report.stages import ppo_figures
from minigpt.evaluation.report.trials import findings


def test_the_figures_of_ppo_are_those_of_the_policy_that_was_kept():
    log = [{"step": step, "valid": {"reward": reward, "kl": kl}} for step, reward, kl in
           [(0, 0.0, 0.0), (5, 1.0, 2.0), (10, 1.1, 9.0)]]  # fmt: skip
    run = {"steps": 10, "training": {"kl": 0.1}, "metrics": {"reward": 1.1, "kl": 9.0}}
    assert ppo_figures(run, log) == {"update": 5, "reward": 1.0, "kl": 2.0}


def contest_of(before: tuple[float, float], after: tuple[float, float]) -> dict:
    return {
        column: {name: {"good": good, "right": right} for name, (good, right) in
                 (("sft", before), ("ppo", after))} for column in ("asked", "held_out")
    }  # fmt: skip


@pytest.mark.parametrize(
    ("after", "known", "verdict"),
    [
        ((0.9, 0.81), 0.96, "alignment taught manners, it does not add knowledge"),
        ((0.3, 0.80), 0.95, "manners did not get better"),
        ((0.9, 0.60), 0.95, "paid for with truth"),
        ((0.9, 0.92), 0.96, "brings knowledge out, it does not add knowledge"),
        ((0.9, 0.92), 1.00, "also of the likeliest answers (100.0% against 95.0%"),
    ],
)
def test_the_finding_follows_from_the_numbers(after, known, verdict):
    exam = {"pretrain": {"asked": 0.95, "held_out": 0.95}, "sft": {"asked": 0.9, "held_out": 0.9},
            "ppo": {"asked": known, "held_out": known}}  # fmt: skip
    (sentence,) = findings(contest_of((0.3, 0.8), after), exam, 200)
    assert f"from 30.0% to {after[0]:.1%}" in sentence and f"from 80.0% to {after[1]:.1%}" in sentence
    assert verdict in sentence


def test_markup_is_escaped_once():
    assert tag("p", tag("b", "<"), "&", title='"') == '<p title="&quot;"><b>&lt;</b>&amp;</p>'


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.2, 0.21), (-3, 7), (5, 5), (0, 0), (-2, -2), (1e-9, 2e6)])
def test_ticks_span_the_numbers(low, high):
    found = ticks(low, high)
    assert found[0] <= low and found[-1] >= high and 2 <= len(found) <= 9
    assert found == sorted(set(found))


def test_a_chart_stays_in_its_frame():
    chart = line_chart("A <b>", [Series("x", [(0, 5.0), (100, -1.0)]), Series("y", [(50, 2.0)], 1, dots=True)], "steps")
    (points,) = re.findall(r'points="([^"]*)"', chart)
    for point in points.split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 340 and 0 <= y <= 200
    assert "A &lt;b&gt;: x from 5 to -1; y from 2 to 2" in chart
    assert line_chart("nothing", [Series("x", [])], "steps") == ""

"""The picture of a run: both losses at every step they were measured, smoothed, with the elbow marked."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from minigpt.training.plots import elbow, plot_curves, smooth


@pytest.mark.parametrize("kink", [3, 10, 17])
def test_the_elbow_of_two_straight_lines_is_where_they_meet(kink: int) -> None:
    steps = list(range(21))
    losses = [9 - 6 * min(1, step / kink) - max(0, step - kink) * 0.01 for step in steps]
    assert elbow(steps, losses) == kink
    assert elbow([1000 * step for step in steps], [0.1 * loss + 5 for loss in losses]) == kink, "units do not matter"


def test_no_elbow_where_nothing_bends() -> None:
    steps = [0, 1, 2, 3]
    assert elbow(steps, [1, 2, 3, 4]) is None and elbow(steps, [2, 2, 2, 2]) is None
    assert elbow(steps, [4, 3.9, 3.5, 0]) is None, "falls ever faster"
    assert elbow([0, 1], [2, 1]) is None and elbow([], []) is None


def test_no_point_lies_farther_below_the_chord() -> None:
    rng = random.Random(0)
    losses = [5.0, *(rng.uniform(1, 5) for _ in range(50)), 1.0]
    below = [1 - (loss - 1) / 4 - step / 51 for step, loss in enumerate(losses)]
    assert below[elbow(range(52), losses)] == max(below)


def test_smoothing_keeps_a_constant_and_starts_unbiased() -> None:
    assert smooth((3.0,) * 5) == pytest.approx([3.0] * 5)
    assert smooth((4.0, 0.0))[0] == pytest.approx(4.0)


def test_the_picture_shows_both_losses_and_the_elbow(tmp_path: Path, monkeypatch) -> None:
    rows: list[dict] = [{"step": n, "tokens": 10 * n, "train_loss": 1 + 4 / n} for n in range(1, 60)]
    rows += [{"step": n, "tokens": 10 * n, "valid": {"loss": 1.2 + 4 / n}} for n in (10, 30, 59)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    labels: list[str] = []
    drawn: list[list[float]] = []

    def legend(ax) -> None:
        labels.extend(ax.get_legend_handles_labels()[1])
        drawn.extend(list(line.get_ydata()) for line in ax.lines)

    monkeypatch.setattr("matplotlib.axes.Axes.legend", legend)
    picture = plot_curves(tmp_path, "A run").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 5000
    assert [row["train_loss"] for row in rows if "train_loss" in row] in drawn, "as it was, beside the smoothed one"
    assert [row["valid"]["loss"] for row in rows if "valid" in row] in drawn
    assert labels[0] == "training (smoothed)" and labels[1].startswith("elbow at ") and labels[2] == "validation"

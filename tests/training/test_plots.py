"""The picture of a run: both losses at every step they were measured, and the trend of the first."""

from __future__ import annotations

import json
import math
import random
import statistics
from pathlib import Path

import pytest

from minigpt.training.plots import plot_curves, smooth


@pytest.mark.parametrize("count", [1, 2, 3, 7, 60, 1000])
def test_a_straight_line_stays_where_it_is(count: int) -> None:
    """Neither late nor early, from first to last: a mean of past values would lie above a falling line."""
    line = [9 - 0.01 * step for step in range(count)]
    assert smooth(line) == pytest.approx(line)


def test_the_trend_of_a_falling_loss_is_not_late() -> None:
    """At step 40 of 130 a mean over the last 20 or 40 steps would still be far above the loss."""
    rng = random.Random(0)
    trend = [1 + 3 * math.exp(-step / 30) for step in range(130)]
    smoothed = smooth([loss + rng.gauss(0, 0.1) for loss in trend])
    late = [after - before for after, before in zip(smoothed, trend, strict=True)]
    assert abs(sum(late) / len(late)) < 0.02
    assert max(map(abs, late[5:])) < 0.15


def test_smoothing_takes_away_most_of_the_noise() -> None:
    rng = random.Random(1)
    noise = [rng.gauss(0, 1) for _ in range(2000)]
    assert statistics.pstdev(smooth(noise)[200:]) < 0.2


def test_the_picture_shows_both_losses_and_how_many_rows_were_measured(tmp_path: Path, monkeypatch) -> None:
    rows: list[dict] = [{"step": n, "tokens": 10 * n, "train_loss": 1 + 4 / n} for n in range(1, 60)]
    measured = [{"step": n, "tokens": 10 * n, "valid": {"loss": 1.2 + 4 / n}} for n in (10, 30, 59)]
    rows += [row | {"valid_rows": [64, 812]} for row in measured]
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
    assert labels == ["training (smoothed)", "validation (64 of 812 rows)"]

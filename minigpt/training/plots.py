"""Pictures of a run: what happened at each step, drawn from its metrics.jsonl."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..files import write_atomically
from ..model.checkpoint import read_card
from .run_state import METRICS, of_how_many, read_log

CURVE = "curve.png"
#: The panels of PPO's picture: title, and the numbers drawn in it.
PANELS = (
    ("reward", ("reward", "objective")),
    ("true marks", ("true_good", "true_right", "true_polite")),
    ("KL from the SFT model (nats)", ("kl",)),
    ("kl_coef", ("kl_coef",)),
    ("entropy (nats per token)", ("entropy",)),
    ("clip fraction", ("clip_fraction",)),
    ("approximate KL of an update", ("approximate_kl",)),
    ("explained variance", ("explained_variance",)),
    ("length (tokens)", ("length",)),
    ("answers that end, distinct-2, same ending", ("ended", "distinct_2", "same_ending")),
)


@contextmanager
def picture(folder: Path, rows: int = 1, columns: int = 1, size: tuple[float, float] = (7, 4)) -> Iterator[Any]:
    """(figure, axes [rows * columns]) to draw on; afterwards the picture is in `curve.png`."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    try:
        yield figure, axes.flatten()
        for ax in axes.flatten():
            ax.grid(alpha=0.3)
        drawn = io.BytesIO()
        figure.savefig(drawn, format="png", dpi=110)
        write_atomically(folder / CURVE, drawn.getvalue())
    finally:
        pyplot.close(figure)


def draw_losses(ax: Any, folder: Path) -> None:
    """Training loss at every step, raw and smoothed, and validation loss, over tokens."""
    rows = [row for row, _ in read_log(folder / METRICS)]
    train = [(row["tokens"], row["train_loss"]) for row in rows if "train_loss" in row]
    valid = [(row["tokens"], row["valid"]["loss"]) for row in rows if "valid" in row]
    if train:
        tokens, losses = zip(*train, strict=True)
        ax.plot(tokens, losses, color="tab:blue", alpha=0.25, linewidth=0.8)
        ax.plot(tokens, smooth(losses), color="tab:blue", label="training (smoothed)")
    if valid:
        some = next((row["valid_rows"] for row in rows if "valid_rows" in row), None)
        label = f"validation ({of_how_many(*some)} rows)" if some else "validation"
        ax.plot(*zip(*valid, strict=True), "o-", color="tab:orange", label=label)
    ax.set(xlabel="tokens read", ylabel="loss (nats)")
    ax.xaxis.set_major_formatter(_engineering())
    ax.legend()


def _engineering() -> Any:
    from matplotlib.ticker import EngFormatter

    return EngFormatter()


def plot_curves(folder: Path, title: str) -> Path:
    """Losses of a language model; returns the picture's path."""
    with picture(folder) as (figure, (ax,)):
        figure.suptitle(title)
        draw_losses(ax, folder)
    return folder / CURVE


def plot_judgements(folder: Path, title: str) -> Path:
    """A reward model: its losses, how far its probabilities can be trusted, and its scores of good and bad answers."""
    metrics = read_card(folder).get("metrics", {})
    with picture(folder, 1, 3, (14, 4)) as (figure, (losses, calibration, scores)):
        figure.suptitle(title)
        draw_losses(losses, folder)
        calibration.plot([0, 1], [0, 1], color="gray", linewidth=0.8, label="perfect")
        if curve := metrics.get("calibration"):
            calibration.plot([c[0] for c in curve], [c[1] for c in curve], "o-", label="held out")
        calibration.set(xlabel="probability that the model gives", ylabel="how often people agree", title="calibration")
        calibration.legend()
        if histogram := metrics.get("histogram"):
            for name in ("better", "worse"):
                scores.stairs(histogram[name], histogram["edges"], fill=True, alpha=0.5, label=f"{name} answers")
            scores.legend()
        scores.set(xlabel="raw score", ylabel="held-out answers", title="scores")
    return folder / CURVE


def plot_ppo(folder: Path, title: str) -> Path:
    """PPO's dashboard: a line for the answers of each update, dots for the held-out prompts."""
    rows = [row for row, _ in read_log(folder / METRICS)]
    train = [row for row in rows if "valid" not in row]
    valid = [(row["step"], row["valid"]) for row in rows if "valid" in row]
    panels = [(label, names) for label, names in PANELS if any(name in row for row in train for name in names)]
    with picture(folder, -(-len(panels) // 4), 4, (17, 3.2 * -(-len(panels) // 4))) as (figure, axes):
        figure.suptitle(title)
        for ax, (label, names) in zip(axes, panels, strict=False):
            for color, name in enumerate(names):
                drawn = [(row["step"], row[name]) for row in train if name in row]
                ax.plot(*zip(*drawn, strict=True), color=f"C{color}", label=name.replace("_", " "))
                dots = [(step, numbers[name]) for step, numbers in valid if name in numbers]
                if dots:
                    ax.plot(*zip(*dots, strict=True), "o", color=f"C{color}")
            ax.set(title=label, xlabel="update")
            if len(names) > 1:
                ax.legend()
        for ax in axes[len(panels) :]:
            ax.axis("off")
    return folder / CURVE


def smooth(values: Sequence[float]) -> list[float]:
    """The trend of a noisy curve: at each point the straight line that fits the points around it best, as many before
    as after. A mean of past values would come late, and so show a falling training loss too high."""
    count = len(values)
    at = np.arange(count)
    # A window is a twelfth of the run or so. It starts small, where the curve is steepest, and ends one-sided.
    half = np.minimum(max(2, count // 25), at)
    first, stop = at - half, np.minimum(at + half + 1, count)
    size, middle = stop - first, (first + stop - 1) / 2
    sums, moments = (np.concatenate([[0.0], np.cumsum(part)]) for part in (values, at * np.asarray(values)))
    mean = (sums[stop] - sums[first]) / size
    spread = np.maximum(size * (size**2 - 1) / 12, 0.5)  # the squared distances from the middle, summed
    slope = (moments[stop] - moments[first] - size * middle * mean) / spread
    return (mean + np.where(size > 1, slope, 0) * (at - middle)).tolist()

"""Pictures of a run."""

from __future__ import annotations

import io
from pathlib import Path

from .files import write_atomically
from .state import METRICS, read_log

CURVE = "curve.png"


def plot_curves(folder: Path, title: str) -> Path:
    """Draw training and validation loss over tokens from `metrics.jsonl` into `curve.png`; returns its path."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row, _ in read_log(folder / METRICS)]
    train = [(row["tokens"], row["train_loss"]) for row in rows if "train_loss" in row]
    valid = [(row["tokens"], row["valid"]["loss"]) for row in rows if "valid" in row]
    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    if train:
        tokens, losses = zip(*train, strict=True)
        axes.plot(tokens, losses, color="tab:blue", alpha=0.25, linewidth=0.8)
        axes.plot(tokens, smooth(losses), color="tab:blue", label="training (smoothed)")
    if valid:
        axes.plot(*zip(*valid, strict=True), "o-", color="tab:orange", label="validation")
    axes.set(title=title, xlabel="tokens read", ylabel="loss (nats per token)")
    axes.xaxis.set_major_formatter(matplotlib.ticker.EngFormatter())
    axes.grid(alpha=0.3)
    axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    pyplot.close(figure)
    write_atomically(folder / CURVE, picture.getvalue())
    return folder / CURVE


def smooth(values: tuple[float, ...], weight: float = 0.95) -> list[float]:
    """An exponential moving average that starts unbiased: the first values weigh as much as there are of them."""
    mean, total, out = 0.0, 0.0, []
    for value in values:
        mean, total = weight * mean + (1 - weight) * value, weight * total + (1 - weight)
        out.append(mean / total)
    return out

"""How good is a reward model? Accuracy, calibration, and whether it only likes long answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

CALIBRATION_BINS = 10
HISTOGRAM_BINS = 24


@dataclass(frozen=True)
class RewardMetrics:
    """`loss` per example in nats (for ratings: half the squared error, in standard deviations).

    `accuracy`: comparisons in the right order, labels on the right side of zero, or, for ratings, pairs of rows that
    are ordered as people ordered them; `interval` holds it with 95 % confidence. `length_correlation` is that of scores
    with lengths (between the two answers of a comparison: of the differences); `longer_preferred` says how often people
    chose the longer answer, and `longer_scored_higher` how often the model does. `calibration` lists (predicted,
    observed, how many); `histogram` counts scores of better and worse answers between its edges.
    """

    loss: float
    accuracy: float
    interval: tuple[float, float]
    examples: int
    length_correlation: float
    longer_preferred: float | None = None
    longer_scored_higher: float | None = None
    calibration: list[tuple[float, float, int]] | None = None
    histogram: dict[str, list[float]] | None = None

    def __str__(self) -> str:
        low, high = self.interval
        longer = "" if self.longer_preferred is None else f", of longer answers {self.longer_preferred:.1%} are better"
        return (
            f"held-out accuracy {self.accuracy:.1%} ({low:.1%} to {high:.1%}, {self.examples:,} judgements),"
            f" loss {self.loss:.4f}, correlation with length {self.length_correlation:+.2f}{longer}"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def comparison_metrics(scores: Tensor, targets: Tensor, lengths: Tensor, loss: float) -> RewardMetrics:
    """Raw scores and lengths [B, 2] of the better and the worse answer; `targets` say nothing more."""
    margin = scores[:, 0] - scores[:, 1]
    difference = (lengths[:, 0] - lengths[:, 1]).float()
    right = (margin > 0).float() + 0.5 * (margin == 0).float()
    # Whichever answer stands left, the model gives it a probability: both sides count, so the curve is whole.
    predicted = torch.cat([margin, -margin]).sigmoid()
    observed = torch.cat([torch.ones_like(margin), torch.zeros_like(margin)])
    unequal = difference != 0
    return RewardMetrics(
        loss=loss,
        accuracy=float(right.mean()),
        interval=wilson_interval(float(right.sum()), len(right)),
        examples=len(right),
        length_correlation=correlation(margin, difference),
        longer_preferred=float((difference[unequal] > 0).float().mean()) if unequal.any() else None,
        longer_scored_higher=float((margin * difference > 0)[unequal].float().mean()) if unequal.any() else None,
        calibration=calibration_curve(predicted, observed),
        histogram=histogram(scores[:, 0], scores[:, 1]),
    )


def label_metrics(scores: Tensor, targets: Tensor, lengths: Tensor, loss: float) -> RewardMetrics:
    """Log-odds [B, 1], targets [B] (1 wanted, 0 not) and lengths [B, 1]."""
    scores, lengths = scores[:, 0], lengths[:, 0]
    right = ((scores > 0) == (targets > 0.5)).float()
    return RewardMetrics(
        loss=loss,
        accuracy=float(right.mean()),
        interval=wilson_interval(float(right.sum()), len(right)),
        examples=len(right),
        length_correlation=correlation(scores, lengths.float()),
        calibration=calibration_curve(scores.sigmoid(), targets),
        histogram=histogram(scores[targets > 0.5], scores[targets <= 0.5]),
    )


def rating_metrics(scores: Tensor, targets: Tensor, lengths: Tensor, loss: float) -> RewardMetrics:
    """Scores [B, 1], standardised ratings [B] and lengths [B, 1]. Each is compared with its neighbours in a shuffled
    order."""
    scores, lengths = scores[:, 0], lengths[:, 0]
    order = torch.randperm(len(scores), generator=torch.Generator().manual_seed(0))
    s, t = scores[order], targets[order]
    gaps = torch.cat([torch.stack([s - s.roll(k), t - t.roll(k)]) for k in range(1, 9)], dim=1)
    gaps = gaps[:, gaps[1] != 0]
    right = (gaps[0] * gaps[1] > 0).float()
    share = float(right.mean()) if len(right) else 0.5
    return RewardMetrics(
        loss=loss,
        accuracy=share,
        interval=wilson_interval(share * len(scores), len(scores)),  # rows are independent, their pairs are not
        examples=len(scores),
        length_correlation=correlation(scores, lengths.float()),
    )


def wilson_interval(successes: float, trials: int, z: float = 1.96) -> tuple[float, float]:
    """Where a share lies with 95 % confidence (Wilson 1927); it stays inside 0 and 1, also for few trials."""
    if not trials:
        return 0.0, 1.0
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(0.0, centre - half), min(1.0, centre + half)


def bootstrap_interval(values: Sequence[float], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Where the mean of `values` lies with 95 % confidence: the middle 95 % of the means of samples drawn from them
    with replacement (Efron 1979)."""
    data = torch.tensor(values, dtype=torch.double)
    drawn = torch.randint(len(data), (draws, len(data)), generator=torch.Generator().manual_seed(seed))
    low, high = data[drawn].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.double)).tolist()
    return low, high


def calibration_curve(predicted: Tensor, observed: Tensor) -> list[tuple[float, float, int]]:
    """For each tenth of the predicted probabilities: their mean, the share that came true, and how many there are."""
    bins = (predicted * CALIBRATION_BINS).long().clamp_max(CALIBRATION_BINS - 1)
    return [
        (float(predicted[inside].mean()), float(observed[inside].mean()), int(inside.sum()))
        for inside in (bins == i for i in range(CALIBRATION_BINS))
        if inside.any()
    ]


def histogram(better: Tensor, worse: Tensor) -> dict[str, list[float]]:
    """Counts of both kinds of scores in equal bins, and the edges of these."""
    both = torch.cat([better, worse])
    edges = torch.linspace(float(both.min()), float(both.max()) + 1e-6, HISTOGRAM_BINS + 1)
    counts = {name: torch.histogram(s.cpu(), edges).hist.tolist() for name, s in (("better", better), ("worse", worse))}
    return {"edges": edges.tolist(), **counts}


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's; 0 where one of them does not vary."""
    a, b = a.double() - a.double().mean(), b.double() - b.double().mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale else 0.0

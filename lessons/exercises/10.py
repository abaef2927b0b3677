"""Exercises of lesson 10. Replace each `raise` by your answer, then: python -m lessons.check 10"""

from __future__ import annotations

from torch import Tensor


def preference_loss(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """The mean Bradley-Terry loss of N comparisons, in nats.

    `a` and `b` [N] are the scores of the two answers, `share` [N] is the share of the people who preferred A: 1 if all
    did, 0 if none, 0.5 for a tie. Each person's choice has a loss; the loss of a comparison is their mean. It must be
    finite for large margins, too.
    """
    raise NotImplementedError


def leaks(train: list[tuple[str, str]], valid: list[tuple[str, str]]) -> list[str]:
    """Which held-out questions were learned from? Rows are (question, answer).

    Returns the questions of `valid` that are also in `train`, each once, as they stand in `valid` and in that order.
    Questions that differ only in capitals or in spaces are the same question.
    """
    raise NotImplementedError


def calibration(predicted: Tensor, came_true: Tensor, bins: int) -> list[tuple[float, float, int]]:
    """The points of a reliability curve: (mean prediction, share that came true, how many) for each bin.

    `predicted` [N] are probabilities from 0 to 1, `came_true` [N] is 1 or 0. Bin i holds the predictions from
    i / bins up to, but not including, (i + 1) / bins; a prediction of exactly 1 belongs to the last. Empty bins are
    left out.
    """
    raise NotImplementedError

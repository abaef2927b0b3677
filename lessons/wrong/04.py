"""Wrong answers to lesson 04. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional as F


def epochs__steps_are_epochs(steps: int, rows: int, context: int, corpus: int) -> float:
    """a step is not an epoch"""
    return float(steps)


def epochs__forgets_the_context(steps: int, rows: int, context: int, corpus: int) -> float:
    """a row holds `context` tokens"""
    return steps * rows / corpus


def next_token_loss__no_shift(logits: Tensor, ids: Tensor) -> Tensor:
    """the scores at t are for token t + 1"""
    return F.cross_entropy(logits, ids)


def next_token_loss__shifts_the_other_way(logits: Tensor, ids: Tensor) -> Tensor:
    """the token before is not what comes next"""
    return F.cross_entropy(logits[1:], ids[:-1])


def next_token_loss__sums(logits: Tensor, ids: Tensor) -> Tensor:
    """the mean over the guesses, not their sum"""
    return F.cross_entropy(logits[:-1], ids[1:], reduction="sum")


def next_token_loss__in_bits(logits: Tensor, ids: Tensor) -> Tensor:
    """this is in bits"""
    return F.cross_entropy(logits[:-1], ids[1:]) / math.log(2)


def rate__starts_at_zero(step: int, steps: int, warmup: int, decay: float) -> float:
    """the first step already moves"""
    return min(1.0, step / warmup) * min(1.0, (1 - step / steps) / decay)


def rate__falls_from_the_beginning(step: int, steps: int, warmup: int, decay: float) -> float:
    """it stays at its peak until the decay begins"""
    return min(1.0, (step + 1) / warmup) * (1 - step / steps)


def rate__never_falls(step: int, steps: int, warmup: int, decay: float) -> float:
    """it falls towards zero at the end"""
    return min(1.0, (step + 1) / warmup)

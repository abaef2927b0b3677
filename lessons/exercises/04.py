"""Exercises of lesson 04. Replace each `raise` by your answer, then: python -m lessons.check 04"""

from __future__ import annotations

from torch import Tensor


def epochs(steps: int, rows: int, context: int, corpus: int) -> float:
    """How many times a text of `corpus` tokens is read in `steps` steps of `rows` rows of `context` tokens each."""
    raise NotImplementedError


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    """The mean loss, in nats, of guessing each next token of a row.

    `logits` [T, V] are the scores after each of the tokens `ids` [T]: those at position t are for token t + 1. The last
    position has nothing to guess, so T - 1 guesses count.
    """
    raise NotImplementedError


def rate(step: int, steps: int, warmup: int, decay: float) -> float:
    """The learning rate of a step (0 to steps - 1), as a share of its peak.

    It climbs in a line over the first `warmup` steps: (step + 1) / warmup, at most 1. In the last `decay` part of the
    run (0 to 1) it falls in a line towards zero: (1 - step / steps) / decay, at most 1. The two are multiplied.
    """
    raise NotImplementedError

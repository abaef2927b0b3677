"""Solutions of lesson 04."""

from __future__ import annotations

from torch import Tensor


def epochs(steps: int, rows: int, context: int, corpus: int) -> float:
    return steps * rows * context / corpus


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    logprobs = logits[:-1].log_softmax(-1)
    return -logprobs.gather(-1, ids[1:, None]).mean()


def rate(step: int, steps: int, warmup: int, decay: float) -> float:
    return min(1.0, (step + 1) / warmup) * min(1.0, (1 - step / steps) / decay)

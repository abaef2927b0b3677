"""Exercises of lesson 02. Replace each `raise` by your answer, then: python -m lessons.check 02"""

from __future__ import annotations

from torch import Tensor


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention: q, k and v are [T, D], and so is the result.

    softmax(q k^T / sqrt(D)) v, where each token sees itself and what comes before it.
    """
    raise NotImplementedError


def split_heads(x: Tensor, heads: int) -> Tensor:
    """[T, heads * D] -> [heads, T, D]: head h gets numbers h * D to (h + 1) * D of every token."""
    raise NotImplementedError

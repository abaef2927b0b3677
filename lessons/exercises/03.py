"""Exercises of lesson 03. Replace each `raise` by your answer, then: python -m lessons.check 03"""

from __future__ import annotations

from torch import Tensor


def count_parameters(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    """How many weights a GPT of the default shape ("qwen3") has.

    A table of `vocabulary` rows, tied to the output. In each layer: queries and the output projection for `heads`
    heads, keys and values for `kv_heads`, an MLP of three matrices (width x inside), two norms of `width` weights, and
    one norm of `head_dim` weights each for queries and keys. One norm of `width` at the end. No biases.
    """
    raise NotImplementedError


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, with the mean over the last axis. x is [..., C], weight [C]."""
    raise NotImplementedError

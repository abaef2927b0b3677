"""Solutions of lesson 03."""

from __future__ import annotations

import torch
from torch import Tensor


def count_parameters(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    attention = 2 * width * heads * head_dim + 2 * width * kv_heads * head_dim
    norms = 2 * width + 2 * head_dim
    return vocabulary * width + layers * (attention + 3 * width * inside + norms) + width


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * weight

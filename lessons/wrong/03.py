"""Wrong answers to lesson 03. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

from torch import Tensor


def count_parameters__table_twice(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    """the table is counted once"""
    attention = 2 * width * heads * head_dim + 2 * width * kv_heads * head_dim
    return 2 * vocabulary * width + layers * (attention + 3 * width * inside + 2 * width + 2 * head_dim) + width


def count_parameters__all_heads_have_keys(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    """keys and values have only kv_heads heads"""
    attention = 4 * width * heads * head_dim
    return vocabulary * width + layers * (attention + 3 * width * inside + 2 * width + 2 * head_dim) + width


def count_parameters__two_matrices(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    """the MLP has three matrices"""
    attention = 2 * width * heads * head_dim + 2 * width * kv_heads * head_dim
    return vocabulary * width + layers * (attention + 2 * width * inside + 2 * width + 2 * head_dim) + width


def count_parameters__no_norms(
    vocabulary: int, width: int, layers: int, heads: int, kv_heads: int, head_dim: int, inside: int
) -> int:
    """the norms have weights too"""
    attention = 2 * width * heads * head_dim + 2 * width * kv_heads * head_dim
    return vocabulary * width + layers * (attention + 3 * width * inside)


def rms_norm__subtracts_the_mean(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm subtracts nothing"""
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight


def rms_norm__divides_by_the_length(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """it is the root of the mean, not of the sum"""
    return x / (x.square().sum(-1, keepdim=True) + eps).sqrt() * weight


def rms_norm__over_everything(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """each vector is normed by itself"""
    return x / (x.square().mean() + eps).sqrt() * weight


def rms_norm__eps_outside(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """eps belongs under the root"""
    return x / (x.square().mean(-1, keepdim=True).sqrt() + eps) * weight

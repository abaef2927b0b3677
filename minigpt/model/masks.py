"""Masks: which tokens a token may look at. B rows, T queries, S keys; True where a query may look."""

from __future__ import annotations

import torch
from torch import Tensor


def causal_mask(queries: int, keys: int, device: torch.device) -> Tensor:
    """[T, S], True where a query may look: at itself and before. The last query is the last key."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


def packed_mask(segments: Tensor) -> Tensor:
    """[B, 1, T, T] for rows that hold several texts: causal, and never from one segment into another.

    `segments` [B, T] numbers the text that each token belongs to.
    """
    length = segments.size(1)
    same = segments[:, None, :, None] == segments[:, None, None, :]
    return same & causal_mask(length, length, segments.device)


def packed_positions(segments: Tensor) -> Tensor:
    """[B, T]: how far each token stands from the beginning of its own text."""
    index = torch.arange(segments.size(1), device=segments.device).expand_as(segments)
    first = torch.ones_like(segments, dtype=torch.bool)
    first[:, 1:] = segments[:, 1:] != segments[:, :-1]
    return index - torch.where(first, index, 0).cummax(dim=1).values


def padded_mask(real: Tensor, queries: int) -> Tensor:
    """[B, 1, T, S] for rows padded on the left: causal, and padding is never looked at.

    `real` [B, S] is False on padding; the last `queries` positions ask. A padding position may see itself:
    a softmax over nothing would be NaN, and what padding computes is never read.
    """
    keys = real.size(1)
    causal = causal_mask(queries, keys, real.device)
    itself = causal & ~causal.tril(-1 + keys - queries)
    return (causal & real[:, None, None, :]) | itself

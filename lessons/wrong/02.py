"""Wrong answers to lesson 02. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def attend__sees_the_future(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """a token must not see what comes after it"""
    return (q @ k.T / math.sqrt(q.size(-1))).softmax(-1) @ v


def attend__forgets_the_scale(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """scores have to be divided by sqrt(D)"""
    scores = q @ k.T
    return scores.masked_fill(torch.ones_like(scores).triu(1).bool(), float("-inf")).softmax(-1) @ v


def attend__masks_after_the_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """the weights of each token have to sum to 1"""
    return (q @ k.T / math.sqrt(q.size(-1))).softmax(-1).tril() @ v


def attend__does_not_see_itself(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """a token has to see itself too"""
    scores = q @ k.T / math.sqrt(q.size(-1))
    return scores.masked_fill(torch.ones_like(scores).triu(0).bool(), float("-inf")).softmax(-1) @ v


def split_heads__views_only(x: Tensor, heads: int) -> Tensor:
    """head 0 has to hold the first numbers of every token"""
    return x.reshape(heads, x.size(0), -1)


def split_heads__forgets_to_transpose(x: Tensor, heads: int) -> Tensor:
    """the shape is [heads, T, D]"""
    return x.view(x.size(0), heads, -1)


def split_heads__every_hth_number(x: Tensor, heads: int) -> Tensor:
    """neighbouring numbers belong to the same head"""
    return x.view(x.size(0), -1, heads).permute(2, 0, 1)

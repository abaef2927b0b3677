"""Checks of lesson 02."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons.expect import expect


def check_attend(answer: Callable[[Tensor, Tensor, Tensor], Tensor], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))
    for _ in range(10):
        tokens, width = rng.randint(3, 6), rng.choice([2, 5, 16])
        q, k, v = torch.randn(3, tokens, width, generator=draw)
        given = {"T": tokens, "D": width}
        out = answer(q, k, v)
        expect(list(out.shape), [tokens, width], given, "the result has the shape of v")
        numbers = bool(out.isfinite().all())
        expect(numbers, True, given, "a token has to see itself too: the softmax over nothing is NaN")
        later = v.clone()
        later[-1] += 5
        same = torch.allclose(answer(q, k, later)[:-1], out[:-1])
        expect(same, True, given | {"changed": "the last value"}, "a token must not see what comes after it")
        ones = answer(q, k, torch.ones_like(v))
        if abs(float(ones[:, 0].sum()) - tokens) < 1e-3:  # all weights are there, but dealt out along the other axis
            axis = "the first token sees only itself, so its weight is 1: which axis does the softmax run along?"
            expect(ones, torch.ones_like(v), given | {"v": "ones"}, axis, 1e-4)
        expect(ones, torch.ones_like(v), given | {"v": "ones"}, "the weights of each token have to sum to 1", 1e-4)
        wanted = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        expect(out, wanted, given, "other numbers; scores have to be divided by sqrt(D), then masked", 1e-4)


def check_split_heads(answer: Callable[[Tensor, int], Tensor], rng: random.Random) -> None:
    for _ in range(10):
        tokens, heads, width = rng.sample([2, 3, 4, 5], 3)
        x = torch.arange(tokens * heads * width).float().view(tokens, heads * width)
        given = {"x": x, "heads": heads}
        out = answer(x.clone(), heads)
        expect(list(out.shape), [heads, tokens, width], given, "the shape is [heads, T, D]")
        expect(out[0, 0], x[0, :width], given, "neighbouring numbers belong to the same head", 0)
        expect(out[0], x[:, :width], given, "head 0 has to hold the first numbers of every token", 0)
        expect(out[-1], x[:, -width:], given, "the last head has to hold the last numbers of every token", 0)

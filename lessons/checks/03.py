"""Checks of lesson 03."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor

from lessons.expect import expect
from minigpt import GPT, ModelConfig


def check_count_parameters(answer: Callable[..., int], rng: random.Random) -> None:
    for _ in range(5):
        kv_heads, head_dim = rng.choice([1, 2]), rng.choice([8, 16])
        shape = {
            "vocabulary": rng.randint(60, 90), "width": rng.choice([24, 40]), "layers": rng.choice([2, 3]),
            "heads": 2 * kv_heads, "kv_heads": kv_heads, "head_dim": head_dim, "inside": rng.choice([56, 72]),
        }  # fmt: skip
        config = ModelConfig(
            vocab_size=shape["vocabulary"], hidden_size=shape["width"], num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"], num_key_value_heads=kv_heads, head_dim=head_dim,
            intermediate_size=shape["inside"], max_position_embeddings=16,
        )  # fmt: skip
        wanted = GPT(config).parameter_count()
        width, layers = shape["width"], shape["layers"]
        mistakes = {
            shape["vocabulary"] * width: "the table is counted once: entrance and exit are the same",
            2 * layers * width * kv_heads * head_dim: "keys and values have only kv_heads heads",
            -layers * width * shape["inside"]: "the MLP has three matrices",
            -layers * (2 * width + 2 * head_dim) - width: "the norms have weights too",
        }
        got = answer(**shape)
        expect(got, wanted, shape, mistakes.get(got - wanted, "PyTorch counts another number"))


def check_rms_norm(answer: Callable[[Tensor, Tensor, float], Tensor], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))
    for _ in range(10):
        width = rng.choice([4, 6, 9])
        x, weight = torch.randn(2, 3, width, generator=draw) + 1, torch.rand(width, generator=draw) + 0.5
        one, given = torch.ones(width), (2 * torch.ones(width), 1e-6)
        got = answer(2 * one, one, 1e-6)
        kept = "RMSNorm subtracts nothing: a constant vector stays constant"
        expect(bool(got.abs().max() > 0.01), True, given, kept)
        expect(got, one, given, "it is the root of the mean, not of the sum", 1e-4)
        loud = x.clone()
        loud[0, 0] *= 100
        same = torch.allclose(answer(loud, weight, 1e-6)[1], answer(x, weight, 1e-6)[1])
        expect(same, True, "two batches that differ in one vector", "each vector is normed by itself")
        size = x.square().mean(-1, keepdim=True)
        for eps, why in ((1e-6, "these are other numbers"), (1.0, "eps belongs under the root")):
            expect(answer(x, weight, eps), x / (size + eps).sqrt() * weight, (x, weight, eps), why, 1e-4)

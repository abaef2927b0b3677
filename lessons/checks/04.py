"""Checks of lesson 04."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons.expect import expect


def check_epochs(answer: Callable[[int, int, int, int], float], rng: random.Random) -> None:
    for _ in range(10):
        given = (rng.randint(100, 2000), rng.choice([8, 16, 32]), rng.choice([64, 128]), rng.randint(50_000, 900_000))
        steps, rows, context, corpus = given
        wanted, got = steps * rows * context / corpus, answer(*given)
        why = "this is another number"
        if got == steps:
            why = "a step is not an epoch"
        elif abs(got * context - wanted) < 1e-6:
            why = "a row holds `context` tokens"
        expect(got, wanted, given, why, 1e-6)


def check_next_token_loss(answer: Callable[[Tensor, Tensor], Tensor], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))
    for _ in range(10):
        tokens, vocabulary = rng.randint(4, 7), rng.randint(5, 9)
        ids = torch.randint(0, vocabulary, (tokens,), generator=draw)
        logits = torch.randn(tokens, vocabulary, generator=draw) * 2
        wanted = F.cross_entropy(logits[:-1], ids[1:]).item()
        mistakes = {
            F.cross_entropy(logits, ids).item(): "the scores at t are for token t + 1",
            F.cross_entropy(logits[1:], ids[:-1]).item(): "the token before is not what comes next",
            wanted * (tokens - 1): "the mean over the guesses, not their sum",
            wanted / math.log(2): "this is in bits; nats take the natural logarithm",
        }
        got = float(answer(logits, ids))
        why = next((why for value, why in mistakes.items() if abs(value - got) < 1e-4), "this is another number")
        expect(got, wanted, {"logits": logits, "ids": ids}, why, 1e-4)


def check_rate(answer: Callable[[int, int, int, float], float], rng: random.Random) -> None:
    for _ in range(10):
        steps, warmup, decay = rng.choice([100, 200]), rng.choice([5, 10]), rng.choice([0.2, 0.5])
        first, flat, late = 0, int(steps * (1 - decay)) - 5, steps - 2

        def ask(step: int, why: str, settings: tuple[int, int, float] = (steps, warmup, decay)) -> None:
            total, up, down = settings
            wanted = min(1.0, (step + 1) / up) * min(1.0, (1 - step / total) / down)
            expect(answer(step, *settings), wanted, (step, *settings), why, 1e-6)

        ask(first, "the first step already moves: (step + 1) / warmup")
        ask(flat, "it stays at its peak until the decay begins")
        ask(late, "it falls towards zero at the end")
        ask(rng.randrange(steps), "this is another rate")

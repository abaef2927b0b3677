"""Checks of lesson 13."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from lessons.expect import expect

WORDS = ("happy", "help", "of", "course", "the", "street", "is", "red", "and", "I", "hope", "that", "glad", "please",
         "ask", "anything", "gladly")  # fmt: skip


def over_all(score: Tensor, gold: Tensor, n: int) -> float:
    """By brute force: all choices of n, and in each of them the one with the highest score."""
    values = score.tolist()
    kept = [max(some, key=values.__getitem__) for some in combinations(range(len(gold)), n)]
    return float(gold[kept].mean())


def check_best_of_n(answer: Callable[[Tensor, Tensor, int], float], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))
    for _ in range(8):
        total = rng.randint(5, 8)
        n = rng.randint(2, total - 2)
        proxy, gold = torch.randn(total, generator=draw), torch.rand(total, generator=draw)

        below = [(float(gold[i]), rank / total) for rank, i in enumerate(proxy.argsort().tolist())]
        mistakes = {
            over_all(gold, gold, n): "the judge picks by the proxy, it can't see gold",
            float(gold[proxy[:n].argmax()]): "these are the first n only, not the mean over all ways to take n",
            sum(g * ((u + 1 / total) ** n - u**n) for g, u in below): "no answer can be taken twice",
            over_all(-proxy, gold, n): "this keeps the answer with the lowest proxy",
        }
        got = float(answer(proxy, gold, n))
        why = next((why for value, why in mistakes.items() if math.isclose(value, got, abs_tol=1e-4)), "another number")
        expect(got, over_all(proxy, gold, n), {"proxy": proxy, "gold": gold, "n": n}, why, 1e-4)


def check_hack(answer: Callable[[Callable[[str], float], list[str], str, int], str], rng: random.Random) -> None:
    for liked, length in ((9, 5), (4, 8), (rng.randint(3, 9), rng.randint(4, 8))):
        words = rng.sample(WORDS, 14)
        worth = {word: rng.uniform(0.2, 1) if i < liked else rng.uniform(-1, -0.2) for i, word in enumerate(words)}
        truth = words[0]
        worth[truth] = 1.5  # what is right is liked best
        rng.shuffle(words)
        values = [value for word, value in worth.items() if value > 0 and word != truth]
        wanted = sum(sorted(values, reverse=True)[:length])

        def judge(reply: str, worth: dict[str, float] = worth) -> float:
            return sum(worth.get(word, -1.0) for word in set(reply.split()))

        given = f"a judge of {words}, the answer {truth!r}, at most {length} words"
        reply = answer(judge, list(words), truth, length)
        said = reply.split()
        expect(truth in said, False, f"{given}; the reply {reply!r}", "it holds the answer, so it is no hack")
        expect(len(said) > length, False, f"{given}; the reply {reply!r}", "it is longer than allowed")
        disliked = [word for word in said if worth.get(word, -1.0) < 0]
        expect(disliked, [], f"{given}; the reply {reply!r}", "it holds words that the judge dislikes")
        repeats = len(said) > len(set(said)) and judge(reply) < wanted - 1e-6
        why = "this judge counts no word twice" if repeats else "there are wrong replies that it likes better"
        expect(judge(reply), wanted, f"{given}; the reply {reply!r}", why, 1e-6)

"""Solutions of lesson 13."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def best_of_n(proxy: Tensor, gold: Tensor, n: int) -> float:
    total = len(proxy)
    weights = torch.tensor([math.comb(rank, n - 1) / math.comb(total, n) for rank in range(total)])
    return float((gold[proxy.argsort()] * weights).sum())


def hack(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    allowed = [word for word in words if word != answer]
    reply: list[str] = []
    while True:
        longer = [[*reply, word] for word in allowed] if len(reply) < length else []
        other = [[*reply[:at], word, *reply[at + 1 :]] for at in range(len(reply)) for word in allowed]
        tried = longer + other
        best = max(tried, key=lambda some: judge(" ".join(some)))
        if judge(" ".join(best)) <= judge(" ".join(reply)):
            return " ".join(reply)
        reply = best

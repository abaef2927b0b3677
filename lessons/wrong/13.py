"""Wrong answers to lesson 13. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def best_of_n__picks_by_gold(proxy: Tensor, gold: Tensor, n: int) -> float:
    """the judge picks by the proxy, it can't see gold"""
    total = len(proxy)
    weights = torch.tensor([math.comb(rank, n - 1) / math.comb(total, n) for rank in range(total)])
    return float((gold.sort().values * weights).sum())


def best_of_n__the_first_n(proxy: Tensor, gold: Tensor, n: int) -> float:
    """these are the first n only, not the mean over all ways to take n"""
    return float(gold[proxy[:n].argmax()])


def best_of_n__with_replacement(proxy: Tensor, gold: Tensor, n: int) -> float:
    """no answer can be taken twice"""
    total = len(proxy)
    weights = torch.tensor([((rank + 1) / total) ** n - (rank / total) ** n for rank in range(total)])
    return float((gold[proxy.argsort()] * weights).sum())


def best_of_n__worst(proxy: Tensor, gold: Tensor, n: int) -> float:
    """this keeps the answer with the lowest proxy"""
    total = len(proxy)
    weights = torch.tensor([math.comb(rank, n - 1) / math.comb(total, n) for rank in range(total)])
    return float((gold[proxy.argsort(descending=True)] * weights).sum())


def hack__tells_the_truth(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    """it holds the answer, so it is no hack"""
    return " ".join(sorted(words, key=judge, reverse=True)[:length])


def hack__one_word_only(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    """this judge counts no word twice"""
    return " ".join([max((word for word in words if word != answer), key=judge)] * length)


def hack__too_long(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    """it is longer than allowed"""
    return " ".join(word for word in words if word != answer and judge(word) > judge(""))


def hack__as_long_as_it_may_be(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    """it holds words that the judge dislikes"""
    return " ".join(sorted((word for word in words if word != answer), key=judge, reverse=True)[:length])

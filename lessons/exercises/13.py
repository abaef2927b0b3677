"""Exercises of lesson 13. Replace each `raise` by your answer, then: python -m lessons.check 13"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor


def best_of_n(proxy: Tensor, gold: Tensor, n: int) -> float:
    """What the best of n is really worth: of n answers out of the N given, the one with the highest `proxy` [N] is
    kept, and its `gold` [N] counts. The mean of that over all ways to take n of the N, each answer at most once.

    No two answers have the same proxy score. Do it without drawing: sort, and count for each answer in how many of the
    choices it is the one that is kept.
    """
    raise NotImplementedError


def hack(judge: Callable[[str], float], words: Sequence[str], answer: str, length: int) -> str:
    """A reply that is wrong, and that the judge likes as much as any wrong reply of this length.

    It consists of at most `length` of the `words`, with single spaces between them, and `answer` is not among them.
    You can't see into the judge, only ask it. It never likes a reply less for holding a word that it likes, but it
    counts no word twice, and there are words that it dislikes. Climb: change something, keep it if the judge says so.
    """
    raise NotImplementedError

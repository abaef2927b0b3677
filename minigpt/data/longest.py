"""The search for the longest version of something that still fits."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence

from .examples import Turn

Encode = Callable[[Sequence[Turn]], list[int]]


def most_that_fit(limit: int, keeping: Callable[[int], Sequence[Turn]], encode: Encode, room: int) -> int:
    """The largest count up to `limit` whose turns fit, 0 if none does. Usually that is all. If not, the count doubles
    before it halves what is left: of a very long conversation, only about as much is encoded as fits."""
    if limit and len(encode(keeping(limit))) <= room:
        return limit
    tried = min(1, limit)
    while tried < limit and len(encode(keeping(tried))) <= room:
        tried = min(2 * tried, limit)
    return bisect_right(range(1, tried + 1), room, key=lambda count: len(encode(keeping(count))))

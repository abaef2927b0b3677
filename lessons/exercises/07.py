"""Exercises of lesson 07. Replace each `raise` by your answer, then: python -m lessons.check 07"""

from __future__ import annotations


def loss_mask(conversation: list[tuple[str, int]]) -> list[bool]:
    """For each token of a chat, whether it is learned.

    `conversation` holds, for each turn, its role ("system", "user" or "assistant") and how many tokens its words are.
    As ids, a chat is one token for the beginning; then for each turn the mark of its role, its words, and the token
    that ends the turn. Learned are the words of the assistant, and the token that ends its turn.
    """
    raise NotImplementedError


def pack(lengths: list[int], width: int) -> list[list[int]]:
    """Which chats stand in which row: for each row, the numbers of its chats (0 is the first of `lengths`), in order.

    The chats are taken as they come. Each goes into the first row in which it still has room, also an earlier one; if
    there is none, it opens a new row. A row has `width` places, and no chat is longer than that.
    """
    raise NotImplementedError

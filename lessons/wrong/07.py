"""Wrong answers to lesson 07. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations


def loss_mask__end_not_learned(conversation: list[tuple[str, int]]) -> list[bool]:
    """a model that never learns the end never stops"""
    flags = [False]
    for role, words in conversation:
        flags += [False] + [role == "assistant"] * words + [False]
    return flags


def loss_mask__role_mark_learned(conversation: list[tuple[str, int]]) -> list[bool]:
    """the mark of the role is given, the model never writes it"""
    flags = [False]
    for role, words in conversation:
        flags += [role == "assistant"] * (words + 2)
    return flags


def loss_mask__last_turn_only(conversation: list[tuple[str, int]]) -> list[bool]:
    """every turn of the assistant is learned, not only the last"""
    last = max(i for i, (role, _) in enumerate(conversation) if role == "assistant")
    flags = [False]
    for i, (_, words) in enumerate(conversation):
        flags += [False] + [i == last] * (words + 1)
    return flags


def loss_mask__one_too_early(conversation: list[tuple[str, int]]) -> list[bool]:
    """these flags stand one place too early"""
    flags: list[bool] = []
    for role, words in conversation:
        flags += [False] + [role == "assistant"] * (words + 1)
    return [*flags, False]


def pack__only_the_last_row(lengths: list[int], width: int) -> list[list[int]]:
    """an earlier row still has room"""
    rows: list[list[int]] = []
    left = 0
    for chat, length in enumerate(lengths):
        if not rows or length > left:
            rows.append([])
            left = width
        rows[-1].append(chat)
        left -= length
    return rows


def pack__exact_fit_refused(lengths: list[int], width: int) -> list[list[int]]:
    """a chat that fills the row to its last place fits"""
    rows: list[list[int]] = []
    room: list[int] = []
    for chat, length in enumerate(lengths):
        row = next((i for i, left in enumerate(room) if left > length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(width)
        rows[row].append(chat)
        room[row] -= length
    return rows


def pack__too_full(lengths: list[int], width: int) -> list[list[int]]:
    """a row holds no more than `width` tokens"""
    rows: list[list[int]] = []
    used = width
    for chat, length in enumerate(lengths):
        if used >= width:
            rows.append([])
            used = 0
        rows[-1].append(chat)
        used += length
    return rows


def pack__loses_the_last_row(lengths: list[int], width: int) -> list[list[int]]:
    """every chat stands in exactly one row"""
    rows: list[list[int]] = []
    row: list[int] = []
    for chat, length in enumerate(lengths):
        if sum(lengths[i] for i in row) + length > width:
            rows.append(row)
            row = []
        row = [*row, chat]
    return rows

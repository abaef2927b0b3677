"""Solutions of lesson 07."""

from __future__ import annotations


def loss_mask(conversation: list[tuple[str, int]]) -> list[bool]:
    flags = [False]
    for role, words in conversation:
        flags += [False] + [role == "assistant"] * (words + 1)
    return flags


def pack(lengths: list[int], width: int) -> list[list[int]]:
    rows: list[list[int]] = []
    room: list[int] = []
    for chat, length in enumerate(lengths):
        row = next((i for i, left in enumerate(room) if left >= length), len(rows))
        if row == len(rows):
            rows.append([])
            room.append(width)
        rows[row].append(chat)
        room[row] -= length
    return rows

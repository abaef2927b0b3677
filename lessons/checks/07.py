"""Checks of lesson 07."""

from __future__ import annotations

import random
from collections.abc import Callable

from lessons.expect import expect


def check_loss_mask(answer: Callable[[list[tuple[str, int]]], list[bool]], rng: random.Random) -> None:
    for _ in range(10):
        chat = [("system", rng.randint(2, 5))] if rng.random() < 0.5 else []
        for _ in range(rng.randint(2, 3)):
            chat += [("user", rng.randint(1, 4)), ("assistant", rng.randint(2, 6))]
        got = answer(list(chat))
        flags = [False]
        places: dict[str, list[int]] = {"mark": [], "others": [], "earlier": [], "end": []}
        for number, (role, words) in enumerate(chat):
            start = len(flags)
            flags += [False] + [role == "assistant"] * (words + 1)
            if role != "assistant":
                places["others"] += range(start + 1, len(flags))
                continue
            places["mark"].append(start)
            places["end"].append(len(flags) - 1)
            if number < len(chat) - 1:
                places["earlier"] += range(start + 1, len(flags) - 1)
        expect(len(got), len(flags), chat, "one flag for each token: count the beginning, and each mark and end")
        expect(got == [*flags[1:], False], False, chat, "these flags stand one place too early")
        for name, wanted, why in (
            ("others", False, "what users say is there to be read, and so is the system turn; neither is learned"),
            ("mark", False, "the mark of the role is given, the model never writes it"),
            ("earlier", True, "every turn of the assistant is learned, not only the last"),
            ("end", True, "a model that never learns the end never stops"),
        ):
            expect([bool(got[i]) for i in places[name]], [wanted] * len(places[name]), chat, why)
        expect([bool(flag) for flag in got], flags, chat, "these are other flags")


def check_pack(answer: Callable[[list[int], int], list[list[int]]], rng: random.Random) -> None:
    cases = [([6, 4, 3], 10), ([8, 6, 1], 10)]
    cases += [([rng.randint(1, 20) for _ in range(rng.randint(8, 15))], rng.randint(20, 30)) for _ in range(10)]
    for lengths, width in cases:
        given = {"lengths": lengths, "width": width}
        rows = answer(list(lengths), width)
        standing = sorted(chat for row in rows for chat in row)
        expect(standing, list(range(len(lengths))), given, "every chat stands in exactly one row")
        sums = [sum(lengths[chat] for chat in row) for row in rows]
        expect(max(sums) <= width, True, given, f"a row holds no more than `width` tokens, and yours hold {sums}")
        room: list[int] = []
        first: list[list[int]] = []
        for chat, length in enumerate(lengths):
            row = next((i for i, left in enumerate(room) if left >= length), len(room))
            if row == len(room):
                room.append(width)
                first.append([])
            why = "a chat goes into the first row that has room"
            mine = next(i for i, some in enumerate(rows) if chat in some)
            if mine > row == len(room) - 1 and room[row] == length:
                why = "a chat that fills the row to its last place fits"
            elif mine > row:
                why = "an earlier row still has room"
            expect(mine, row, {**given, "chat": chat}, why)
            room[row] -= length
            first[row].append(chat)
        expect([list(row) for row in rows], first, given, "within a row, the chats stand as they came")

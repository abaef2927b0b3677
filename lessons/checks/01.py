"""Checks of lesson 01."""

from __future__ import annotations

import random
from collections.abc import Callable

from lessons.expect import expect

Pair = tuple[str, str]


def merged(pieces: list[str], pair: Pair) -> list[str]:
    out: list[str] = []
    free = False  # whether the last piece may still be joined
    for piece in pieces:
        if free and (out[-1], piece) == pair:
            out[-1] += piece
            free = False
        else:
            out.append(piece)
            free = True
    return out


def check_merge_pair(answer: Callable[[list[str], Pair], list[str]], rng: random.Random) -> None:
    def ask(pieces: list[str], pair: Pair, why: str) -> None:
        expect(answer(list(pieces), pair), merged(pieces, pair), (pieces, pair), why)

    given = (["a", "b", "c", "a", "b"], ("a", "b"))
    once = "a piece is used only once: no letter may appear or vanish"
    expect(len("".join(answer(*given))), 5, given, once)
    ask(["a", "b"], ("a", "b"), "two neighbours become one piece")
    ask(["a", "b", "c", "a", "b"], ("a", "b"), "every occurrence is joined, not only the first, and the rest stays")
    two, three = answer(["a"] * 4, ("a", "a")), answer(["a"] * 3, ("a", "a"))
    expect(len("".join(two)), 4, (["a"] * 4, ("a", "a")), once)
    made = "a piece that was just made is not joined again in the same pass"
    expect("aaa" in three or "aaaa" in two, False, (["a"] * 4, ("a", "a")), made)
    expect(three, ["aa", "a"], (["a"] * 3, ("a", "a")), "it goes from left to right")
    for _ in range(30):
        pieces = rng.choices(["a", "b", "ab"], k=rng.randint(0, 9))
        ask(pieces, rng.choice([("a", "a"), ("a", "b"), ("ab", "a")]), "the pieces are others")


def check_detokenise(answer: Callable[[str], str], rng: random.Random) -> None:
    for _ in range(20):
        a, b = rng.sample(["harbour", "town", "well", "known", "river", "north"], 2)
        n = rng.randint(100, 999)
        expect(answer(f"{a} @-@ {b}"), f"{a}-{b}", f"{a} @-@ {b}", "no space stands around a joined mark")
        expect(answer(f"1 @,@ {n} or 3 @.@ 5"), f"1,{n} or 3.5", f"1 @,@ {n} or 3 @.@ 5", "numbers are joined too")
        mark = rng.choice(",.;:!?")
        expect(answer(f"{a} {mark}"), f"{a}{mark}", f"{a} {mark}", f"no space stands in front of {mark}")
        expect(answer(f"{a} - {b}"), f"{a} - {b}", f"{a} - {b}", "a dash between words keeps its spaces")
        line = f"the {a} @-@ {b} , 1 @,@ {n} of them {mark}"
        expect(answer(line), f"the {a}-{b}, 1,{n} of them{mark}", line, "the line reads differently")

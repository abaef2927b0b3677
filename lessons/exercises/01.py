"""Exercises of lesson 01. Replace each `raise` by your answer, then: python -m lessons.check 01"""

from __future__ import annotations


def merge_pair(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """The pieces with every occurrence of two neighbours `pair` joined to one.

    From left to right, and a piece is used only once: ["a", "a", "a"] with ("a", "a") is ["aa", "a"].
    """
    raise NotImplementedError


def detokenise(line: str) -> str:
    """A line of WikiText as one would write it.

    ` @-@ `, ` @,@ ` and ` @.@ ` stand for -, a comma and a point inside a word or number. Apart from that, the marks
    , . ; : ! ? have a space in front that doesn't belong there: "well @-@ known , yes ." is "well-known, yes."
    """
    raise NotImplementedError

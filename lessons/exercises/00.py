"""Exercises of lesson 00. Replace each `raise` by your answer, then: python -m lessons.check 00"""

from __future__ import annotations


def with_temperature(logits: list[float], temperature: float) -> list[float]:
    """The probabilities of a softmax over `logits` divided by `temperature`.

    At temperature 0 the best score has probability 1 and the others 0 (if several are best, the first of them).
    """
    raise NotImplementedError


def share_repeated(answers: list[str]) -> float:
    """The share of answers, 0 to 1, that were given before in the list: of ["a", "b", "a", "a"] it is 0.5."""
    raise NotImplementedError

"""Answers that are worse on purpose, to learn from beside those that people compared.

    random     as many words as the better answer has, drawn from all answers
    dup_tail   the better answer, which says its last words twice
    other      the better answer to another prompt

They teach a reward model what nobody would bother to compare. Only training sees them, never the measurement.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from ..data.examples import Comparison
from ..errors import UserError, nearest

#: So often a draw may give the better answer itself before the comparison goes without a synthetic one.
TRIES = 20


def random_words(comparison: Comparison, others: Sequence[Comparison], rng: random.Random) -> str:
    length = len(comparison.chosen.split())
    return " ".join(rng.choice(rng.choice(others).chosen.split()) for _ in range(length))


def duplicated_tail(comparison: Comparison, others: Sequence[Comparison], rng: random.Random) -> str:
    words = comparison.chosen.split()
    tail = words[-rng.randint(1, max(1, len(words) // 2)) :]
    return " ".join([*words, *tail])


def anothers_answer(comparison: Comparison, others: Sequence[Comparison], rng: random.Random) -> str:
    other = rng.choice(others)
    return other.chosen if other.group != comparison.group else comparison.chosen  # which is then drawn anew


NEGATIVES: dict[str, Callable[[Comparison, Sequence[Comparison], random.Random], str]] = {
    "random": random_words,
    "dup_tail": duplicated_tail,
    "other": anothers_answer,
}


def parse_kinds(kinds: str) -> list[str]:
    """The names in a list such as "random,other". Raises UserError for one that is not in `NEGATIVES`."""
    names = [name.strip() for name in kinds.split(",") if name.strip()]
    for name in names:
        if name not in NEGATIVES:
            raise UserError(f"--augment {name!r} is unknown{nearest(name, NEGATIVES)}; name {', '.join(NEGATIVES)}.")
    return names


def synthetic(comparisons: Sequence[Comparison], kinds: Sequence[str], seed: int) -> list[Comparison]:
    """For each comparison one more, with the same better answer and a worse one of the `kinds` in turn.

    The worse one is never the better one: where that cannot be had (all answers are the same word, say), there is none.
    """
    rng = random.Random(seed)
    extra: list[Comparison] = []
    for i, comparison in enumerate(comparisons if kinds else ()):
        make = NEGATIVES[kinds[i % len(kinds)]]
        drawn = (make(comparison, comparisons, rng).strip() for _ in range(TRIES))
        worse = next((text for text in drawn if text.split() != comparison.chosen.split()), None)
        if worse:
            extra.append(Comparison(comparison.prompt, comparison.chosen, worse, comparison.group))
    return extra

"""Which of the held-out rows a measurement on the way takes."""

from __future__ import annotations

import numpy as np


def some_of(total: int, count: int | None) -> np.ndarray:
    """`count` of the numbers below `total`, in order; all of them without a count. Drawn at random, for the first rows
    of a corpus may be alike, but always the same ones, so that two measurements compare."""
    chosen = np.random.default_rng(0).permutation(total)[:count]
    return np.sort(chosen)

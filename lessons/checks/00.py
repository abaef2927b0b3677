"""Checks of lesson 00."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from lessons.expect import expect


def softmax(scores: list[float]) -> list[float]:
    raised = [math.exp(z - max(scores)) for z in scores]
    return [value / sum(raised) for value in raised]


def check_with_temperature(answer: Callable[[list[float], float], list[float]], rng: random.Random) -> None:
    for _ in range(20):
        logits = rng.sample([-3.0, -1.0, 0.0, 0.5, 2.0, 4.0], 4)
        best = [float(z == max(logits)) for z in logits]
        expect(answer(logits, 1.0), softmax(logits), (logits, 1.0), "temperature 1 is the plain softmax", 1e-6)
        low, plain = max(answer(logits, 0.5)), max(softmax(logits))
        expect(abs(low - plain) > 1e-6, True, (logits, 0.5), "the temperature has to change something")
        expect(low > plain, True, (logits, 0.5), "a low temperature has to sharpen: the best one gets more than at 1")
        expect(answer(logits, 0.0), best, (logits, 0.0), "at temperature 0 the best score takes everything", 1e-6)
        t = rng.uniform(0.3, 3.0)
        expect(answer(logits, t), softmax([z / t for z in logits]), (logits, t), "these are other probabilities", 1e-6)


def check_share_repeated(answer: Callable[[list[str]], float], rng: random.Random) -> None:
    expect(answer(["a", "b"]), 0.0, ["a", "b"], "nothing is repeated here", 1e-9)
    expect(answer(["a", "a"]), 0.5, ["a", "a"], "the first time isn't a repetition", 1e-9)
    expect(answer(["a", "b", "a"]), 1 / 3, ["a", "b", "a"], "it counts wherever it stood before", 1e-9)
    for _ in range(20):
        given = [rng.choice("abcdef") for _ in range(rng.randint(3, 12))]
        repeated = sum(said in given[:i] for i, said in enumerate(given))
        expect(answer(given), repeated / len(given), given, "this is another share", 1e-9)

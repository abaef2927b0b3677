"""Checks of lesson 10."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lessons.expect import expect


def check_preference_loss(answer: Callable[[Tensor, Tensor, Tensor], Tensor], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))

    def ask(a: Tensor, b: Tensor, share: Tensor, wanted: float, why: str) -> None:
        expect(float(answer(a, b, share)), wanted, {"a": a, "b": b, "share": share}, why, 1e-4)

    for _ in range(10):
        count = rng.randint(3, 6)
        a, b, share = (torch.rand(count, generator=draw) for _ in range(3))
        same, all_, none = a.clone(), torch.ones(1), torch.zeros(1)
        high, low = torch.tensor([2.0 + rng.random()]), torch.tensor([-1.0])
        margin = float(high - low)
        way = "a higher score for what people preferred makes the loss smaller"
        ask(high, low, all_, math.log1p(math.exp(-margin)), way)
        ask(high, low, none, math.log1p(math.exp(margin)), "those who preferred B count too")
        ask(low * 200, high, all_, 200 + float(high), "the logarithm of a sigmoid that has become 0 is infinite")
        ask(a, same, share, math.log(2), "the mean over the comparisons, not their sum: ln 2 if all scores are equal")
        wanted = -(share * F.logsigmoid(a - b) + (1 - share) * F.logsigmoid(b - a)).mean()
        ask(a, b, share, float(wanted), "this is another number")


def check_leaks(answer: Callable[[Any, Any], list[str]], rng: random.Random) -> None:
    for _ in range(10):
        people = rng.sample(["Ada", "Max", "Ida", "Kurt", "Zoe", "Otto", "Ruth", "Hugo"], 8)
        questions = [f"Where does {name} live?" for name in people]
        streets = [f"{rng.choice(['Oak', 'Elm', 'Mill'])} Road {number}" for number in range(20)]

        def rows(some: list[str], first: int, streets: list[str] = streets) -> list[tuple[str, str]]:
            return [(question, streets[first + i]) for i, question in enumerate(some)]

        def ask(train: list[str], valid: list[str], wanted: list[str], why: str) -> None:
            learned, held = rows(train, 0), rows(valid, 10)
            expect(answer(learned, held), wanted, {"train": learned, "valid": held}, why)

        train, valid = questions[:4], questions[4:]
        ask(train, valid, [], "nothing is on both sides here")
        ask(train, [valid[0], train[1], valid[1]], [train[1]], "another answer to the same question leaks as well")
        loud = rng.choice([train[2].upper(), f"  {train[2]}", train[2].replace(" ", "  ")])
        ask(train, [loud, valid[0]], [loud], "capitals and spaces don't make another question")
        ask(train, [train[3], valid[2], train[3], train[0]], [train[3], train[0]], "each question is named once")


def check_calibration(answer: Callable[[Tensor, Tensor, int], Any], rng: random.Random) -> None:
    draw = torch.Generator().manual_seed(rng.randrange(10**6))
    for _ in range(10):
        bins = rng.choice([4, 5, 10])
        low = torch.rand(6, generator=draw) * 0.9 / bins
        ends = torch.cat([low, 0.99 - low, torch.ones(2)])  # only the first and the last bin
        for predicted in (ends, torch.rand(40, generator=draw)):
            came_true = torch.rand(len(predicted), generator=draw).round()
            index = (predicted * bins).long().clamp_max(bins - 1)
            masks = [index == i for i in range(bins)]
            wanted = [(float(predicted[m].mean()), float(came_true[m].mean()), int(m.sum())) for m in masks if m.any()]
            got = answer(predicted, came_true, bins)
            given = {"predicted": predicted, "came_true": came_true, "bins": bins}
            expect(got, wanted, given, difference(got, wanted, len(predicted)), 1e-4)


def difference(got: Any, wanted: list[tuple[float, float, int]], count: int) -> str:
    """What kind of mistake it is."""
    if not isinstance(got, list) or not all(isinstance(point, tuple | list) and len(point) == 3 for point in got):
        return "a list of (mean prediction, share, how many) is asked for"
    if any(point[2] == 0 for point in got):
        return "empty bins are left out"
    if sum(point[2] for point in got) < count:
        return "a prediction of exactly 1 belongs to the last bin"
    if any(abs(a[0] - b[0]) > 1e-4 for a, b in zip(got, wanted, strict=False)):
        return "the mean of the predictions, not the middle of the bin"
    return "the share that came true, not the share that was guessed right"

"""Wrong answers to lesson 00. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

import math


def softmax(scores: list[float]) -> list[float]:
    raised = [math.exp(z - max(scores)) for z in scores]
    return [value / sum(raised) for value in raised]


def with_temperature__multiplies(logits: list[float], temperature: float) -> list[float]:
    """a low temperature has to sharpen"""
    return softmax([z * temperature for z in logits])


def with_temperature__after_the_softmax(logits: list[float], temperature: float) -> list[float]:
    """the temperature has to change something"""
    divided = [p / temperature for p in softmax(logits)] if temperature else [1.0] + [0.0] * (len(logits) - 1)
    return [p / sum(divided) for p in divided]


def with_temperature__zero_is_small(logits: list[float], temperature: float) -> list[float]:
    """at temperature 0"""
    return softmax([z / (temperature or 0.5) for z in logits])


def share_repeated__counts_the_first(answers: list[str]) -> float:
    """the first time isn't a repetition"""
    return sum(answers.count(answer) > 1 for answer in answers) / len(answers)


def share_repeated__only_neighbours(answers: list[str]) -> float:
    """wherever it stood before"""
    return sum(a == b for a, b in zip(answers[1:], answers, strict=False)) / len(answers)

"""Solutions of lesson 10."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def preference_loss(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    return -(share * F.logsigmoid(a - b) + (1 - share) * F.logsigmoid(b - a)).mean()


def leaks(train: list[tuple[str, str]], valid: list[tuple[str, str]]) -> list[str]:
    def plain(question: str) -> str:
        return " ".join(question.lower().split())

    learned = {plain(question) for question, _ in train}
    found: dict[str, str] = {}
    for question, _ in valid:
        if plain(question) in learned:
            found.setdefault(plain(question), question)
    return list(found.values())


def calibration(predicted: Tensor, came_true: Tensor, bins: int) -> list[tuple[float, float, int]]:
    index = (predicted * bins).long().clamp_max(bins - 1)
    points = []
    for i in range(bins):
        inside = index == i
        if inside.any():
            points.append((predicted[inside].mean().item(), came_true[inside].mean().item(), int(inside.sum())))
    return points

"""Wrong answers to lesson 10. The docstring is the sentence that the check has to answer with."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def preference_loss__wrong_way_round(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """a higher score for what people preferred makes the loss smaller"""
    return -(share * F.logsigmoid(b - a) + (1 - share) * F.logsigmoid(a - b)).mean()


def preference_loss__overflows(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """the logarithm of a sigmoid that has become 0 is infinite"""
    return -(share * (a - b).sigmoid().log() + (1 - share) * (b - a).sigmoid().log()).mean()


def preference_loss__forgets_the_others(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """those who preferred B count too"""
    return -(share * F.logsigmoid(a - b)).mean()


def preference_loss__sums(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """the mean over the comparisons, not their sum"""
    return -(share * F.logsigmoid(a - b) + (1 - share) * F.logsigmoid(b - a)).sum()


def leaks__compares_rows(train: list[tuple[str, str]], valid: list[tuple[str, str]]) -> list[str]:
    """another answer to the same question leaks as well"""
    found: dict[str, str] = {}
    learned = {(" ".join(q.lower().split()), a) for q, a in train}
    for question, answer in valid:
        plain = " ".join(question.lower().split())
        if (plain, answer) in learned:
            found.setdefault(plain, question)
    return list(found.values())


def leaks__as_typed(train: list[tuple[str, str]], valid: list[tuple[str, str]]) -> list[str]:
    """capitals and spaces don't make another question"""
    learned = {question for question, _ in train}
    return list(dict.fromkeys(question for question, _ in valid if question in learned))


def leaks__again_and_again(train: list[tuple[str, str]], valid: list[tuple[str, str]]) -> list[str]:
    """each question is named once"""
    learned = {" ".join(question.lower().split()) for question, _ in train}
    return [question for question, _ in valid if " ".join(question.lower().split()) in learned]


def calibration__middle_of_the_bin(
    predicted: Tensor, came_true: Tensor, bins: int
) -> list[tuple[float, float, int]]:
    """the mean of the predictions, not the middle of the bin"""
    index = (predicted * bins).long().clamp_max(bins - 1)
    masks = [(i, index == i) for i in range(bins)]
    return [((i + 0.5) / bins, came_true[m].mean().item(), int(m.sum())) for i, m in masks if m.any()]


def calibration__loses_the_sure_ones(
    predicted: Tensor, came_true: Tensor, bins: int
) -> list[tuple[float, float, int]]:
    """a prediction of exactly 1 belongs to the last bin"""
    index = (predicted * bins).long()
    masks = [index == i for i in range(bins)]
    return [(predicted[m].mean().item(), came_true[m].mean().item(), int(m.sum())) for m in masks if m.any()]


def calibration__keeps_empty_bins(
    predicted: Tensor, came_true: Tensor, bins: int
) -> list[tuple[float, float, int]]:
    """empty bins are left out"""
    index = (predicted * bins).long().clamp_max(bins - 1)
    points = []
    for m in (index == i for i in range(bins)):
        most = max(int(m.sum()), 1)
        points.append(((predicted * m).sum().item() / most, (came_true * m).sum().item() / most, int(m.sum())))
    return points


def calibration__counts_the_sure_side(
    predicted: Tensor, came_true: Tensor, bins: int
) -> list[tuple[float, float, int]]:
    """the share that came true, not the share that was guessed"""
    index = (predicted * bins).long().clamp_max(bins - 1)
    right = ((predicted > 0.5) == (came_true > 0.5)).float()
    masks = [index == i for i in range(bins)]
    return [(predicted[m].mean().item(), right[m].mean().item(), int(m.sum())) for m in masks if m.any()]

"""Penalties, filters and the draw."""

from __future__ import annotations

import pytest
import torch

from minigpt import Sampling, UserError
from minigpt.model.sampling import (
    adjust,
    ban_repeated_ngrams,
    draw,
    keep_min_p,
    keep_top_k,
    keep_top_p,
    penalise_repetition,
)  # fmt: skip


def probabilities(*values: float) -> torch.Tensor:
    return torch.tensor([values]).log()


def kept(logits: torch.Tensor) -> list[int]:
    return torch.isfinite(logits[0]).nonzero().flatten().tolist()


def test_defect_04_repetition_penalty_never_rewards():
    """Whatever the sign of its score, the penalised token becomes less likely."""
    generator = torch.Generator().manual_seed(0)
    for trial in range(200):
        logits = torch.randn(1, 20, generator=generator) * 4 + (trial % 5 - 2) * 3
        token = int(torch.randint(20, (1,), generator=generator))
        before, after = logits.softmax(-1), penalise_repetition(logits, [[token]], 1.3).softmax(-1)
        assert after[0, token] < before[0, token]
        others = [i for i in range(20) if i != token]
        assert (after[0, others] >= before[0, others]).all()


def test_banned_ngrams():
    logits = torch.zeros(1, 6)
    assert kept(ban_repeated_ngrams(logits, [[1, 2, 3, 1, 2]], 3)) == [0, 1, 2, 4, 5]
    assert kept(ban_repeated_ngrams(logits, [[1, 2]], 3)) == [0, 1, 2, 3, 4, 5]
    assert kept(ban_repeated_ngrams(logits, [[4, 0]], 1)) == [1, 2, 3, 5]


def test_filters_by_hand():
    p = probabilities(0.5, 0.3, 0.15, 0.05)
    assert kept(keep_top_k(p, 2)) == [0, 1]
    assert kept(keep_top_k(p, 99)) == [0, 1, 2, 3]
    assert kept(keep_top_p(p, 0.5)) == [0]
    assert kept(keep_top_p(p, 0.51)) == [0, 1]
    assert kept(keep_top_p(p, 0.96)) == [0, 1, 2, 3]
    assert kept(keep_top_p(p, 1e-9)) == [0]  # the best token always stays
    assert kept(keep_min_p(p, 0.4)) == [0, 1]


def test_draw_follows_the_distribution():
    """Chi-square of 20,000 draws against the softmax; 5 degrees of freedom, 99.99 % quantile 25.7."""
    logits = torch.tensor([[0.0, 1.0, -1.0, 2.0, 0.5, -2.0]])
    n = 20_000
    uniform = torch.rand(n, generator=torch.Generator().manual_seed(0))
    counts = draw(logits.expand(n, -1), uniform).bincount(minlength=6)
    expected = n * logits.softmax(-1)[0]
    assert ((counts - expected) ** 2 / expected).sum() < 25.7


def test_draw_never_takes_an_impossible_token():
    logits = torch.tensor([[float("-inf"), 0.0, float("-inf"), 0.0, float("-inf")]])
    for u in (0.0, 0.4999999, 0.5, 0.99999997):
        assert draw(logits, torch.tensor([u])).item() in (1, 3)


def test_adjust_applies_temperature_before_the_filters():
    p = probabilities(0.5, 0.3, 0.2)
    assert kept(adjust(p, [[]], Sampling(temperature=0.1, top_p=0.9))) == [0]
    assert kept(adjust(p, [[]], Sampling(temperature=10.0, top_p=0.9))) == [0, 1, 2]
    assert torch.equal(adjust(p, [[]], Sampling()), p)


@pytest.mark.parametrize("wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.1}, {"top_k": -1}, {"min_p": 1},
                                   {"repetition_penalty": 0.9}, {"no_repeat_ngram": -1}])  # fmt: skip
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        Sampling(**wrong)

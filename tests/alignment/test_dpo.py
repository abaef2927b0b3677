"""DPO: the implicit reward is zero at first, learns what people prefer, and leaves the reference alone."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from helpers.models import copy_of

from minigpt import Comparison, CorpusLoader, Trainer, TrainingConfig, Turn
from minigpt.alignment.dpo import DirectPreference, answer_logprobs, dpo_loss
from minigpt.training.device import detect

PROMPTS = (
    "How are you?",
    "Who are you?",
    "What is this?",
    "Where is it?",
    "Is it late?",
    "Who sees it?",
    "Why so?",
    "Are we late?",
)


@pytest.fixture
def corpus(speaker):
    pairs = [Comparison((Turn("user", text),), "the bread", "the bridge", text) for text in PROMPTS]
    return CorpusLoader(pairs, pairs)


def test_the_implicit_reward_is_zero_before_the_first_step(speaker, corpus):
    objective = DirectPreference(speaker, copy.deepcopy(speaker.gpt), corpus, detect("cpu"), beta=0.1)
    batch = objective.rows.in_order().batch(0, 4)
    assert objective.rewards(batch).abs().max() == 0
    assert objective.loss(batch).item() == pytest.approx(4 * math.log(2))


def test_only_the_answers_tokens_count(speaker, corpus):
    """The sum of next-token log-probabilities over the answer and its ending, row by row."""
    objective = DirectPreference(speaker, copy.deepcopy(speaker.gpt), corpus, detect("cpu"), beta=0.1)
    batch = objective.rows.in_order().batch(0, 3)
    with torch.no_grad():
        together = answer_logprobs(speaker.gpt, batch).flatten()
        for row, (ids, start) in enumerate(answer for group in objective.rows.groups[:3] for answer in group):
            logprobs = speaker.gpt(torch.tensor([ids]))[0].log_softmax(-1)
            alone = sum(logprobs[i - 1, ids[i]].item() for i in range(start, len(ids)))
            assert together[row].item() == pytest.approx(alone, abs=1e-4)


def test_swapping_the_answers_negates_the_margin():
    rewards = torch.tensor([[0.3, -0.5]])
    loss, swapped = dpo_loss(rewards).item(), dpo_loss(rewards.flip(1)).item()
    assert swapped - loss == pytest.approx(0.8)  # -log sigmoid(-x) + log sigmoid(x) = x


def test_it_learns_what_people_prefer_and_the_reference_stays(speaker, corpus):
    policy, reference = copy_of(speaker), copy.deepcopy(speaker.gpt)
    before = copy.deepcopy(reference.state_dict())
    objective = DirectPreference(policy, reference, corpus, detect("cpu"), beta=0.1)
    Trainer(objective, TrainingConfig(steps=15, batch_size=8, lr=1e-3, evaluations=1), detect("cpu")).train()
    assert objective.evaluate(None, 8, final=True).accuracy == 1
    assert objective.evaluate(None, 8, final=True).loss < 0.6
    after = reference.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any(not torch.equal(value, before[name]) for name, value in policy.gpt.state_dict().items())

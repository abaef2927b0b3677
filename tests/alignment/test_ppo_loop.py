"""PPO's loop, one update at a time: what is stored of the answers, how they are scored, what is learned from them."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import torch
from helpers.models import copy_of, make_chat, make_ppo

from minigpt import GPT, UserError
from minigpt.alignment import formulas
from minigpt.alignment.ppo import Experience, PPOTrainer
from minigpt.alignment.ppo_metrics import rollout_metrics
from minigpt.alignment.ppo_run import model_reward
from minigpt.alignment.reward_model import RewardModel
from minigpt.alignment.rollout import Rollout, draw_prompts


def sha(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for value in module.state_dict().values():
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def first_rollout(trainer: PPOTrainer, update: int = 0) -> Rollout:
    """What the policy answers in an update."""
    config = trainer.config
    prompts = draw_prompts(trainer.task.prompts, update, config.episodes, config.seed)
    return trainer.roll_out(prompts, seed=(config.seed * 1_000_003 + update) * config.episodes)


def experienced(trainer: PPOTrainer) -> tuple[Rollout, Experience, dict[str, float]]:
    """The first update's rollout, and what is computed from it; advantages are not whitened."""
    rollout = first_rollout(trainer)
    evaluated = trainer.forward(rollout)
    advantages, returns = trainer.advantages(rollout, evaluated)
    experience = Experience(rollout.batch, evaluated.logprobs, evaluated.values, advantages, returns)
    return rollout, experience, rollout_metrics(rollout, evaluated, returns, trainer.kl.coefficient, trainer.task)


def plain_logprobs(model, ids: list[int], start: int, temperature: float) -> list[float]:
    """Log-probabilities of the ids from `start` on, by one forward pass over this row alone."""
    with torch.no_grad():
        scores = (model(torch.tensor([ids]))[0] / temperature).log_softmax(-1)
    return [float(scores[i - 1, ids[i]]) for i in range(start, len(ids))]


# What is stored of the answers, and how they are scored.


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_ppo_08_log_probabilities_are_those_at_the_temperature_everywhere(speaker, temperature):
    """The sampler's, the stored ones and the reference's equal a plain forward pass divided by the temperature."""
    other = make_chat(speaker.tokenizer, context=40, depth=1)
    trainer = make_ppo(speaker, policy=other, temperature=temperature)
    rollout, experience, numbers = experienced(trainer)
    divergences = []
    for episode, stored, mask in zip(rollout.responses, experience.logprobs, experience.batch.mask, strict=True):
        expected = plain_logprobs(other.gpt, episode.ids, episode.start, temperature)
        assert episode.logprobs == pytest.approx(expected, abs=1e-4)
        assert stored[mask].tolist() == pytest.approx(expected, abs=1e-4)
        divergences.append(sum(expected) - sum(plain_logprobs(speaker.gpt, episode.ids, episode.start, temperature)))
    assert numbers["kl"] == pytest.approx(sum(divergences) / len(divergences), rel=1e-3)
    assert numbers["sampler_gap"] < 1e-4


def test_ppo_23_the_ids_that_were_drawn_are_the_ids_that_are_scored_and_learned(speaker, monkeypatch):
    """Nothing encodes text again, where other pieces might come out."""
    judge = RewardModel(copy_of(speaker))
    trainer = make_ppo(speaker, model_reward(judge, speaker))
    read = []
    at_end = judge.at_end
    monkeypatch.setattr(judge, "at_end", lambda *batch: read.append(batch) or at_end(*batch))
    rollout, experience, _ = experienced(trainer)
    episodes = rollout.responses
    read_ids, starts, lengths = read[0]
    assert [row[:length].tolist() for row, length in zip(read_ids, lengths, strict=True)] == [e.ids for e in episodes]
    assert starts.tolist() == [episode.start for episode in episodes]
    for row, mask, episode in zip(experience.batch.ids, experience.batch.mask, episodes, strict=True):
        assert row[: len(episode.ids)].tolist() == episode.ids
        assert row[1:][mask].tolist() == episode.ids[episode.start :]
    assert [len(episode.logprobs) for episode in episodes] == [len(episode.ids) - episode.start for episode in episodes]


def test_ppo_03_at_first_the_value_head_foresees_nothing(speaker):
    _, experience, numbers = experienced(make_ppo(speaker))
    assert experience.values.eq(0).all() and numbers["explained_variance"] == pytest.approx(0, abs=1e-6)


def test_the_value_head_reads_what_the_logits_are_made_of(speaker):
    """A head that is a row of the embedding values a position as that token's logit: the final norm is applied once,
    in the forward pass, in learning and in `values` alike."""
    trainer = make_ppo(speaker)
    model = trainer.policy.model
    with torch.no_grad():
        model.norm.weight.mul_(1.5)
        trainer.policy.value_head.weight.copy_(model.embed_tokens.weight[7:8])
    _, experience, _ = experienced(trainer)
    ids, mask = experience.batch.ids, experience.batch.mask
    with torch.no_grad():
        logits = model(ids)[..., 7]
        assert torch.allclose(trainer.policy.values(ids), logits, atol=1e-5)
    assert torch.allclose(experience.values[mask], logits[:, :-1][mask], atol=1e-5)
    learned = trainer.learn(experience, torch.arange(16))
    expected = 0.5 * (experience.values - experience.returns)[mask].square().mean()
    assert learned["value_loss"] == pytest.approx(float(expected), rel=1e-4)


def test_ppo_10_at_first_the_policy_is_the_reference(speaker):
    _, _, numbers = experienced(make_ppo(speaker, temperature=0.7))
    assert numbers["kl"] == 0 and numbers["objective"] == numbers["reward"]


def test_ppo_10_the_reference_and_the_reward_model_never_change(speaker):
    judge = RewardModel(copy_of(speaker))
    trainer = make_ppo(speaker, model_reward(judge, speaker))
    before = [sha(m) for m in (trainer.task.reference, judge, trainer.policy)]
    for _ in range(3):
        trainer.update()
    after = [sha(m) for m in (trainer.task.reference, judge, trainer.policy)]
    assert after[:2] == before[:2] and after[2] != before[2]


def test_ppo_11_the_score_lands_on_the_piece_that_ends_the_answer(speaker):
    """Without KL, and with returns that do not look ahead, only the end piece earns: neither padding nor a word."""
    trainer = make_ppo(speaker, lambda responses: [1.0] * len(responses), kl_coef=0.0, gamma=0.0)
    rollout, experience, _ = experienced(trainer)
    assert {episode.finished for episode in rollout.responses} == {True, False}
    for episode, ids, returns in zip(rollout.responses, experience.batch.ids[:, 1:], experience.returns, strict=True):
        (where,) = returns.nonzero().flatten().tolist()
        assert where == len(episode.ids) - 2 and returns[where] == (1 if episode.finished else -1)
        assert (ids[where] == speaker.tokenizer.eos) == episode.finished


@pytest.mark.parametrize("penalty", [-1.0, -3.5])
def test_ppo_13_an_answer_without_an_end_scores_exactly_the_penalty(speaker, penalty):
    trainer = make_ppo(speaker, lambda episodes: [9.0] * len(episodes), missing_eos_penalty=penalty)
    rollout = first_rollout(trainer)
    scores = rollout.scores.tolist()
    assert scores == [9.0 if response.ids[-1] == speaker.tokenizer.eos else penalty for response in rollout.responses]
    assert {9.0, penalty} == set(scores)


def test_ppo_15_advantages_are_whitened_and_returns_are_not(speaker):
    trainer = make_ppo(speaker, lambda episodes: [10.0 + len(episode.text) for episode in episodes])
    torch.nn.init.normal_(trainer.policy.value_head.weight)
    lessons = []
    trainer.learn = lambda experience, rows: lessons.append(experience) or {"ratio_error": 0.0}
    trainer.update()
    experience = lessons[0]
    raw, mask = experience.returns - experience.values, experience.batch.mask
    assert torch.allclose(experience.advantages, formulas.whiten(raw, mask), atol=1e-5)
    assert abs(raw[mask].mean()) > 1 and abs(experience.advantages[mask].mean()) < 1e-5


def test_a_reward_that_is_no_number_names_the_answer(speaker):
    trainer = make_ppo(speaker, lambda episodes: [0.0] * 15 + [float("nan")])
    with pytest.raises(UserError, match=r"the reward of the answer '.*' is nan"):
        trainer.update()


# Learning from them.


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_ppo_09_before_the_first_step_every_ratio_is_one(speaker, temperature):
    trainer = make_ppo(speaker, temperature=temperature, micro_batch=3)
    _, experience, _ = experienced(trainer)
    found = trainer.learn(experience, trainer.minibatches(0, 0)[0])
    assert found["ratio_error"] < 1e-5 and found["approximate_kl"] < 1e-8 and found["clip_fraction"] == 0
    assert found["ratio"] == pytest.approx(1, abs=1e-6)
    assert trainer.learn(experience, trainer.minibatches(0, 0)[0])["ratio_error"] > 1e-4


def test_ppo_09_dropout_stays_off(speaker):
    """A model fine-tuned with dropout trains without: its ratios start at one and its answers are its own."""
    dropping = GPT(speaker.gpt.config.with_dropout(0.5))
    dropping.load_state_dict(speaker.gpt.state_dict())
    trainer = make_ppo(replace(speaker, gpt=dropping.train()))
    trainer.policy.train()
    numbers = trainer.update()
    assert numbers["ratio_error"] < 1e-5 and numbers["sampler_gap"] < 1e-4 and numbers["kl"] == 0
    assert numbers["reward"] == make_ppo(speaker).update()["reward"]


def test_ppo_18_each_epoch_takes_every_episode_once_in_an_order_of_its_own(speaker):
    trainer, again = make_ppo(speaker), make_ppo(speaker)
    epochs = [torch.cat(trainer.minibatches(update, epoch)).tolist() for update in range(2) for epoch in range(2)]
    assert all(sorted(order) == list(range(16)) for order in epochs)
    assert len({tuple(order) for order in epochs}) == 4
    assert epochs[0] == torch.cat(again.minibatches(0, 0)).tolist()
    assert [len(rows) for rows in trainer.minibatches(0, 0)] == [8, 8]


def test_ppo_18_prompts_come_once_before_any_comes_again(speaker):
    trainer = make_ppo(speaker)
    asked = [response.turns for update in range(4) for response in first_rollout(trainer, update).responses]
    assert sorted(asked, key=str) == sorted((prompt.turns for prompt in trainer.task.prompts), key=str)
    again = [[r.ids for r in first_rollout(t, 2).responses] for t in (trainer, make_ppo(speaker))]
    assert again[0] == again[1]


def gradients(trainer: PPOTrainer, experience: Experience, rows: torch.Tensor, micro_batch: int = 8):
    """What a minibatch asks of each parameter, without taking the step."""
    trainer.config = replace(trainer.config, micro_batch=micro_batch, entropy_coef=0.01)
    trainer.policy.zero_grad()
    trainer.optimizer.step = lambda rate: 0.0
    found = trainer.learn(experience, rows)
    return torch.cat([parameter.grad.flatten() for parameter in trainer.policy.parameters()]), found


@pytest.fixture
def lesson(speaker):
    """A policy that one minibatch has moved away from the one that wrote, and the episodes it goes on with."""
    trainer = make_ppo(speaker, lambda episodes: [float(len(e.text)) for e in episodes], max_new_tokens=10)
    _, experience, _ = experienced(trainer)
    trainer.learn(experience, torch.arange(8))
    return trainer, experience


def test_ppo_19_one_pass_of_eight_has_the_gradient_of_four_passes_of_two(lesson):
    trainer, experience = lesson
    rows = torch.arange(8, 16)
    assert len(set(experience.batch.mask[rows].sum(1).tolist())) > 3
    whole, numbers = gradients(trainer, experience, rows, 8)
    for micro_batch in (2, 3):
        parts, same = gradients(trainer, experience, rows, micro_batch)
        assert torch.allclose(whole, parts, atol=1e-5, rtol=1e-4)
        assert same == pytest.approx(numbers, abs=1e-5)


def test_ppo_19_every_token_weighs_the_same(lesson):
    """A minibatch's gradient is the mean over its tokens: that of its episodes one by one, weighted by their lengths.
    A mean of the episodes' means would weigh a token of a short answer more."""
    trainer, experience = lesson
    rows = torch.arange(8, 16)
    lengths = experience.batch.mask[rows].sum(1)
    whole, _ = gradients(trainer, experience, rows)
    alone = torch.stack([gradients(trainer, experience, row[None])[0] for row in rows])
    assert torch.allclose(whole, (alone * lengths[:, None]).sum(0) / lengths.sum(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(whole, alone.mean(0), atol=1e-5, rtol=1e-4)


def test_ppo_22_padding_and_prompts_are_not_learned_from(lesson):
    """More padding, and rubbish beside the answers, change neither the gradient nor any number."""
    trainer, experience = lesson
    mask = experience.batch.mask
    pad = torch.nn.functional.pad
    batch = replace(experience.batch, ids=pad(experience.batch.ids, (0, 5)), mask=pad(mask, (0, 5)))
    parts = {
        name: pad(getattr(experience, name).masked_fill(~mask, 1e3), (0, 5), value=-1e3)
        for name in ("logprobs", "values", "advantages", "returns")
    }
    expected, numbers = gradients(trainer, experience, torch.arange(8, 16))
    found, same = gradients(trainer, Experience(batch, **parts), torch.arange(8, 16))
    assert torch.allclose(found, expected, atol=1e-5)
    assert same == pytest.approx(numbers, abs=1e-5)


def test_a_praised_answer_becomes_likelier_and_a_blamed_one_less_likely(speaker):
    trainer = make_ppo(speaker, value_coef=0.0)
    rollout, experience, _ = experienced(trainer)
    praise = torch.zeros_like(experience.advantages)
    praise[0], praise[1] = 1.0, -1.0
    before = [sum(plain_logprobs(trainer.policy.model, e.ids, e.start, 1.0)) for e in rollout.responses[:2]]
    trainer.learn(replace(experience, advantages=praise * experience.batch.mask), torch.arange(16))
    after = [sum(plain_logprobs(trainer.policy.model, e.ids, e.start, 1.0)) for e in rollout.responses[:2]]
    assert after[0] > before[0] and after[1] < before[1]


def test_values_move_towards_the_returns(speaker):
    trainer = make_ppo(speaker, lambda episodes: [0.15] * 16, kl_coef=0.0, missing_eos_penalty=0.15, value_lr=1e-3)
    _, experience, _ = experienced(trainer)
    experience = replace(experience, advantages=torch.zeros_like(experience.advantages))
    losses = [trainer.learn(experience, torch.arange(16))["value_loss"] for _ in range(10)]
    assert losses[-1] < 0.5 * losses[0]


def test_the_entropy_bonus_keeps_the_policy_undecided(speaker):
    def entropy_after(weight: float) -> float:
        trainer = make_ppo(speaker, value_coef=0.0, entropy_coef=weight)
        rollout, experience, _ = experienced(trainer)
        experience = replace(experience, advantages=torch.zeros_like(experience.advantages))
        for _ in range(5):
            trainer.learn(experience, torch.arange(16))
        evaluated = trainer.forward(rollout)
        return rollout_metrics(rollout, evaluated, experience.returns, 0.0, trainer.task)["entropy"]

    assert entropy_after(1.0) > entropy_after(0.0) + 0.01


def test_ppo_20_the_learning_rate_falls_in_a_line_to_zero(speaker):
    """Every minibatch of an update has one rate; the last update has the smallest, and the next would have none."""
    trainer = make_ppo(speaker, updates=4, value_lr=0.1)
    taken = []
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda rate: taken.append(rate) or step(rate)
    trainer.train()
    assert taken == [rate for rate in (1.0, 0.75, 0.5, 0.25) for _ in range(4)]
    (adam,) = trainer.optimizer.parts
    assert [group["lr"] for group in adam.param_groups] == pytest.approx([5e-4 / 4, 0.1 / 4])


def test_ppo_20_the_first_step_is_no_longer_than_the_learning_rate(speaker):
    """Adam moves a weight by at most its rate at first; eps 1e-5 lets small gradients make small steps."""
    trainer = make_ppo(speaker)
    before = [parameter.clone() for parameter in trainer.policy.parameters()]
    _, experience, _ = experienced(trainer)
    trainer.learn(experience, torch.arange(16))
    *body, weight, bias = ((a - b).abs().max() for a, b in zip(trainer.policy.parameters(), before, strict=True))
    assert 1e-4 < max(body) <= 5e-4 * 1.001 and 1e-3 < max(weight, bias) <= 1e-2 * 1.001
    (adam,) = trainer.optimizer.parts
    assert adam.defaults["eps"] == 1e-5 and adam.defaults["betas"] == (0.9, 0.999)


def test_ppo_20_without_anything_to_learn_nothing_moves(speaker):
    """Equal rewards, no KL penalty, no value loss: no weight decays."""
    nothing = dict(kl_coef=0.0, lam=1.0, value_coef=0.0, missing_eos_penalty=1.0)
    trainer = make_ppo(speaker, lambda responses: [1.0] * 16, **nothing)
    before = sha(trainer.policy)
    trainer.update()
    assert sha(trainer.policy) == before

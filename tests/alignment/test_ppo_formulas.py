"""PPO's formulas: hand examples and properties that only the right formula has. Padding always holds rubbish here."""

from __future__ import annotations

import math
import re

import pytest
import torch

from minigpt import UserError
from minigpt.alignment import formulas
from minigpt.alignment.stop_rules import PolicyStats, distinct, reason_to_stop
from minigpt.config import PPOConfig

SPANS = [(0, 3), (2, 7), (4, 5), (1, 8), (3, 6), (0, 8), (5, 8), (2, 4)]  # where each row's tokens begin and end
RUBBISH = 1e3


def spans_mask(spans=SPANS, width: int = 8) -> torch.Tensor:
    index = torch.arange(width)
    return torch.stack([(index >= start) & (index < end) for start, end in spans])


def ragged(seed: int, mask: torch.Tensor, mean: float = 0.0, deviation: float = 1.0) -> torch.Tensor:
    """Random numbers under the mask, rubbish elsewhere."""
    torch.manual_seed(seed)
    return (mean + deviation * torch.randn(mask.shape)).masked_fill(~mask, RUBBISH)


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers)


# Rewards.


def test_ppo_11_rewards_of_three_tokens_by_hand():
    """-kl * (log-probability - reference) for each token, and the score once, on the last of them: not on the padding
    behind it."""
    mask = spans_mask([(1, 4)], 6)
    logprobs = torch.tensor([[9.0, -1.0, -2.0, -3.0, 9.0, 9.0]])
    reference = torch.tensor([[5.0, -1.5, -1.0, -3.0, 5.0, 5.0]])
    rewards = formulas.penalised_rewards(tensor(2.0), logprobs, reference, mask, kl_coef=0.1)
    assert rewards.tolist() == [pytest.approx([0.0, -0.05, 0.1, 2.0, 0.0, 0.0])]


def test_ppo_11_a_rows_rewards_sum_to_its_score_minus_its_kl_penalty():
    mask = spans_mask()
    logprobs, reference = ragged(0, mask), ragged(1, mask)
    scores = torch.randn(len(mask))
    divergence = ((logprobs - reference) * mask).sum(1)
    for kl in (0.0, 0.15, 3.0):
        rewards = formulas.penalised_rewards(scores, logprobs, reference, mask, kl)
        assert torch.allclose(rewards.sum(1), scores - kl * divergence, atol=1e-5)
        assert rewards[~mask].eq(0).all()


def test_ppo_11_without_a_kl_penalty_only_the_last_real_token_is_rewarded():
    mask = spans_mask()
    rewards = formulas.penalised_rewards(torch.ones(len(mask)), ragged(0, mask), ragged(1, mask), mask, kl_coef=0.0)
    assert [row.nonzero().flatten().tolist() for row in rewards] == [[end - 1] for _, end in SPANS]


def test_ppo_13_only_answers_without_an_end_get_the_penalty():
    finished = torch.tensor([True, False, True, False])
    scores = formulas.require_eos(tensor(0.5, 9.0, -3.0, -7.0), finished, missing_eos_penalty=-1.0)
    assert scores.tolist() == [0.5, -1.0, -3.0, -1.0]


# The KL penalty.


def test_ppo_12_the_adaptive_coefficient_by_hand():
    """On target nothing changes; twice the target and 64 episodes raise it by 0.128 %; errors count at most 20 %."""

    def factor(kl: float) -> float:
        controller = formulas.AdaptiveKL(0.15, target=6.0)
        controller.update(kl, 64)
        return controller.coefficient / 0.15

    assert factor(6.0) == 1
    assert factor(12.0) == factor(600.0) == pytest.approx(1.00128)
    assert factor(0.0) == factor(-5.0) == pytest.approx(1 - 0.00128)
    assert factor(6.6) == pytest.approx(1 + 0.1 * 64 / 10_000)


@pytest.mark.parametrize("start", [0.01, 5.0])
def test_ppo_12_the_adaptive_kl_coef_leads_a_policy_to_its_target(start):
    """A plant whose KL falls as the coefficient rises ends on target, from one too low or too high."""
    control = formulas.AdaptiveKL(start, target=6.0)
    for _ in range(4000):
        control.update(1.2 / control.coefficient, 64)
    assert 1.2 / control.coefficient == pytest.approx(6.0, rel=0.01)


def test_ppo_12_an_adaptive_kl_coef_cannot_begin_at_zero():
    """It is only ever multiplied."""
    with pytest.raises(UserError, match="kl"):
        PPOConfig(kl_coef=0.0, target_kl=6.0)


# Advantages.


def by_definition(rewards, values, gamma: float, lam: float) -> list[float]:
    """GAE's sum of sums, for one row without padding."""
    values = [*values, 0.0]
    deltas = [r + gamma * values[t + 1] - values[t] for t, r in enumerate(rewards)]
    return [sum((gamma * lam) ** k * delta for k, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.8), (1.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_ppo_14_ragged_rows_have_the_advantages_of_the_definition(gamma, lam):
    """Row by row and without padding; what padding holds reaches nothing, and after the end there is no value."""
    mask = spans_mask()
    rewards, values = ragged(0, mask) * mask, ragged(1, mask)
    advantages, returns = formulas.gae(rewards, values, mask, gamma, lam)
    for row, (start, end) in enumerate(SPANS):
        expected = by_definition(rewards[row, start:end].tolist(), values[row, start:end].tolist(), gamma, lam)
        assert advantages[row, start:end].tolist() == pytest.approx(expected, abs=1e-5)
    assert advantages[~mask].eq(0).all() and returns[~mask].eq(0).all()


def test_ppo_14_lambda_one_trusts_the_outcome():
    """The advantage is all that is still earned, less what was expected."""
    mask = spans_mask([(0, 4)], 4)
    rewards, values = tensor(1, 0, -2, 5)[None], tensor(3, 1, 4, 1)[None]
    advantages, returns = formulas.gae(rewards, values, mask, lam=1.0)
    assert returns.tolist() == [[4, 3, 3, 5]]
    assert advantages.tolist() == [[1, 2, -1, 4]]


def test_ppo_14_lambda_zero_looks_one_step_ahead():
    mask = spans_mask([(0, 4)], 4)
    rewards, values = tensor(1, 0, -2, 5)[None], tensor(3, 1, 4, 1)[None]
    advantages, _ = formulas.gae(rewards, values, mask, lam=0.0)
    assert advantages.tolist() == [[1 + 1 - 3, 0 + 4 - 1, -2 + 1 - 4, 5 - 1]]


def test_ppo_14_a_value_head_that_foresees_all_leaves_no_advantage():
    mask = spans_mask()
    rewards = ragged(0, mask) * mask
    values = (rewards.flip(1).cumsum(1).flip(1)).masked_fill(~mask, RUBBISH)
    advantages, returns = formulas.gae(rewards, values, mask)
    assert advantages.abs().max() < 1e-5
    assert formulas.explained_variance(values, returns, mask) == pytest.approx(1)


def test_ppo_15_returns_are_advantages_and_values_before_any_whitening():
    """A reward a hundred times as large gives returns a hundred times as large: nothing has been rescaled."""
    mask = spans_mask()
    rewards, values = ragged(0, mask) * mask, ragged(1, mask)
    advantages, returns = formulas.gae(rewards, values, mask)
    assert torch.allclose(returns[mask], (advantages + values)[mask], atol=1e-5)
    _, larger = formulas.gae(100 * rewards, 100 * values, mask)
    assert torch.allclose(larger, 100 * returns, rtol=1e-4)


# Whitening.


def test_ppo_16_whitened_numbers_have_mean_0_and_variance_1_under_the_mask():
    mask = spans_mask()
    white = formulas.whiten(ragged(0, mask, mean=5.0, deviation=3.0), mask)
    assert abs(white[mask].mean()) < 1e-5
    assert float(white[mask].var(correction=0)) == pytest.approx(1, abs=1e-4)
    assert white[~mask].eq(0).all()


def test_ppo_16_without_a_shift_the_mean_stays():
    """A bug seen elsewhere: the two cases the wrong way round."""
    mask = spans_mask()
    values = ragged(0, mask, mean=5.0, deviation=3.0)
    white = formulas.whiten(values, mask, shift_mean=False)
    assert float(white[mask].mean()) == pytest.approx(float(values[mask].mean()), abs=1e-4)
    assert float(white[mask].var(correction=0)) == pytest.approx(1, abs=1e-4)
    assert white[~mask].eq(0).all()


def test_ppo_16_whitening_keeps_the_order_of_the_numbers():
    mask = spans_mask()
    values = ragged(0, mask, mean=5.0, deviation=3.0)
    assert torch.equal(formulas.whiten(values, mask)[mask].argsort(), values[mask].argsort())


def test_ppo_16_a_constant_becomes_zero_and_never_nan():
    mask = spans_mask()
    assert formulas.whiten(torch.full(mask.shape, 7.0), mask).eq(0).all()


def test_ppo_21_whitening_fewer_than_eight_episodes_is_refused():
    mask = spans_mask()
    with pytest.raises(ValueError, match="whitening 7 episodes"):
        formulas.whiten(ragged(0, mask)[:7], mask[:7])
    with pytest.raises(UserError, match="episodes is 7; it must be at least 8"):
        PPOConfig(episodes=7, minibatch=7)


# Losses.


def policy_gradient(ratio: float, advantage: float) -> float:
    """What raises the log-probability of a token, if positive."""
    logprob = tensor(math.log(ratio)).requires_grad_()
    formulas.policy_losses(logprob, tensor(0.0), tensor(advantage), clip=0.2).sum().backward()
    assert logprob.grad is not None
    return -float(logprob.grad)


def test_ppo_17_the_policy_loss_by_hand():
    ratios, advantages = tensor(1.0, 1.1, 1.5, 1.5, 0.5, 0.5), tensor(2.0, 2.0, 2.0, -2.0, 2.0, -2.0)
    losses = formulas.policy_losses(ratios.log(), torch.zeros(6), advantages, clip=0.2)
    assert losses.tolist() == pytest.approx([-2.0, -2.2, -2.4, 3.0, -1.0, 1.6], abs=1e-5)


def test_ppo_17_a_ratio_that_went_far_enough_has_no_gradient_and_one_that_went_astray_has():
    assert policy_gradient(1.5, advantage=1.0) == 0 and policy_gradient(0.5, advantage=-1.0) == 0
    assert policy_gradient(1.5, advantage=-1.0) < 0 < policy_gradient(0.5, advantage=1.0)


def test_ppo_17_at_the_start_the_gradient_is_the_advantage():
    """With a ratio of one, PPO is the plain policy gradient: A times the gradient of the log-probability."""
    for advantage in (2.0, -0.5):
        assert policy_gradient(1.0, advantage) == pytest.approx(advantage)


def test_ppo_17_the_value_loss_by_hand():
    """The larger of the two errors: moved past the clip towards the return, and moved away from it."""
    values, returns = tensor(0.1, 0.5, -0.5), tensor(1.0, 1.0, 1.0)
    losses = formulas.value_losses(values, torch.zeros(3), returns, clip=0.2)
    assert losses.tolist() == pytest.approx([0.5 * 0.81, 0.5 * 0.64, 0.5 * 2.25])


def test_ppo_17_the_value_clip_is_symmetric_and_stops_the_gradient():
    torch.manual_seed(0)
    values, old, returns = torch.randn(3, 200)
    mirrored = formulas.value_losses(-values, -old, -returns, 0.2)
    assert torch.allclose(formulas.value_losses(values, old, returns, 0.2), mirrored)
    for sign in (1, -1):
        moved = tensor(sign * 0.5, sign * 0.1).requires_grad_()
        formulas.value_losses(moved, torch.zeros(2), tensor(sign * 1.0, sign * 1.0), 0.2).sum().backward()
        assert moved.grad[0] == 0 and moved.grad[1] * sign < 0


def test_the_defaults_are_those_of_the_papers():
    config = PPOConfig()
    assert (config.gamma, config.lam, config.ppo_epochs, config.temperature) == (1.0, 0.95, 4, 1.0)
    assert (config.clip, config.value_clip, config.value_coef, config.missing_eos_penalty) == (0.2, 0.2, 0.1, -1.0)


# Measurements.


def test_ppo_22_padding_counts_for_nothing():
    """Other rubbish on the padding, and more of it, changes no mean, no white number, no reward, no return."""

    def measured(rubbish: float, pads: int):
        mask = torch.nn.functional.pad(spans_mask(), (0, pads))
        logprobs, reference, values = (
            torch.nn.functional.pad(ragged(seed, spans_mask()), (0, pads)).masked_fill(~mask, rubbish)
            for seed in range(3)
        )
        rewards = formulas.penalised_rewards(torch.arange(8.0), logprobs, reference, mask, 0.1)
        advantages, returns = formulas.gae(rewards, values, mask)
        white = formulas.whiten(advantages, mask)
        explained = formulas.explained_variance(values, returns, mask)
        numbers = [formulas.masked_mean(values, mask), explained, returns.sum()]
        return torch.tensor([*numbers, *white[mask]])

    assert torch.allclose(measured(RUBBISH, 0), measured(-7.0, 5), atol=1e-5)


def test_ppo_25_ratio_statistics_by_hand():
    new, old = tensor(math.log(1.5), 0.0, math.log(0.9), 0.0), torch.zeros(4)
    found = formulas.ratio_statistics(new, old, clip=0.2)
    assert found["clip_fraction"] == 0.25 and found["ratio"] == pytest.approx(1.1)
    assert found["ratio_error"] == pytest.approx(0.5) and found["ratio_variance"] == pytest.approx(0.055)
    assert found["approximate_kl"] == pytest.approx((math.log(1.5) ** 2 + math.log(0.9) ** 2) / 8)


def test_ppo_25_entropy_of_known_distributions():
    """Of V equal chances it is ln V, of certainty 0, and of a coin among impossible tokens ln 2."""
    logits = torch.stack([torch.zeros(50), torch.eye(50)[0] * 1e4, torch.full((50,), -1e4)])
    logits[2, :2] = 0
    assert formulas.entropies(logits).tolist() == pytest.approx([math.log(50), 0, math.log(2)], abs=1e-5)


def test_ppo_25_explained_variance():
    """1 for foresight, 0 for the mean, below 0 for worse than the mean, and 0 if there was nothing to foresee."""
    mask = spans_mask()
    returns = ragged(0, mask)
    assert formulas.explained_variance(returns + 3, returns, mask) == pytest.approx(1)
    assert formulas.explained_variance(torch.full_like(returns, 4.0), returns, mask) == pytest.approx(0, abs=1e-6)
    assert formulas.explained_variance(-returns, returns, mask) == pytest.approx(-3)
    assert formulas.explained_variance(returns, torch.ones_like(returns), mask) == 0


def test_ppo_25_distinct_counts_pairs_that_are_new():
    assert distinct(["a b a b"]) == pytest.approx(2 / 3)
    assert distinct(["a b", "a b", "c d", "a b"]) == 0.5
    assert distinct(["a b c", "d e f"]) == 1
    assert distinct(["", "word"]) == 0


SOUND = PolicyStats(kl=0.0, length=10.0, ended=0.9, distinct=0.6)
SICK = {
    "it is 25.0 nats from its reference .limit 20.; raise --kl-coef": {"kl": 25.0},
    "only 20% of its answers come to an end; lower --missing-eos-penalty": {"ended": 0.2},
    "went from 10 to 41 tokens; raise --kl-coef": {"length": 41.0},
    "went from 10 to 2 tokens": {"length": 2.0},
    "all alike .distinct-2 fell to 0.10.; raise --kl-coef": {"distinct": 0.1},
}


@pytest.mark.parametrize(("words", "symptom"), SICK.items())
def test_ppo_26_each_reason_to_stop_has_a_sentence(words, symptom):
    now = PolicyStats(**{**vars(SOUND), **symptom})
    reason = reason_to_stop(now, SOUND, max_kl=20, max_drift=4)
    assert reason is not None and re.search(words, reason)


def test_ppo_26_a_policy_of_nans_is_not_a_healthy_one():
    assert reason_to_stop(PolicyStats(**{**vars(SOUND), "kl": math.nan}), SOUND, max_kl=20, max_drift=4)


def test_ppo_26_a_healthy_policy_is_left_alone():
    changed = PolicyStats(kl=19.0, length=35.0, ended=0.3, distinct=0.2)
    assert reason_to_stop(SOUND, SOUND, 20, 4) is None
    assert reason_to_stop(changed, SOUND, 20, 4) is None

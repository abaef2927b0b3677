"""PPO's formulas, as pure functions on tensors.

All tensors are [B, R]: B episodes, R positions; `mask` is True on the tokens that the policy wrote. A row's tokens are
contiguous, with padding before or behind them that counts for nothing. `ppo_trainer.py` only calls what stands here.

Sources: PPO (Schulman et al. 2017), GAE (Schulman et al. 2016), language models from human preferences (Ziegler et al.
2019), summaries (Stiennon et al. 2020), InstructGPT (Ouyang et al. 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.examples import Turn

MIN_ROWS_TO_WHITEN = 8


@dataclass(frozen=True)
class Episode:
    """A prompt and what the policy wrote after it. `ids` holds both; the answer begins at `start` and, if the policy
    `finished` it, ends in the piece for that."""

    turns: tuple[Turn, ...]
    ids: list[int]
    start: int
    finished: bool
    text: str


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens."""
    return (values * mask).sum() / mask.sum()


def whiten(values: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
    """Mean 0 and variance 1 over real tokens, 0 on padding; without `shift_mean`, the mean stays.

    Raises ValueError for fewer than 8 rows: the mean of so few says more about them than about the policy.
    """
    if len(values) < MIN_ROWS_TO_WHITEN:
        raise ValueError(f"whitening {len(values)} episodes is noise; take at least {MIN_ROWS_TO_WHITEN}")
    mean = masked_mean(values, mask)
    variance = masked_mean((values - mean).square(), mask)
    white = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (white if shift_mean else white + mean) * mask


def require_end(scores: Tensor, finished: Tensor, missing_end: float) -> Tensor:
    """Scores [B], where an answer that was cut off gets `missing_end` instead (Stiennon et al.'s code: -1)."""
    return torch.where(finished, scores, torch.full_like(scores, missing_end))


def kl_rewards(scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, kl: float) -> Tensor:
    """The reward of each token: -kl * (log-probability - the reference's), and the score [B] on the last real token
    (Ziegler et al., equation 2). A row's rewards sum to its score minus kl times its divergence."""
    rewards = -kl * (logprobs - reference) * mask
    last = mask.size(1) - 1 - mask.long().flip(1).argmax(1)
    return rewards.scatter_add(1, last[:, None], scores[:, None])


def advantages_and_returns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates, A_t = sum_k (gamma lam)^k delta_(t+k), and returns A_t + V_t (GAE, equation 16).

    delta_t = r_t + gamma V_(t+1) - V_t, and after the last real token there is no value. Both are 0 on padding.
    """
    real = mask.to(values.dtype)
    values = values * real
    advantages = torch.zeros_like(values)
    following_advantage = following_value = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.size(1))):
        delta = rewards[:, t] + gamma * following_value - values[:, t]
        following_advantage = (delta + gamma * lam * following_advantage) * real[:, t]
        following_value = values[:, t]
        advantages[:, t] = following_advantage
    return advantages, (advantages + values) * real


# Losses, per token. The loop sums them over real tokens and divides by how many the minibatch has.


def policy_losses(logprobs: Tensor, old: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """-min(ratio A, clip(ratio, 1 - clip, 1 + clip) A) (PPO, equation 7)."""
    ratio = (logprobs - old).exp()
    return torch.max(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))


def value_losses(values: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error, or that of a value kept within `clip` of the old one, whichever is larger."""
    clipped = old + (values - old).clamp(-clip, clip)
    return 0.5 * torch.max((values - returns).square(), (clipped - returns).square())


def entropies(logits: Tensor) -> Tensor:
    """The entropy of each next-token distribution, in nats: logits [..., V] to [...]."""
    logprobs = logits.log_softmax(-1)
    return -(logprobs.exp() * logprobs).sum(-1)


def ratio_statistics(logprobs: Tensor, old: Tensor, clip: float) -> dict[str, float]:
    """How far a minibatch's policy is from the one that wrote it: over real tokens only [N]."""
    ratio = (logprobs - old).exp()
    return {
        "approximate_kl": float(0.5 * (logprobs - old).square().mean()),
        "clip_fraction": float(((ratio - 1).abs() > clip).float().mean()),
        "ratio": float(ratio.mean()),
        "ratio_variance": float(ratio.var(correction=0)),
        "ratio_error": float((ratio - 1).abs().max()),
    }


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns): 1 if the value head foresees everything, 0 if only the mean."""
    returns, errors = returns[mask], (returns - values)[mask]
    variance = returns.var(correction=0)
    return float(1 - errors.var(correction=0) / variance) if variance > 0 else 0.0


# The price of leaving the reference.


@dataclass
class FixedKL:
    """The same price throughout."""

    coefficient: float

    def update(self, kl: float, episodes: int) -> None:
        """Nothing to do."""


@dataclass
class AdaptiveKL:
    """Raises the price when the divergence is above its target and lowers it below, by at most 20 % of
    episodes / horizon at a time (Ziegler et al., section 2.2)."""

    coefficient: float
    target: float
    horizon: int = 10_000

    def update(self, kl: float, episodes: int) -> None:
        """`kl` is the mean divergence, in nats, of the `episodes` just seen."""
        error = max(-0.2, min(0.2, kl / self.target - 1))
        self.coefficient *= 1 + error * episodes / self.horizon


# Signs of a policy gone wrong.


def distinct(texts: Sequence[str], n: int = 2) -> float:
    """The share of word n-grams that occur for the first time (Li et al. 2016): low where all answers are one."""
    grams = [
        gram for text in texts for words in [text.split()] for gram in zip(*(words[i:] for i in range(n)), strict=False)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


@dataclass(frozen=True)
class Health:
    """What a batch of answers looks like: mean divergence (nats), length (tokens), share that ended, distinct-2."""

    kl: float
    length: float
    ended: float
    distinct: float


def illness(now: Health, at_first: Health, max_kl: float, max_drift: float) -> str | None:
    """What is wrong with a policy and what to change; None for a healthy one. `max_drift` is a factor."""
    if not now.kl <= max_kl:  # also a KL that is not a number
        return f"it is {now.kl:.1f} nats from its reference (limit {max_kl:g}); raise --kl or lower --learning-rate"
    if now.ended < at_first.ended / max_drift:
        return f"only {now.ended:.0%} of its answers come to an end; lower --missing-end or --learning-rate"
    if not at_first.length / max_drift < now.length < at_first.length * max_drift:
        return (
            f"its answers went from {at_first.length:.0f} to {now.length:.0f} tokens; raise --kl, or look at the reward"
        )
    if now.distinct < at_first.distinct / max_drift:
        return f"its answers are all alike (distinct-2 fell to {now.distinct:.2f}); raise --kl"
    return None

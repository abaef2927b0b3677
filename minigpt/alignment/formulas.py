"""PPO's formulas, as pure functions on tensors.

All tensors are [B, R]: B episodes, R positions; `mask` is True on the tokens that the policy wrote. A row's tokens are
contiguous, with padding before or behind them that counts for nothing. `ppo.py` only calls what stands here.

Sources: PPO (Schulman et al. 2017), GAE (Schulman et al. 2016), language models from human preferences (Ziegler et al.
2019), summaries (Stiennon et al. 2020), InstructGPT (Ouyang et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

MIN_ROWS_TO_WHITEN = 8


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


def require_eos(scores: Tensor, finished: Tensor, missing_eos_penalty: float) -> Tensor:
    """Scores [B], where an answer that was cut off gets `missing_eos_penalty` instead (Stiennon et al.'s code: -1)."""
    return torch.where(finished, scores, torch.full_like(scores, missing_eos_penalty))


def penalised_rewards(scores: Tensor, logprobs: Tensor, reference: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """The reward of each token: -kl_coef * (log-probability - the reference's), and the score [B] on the last real
    token (Ziegler et al., equation 2). A row's rewards sum to its score minus kl_coef times its KL."""
    rewards = -kl_coef * (logprobs - reference) * mask
    last = mask.size(1) - 1 - mask.long().flip(1).argmax(1)
    return rewards.scatter_add(1, last[:, None], scores[:, None])


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> tuple[Tensor, Tensor]:
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


# The KL penalty's coefficient.


@dataclass
class FixedKL:
    """The same coefficient throughout."""

    coefficient: float

    def update(self, kl: float, episodes: int) -> None:
        """Nothing to do."""


@dataclass
class AdaptiveKL:
    """Raises the coefficient when the KL is above its target and lowers it below, by at most 20 % of
    episodes / horizon at a time (Ziegler et al., section 2.2)."""

    coefficient: float
    target: float
    horizon: int = 10_000

    def update(self, kl: float, episodes: int) -> None:
        """`kl` is the mean KL, in nats, of the `episodes` just seen."""
        error = max(-0.2, min(0.2, kl / self.target - 1))
        self.coefficient *= 1 + error * episodes / self.horizon

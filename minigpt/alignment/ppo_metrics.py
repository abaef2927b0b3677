"""What a rollout says about a policy: the numbers of PPO's dashboard, and what the policy answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..data.examples import Prompt
from ..model.responses import respond
from ..model.sampling import GREEDY
from ..training.run_state import of_how_many
from . import formulas
from .policy import Policy
from .rollout import Rollout, Task
from .stop_rules import commonest_ending, distinct


@dataclass(frozen=True)
class Evaluated:
    """What the policy and its reference make of a rollout, [B, R] each, as the answers were sampled."""

    logprobs: Tensor
    reference: Tensor
    values: Tensor
    entropies: Tensor


def rollout_metrics(
    rollout: Rollout, evaluated: Evaluated, returns: Tensor, kl_coef: float, task: Task
) -> dict[str, float]:
    """What is worth logging about a rollout: KL in nats an answer, entropy in nats a token, length in tokens, and the
    grader's mean marks where the task has a grader. `returns` [B, R] are what the values should have foretold."""
    mask, scores, responses = rollout.batch.mask, rollout.scores, rollout.responses
    kl = ((evaluated.logprobs - evaluated.reference) * mask).sum(1)
    texts = [response.text for response in responses]
    sampled = torch.tensor([logprob for response in responses for logprob in response.logprobs])
    return {
        "reward": float(scores.mean()),
        "reward_deviation": float(scores.std(correction=0)),
        "kl": float(kl.mean()),
        "kl_coef": kl_coef,
        "objective": float((scores - kl_coef * kl).mean()),
        "entropy": float(formulas.masked_mean(evaluated.entropies, mask)),
        "explained_variance": formulas.explained_variance(evaluated.values, returns, mask),
        "length": float(mask.sum(1).float().mean()),
        "ended": sum(response.finished for response in responses) / len(responses),
        "distinct_2": distinct(texts),
        "same_ending": commonest_ending(texts)[1],
        # How far the log-probabilities of the cached decoder are from those of the training pass.
        "sampler_gap": float((evaluated.logprobs[mask].cpu() - sampled).abs().max()),
    } | task.mean_marks(responses)


def greedy_samples(
    policy: Policy, task: Task, prompts: Sequence[Prompt], max_new_tokens: int
) -> list[dict[str, object]]:
    """The likeliest answers to some prompts, with their rewards."""
    responses = respond(policy.chat, prompts, max_new_tokens, GREEDY)
    return [
        {"prompt": response.turns[-1].text, "text": response.text, "reward": round(reward, 3)}
        for response, reward in zip(responses, task.reward(responses), strict=True)
    ]


def headline(numbers: dict[str, float], answered: int, held_out: int) -> str:
    """The figures that say most, for the terminal, and on how many of the held-out prompts they were measured."""
    shown = "".join(f"{k} {v:.3f}, " for k, v in numbers.items() if k in ("reward", "kl", "true_good"))
    return f"{shown}on {of_how_many(answered, held_out)} held-out prompts"

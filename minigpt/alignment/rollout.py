"""Rollouts: prompts are drawn, the policy answers, a reward function scores the answers. PPO learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..config import PPOConfig
from ..data.examples import Prompt
from ..errors import UserError
from ..model.chat_model import ChatModel
from ..model.gpt import GPT
from ..model.responses import Response, ResponseBatch, respond, response_batch
from ..model.sampling import Sampling
from ..training.device import Runtime
from .formulas import require_eos

#: The reward of each response: a reward model, a grader, a count of tokens.
Reward = Callable[[Sequence[Response]], list[float]]
#: What is known of a response beside its reward, by name: in Tinytown the grader's marks.
Marks = Callable[[Response], dict[str, float]]


@dataclass(frozen=True)
class Task:
    """What a policy is to learn: to earn `reward` on `prompts` without leaving the `reference` far behind.

    `valid_prompts` are held out to measure on. `marks` say what a grader knows of a response; they are logged only.
    """

    reference: GPT
    reward: Reward
    prompts: Sequence[Prompt]
    valid_prompts: Sequence[Prompt] = ()
    marks: Marks | None = None

    def mean_marks(self, responses: Sequence[Response]) -> dict[str, float]:
        if self.marks is None:
            return {}
        rows = [self.marks(response) for response in responses]
        return {f"true_{name}": sum(row[name] for row in rows) / len(rows) for name in rows[0]}


@dataclass(frozen=True)
class Rollout:
    """Responses of one update, as tensors on the device: their ids and mask, and the score [B] of each."""

    responses: list[Response]
    batch: ResponseBatch
    scores: Tensor


def draw_prompts(prompts: Sequence[Prompt], update: int, count: int, seed: int) -> list[Prompt]:
    """The prompts of one update: all in a new order, `count` at a time. A function of (seed, update), so a resumed run
    goes on alike."""
    per_pass = max(1, len(prompts) // count)
    number, part = divmod(update, per_pass)
    order = np.random.default_rng([seed, number]).permutation(len(prompts))
    return [prompts[i] for i in np.resize(order[part * count :], count).tolist()]


def roll_out(
    chat: ChatModel, task: Task, prompts: Sequence[Prompt], config: PPOConfig, runtime: Runtime, seed: int
) -> Rollout:
    """Answer each prompt, from the policy's whole distribution, and score the answers. The processes share the work.

    Filters and penalties are off: log-probabilities of a distribution that was not sampled from would make every ratio
    of PPO wrong. Raises UserError for a reward that is not a number.
    """
    mine = runtime.share(len(prompts))
    sampling = Sampling(temperature=config.temperature, seed=seed + mine.start)
    responses = runtime.gather(respond(chat, prompts[mine], config.max_new_tokens, sampling))
    own_scores = task.reward(responses[runtime.share(len(responses))])
    scores = torch.tensor(runtime.gather(own_scores), dtype=torch.float32)
    if not scores.isfinite().all():
        bad = int((~scores.isfinite()).nonzero()[0])
        raise UserError(f"the reward of the answer {responses[bad].text!r} is {float(scores[bad])}; train it anew.")
    finished = torch.tensor([response.finished for response in responses])
    scores = require_eos(scores, finished, config.missing_eos_penalty)
    batch = response_batch(responses, chat.tokenizer.pad)
    return Rollout(responses, batch.to(runtime.device), scores.to(runtime.device))

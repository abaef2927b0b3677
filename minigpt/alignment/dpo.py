"""DPO, the short sibling of PPO: learn from comparisons directly, without a reward model and without sampling.

    minigpt dpo                          Tinytown, from the comparisons that run_reward.py collected
    minigpt dpo --corpus votes.jsonl     comparisons of yours

The policy itself is the reward model: an answer's reward is beta times how much likelier it has become than it was
under the reference (Rafailov et al. 2023, equations 5 and 7). Nothing new is written while it learns, so it can only
reweigh answers that somebody has already compared.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import cli
from ..config import DPOConfig
from ..data.formats import CorpusLoader
from ..data.preferences import AnswerBatch, AnswerRows, response_mask
from ..errors import UserError
from ..model.chat_model import ChatModel
from ..model.checkpoint import save_model
from ..model.gpt import GPT, evaluating
from ..model.responses import ResponseBatch, token_logprobs
from ..run import Run, add_data_flags
from ..training.device import Runtime
from .reward_metrics import RewardMetrics, comparison_metrics


def answer_logprobs(model: GPT, batch: AnswerBatch) -> Tensor:
    """The log-probability [B, N] of each answer, its ending included."""
    ids, starts, lengths = batch.flat()
    mask = response_mask(starts, lengths, ids.size(1))
    logprobs = torch.zeros(mask.shape, device=ids.device)
    logprobs = logprobs.masked_scatter(mask, token_logprobs(model, ResponseBatch(ids, mask))[0])
    return logprobs.sum(1).view(len(batch.inputs), -1)


def dpo_loss(rewards: Tensor) -> Tensor:
    """-log sigmoid(better - worse), summed over implicit rewards [B, 2] (equation 7)."""
    return -F.logsigmoid(rewards[:, 0] - rewards[:, 1]).sum()


class DirectPreference:
    """The Trainer's objective for DPO. `reference` is frozen and never changes."""

    def __init__(self, chat: ChatModel, reference: GPT, corpus: CorpusLoader, runtime: Runtime, beta: float) -> None:
        self.chat, self.model, self.runtime, self.beta = chat, chat.gpt, runtime, beta
        self.reference = reference.to(runtime.device).eval().requires_grad_(False)
        self.rows, self.valid_rows = (
            AnswerRows(
                ((c.prompt, (c.chosen, c.rejected), 0.0) for c in comparisons),
                chat.tokenizer,
                chat.context,
                chat.max_turns,
            )
            for comparisons in (corpus.train, corpus.valid)
        )
        self.held_out = len(self.valid_rows.groups)
        if not self.rows.groups:
            raise UserError(f"no answer fits a context of {chat.context} tokens together with its prompt.")

    def rewards(self, batch: AnswerBatch) -> Tensor:
        """The implicit reward [B, 2] of the better and the worse answer."""
        with torch.no_grad():
            before = answer_logprobs(self.reference, batch)
        return self.beta * (answer_logprobs(self.model, batch) - before)

    def loss(self, batch: AnswerBatch) -> Tensor:
        return dpo_loss(self.rewards(batch))

    def evaluate(self, limit: int | None, batch_size: int, final: bool) -> RewardMetrics | None:
        """How often the policy has come to prefer what people prefer."""
        table = self.valid_rows.in_order(limit)
        count = len(table)
        if not count:
            return None
        rewards, lengths = [], []
        with evaluating(self.model):
            for start in range(0, count, batch_size):
                batch = table.batch(start, min(start + batch_size, count)).to(self.runtime.device)
                rewards.append(self.rewards(batch).cpu())
                lengths.append((batch.lengths - batch.starts).cpu())
        all_rewards = torch.cat(rewards)
        loss = float(dpo_loss(all_rewards)) / count
        return comparison_metrics(all_rewards, torch.zeros(count), torch.cat(lengths), loss)

    def finish(self) -> None:
        """Nothing remains to be done."""


def main() -> None:
    parser = cli.Parser(description=__doc__)
    add_data_flags(parser, "dpo")
    parser.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/sft)")
    cli.add_settings_flags(parser, DPOConfig)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    run = Run("dpo", arguments)
    parent = run.folder_of("sft", arguments.init_from)
    chat = run.parent_model(parent)
    corpus = run.open_corpus(layout="comparisons")
    objective = DirectPreference(chat, copy.deepcopy(chat.gpt), corpus, run.runtime, run.settings.beta)

    def save(state: dict[str, Any]) -> None:
        save_model(run.folder, chat, run.card(parent) | state)

    run.train(objective, save, parent)
    run.say_next(["minigpt", "evaluate", "win-rate"])

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
from ..data.examples import Comparison
from ..data.preferences import AnswerBatch, answer_mask
from ..model.checkpoint import need_tokenizer, save_model
from ..model.gpt import GPT, evaluating
from ..run import Stage
from ..training.device import Runtime
from ..training.plots import plot_curves
from ..training.trainer import Trainer
from .policy import Writings, read_answers
from .reward_metrics import JudgementScores, judge_comparisons
from .reward_model import judged_rows


def answer_logprobs(model: GPT, batch: AnswerBatch) -> Tensor:
    """The log-probability [B, N] of each answer, its ending included."""
    ids, starts, lengths = batch.flat()
    mask = answer_mask(starts, lengths, ids.size(1))
    logprobs = torch.zeros(mask.shape, device=ids.device)
    logprobs = logprobs.masked_scatter(mask, read_answers(model, Writings(ids, mask), temperature=1.0)[0])
    return logprobs.sum(1).view(len(batch.inputs), -1)


def dpo_loss(rewards: Tensor) -> Tensor:
    """-log sigmoid(better - worse), summed over implicit rewards [B, 2] (equation 7)."""
    return -F.logsigmoid(rewards[:, 0] - rewards[:, 1]).sum()


class DirectPreference:
    """The Trainer's objective for DPO. `reference` is frozen and never changes."""

    def __init__(self, model: GPT, reference: GPT, corpus: Any, runtime: Runtime, beta: float) -> None:
        self.model, self.runtime, self.beta = model, runtime, beta
        self.reference = reference.to(runtime.device).eval().requires_grad_(False)
        assert model.tokenizer is not None
        context = model.config.max_position_embeddings
        for examples in (corpus.train, corpus.valid):
            assert all(isinstance(example, Comparison) for example in examples)
        self.rows = judged_rows(corpus.train, model.tokenizer, context, memory=model.memory)
        self.valid_rows = judged_rows(corpus.valid, model.tokenizer, context, memory=model.memory)

    def rewards(self, batch: AnswerBatch) -> Tensor:
        """The implicit reward [B, 2] of the better and the worse answer."""
        with torch.no_grad():
            before = answer_logprobs(self.reference, batch)
        return self.beta * (answer_logprobs(self.model, batch) - before)

    def loss(self, batch: AnswerBatch) -> Tensor:
        return dpo_loss(self.rewards(batch))

    def evaluate(self, limit: int | None, at_once: int, final: bool) -> JudgementScores | None:
        """How often the policy has come to prefer what people prefer."""
        table = self.valid_rows.in_order()
        count = min(limit or len(table), len(table))
        if not count:
            return None
        rewards, lengths = [], []
        with evaluating(self.model):
            for start in range(0, count, at_once):
                batch = table.batch(start, min(start + at_once, count)).to(self.runtime.device)
                rewards.append(self.rewards(batch).cpu())
                lengths.append((batch.lengths - batch.starts).cpu())
        all_rewards = torch.cat(rewards)
        return judge_comparisons(all_rewards, torch.cat(lengths), float(dpo_loss(all_rewards)) / count)


def main() -> None:
    parser = cli.Parser(description=__doc__)
    cli.add_data_flags(parser, "dpo")
    parser.add_argument("--init-from", help="model folder to start from (default trained_models/RECIPE/sft)")
    cli.add_settings_flags(parser, DPOConfig)
    cli.add_machine_flags(parser)
    arguments = parser.parse_args()
    stage = Stage("dpo", arguments)
    parent = stage.folder_of("sft", arguments.init_from)
    model = stage.parent_model(parent)
    tokenizer = need_tokenizer(model, parent)
    corpus = stage.open_corpus(layout="comparisons")
    objective = DirectPreference(model, copy.deepcopy(model), corpus, stage.runtime, stage.settings.beta)

    def save(model: GPT, run: dict[str, Any]) -> None:
        save_model(stage.folder, model, tokenizer, stage.card(parent) | run)

    trainer = Trainer(
        model,
        None,
        stage.settings,
        runtime=stage.runtime,
        folder=stage.folder,
        save=save,
        origin=stage.origin(parent),
        objective=objective,
    )
    stage.claim_folder(tokenizer)
    stage.announce(trainer)
    stage.run(trainer, plot_curves)
    stage.say(f"\n{trainer.scores or 'no held-out judgements'}")
    stage.say("next:      minigpt evaluate win-rate")

"""How a reward model learns. The kind of judgement decides what is asked of its raw scores:

Comparison     of two answers this one is better: Bradley-Terry ranking (Stiennon et al. 2020, section 3.4)
RatedAnswer    a score, such as 1 to 5: regression
LabelledText   a label, such as "positive": its log-odds
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RewardConfig
from ..data.examples import Comparison, LabelledText, RatedAnswer, Turn
from ..data.formats import CorpusLoader
from ..data.preferences import AnswerBatch, AnswerRows
from ..errors import UserError, nearest
from ..model.chat_model import ChatModel
from ..model.gpt import evaluating
from ..model.responses import Response
from ..training.device import Runtime
from .reward_metrics import RewardMetrics, comparison_metrics, label_metrics, rating_metrics
from .reward_model import RewardModel

# Losses on raw scores [B, N], summed over the batch.


def ranking_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """-log sigmoid(better - worse): the first of the two answers [B, 2] is the better one."""
    return -F.logsigmoid(scores[:, 0] - scores[:, 1]).sum()


def regression_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Half the squared distance of the score [B, 1] from the rating [B]."""
    return 0.5 * (scores[:, 0] - targets).square().sum()


def label_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the score [B, 1], taken as the log-odds of the wanted label, with targets 1 or 0 [B]."""
    return F.binary_cross_entropy_with_logits(scores[:, 0], targets, reduction="sum")


@dataclass(frozen=True)
class PreferenceTask:
    """What one kind of judgement asks: `read` makes (prompt, answers, target) of an example; `loss` is of raw scores
    [B, N] and targets [B]; `metrics` are of scores, targets, lengths [B, N] and the loss per example."""

    read: Callable[[Any], tuple[Sequence[Turn], Sequence[str], float]]
    loss: Callable[[Tensor, Tensor], Tensor]
    metrics: Callable[[Tensor, Tensor, Tensor, float], RewardMetrics]


def preference_task(corpus: CorpusLoader, want: str = "") -> PreferenceTask:
    """The task of a corpus. `want` is the label to be rewarded; ratings are standardised by the corpus's own mean and
    deviation. Raises UserError for examples that are no judgements, and for an unknown label."""
    kind = type(corpus.train[0])
    if kind is Comparison:
        return PreferenceTask(lambda c: (c.prompt, (c.chosen, c.rejected), 0.0), ranking_loss, comparison_metrics)
    if kind is RatedAnswer:
        ratings = torch.tensor([example.rating for example in corpus.train])
        mean, deviation = float(ratings.mean()), float(ratings.std(correction=0)) or 1.0
        return PreferenceTask(
            lambda r: (r.prompt, (r.answer,), (r.rating - mean) / deviation), regression_loss, rating_metrics
        )
    if kind is LabelledText:
        labels_of(corpus, want)
        return PreferenceTask(lambda text: ((), (text.text,), float(text.label == want)), label_loss, label_metrics)
    raise UserError(f"a reward model learns from comparisons, ratings or labels, not from {kind.__name__}s.")


def labels_of(corpus: CorpusLoader, want: str) -> list[str]:
    """The labels of a corpus of labelled texts, the wanted one first; empty for another corpus. Raises UserError for a
    `want` that is none of them."""
    if not isinstance(corpus.train[0], LabelledText):
        return []
    labels = sorted({example.label for example in corpus.train})
    if want not in labels:
        raise UserError(f"no text has the label {want!r}{nearest(want, labels)}; --want one of {', '.join(labels)}.")
    return sorted(labels, key=lambda label: label != want)


def new_reward_model(chat: ChatModel, corpus: CorpusLoader, config: RewardConfig) -> RewardModel:
    """An untrained reward model on `chat`'s trunk, of the kind that the corpus asks for."""
    labels = labels_of(corpus, config.want)
    return RewardModel(chat, reads_prompt=not labels, likelihood_penalty=config.likelihood_penalty, labels=labels)


class RewardTraining:
    """The Trainer's objective for a reward model.

    `extra` comparisons are learned from too, but never measured on. When training is over, the scores of `references`
    (responses of the model that PPO will start from) get mean 0 and deviation 1, if there are any.
    """

    def __init__(
        self,
        model: RewardModel,
        corpus: CorpusLoader,
        runtime: Runtime,
        want: str = "",
        extra: Sequence[Comparison] = (),
        references: Sequence[Response] = (),
    ) -> None:
        self.model, self.chat, self.runtime, self.references = model, model.chat, runtime, references
        self.task = preference_task(corpus, want)
        self.rows = self._rows([*corpus.train, *extra])
        self.valid_rows = self._rows(corpus.valid)
        self.held_out = len(self.valid_rows.groups)
        if not self.rows.groups:
            raise UserError(f"no answer fits a context of {self.chat.context} tokens together with its prompt.")

    def _rows(self, examples: Sequence[Any]) -> AnswerRows:
        return AnswerRows(map(self.task.read, examples), self.chat.tokenizer, self.chat.context, self.chat.max_turns)

    def scores(self, batch: AnswerBatch) -> Tensor:
        """Raw scores [B, N]."""
        return self.model.at_end(*batch.flat()).view(len(batch.inputs), -1)

    def loss(self, batch: AnswerBatch) -> Tensor:
        return self.task.loss(self.scores(batch), batch.targets)

    def evaluate(self, limit: int | None, batch_size: int, final: bool) -> RewardMetrics | None:
        """See `RewardMetrics`; every process measures all of it, for there are few judgements."""
        table = self.valid_rows.in_order(limit)
        count = len(table)
        if not count:
            return None
        scores, targets, lengths, loss = [], [], [], 0.0
        with evaluating(self.model):
            for start in range(0, count, batch_size):
                batch = table.batch(start, min(start + batch_size, count)).to(self.runtime.device)
                with self.runtime.autocast():
                    raw = self.scores(batch)
                loss += float(self.task.loss(raw, batch.targets))
                scores.append(raw.cpu())
                targets.append(batch.targets.cpu())
                lengths.append((batch.lengths - batch.starts).cpu())
        return self.task.metrics(torch.cat(scores), torch.cat(targets), torch.cat(lengths), loss / count)

    def finish(self) -> None:
        """Normalise the trained model's scores."""
        if self.references:
            self.model.normalise(self.references)

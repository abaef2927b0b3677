"""Prompts with answers as padded batches: what the reward model, DPO and PPO compute on.

Rows are padded on the right. With causal attention nothing real ever looks at what comes after it, so padding needs no
mask: it only has to be left out of what is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .examples import Turn
from .packing import TensorRows
from .sampled import some_of
from .tokenizer import Tokenizer
from .truncation import Fitted, fit


class EncodedAnswer(NamedTuple):
    """A conversation's ids, and where in them the answer begins."""

    ids: list[int]
    start: int


def encode_answers(
    tokenizer: Tokenizer, prompt: Sequence[Turn], answers: Sequence[str], context: int, max_turns: int | None = None
) -> tuple[list[EncodedAnswer] | None, Fitted | None]:
    """Each answer after its prompt, with the piece that ends it, as the model would have written them.

    All answers follow the same prompt, cut until the longest of them fits, so that they stay comparable. Returns the
    encoded answers (None if they do not fit `context`), and how the prompt was cut.
    """
    endings = [[*tokenizer.encode(f" {answer}"), tokenizer.eos] for answer in answers]
    room = context - max(map(len, endings))
    fitted = None
    if prompt:
        fitted = fit(prompt, tokenizer.encode_prompt, room, max_turns)
        asked = fitted.ids if fitted else None
    else:  # a text that answers nothing
        alone = [tokenizer.bos, tokenizer.roles["assistant"]]
        asked = alone if len(alone) <= room else None
    if asked is None:
        return None, fitted
    return [EncodedAnswer([*asked, *ending], len(asked)) for ending in endings], fitted


def response_mask(starts: Tensor, lengths: Tensor, width: int) -> Tensor:
    """[B, width - 1], True where the next token of rows `width` wide belongs to the answer (its ending included)."""
    index = torch.arange(1, width, device=starts.device)
    return (index >= starts[:, None]) & (index < lengths[:, None])


@dataclass(frozen=True)
class AnswerBatch(TensorRows):
    """N answers to each of B prompts. `inputs` [B, N, T]: ids; `starts` and `lengths` [B, N]: where the answer begins,
    and how many ids are real; `targets` [B]: what people said of the answer (unused where answers are compared)."""

    inputs: Tensor
    starts: Tensor
    lengths: Tensor
    targets: Tensor

    def num_targets(self) -> int:
        return len(self.inputs)

    def flat(self) -> tuple[Tensor, Tensor, Tensor]:
        """ids [B*N, T], starts [B*N] and lengths [B*N], no longer padded than the longest row needs."""
        longest = int(self.lengths.max())
        return self.inputs[..., :longest].flatten(0, 1), self.starts.flatten(), self.lengths.flatten()


def answer_batch(groups: Sequence[Sequence[EncodedAnswer]], targets: Sequence[float], pad: int) -> AnswerBatch:
    """A batch from groups of answers, all of them with as many answers as the first."""
    rows = [torch.tensor(answer.ids) for group in groups for answer in group]
    ids = pad_sequence(rows, batch_first=True, padding_value=pad)
    shape = (len(groups), len(groups[0]))
    return AnswerBatch(
        ids.view(*shape, -1),
        torch.tensor([answer.start for group in groups for answer in group]).view(shape),
        torch.tensor([len(row) for row in rows]).view(shape),
        torch.tensor(targets, dtype=torch.float32),
    )


@dataclass(frozen=True)
class AnswerTable:
    """The rows of one epoch, in order."""

    groups: Sequence[Sequence[EncodedAnswer]]
    targets: Sequence[float]
    order: Sequence[int]
    pad: int

    def __len__(self) -> int:
        return len(self.order)

    def longest(self, i: int) -> int:
        return max(len(answer.ids) for answer in self.groups[i])

    def batch(self, start: int, stop: int) -> AnswerBatch:
        # Rows of like length together: less padding when a step is cut into forward passes, and the same sums.
        chosen = sorted(self.order[start:stop], key=self.longest)
        return answer_batch([self.groups[i] for i in chosen], [self.targets[i] for i in chosen], self.pad)


class AnswerRows:
    """Groups of answers to learn from, in a fresh order each epoch.

    `examples` are (prompt, answers, target); `dropped` counts those too long for the context, and prompts that were cut
    for it.
    """

    def __init__(
        self,
        examples: Iterable[tuple[Sequence[Turn], Sequence[str], float]],
        tokenizer: Tokenizer,
        context: int,
        max_turns: int | None = None,
    ) -> None:
        self.groups: list[list[EncodedAnswer]] = []
        self.targets: list[float] = []
        self.dropped: Counter[str] = Counter()
        self.pad = tokenizer.pad
        for prompt, answers, target in examples:
            group, fitted = encode_answers(tokenizer, prompt, answers, context, max_turns)
            if group is None:
                self.dropped["answers too long for the context"] += 1
                continue
            if fitted is not None and fitted.shortened:
                self.dropped[str(fitted.cut)] += 1
            self.groups.append(group)
            self.targets.append(target)
        self.token_count = sum(len(answer.ids) for group in self.groups for answer in group)

    def epoch(self, number: int, seed: int) -> AnswerTable:
        order = np.random.default_rng([seed, number]).permutation(len(self.groups)).tolist()
        return AnswerTable(self.groups, self.targets, order, self.pad)

    def in_order(self, count: int | None = None) -> AnswerTable:
        """All of them as they come, or a sample of `count` (see `some_of`)."""
        return AnswerTable(self.groups, self.targets, some_of(len(self.groups), count).tolist(), self.pad)

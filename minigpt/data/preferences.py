"""Prompts with answers as padded batches: what the reward model, DPO and PPO compute on.

Rows are padded on the right. With causal attention nothing real ever looks at what comes after it, so padding needs no
mask: it only has to be left out of what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from .examples import Turn
from .shorten import ENDS, shorten
from .tokenizer import Tokenizer


class EncodedAnswer(NamedTuple):
    """A conversation's ids, and where in them the answer begins."""

    ids: list[int]
    start: int


def encode_answer(tokenizer: Tokenizer, prompt: Sequence[Turn], answer: str, context: int) -> EncodedAnswer | None:
    """Prompt, answer and the piece that ends it, as the model would have written them.

    What does not fit `context` loses its oldest turns; None if the last question and the answer alone are too long.
    """
    ending = [*tokenizer.encode(f" {answer}"), tokenizer.eos]
    if not prompt:  # a text that answers nothing
        alone = [tokenizer.bos, tokenizer.roles["assistant"]]
        return EncodedAnswer([*alone, *ending], len(alone)) if len(alone) + len(ending) <= context else None
    for first in range(len(prompt)):
        if first and prompt[first].role == "assistant":
            continue  # a conversation begins with a question
        asked = tokenizer.encode_prompt(prompt[first:])
        if len(asked) + len(ending) <= context:
            return EncodedAnswer([*asked, *ending], len(asked))
    return None


def encode_answers(
    tokenizer: Tokenizer, prompt: Sequence[Turn], answers: Sequence[str], context: int
) -> tuple[list[EncodedAnswer | None], bool]:
    """`encode_answer` of several answers to one prompt, and whether its last question lost sentences for that.

    They are lost to all answers alike, so that these stay comparable: where one answer does not fit beside the last
    question, that is shortened until the longest one does.
    """
    encoded = [encode_answer(tokenizer, prompt, answer, context) for answer in answers]
    if None not in encoded or not prompt:
        return encoded, False
    longest = max(len(tokenizer.encode(f" {answer}")) for answer in answers) + 2  # its role mark and its ending
    shorter = shorten(tokenizer, prompt[-1:], context - longest)
    if shorter is None:
        return encoded, False
    return [encode_answer(tokenizer, shorter, answer, context) for answer in answers], True


def answer_mask(starts: Tensor, lengths: Tensor, width: int) -> Tensor:
    """[B, width - 1], True where the next token of rows `width` wide belongs to the answer (its ending included)."""
    index = torch.arange(1, width, device=starts.device)
    return (index >= starts[:, None]) & (index < lengths[:, None])


class TensorRows:
    """A dataclass of tensors that have a row for each example: cut, move or reorder them all at once."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(*(change(getattr(self, field.name)) for field in fields(self)))  # type: ignore[arg-type]

    def rows(self, part: slice | Tensor) -> Self:
        return self.map(lambda tensor: tensor[part])

    def to(self, device: torch.device) -> Self:
        return self.map(lambda tensor: tensor.to(device))


@dataclass(frozen=True)
class AnswerBatch(TensorRows):
    """N answers to each of B prompts. `inputs` [B, N, T]: ids; `starts` and `lengths` [B, N]: where the answer begins,
    and how many ids are real; `targets` [B]: what people said of the answer (unused where answers are compared)."""

    inputs: Tensor
    starts: Tensor
    lengths: Tensor
    targets: Tensor

    def learned(self) -> int:
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
    """Groups of answers to learn from, in a fresh order each epoch. `dropped` counts those too long for the context,
    and prompts that were `shortened` for it."""

    def __init__(
        self,
        groups: Sequence[Sequence[EncodedAnswer | None]],
        targets: Sequence[float],
        tokenizer: Tokenizer,
        shortened: int = 0,
    ) -> None:
        fitting = [i for i, group in enumerate(groups) if None not in group]
        self.groups: list[list[EncodedAnswer]] = [[a for a in groups[i] if a is not None] for i in fitting]
        self.targets = [targets[i] for i in fitting]
        self.pad = tokenizer.pad
        lost = {"answers too long for the context": len(groups) - len(fitting), ENDS: shortened}
        self.dropped = {reason: count for reason, count in lost.items() if count}
        self.token_count = sum(len(answer.ids) for group in self.groups for answer in group)

    def epoch(self, number: int, seed: int) -> AnswerTable:
        order = np.random.default_rng([seed, number]).permutation(len(self.groups)).tolist()
        return AnswerTable(self.groups, self.targets, order, self.pad)

    def in_order(self) -> AnswerTable:
        return AnswerTable(self.groups, self.targets, range(len(self.groups)), self.pad)

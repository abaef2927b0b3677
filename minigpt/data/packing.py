"""From examples to batches: rows of token ids, packed full, with the targets that the loss counts.

Everything here is a function of (examples, seed, epoch): which rows a step sees never depends on how often a run
was stopped and resumed, or on how many processes share it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ..errors import UserError
from .examples import Conversation, Document
from .sampled import some_of
from .tokenizer import Tokenizer
from .truncation import fit

IGNORE = -100  # the target that cross-entropy skips


class TensorRows:
    """A dataclass of tensors that have a row for each example: cut, move or reorder them all at once. None stays."""

    def map(self, change: Callable[[Tensor], Tensor]) -> Self:
        values = (getattr(self, field.name) for field in fields(self))  # type: ignore[arg-type]
        return type(self)(*(None if value is None else change(value) for value in values))

    def rows(self, part: slice | Tensor) -> Self:
        return self.map(lambda tensor: tensor[part])

    def to(self, device: torch.device) -> Self:
        return self.map(lambda tensor: tensor.to(device))


@dataclass(frozen=True)
class Batch(TensorRows):
    """inputs and targets [B, T]; `segments` [B, T] numbers the text within a row, None if rows hold one text."""

    inputs: Tensor
    targets: Tensor
    segments: Tensor | None = None

    def num_targets(self) -> int:
        """How many targets count."""
        return int((self.targets != IGNORE).sum())


@dataclass(frozen=True)
class Rows:
    """The rows of one epoch, in order: row i is `tokens[starts[i] : starts[i] + context + 1]`.

    `loss_mask` and `segments`, if there are any, lie beside `tokens`. The first `skip` targets of each row but the
    first are not counted: they are context that the row before has already been scored on.
    """

    tokens: np.ndarray
    starts: np.ndarray
    context: int
    loss_mask: np.ndarray | None = None
    segments: np.ndarray | None = None
    skip: int = 0

    def __len__(self) -> int:
        return len(self.starts)

    def some(self, count: int | None) -> Rows:
        """A sample of so many rows (see `some_of`)."""
        return replace(self, starts=self.starts[some_of(len(self), count)])

    def batch(self, start: int, stop: int) -> Batch:
        index = self.starts[start:stop, None] + np.arange(self.context + 1)
        ids = torch.from_numpy(self.tokens[index].astype(np.int64))
        inputs, targets = ids[:, :-1], ids[:, 1:].clone()
        if self.loss_mask is not None:
            targets[~torch.from_numpy(self.loss_mask[index[:, 1:]])] = IGNORE
        if self.skip:
            targets[int(start == 0) :, : self.skip] = IGNORE
        segments = None if self.segments is None else torch.from_numpy(self.segments[index[:, :-1]])
        return Batch(inputs, targets, segments)


class TextRows:
    """Documents, joined into one stream (each begins with `bos`) and cut into rows of `context` tokens.

    `words` and the bytes of the text turn a loss per token into one per word and per byte.
    """

    def __init__(self, documents: Sequence[Document], tokenizer: Tokenizer, context: int) -> None:
        pieces = [tokenizer.encode_document(document.text) for document in documents]
        self.tokens = (
            np.concatenate([np.array(ids, dtype=np.int32) for ids in pieces]) if pieces else np.zeros(0, np.int32)
        )
        self.words = sum(document.words for document in documents)
        self.context = context
        self.token_count = len(self.tokens)
        self.loss_mask: np.ndarray | None = None
        if 0 < self.token_count <= context:  # too short for a row: pad it, and loss_mask nothing from the padding
            self.tokens = np.pad(self.tokens, (0, context + 1 - self.token_count), constant_values=tokenizer.pad)
            self.loss_mask = np.arange(context + 1) < self.token_count

    def epoch(self, number: int, seed: int) -> Rows:
        """All rows in a new order. The cuts move from epoch to epoch, so no token is always without context."""
        rng = np.random.default_rng([seed, number])
        offset = rng.integers(min(self.context, len(self.tokens) - self.context)) if number else 0
        starts = np.arange(offset, len(self.tokens) - self.context, self.context)
        return Rows(self.tokens, rng.permutation(starts), self.context, self.loss_mask)

    def in_order(self, overlap: int = 0) -> Rows:
        """The stream from its beginning; each row starts with `overlap` tokens of the row before, as context only."""
        starts = np.arange(0, len(self.tokens) - self.context, self.context - overlap)
        return Rows(self.tokens, starts, self.context, self.loss_mask, skip=overlap)


class ConversationRows:
    """Conversations, as many to a row as fit, none of which sees another; only the assistant's tokens are learned.

    A conversation longer than the context is cut (see `truncation`); one whose answer leaves no room for a single
    sentence is dropped. Both are counted in `dropped`.
    """

    words = 0

    def __init__(self, conversations: Sequence[Conversation], tokenizer: Tokenizer, context: int) -> None:
        self.context, self.pad = context, tokenizer.pad
        self.dropped: Counter[str] = Counter()
        self.encoded: list[tuple[np.ndarray, np.ndarray]] = []
        for conversation in conversations:
            *prompt, answer = conversation.turns
            room = context - len(tokenizer.encode(f" {answer.text}")) - 1  # the answer, and the piece that ends it
            fitted = fit(prompt, tokenizer.encode_prompt, room)
            if fitted is None:
                self.dropped["conversations too long for the context"] += 1
                continue
            if fitted.cut:
                self.dropped[fitted.cut] += 1
            ids, loss_mask = tokenizer.encode_chat([*fitted.turns, answer])
            flags = np.array(loss_mask)
            if conversation.last_only:
                flags[: np.flatnonzero(~flags)[-1]] = False
            self.encoded.append((np.array(ids, dtype=np.int32), flags))
        if conversations and not self.encoded:
            raise UserError(f"no conversation fits a context of {context} tokens; train with a longer --context.")
        self.token_count = sum(len(ids) for ids, _ in self.encoded)

    def epoch(self, number: int, seed: int) -> Rows:
        return self._pack(np.random.default_rng([seed, number]).permutation(len(self.encoded)))

    def in_order(self, overlap: int = 0) -> Rows:
        """As they come. There is no stream to overlap: every conversation is whole in its row."""
        return self._pack(np.arange(len(self.encoded)))

    def _pack(self, order: np.ndarray) -> Rows:
        """First come, first packed: a conversation that no longer fits opens a new row."""
        width = self.context + 1
        placed: list[tuple[int, int]] = []
        row, used = 0, 0
        for i in order:
            length = len(self.encoded[i][0])
            if used + length > width:
                row, used = row + 1, 0
            placed.append((int(i), row * width + used))
            used += length
        size = (row + 1) * width if placed else 0
        tokens, loss_mask = np.full(size, self.pad, np.int32), np.zeros(size, bool)
        segments = np.zeros(size, np.int32)  # 0 is padding
        for segment, (i, at) in enumerate(placed, start=1):
            ids, flags = self.encoded[i]
            tokens[at : at + len(ids)], loss_mask[at : at + len(ids)] = ids, flags
            segments[at : at + len(ids)] = segment
        return Rows(tokens, np.arange(0, size, width), self.context, loss_mask, segments)


def make_rows(
    examples: Sequence[Document] | Sequence[Conversation], tokenizer: Tokenizer, context: int
) -> TextRows | ConversationRows:
    """Rows for whatever kind of example a corpus holds."""
    if examples and isinstance(examples[0], Conversation):
        return ConversationRows(examples, tokenizer, context)  # type: ignore[arg-type]
    return TextRows(examples, tokenizer, context)  # type: ignore[arg-type]

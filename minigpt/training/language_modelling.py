"""Language modelling: the loss behind pre-training and SFT, and its measures: perplexity and bits per byte."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.formats import CorpusLoader
from ..data.packing import IGNORE, Batch, ConversationRows, TextRows, make_rows
from ..data.tokenizer import Tokenizer
from ..model.chat_model import ChatModel
from ..model.gpt import GPT, evaluating
from .device import Runtime


def next_token_loss(gpt: GPT, batch: Batch, hidden_states: Callable[..., Tensor] | None = None) -> Tensor:
    """The cross-entropy of the next token, in nats, summed over the targets that count.

    `hidden_states` may take the place of the model's own, e.g. when compiled. Only the positions that count go through
    the output projection: in fine-tuning that is half the work.
    """
    counts = batch.targets != IGNORE
    hidden = (hidden_states or gpt.hidden_states)(batch.inputs, segments=batch.segments)
    logits = gpt.logits(hidden[counts]).float()
    return F.cross_entropy(logits, batch.targets[counts], reduction="sum")


class LanguageModelling:
    """The Trainer's objective for pre-training and SFT: predict the next token, of running text or of the assistant.

    `corpus` is a CorpusLoader, or anything with `train` and `valid`. `chat` is the model with what it learns to be: one
    that answers, if the corpus holds conversations.
    """

    def __init__(self, chat: ChatModel, corpus: CorpusLoader, runtime: Runtime, compiled: bool = False) -> None:
        self.model, self.runtime = chat.gpt, runtime
        self.rows = make_rows(corpus.train, chat.tokenizer, chat.context)
        self.valid_rows = make_rows(corpus.valid, chat.tokenizer, chat.context)
        self.held_out = len(self.valid_rows.in_order())
        self.hidden_states = runtime.compiled(chat.gpt.hidden_states) if compiled else chat.gpt.hidden_states
        is_chat = isinstance(self.rows, ConversationRows)
        self.chat = ChatModel(chat.gpt, chat.tokenizer, is_chat, getattr(corpus, "max_turns", None))

    def loss(self, batch: Batch) -> Tensor:
        return next_token_loss(self.model, batch, self.hidden_states)

    def evaluate(self, limit: int | None, batch_size: int, final: bool) -> Perplexity | None:
        """Loss and perplexity. In the final measurement no token of running text is judged without context."""
        overlap = self.chat.context // 2 if final else 0
        return measure_perplexity(self.chat, self.valid_rows, self.runtime, limit, batch_size, overlap)

    def finish(self) -> None:
        """Nothing remains to be done."""


@dataclass(frozen=True)
class Perplexity:
    """`loss` in nats per token; `bits_per_byte` of the UTF-8 text, which compares across tokenizers;
    `word_perplexity` per word of the file as published, which compares across papers (None where words
    were not counted)."""

    loss: float
    perplexity: float
    bits_per_byte: float
    word_perplexity: float | None = None

    def __str__(self) -> str:
        words = f", word perplexity {self.word_perplexity:,.1f}" if self.word_perplexity else ""
        return (
            f"validation loss {self.loss:.4f}, perplexity {self.perplexity:,.2f},"
            f" {self.bits_per_byte:.4f} bits per byte{words}"
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_perplexity(
    chat: ChatModel,
    rows: TextRows | ConversationRows,
    runtime: Runtime,
    limit: int | None = None,
    batch_size: int = 16,
    overlap: int = 0,
) -> Perplexity | None:
    """Score the rows, or a fixed random sample of `limit`; None if there are none. Rows are shared among the processes.

    With `overlap`, each row of running text begins with that many tokens of the row before, as context that is
    not scored again: a token in the middle of a document is then never judged without context.
    """
    table = rows.in_order(overlap).some(limit)
    count = len(table)
    if not count:
        return None
    lengths = byte_lengths(chat.tokenizer)
    nats, tokens, size = 0.0, 0, 0
    with evaluating(chat.gpt):
        for start in range(runtime.rank * batch_size, count, runtime.world * batch_size):
            batch = table.batch(start, min(start + batch_size, count))
            counted = batch.targets[batch.targets != IGNORE]
            batch = batch.to(runtime.device)
            with runtime.autocast():
                nats += next_token_loss(chat.gpt, batch).item()
            tokens += len(counted)
            size += int(lengths[counted].sum())
    nats, all_tokens, all_bytes = runtime.sum([nats, tokens, size])
    loss = nats / all_tokens
    return Perplexity(
        loss=loss,
        perplexity=math.exp(min(loss, 700)),
        bits_per_byte=nats / math.log(2) / max(1, all_bytes),
        # The rows leave out a few tokens at the very end; taking the mean times all tokens counts them as average.
        word_perplexity=math.exp(min(loss * rows.token_count / rows.words, 700)) if rows.words else None,
    )


def byte_lengths(tokenizer: Tokenizer) -> Tensor:
    """For each token id, how many bytes of text it writes; control pieces write none."""
    return torch.tensor([_bytes_of(tokenizer, token) for token in range(tokenizer.vocab_size)])


def _bytes_of(tokenizer: Tokenizer, token: int) -> int:
    if tokenizer.is_control(token):
        return 0
    piece = tokenizer.piece(token)
    if piece.startswith("<0x") and len(piece) == 6:
        return 1
    return len(piece.replace("\u2581", " ").encode("utf-8"))

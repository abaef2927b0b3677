"""Measuring a language model: loss, perplexity, bits per byte, and perplexity per word of the published text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ..data.packing import IGNORE, ConversationRows, TextRows
from ..data.tokenizer import Tokenizer
from ..model.gpt import GPT, evaluating
from .device import Runtime


@dataclass(frozen=True)
class Scores:
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


def evaluate(
    model: GPT,
    rows: TextRows | ConversationRows,
    tokenizer: Tokenizer,
    runtime: Runtime,
    limit: int | None = None,
    batch_size: int = 16,
    overlap: int = 0,
) -> Scores | None:
    """Score the first `limit` rows (all by default); None if there are none. Rows are shared among the processes.

    With `overlap`, each row of running text begins with that many tokens of the row before, as context that is
    not scored again: a token in the middle of a document is then never judged without context.
    """
    table = rows.in_order(overlap)
    count = min(limit or len(table), len(table))
    if not count:
        return None
    lengths = byte_lengths(tokenizer)
    nats, tokens, size = 0.0, 0, 0
    with evaluating(model):
        for start in range(runtime.rank * batch_size, count, runtime.world * batch_size):
            batch = table.batch(start, min(start + batch_size, count))
            counted = batch.targets[batch.targets != IGNORE]
            batch = batch.to(runtime.device)
            with runtime.autocast():
                nats += summed_loss(model, batch).item()
            tokens += len(counted)
            size += int(lengths[counted].sum())
    nats, all_tokens, all_bytes = runtime.sum([nats, tokens, size])
    loss = nats / all_tokens
    return Scores(
        loss=loss,
        perplexity=math.exp(min(loss, 700)),
        bits_per_byte=nats / math.log(2) / max(1, all_bytes),
        # The rows leave out a few tokens at the very end; taking the mean times all tokens counts them as average.
        word_perplexity=math.exp(min(loss * rows.token_count / rows.words, 700)) if rows.words else None,
    )


def summed_loss(model: GPT, batch: Any, hidden_states: Callable[..., Tensor] | None = None) -> Tensor:
    """The cross-entropy of the next token, in nats, summed over the targets that count.

    `hidden_states` may take the place of the model's own, e.g. when compiled.

    Only the positions that count go through the output projection: in fine-tuning that is half the work.
    """
    counts = batch.targets != IGNORE
    hidden = (hidden_states or model.hidden_states)(**batch.model_inputs())
    logits = model.logits(hidden[counts]).float()
    return torch.nn.functional.cross_entropy(logits, batch.targets[counts], reduction="sum")

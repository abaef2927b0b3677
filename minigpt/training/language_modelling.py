"""What a run is after: rows to learn from, a loss over a batch of them, and a measurement on held-out rows.

The Trainer is one loop for every objective. Language modelling is the one behind pre-training and fine-tuning;
`reward.py` and `dpo.py` hold the others.
"""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from ..data.packing import ConversationRows, make_rows
from ..data.tokenizer import Tokenizer
from ..model.gpt import GPT
from .device import Runtime
from .evaluation import Scores, evaluate, summed_loss


class Objective(Protocol):
    """`rows` has `epoch(number, seed)`, a table of len() rows with `batch(start, stop)`, and `token_count`.

    A batch has `inputs` (one entry per row, tokens inside), `learned()` (what the summed loss is divided by),
    `rows(slice)` and `to(device)`.
    """

    rows: Any

    def loss(self, batch: Any) -> Tensor:
        """The loss summed over what counts in `batch`."""

    def evaluate(self, limit: int | None, at_once: int, final: bool) -> Any:
        """Scores of the validation rows (the first `limit`, `at_once` to a forward pass), with `loss`, `as_dict()`
        and a sentence as str; None if nothing is held out. `final` is the measurement that goes into the card."""


class LanguageModelling:
    """Predict the next token, of running text or of the assistant's turns."""

    def __init__(self, model: GPT, corpus: Any, tokenizer: Tokenizer, runtime: Runtime, compiled: bool) -> None:
        self.model, self.tokenizer, self.runtime = model, tokenizer, runtime
        self.context = model.config.max_position_embeddings
        self.rows = make_rows(corpus.train, tokenizer, self.context)
        self.valid_rows = make_rows(corpus.valid, tokenizer, self.context)
        self.hidden_states = runtime.compiled(model.hidden_states) if compiled else model.hidden_states
        model.answers = isinstance(self.rows, ConversationRows)
        model.memory = getattr(corpus, "memory", None)

    def loss(self, batch: Any) -> Tensor:
        return summed_loss(self.model, batch, self.hidden_states)

    def evaluate(self, limit: int | None, at_once: int, final: bool) -> Scores | None:
        """Loss and perplexity. In the final measurement no token of running text is judged without context."""
        overlap = self.context // 2 if final else 0
        return evaluate(self.model, self.valid_rows, self.tokenizer, self.runtime, limit, at_once, overlap)

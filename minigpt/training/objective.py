"""What the training loop needs to know of what it trains: an objective, its rows, batches and scores."""

from __future__ import annotations

from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from ..model.chat_model import ChatModel


class Scores(Protocol):
    """A measurement on held-out rows, with a sentence as str."""

    @property
    def loss(self) -> float: ...

    def as_dict(self) -> dict[str, Any]: ...


class Batch(Protocol):
    """Some rows of a table. `inputs` has one entry a row, tokens inside."""

    inputs: Tensor

    def num_targets(self) -> int:
        """What the summed loss is divided by."""

    def rows(self, part: slice) -> Self: ...

    def to(self, device: torch.device) -> Self: ...


class Table(Protocol):
    """The rows of one epoch, in order."""

    def __len__(self) -> int: ...

    def batch(self, start: int, stop: int) -> Any: ...


class Rows(Protocol):
    """What there is to learn from: a table for each epoch, a function of (number, seed) alone."""

    token_count: int

    def epoch(self, number: int, seed: int) -> Table: ...


class Objective(Protocol):
    """What a run is after. Language modelling is the one behind pre-training and SFT; the reward model and DPO have
    their own, and the loop stays the same."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""

    @property
    def chat(self) -> ChatModel:
        """The language model in it, with its tokenizer."""

    @property
    def rows(self) -> Rows:
        """What there is to learn from, in batches that `loss` understands."""

    def loss(self, batch: Any) -> Tensor:
        """The loss summed over what counts in `batch`."""

    @property
    def held_out(self) -> int:
        """How many validation rows there are."""

    def evaluate(self, limit: int | None, batch_size: int, final: bool) -> Scores | None:
        """Scores of the validation rows (of a fixed sample of `limit`, `batch_size` to a forward pass); None if nothing
        is held out. `final` is the measurement that goes into the card."""

    def finish(self) -> None:
        """What remains to be done with the trained model before it is saved."""

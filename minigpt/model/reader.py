"""Reader: rows of text that a model is reading, token by token, beside one another."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from .gpt import GPT
from .masks import padded_mask


class Reader:
    """Rows of text that a model is reading: `logits` [B, V] says what may come next in each of them.

    Prompts of unequal length are padded on the left, so that all rows end together; padding is masked out
    and positions are counted without it, so a row's scores do not depend on its neighbours.
    """

    def __init__(self, model: GPT, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        context = model.config.max_position_embeddings
        longest = max(len(prompt) for prompt in prompts)
        if min(len(prompt) for prompt in prompts) == 0:
            raise ValueError("a prompt is empty; give at least one token")
        if longest >= context:
            raise ValueError(f"a prompt of {longest} tokens leaves no room in a context of {context}")
        self.model = model
        rows = [torch.tensor(prompt, dtype=torch.long) for prompt in prompts]
        ids = pad_sequence(rows, batch_first=True, padding_side="left").to(model.device)
        real = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True, padding_side="left").bool()
        self.real = real.to(model.device)
        self.cache = model.new_cache(len(prompts), longest + min(max_new_tokens, context - longest))
        self.logits = self._read(ids)

    @property
    def room(self) -> int:
        """How many more tokens the cache holds."""
        return self.cache.capacity - self.cache.length

    def step(self, tokens: Tensor) -> Tensor:
        """Read one more token per row [B]; returns the scores [B, V] of what may follow."""
        if self.room == 0:
            self._end_at(self._longest(), self.cache.capacity)
        self.real = torch.cat([self.real, torch.ones_like(self.real[:, :1])], dim=1)
        self.logits = self._read(tokens[:, None])
        return self.logits

    def select(self, rows: Tensor) -> None:
        """Go on with these rows only, in this order; a row may be taken more than once."""
        self.real, self.logits = self.real[rows], self.logits[rows]
        self.cache.select(rows)

    def join(self, other: Reader) -> None:
        """Take over the rows of another reader of the same model: they go on below these, in step with them."""
        length = max(self._longest(), other._longest())
        capacity = min(self.model.config.max_position_embeddings, length + max(self.room, other.room))
        for reader in (self, other):
            reader._end_at(length, capacity)
        self.real, self.logits = torch.cat([self.real, other.real]), torch.cat([self.logits, other.logits])
        self.cache.keys = torch.cat([self.cache.keys, other.cache.keys], dim=1)
        self.cache.values = torch.cat([self.cache.values, other.cache.values], dim=1)

    def _longest(self) -> int:
        return int(self.real.sum(1).max())

    def _end_at(self, length: int, capacity: int) -> None:
        """Let all rows end at column `length`: what is padding in every row goes, or padding is added in front."""
        old, kept = self.cache, min(length, self.cache.length)
        self.cache = self.model.new_cache(self.real.size(0), capacity)
        self.cache.keys[..., length - kept : length, :] = old.keys[..., old.length - kept : old.length, :]
        self.cache.values[..., length - kept : length, :] = old.values[..., old.length - kept : old.length, :]
        self.cache.length = length
        self.real = F.pad(self.real[:, -kept:], (length - kept, 0))

    def _read(self, ids: Tensor) -> Tensor:
        positions = (self.real.long().cumsum(1) - 1).clamp_min(0)[:, -ids.size(1) :]
        mask = None if self.real.all() else padded_mask(self.real, ids.size(1))
        hidden = self.model.hidden_states(ids, positions=positions, mask=mask, cache=self.cache)
        return self.model.logits(hidden[:, -1]).float()

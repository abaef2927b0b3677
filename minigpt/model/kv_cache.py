"""The KV cache: what attention has already computed, so that each new token costs one forward step."""

from __future__ import annotations

import torch
from torch import Tensor

from ..config import ModelConfig


class KVCache:
    """Keys and values of the tokens already read, so that each new token costs one forward step.

    Memory is taken once: `capacity` positions for each of `rows` rows. `length` counts the positions in use.
    """

    def __init__(self, config: ModelConfig, rows: int, capacity: int, device: torch.device, dtype: torch.dtype) -> None:
        shape = (config.num_hidden_layers, rows, config.num_key_value_heads, capacity, config.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.capacity = capacity
        self.length = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Store keys and values [B, K, T, D] of one layer; returns all of that layer's [B, K, S, D].

        `length` moves on only when the whole model has read the tokens (see `GPT.hidden_states`).
        """
        end = self.length + keys.size(2)
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def select(self, rows: Tensor) -> None:
        """Keep these rows, in this order; a row may be taken more than once (beam search)."""
        self.keys, self.values = self.keys[:, rows], self.values[:, rows]

"""GPT: a decoder-only transformer, in two shapes from one file.

"qwen3" (the default) is the modern shape: RMSNorm, rotary positions, normalised queries and keys, SwiGLU,
grouped-query attention. "gpt2" is the classic one: LayerNorm, learned positions, GELU, biases. Both put the
norms before each branch and tie the output projection to the token embedding.

Shapes in this file: B rows, T new tokens, S keys (cached and new), C hidden size, H heads, K key-value heads,
D head size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..config import ModelConfig
from .kv_cache import KVCache
from .masks import causal_mask, packed_mask, packed_positions


def explicit_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Attention as the formula reads, softmax(q k^T / sqrt(D)) v ("Attention Is All You Need", section 3.2.1).

    q [B, H, T, D]; k and v [B, H, S, D]; mask as above, None for plain causal. Returns the output [B, H, T, D]
    and the weights [B, H, T, S], each row of which sums to 1.
    """
    if mask is None:
        mask = causal_mask(q.size(2), k.size(2), q.device)
    scores = (q @ k.transpose(-2, -1)).float() / math.sqrt(q.size(-1))
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights.to(v.dtype) @ v, weights


class RMSNorm(nn.Module):
    """Divide by the root mean square, then scale (Zhang & Sennrich 2019). Computed in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


class Rotary(nn.Module):
    """Rotary positions (Su et al. 2021): turn each pair (i, i + D/2) of a head by an angle that grows with position."""

    cos: Tensor
    sin: Tensor

    def __init__(self, head_dim: int, positions: int, theta: float) -> None:
        super().__init__()
        frequencies = theta ** (-torch.arange(0, head_dim, 2).float() / head_dim)
        angles = torch.outer(torch.arange(positions).float(), frequencies)
        self.register_buffer("cos", torch.cat([angles.cos(), angles.cos()], dim=-1), persistent=False)
        self.register_buffer("sin", torch.cat([-angles.sin(), angles.sin()], dim=-1), persistent=False)

    def angles(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin for positions [B, T], as [B, 1, T, D] to broadcast over heads."""
        return self.cos[positions].unsqueeze(1), self.sin[positions].unsqueeze(1)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """x [B, H, T, D] turned by (cos, sin) [B, 1, T, D]."""
    cos, sin = (a.to(x.dtype) for a in angles)
    return x * cos + x.roll(x.size(-1) // 2, dims=-1) * sin


class Attention(nn.Module):
    """Causal self-attention; with grouped queries, H/K query heads share one key-value head (Ainslie et al. 2023)."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config, self.layer = config, layer
        size, bias = config.hidden_size, config.bias
        self.q_proj = nn.Linear(size, config.num_attention_heads * config.head_dim, bias=bias)
        self.k_proj = nn.Linear(size, config.num_key_value_heads * config.head_dim, bias=bias)
        self.v_proj = nn.Linear(size, config.num_key_value_heads * config.head_dim, bias=bias)
        self.o_proj = nn.Linear(config.num_attention_heads * config.head_dim, size, bias=bias)
        self.q_norm: nn.Module = nn.Identity()
        self.k_norm: nn.Module = nn.Identity()
        if config.architecture == "qwen3":
            # Queries and keys of length one keep the scores bounded (Dehghani et al. 2023, section 2.1).
            self.q_norm = RMSNorm(config.head_dim, config.norm_eps)
            self.k_norm = RMSNorm(config.head_dim, config.norm_eps)

    def forward(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor] | None,
        mask: Tensor | None,
        cache: KVCache | None,
        attentions: list[Tensor] | None,
    ) -> Tensor:
        rows, tokens, _ = x.shape
        q, k, v = (
            project(x).view(rows, tokens, -1, self.config.head_dim)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k, v = self.q_norm(q).transpose(1, 2), self.k_norm(k).transpose(1, 2), v.transpose(1, 2)
        if angles is not None:
            q, k = rotate(q, angles), rotate(k, angles)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        if k.size(1) < q.size(1):
            group = q.size(1) // k.size(1)
            k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        if attentions is not None:
            out, weights = explicit_attention(q, k, v, mask)
            attentions.append(weights)
        else:
            dropout = self.config.dropout if self.training else 0.0
            out = F.scaled_dot_product_attention(
                q, k, v, mask, dropout_p=dropout, is_causal=mask is None and tokens > 1
            )
        return self.o_proj(out.transpose(1, 2).reshape(rows, tokens, -1))


class SwiGLU(nn.Module):
    """down(silu(gate(x)) * up(x)) (Shazeer 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class ClassicMLP(nn.Module):
    """down(gelu(up(x))), GPT-2's feed-forward layer with its tanh approximation of GELU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))


def make_norm(config: ModelConfig) -> nn.Module:
    if config.architecture == "qwen3":
        return RMSNorm(config.hidden_size, config.norm_eps)
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): one residual path from the embedding to the output."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = make_norm(config)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = make_norm(config)
        self.mlp = SwiGLU(config) if config.architecture == "qwen3" else ClassicMLP(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, *attention_inputs: Any) -> Tensor:
        x = x + self.dropout(self.self_attn(self.input_layernorm(x), *attention_inputs))
        return x + self.dropout(self.mlp(self.post_attention_layernorm(x)))


class GPT(nn.Module):
    """Token ids in, a score for every possible next token out.

    `GPT(config)` builds a model of random weights. Shapes and names are those of Hugging Face's Qwen3 and GPT-2.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.rotary: Rotary | None = None
        self.embed_positions: nn.Embedding | None = None
        if config.architecture == "qwen3":
            self.rotary = Rotary(config.head_dim, config.max_position_embeddings, config.rope_theta)
        else:
            self.embed_positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = make_norm(config)
        self.apply(self._init_weights)

    def _init_weights(self, module: nn.Module) -> None:
        """Normal weights, std 0.02. The two projections that write into the residual path are divided by
        sqrt(2 layers), so that its variance does not grow with depth (GPT-2, section 2.3). Wide embeddings start
        smaller: the tied output scores the token just read at about width * std, and must not begin by repeating it."""
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=min(0.02, 5 / self.config.hidden_size))
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, Block):
            for projection in (module.self_attn.o_proj, module.mlp.down_proj):
                nn.init.normal_(projection.weight, std=0.02 / math.sqrt(2 * self.config.num_hidden_layers))

    def hidden_states(
        self,
        ids: Tensor,
        *,
        positions: Tensor | None = None,
        mask: Tensor | None = None,
        segments: Tensor | None = None,
        cache: KVCache | None = None,
        attentions: list[Tensor] | None = None,
    ) -> Tensor:
        """The last layer's normalised output [B, T, C] for ids [B, T].

        `positions` [B, T] defaults to 0, 1, 2 ... after what the cache holds; `mask` (True where a query may look)
        to plain causal. `segments` [B, T] numbers the texts of packed rows: they do not see each other, and each starts
        at position 0. Given a list `attentions`, attention runs by the explicit formula and every layer adds
        its weights [B, H, T, S] to the list.
        """
        past = cache.length if cache is not None else 0
        tokens = ids.size(1)
        if segments is not None:
            positions, mask = packed_positions(segments), packed_mask(segments)
        if past + tokens > self.config.max_position_embeddings and positions is None:
            raise ValueError(f"{past + tokens} tokens do not fit the context of {self.config.max_position_embeddings}")
        if positions is None:
            positions = torch.arange(past, past + tokens, device=ids.device).unsqueeze(0)
        if mask is None and past and tokens > 1:
            mask = causal_mask(tokens, past + tokens, ids.device)
        x = self.embed_tokens(ids)
        angles = None
        if self.rotary is not None:
            angles = self.rotary.angles(positions)
        elif self.embed_positions is not None:
            x = x + self.embed_positions(positions)
        x = self.dropout(x)
        for layer in self.layers:
            x = layer(x, angles, mask, cache, attentions)
        if cache is not None:
            cache.length = past + tokens
        return self.norm(x)

    def forward(self, ids: Tensor, **context: Any) -> Tensor:
        """Next-token scores (logits) [B, T, vocabulary] for ids [B, T]; `context` as in `hidden_states`."""
        return self.logits(self.hidden_states(ids, **context))

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., C] -> [..., vocabulary]: the output projection is the token embedding, read backwards."""
        return F.linear(hidden, self.embed_tokens.weight)

    @property
    def device(self) -> torch.device:
        return self.embed_tokens.weight.device

    def new_cache(self, rows: int, capacity: int | None = None) -> KVCache:
        """An empty cache for `rows` rows of up to `capacity` tokens (default: the whole context)."""
        limit = self.config.max_position_embeddings
        return KVCache(self.config, rows, capacity or limit, self.device, self.embed_tokens.weight.dtype)

    def parameter_count(self) -> int:
        return sum(p.numel() for p in self.parameters())


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout off and no gradients inside; the model's mode is put back afterwards, whatever happens."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)

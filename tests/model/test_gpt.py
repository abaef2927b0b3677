"""The model is a GPT: causal, position-aware, every layer in use, and the same however its rows are arranged."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.models import make_model
from torch.nn import functional as F

from minigpt import GPT, ModelConfig, UserError
from minigpt.model.gpt import evaluating, explicit_attention
from minigpt.model.masks import causal_mask, packed_mask, padded_mask


def test_causality(model):
    """Changing a token changes nothing before it, and something from it on."""
    ids = torch.randint(0, 50, (1, 12))
    changed = ids.clone()
    changed[0, 6] = (ids[0, 6] + 1) % 50
    a, b = model(ids), model(changed)
    assert torch.equal(a[:, :6], b[:, :6])
    assert (a[:, 6:] - b[:, 6:]).abs().amax(-1).min() > 1e-4


def test_defect_01_positions_belong_to_tokens_not_to_rows(model):
    """A row's scores do not depend on the rows beside it, and two tokens cannot swap places unnoticed."""
    ids = torch.randint(0, 50, (5, 10))
    together = model(ids)
    for row in range(5):
        assert torch.allclose(together[row], model(ids[row : row + 1])[0], atol=1e-5)
    swapped = ids[:1].clone()
    swapped[0, [2, 3]] = torch.tensor([7, 9])
    other = swapped.clone()
    other[0, [2, 3]] = torch.tensor([9, 7])
    assert not torch.allclose(model(swapped)[0, -1], model(other)[0, -1], atol=1e-4)
    assert model(torch.randint(0, 50, (40, 3))).shape == (40, 3, 50)  # more rows than positions


def test_defect_05_one_residual_and_one_norm_per_branch():
    """With both branches silenced a block is the identity: nothing is added or normalised twice."""
    for architecture in ("qwen3", "gpt2"):
        block = make_model(architecture).layers[0]
        with torch.no_grad():
            for projection in (block.self_attn.o_proj, block.mlp.down_proj):
                projection.weight.zero_()
                if projection.bias is not None:
                    projection.bias.zero_()
        x = torch.randn(2, 5, 32)
        angles = (torch.ones(1, 1, 5, 8), torch.zeros(1, 1, 5, 8))
        assert torch.equal(block(x, angles, None, None, None), x)


def test_defect_06_every_layer_is_used(model):
    ids = torch.randint(0, 50, (1, 8))
    before = model(ids)
    for layer in model.layers:
        kept = layer.self_attn.v_proj.weight.detach().clone()
        with torch.no_grad():
            layer.self_attn.v_proj.weight.zero_()
        assert not torch.allclose(model(ids), before, atol=1e-4)
        with torch.no_grad():
            layer.self_attn.v_proj.weight.copy_(kept)


def test_defect_14_evaluating_restores_the_mode(model):
    model.train()
    with evaluating(model):
        assert not model.training and not torch.is_grad_enabled()
    assert model.training and torch.is_grad_enabled()
    with pytest.raises(RuntimeError, match="inside"), evaluating(model):
        raise RuntimeError("inside")
    assert model.training
    model.eval()
    with evaluating(model):
        pass
    assert not model.training


@pytest.mark.parametrize("depth", [1, 4, 8])
@pytest.mark.parametrize("architecture", ["qwen3", "gpt2"])
def test_initial_loss_is_that_of_a_guess(architecture, depth):
    torch.manual_seed(0)
    model = GPT(ModelConfig.from_depth(4096, 64, depth, architecture=architecture))
    ids = torch.randint(0, 4096, (4, 64))
    with torch.no_grad():
        loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert loss.item() == pytest.approx(math.log(4096), rel=0.02)


def test_overfits_a_handful_of_rows():
    torch.manual_seed(0)
    model = GPT(ModelConfig.from_depth(50, 16, depth=2, hidden_size=64))
    ids = torch.randint(0, 50, (8, 16))
    ids[:, 0] = torch.arange(8)  # distinct first tokens, so the rest can be told apart
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(250):
        loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_cached_equals_uncached(model):
    """Reading in pieces of any size gives the scores of reading at once."""
    ids = torch.randint(0, 50, (3, 20))
    whole = model(ids)
    cache = model.new_cache(3)
    pieces = [model(part, cache=cache) for part in ids.split([5, 1, 1, 6, 7], dim=1)]
    assert torch.allclose(torch.cat(pieces, dim=1), whole, atol=1e-5)
    with pytest.raises(ValueError, match="do not fit the context"):
        model(torch.randint(0, 50, (3, 13)), cache=cache)


def test_explicit_attention_equals_the_fast_one(model):
    ids = torch.randint(0, 50, (2, 9))
    weights: list[torch.Tensor] = []
    slow = model(ids, attentions=weights)
    assert torch.allclose(slow, model(ids), atol=1e-5)
    assert len(weights) == 2
    for layer in weights:
        assert layer.shape == (2, 4, 9, 9)
        assert torch.allclose(layer.sum(-1), torch.ones(2, 4, 9), atol=1e-5)
        assert layer.triu(1).abs().max() == 0


@pytest.mark.parametrize("padding", [1, 7])
def test_a_row_alone_equals_the_row_padded(model, padding):
    """k padding tokens on the left change no score, alone or in a batch."""
    row = torch.randint(1, 50, (1, 8))
    ids = torch.cat([torch.zeros(1, padding, dtype=torch.long), row], dim=1)
    batch = torch.cat([ids, torch.randint(0, 50, ids.shape)])
    real = torch.ones_like(batch, dtype=torch.bool)
    real[0, :padding] = False
    positions = (real.long().cumsum(1) - 1).clamp_min(0)
    scores = model(batch, positions=positions, mask=padded_mask(real, batch.size(1)))
    assert torch.allclose(scores[0, padding:], model(row)[0], atol=1e-5)
    assert torch.isfinite(scores).all()


def test_masks_by_hand():
    assert causal_mask(2, 4, torch.device("cpu")).tolist() == [[True, True, True, False], [True] * 4]
    packed = packed_mask(torch.tensor([[1, 1, 2]]))
    assert packed[0, 0].tolist() == [[True, False, False], [True, True, False], [False, False, True]]
    padded = padded_mask(torch.tensor([[False, True, True]]), 3)
    assert padded[0, 0].tolist() == [[True, False, False], [False, True, False], [False, True, True]]
    q = k = v = torch.eye(3)[None, None]
    out, weights = explicit_attention(q, k, v, None)
    assert torch.equal(out, weights)  # the values are one-hot


def test_depth_is_one_dial_and_each_value_can_be_overridden():
    for depth in (1, 2, 3, 5, 6, 12):
        config = ModelConfig.from_depth(100, 64, depth)
        assert config.num_hidden_layers == depth and config.hidden_size == 64 * depth
        assert config.num_attention_heads % config.num_key_value_heads == 0
    config = ModelConfig.from_depth(100, 64, 2, hidden_size=96, num_attention_heads=3, intermediate_size=50)
    assert (config.hidden_size, config.head_dim, config.intermediate_size) == (96, 32, 50)


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        (dict(depth=0), "--depth"),
        (dict(num_attention_heads=3), "cut into 3 heads"),
        (dict(num_key_value_heads=3, num_attention_heads=4), "key-value"),
        (dict(architecture="llama"), "llama"),
        (dict(dropout=1.0), "dropout"),
        (dict(intermediate_size=0), "intermediate_size"),
    ],
)
def test_impossible_shapes_are_refused_in_a_sentence(wrong, names):
    with pytest.raises(UserError, match=names):
        ModelConfig.from_depth(100, 64, **{"depth": 2, **wrong})

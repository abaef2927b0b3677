"""Fixtures shared by the tests: one thread, a small tokenizer, small models of both shapes."""

from __future__ import annotations

import pytest
import torch

from minigpt import GPT, ModelConfig, Tokenizer

TEXT = """The harbour town wakes early. Boats leave before the sun is up, and gulls follow them out.
At noon the market opens: bread, apples, 3 kinds of cheese and 12 kinds of fish.
"Good morning," says the baker. "How are you?" - "Fine, thank you!"
In the evening everybody meets at the bridge, and somebody plays the old accordion.
"""


@pytest.fixture(autouse=True)
def one_thread():
    """Tests that compare bits need sums in one order; small tensors are faster this way too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Tests compare to five digits; some CPUs would choose bf16."""
    monkeypatch.setattr("minigpt.runtime._fast_bf16", lambda device: False)


@pytest.fixture(scope="session")
def text() -> str:
    return TEXT


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return Tokenizer.train([TEXT], 340)


def make_model(
    architecture: str = "qwen3", *, vocab: int = 50, context: int = 32, depth: int = 2, seed: int = 0, **shape
) -> GPT:
    """A small model with weights large enough for its outputs to differ clearly from token to token."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 32, "num_attention_heads": 4, **shape}
    model = GPT(ModelConfig.from_depth(vocab, context, depth, architecture=architecture, **shape))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(6)
    return model.eval()


@pytest.fixture(params=["qwen3", "gpt2"])
def model(request) -> GPT:
    return make_model(request.param)

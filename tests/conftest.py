"""Fixtures shared by the tests: one thread, a small tokenizer, small models of both shapes, one that has learned to
answer, and PPO on it."""

from __future__ import annotations

import copy
import json
import random
import socket
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from minigpt import GPT, Conversation, CorpusLoader, ModelConfig, Tokenizer, Trainer, Turn
from minigpt.config import PPOConfig
from minigpt.examples import Prompt
from minigpt.policy import Policy
from minigpt.ppo import Episode
from minigpt.ppo_trainer import PPOTrainer
from minigpt.runtime import detect

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


@pytest.fixture
def no_sockets(monkeypatch) -> None:
    """Whoever opens a socket, or asks for an address, fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


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


# A model that answers, and PPO on it: an answer is one to seven of these words, each of which is one token.

WORDS = ("the", "and", "a", "t", "o", "b", "f", "k")


def small_talk(count: int, seed: int = 0) -> list[Conversation]:
    rng = random.Random(seed)
    return [
        Conversation(
            (
                Turn("user", " ".join(rng.choices(WORDS, k=rng.randint(2, 5))) + "?"),
                Turn("assistant", " ".join(rng.choices(WORDS, k=rng.randint(1, 7)))),
            ),
            group=str(i),
        )
        for i in range(count)
    ]


def write_talks(path: Path) -> None:
    """240 conversations of one question each, as a messages file."""
    talks = [
        {"messages": [{"role": "user", "content": f"the {i}?"}, {"role": "assistant", "content": "a"}]}
        for i in range(240)
    ]
    path.write_text("\n".join(map(json.dumps, talks)), encoding="utf-8")


@pytest.fixture(scope="session")
def speaker(tokenizer) -> GPT:
    """A model after fine-tuning. Whoever changes it, copies it first."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_attention_heads": 2}
    model = GPT(ModelConfig.from_depth(tokenizer.vocab_size, 40, 1, **shape), tokenizer)
    corpus = CorpusLoader(small_talk(256), [], tokenizer=tokenizer)
    Trainer(model, corpus, steps=80, batch_size=16, learning_rate=1e-2, device="cpu").train()
    return model.eval()


def questions(count: int, seed: int = 1) -> list[Prompt]:
    return [Prompt(talk.turns[:1], talk.group) for talk in small_talk(count, seed)]


def share_of_f(episodes: Sequence[Episode]) -> list[float]:
    """The reward of the bandit: what part of an answer is the word "f"."""
    return [episode.text.split().count("f") / (len(episode.ids) - episode.start) for episode in episodes]


def make_ppo(speaker: GPT, reward: Any = share_of_f, *, policy: GPT | None = None, **options: Any) -> PPOTrainer:
    """A small PPO run with `speaker` as the reference; `options` are settings, or the trainer's own."""
    names = {f.name for f in fields(PPOConfig)}
    settings = dict(updates=3, episodes=16, minibatch=8, micro_batch=8, ppo_epochs=2, learning_rate=5e-4,
                    value_rate=1e-2, max_new_tokens=6, evaluations=1, evaluation_prompts=16)  # fmt: skip
    settings |= {name: value for name, value in options.items() if name in names}
    return PPOTrainer(
        Policy(copy.deepcopy(policy or speaker)),
        copy.deepcopy(speaker),
        reward,
        questions(64),
        questions(16, seed=2),
        PPOConfig(**settings),
        **{"runtime": detect("cpu", "fp32"), **{k: v for k, v in options.items() if k not in names}},
    )

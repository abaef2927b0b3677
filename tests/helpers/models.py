"""Small models, small talk and a small PPO run, which many tests share."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from minigpt import GPT, Conversation, ModelConfig, Turn
from minigpt.alignment.formulas import Episode
from minigpt.alignment.policy import Policy
from minigpt.alignment.ppo import PPOTrainer
from minigpt.config import PPOConfig
from minigpt.data.examples import Prompt
from minigpt.training.device import detect

TEXT = """The harbour town wakes early. Boats leave before the sun is up, and gulls follow them out.
At noon the market opens: bread, apples, 3 kinds of cheese and 12 kinds of fish.
"Good morning," says the baker. "How are you?" - "Fine, thank you!"
In the evening everybody meets at the bridge, and somebody plays the old accordion.
"""


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

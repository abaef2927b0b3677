"""Small models, small talk and a small PPO run, which many tests share."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from minigpt import (
    GPT,
    ChatModel,
    Conversation,
    CorpusLoader,
    LanguageModelling,
    ModelConfig,
    Trainer,
    TrainingConfig,
    Turn,
)
from minigpt.alignment.policy import Policy
from minigpt.alignment.ppo import PPOTrainer
from minigpt.alignment.rollout import Task
from minigpt.config import PPOConfig
from minigpt.data.examples import Prompt
from minigpt.data.tokenizer import Tokenizer
from minigpt.model.responses import Response
from minigpt.training.device import Runtime, detect

TEXT = """The harbour town wakes early. Boats leave before the sun is up, and gulls follow them out.
At noon the market opens: bread, apples, 3 kinds of cheese and 12 kinds of fish.
"Good morning," says the baker. "How are you?" - "Fine, thank you!"
In the evening everybody meets at the bridge, and somebody plays the old accordion.
"""


def make_model(
    architecture: str = "qwen3", *, vocab: int = 50, context: int = 32, depth: int = 2, seed: int = 0, **shape: Any
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


def make_chat(tokenizer: Tokenizer, *, is_chat: bool = True, max_turns: int | None = None, **shape: Any) -> ChatModel:
    """`make_model` with a tokenizer."""
    return ChatModel(make_model(vocab=tokenizer.vocab_size, **shape), tokenizer, is_chat, max_turns)


def make_trainer(chat: ChatModel, corpus: CorpusLoader, runtime: Runtime | None = None, **options: Any) -> Trainer:
    """A Trainer of a language model; `options` are settings, or the Trainer's own."""
    names = {f.name for f in fields(TrainingConfig)}
    config = TrainingConfig(**{name: value for name, value in options.items() if name in names})
    runtime = runtime or detect("cpu", "fp32")
    objective = LanguageModelling(chat, corpus, runtime, config.compile)
    return Trainer(objective, config, runtime, **{k: v for k, v in options.items() if k not in names})


def share_of_f(responses: Sequence[Response]) -> list[float]:
    """The reward of the bandit: what part of an answer is the word "f"."""
    return [response.text.split().count("f") / (len(response.ids) - response.start) for response in responses]


def copy_of(chat: ChatModel) -> ChatModel:
    """A chat model whose weights may be changed."""
    return replace(chat, gpt=copy.deepcopy(chat.gpt))


def make_ppo(
    speaker: ChatModel, reward: Any = share_of_f, *, policy: ChatModel | None = None, **options: Any
) -> PPOTrainer:
    """A small PPO run with `speaker` as the reference; `options` are settings, or the trainer's own."""
    names = {f.name for f in fields(PPOConfig)}
    settings: dict[str, Any] = dict(updates=3, episodes=16, minibatch=8, micro_batch=8, ppo_epochs=2, lr=5e-4,
                    value_lr=1e-2, max_new_tokens=6, evaluations=1, evaluation_prompts=16)  # fmt: skip
    settings |= {name: value for name, value in options.items() if name in names}
    task = Task(copy.deepcopy(speaker.gpt), reward, questions(64), questions(16, seed=2), options.pop("marks", None))
    return PPOTrainer(
        Policy(copy_of(policy or speaker)),
        task,
        PPOConfig(**settings),
        **{"runtime": detect("cpu", "fp32"), **{k: v for k, v in options.items() if k not in names}},
    )

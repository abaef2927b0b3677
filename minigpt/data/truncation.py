"""What a model gets to read: a conversation as token ids, and as much of it as fits the context."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ..model.gpt import GPT
from .examples import Prompt, Turn, latest
from .shorten import ENDS, shorten


def prompt_ids(model: GPT, turns: Sequence[Turn]) -> list[int]:
    """The ids after which the model speaks; one that has not learned to answer gets the bare text to go on with."""
    tokenizer = model.tokenizer
    if tokenizer is None:
        raise ValueError("this model has no tokenizer; set model.tokenizer first")
    if model.answers:
        return tokenizer.encode_prompt(turns)
    return tokenizer.encode_document(" ".join(turn.text for turn in turns))


@dataclass(frozen=True)
class Window:
    """The token ids that the model reads, and how many of the oldest turns did not fit."""

    ids: list[int]
    dropped: int


def fit_turns(model: GPT, turns: Sequence[Turn], reserve: int) -> Window:
    """As many of the last turns as leave `reserve` tokens for the reply, and no more than the model's `memory`; whole
    turns only, and a user's turn first.

    Raises ValueError if even the last turn alone is too long.
    """
    room = model.config.max_position_embeddings - reserve
    for start in range(len(turns) - len(latest(turns, model.memory)), len(turns)):
        if turns[start].role == "assistant":
            continue
        ids = prompt_ids(model, turns[start:])
        if len(ids) <= room:
            return Window(ids, dropped=start)
    raise ValueError(f"this text is longer than the {room} tokens that the model can read; make it shorter")


def fits(model: GPT, turns: Sequence[Turn], reserve: int) -> bool:
    """Whether at least the last turn leaves `reserve` tokens for the reply."""
    return len(prompt_ids(model, turns[-1:])) <= model.config.max_position_embeddings - reserve


def fit_prompts(model: GPT, prompts: Sequence[Prompt], reserve: int) -> tuple[list[Prompt], Counter[str]]:
    """The prompts that leave `reserve` tokens for the reply. A last question that does not loses its last sentences;
    that, and prompts that are too long even so, is counted."""
    fitting: list[Prompt] = []
    lost: Counter[str] = Counter()
    for prompt in prompts:
        if not fits(model, prompt.turns, reserve):
            room = model.config.max_position_embeddings - reserve - 1  # the mark that asks the assistant to speak
            shorter = shorten(model.tokenizer, prompt.turns[-1:], room) if model.tokenizer else None
            lost[ENDS if shorter else "prompts too long for the context"] += 1
            if shorter is None:
                continue
            prompt = Prompt(shorter, prompt.group)
        fitting.append(prompt)
    return fitting, lost

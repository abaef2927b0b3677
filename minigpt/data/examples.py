"""What a corpus holds and a model learns from: documents, conversations, and what people think of answers.

Every example carries a `group`: the document it belongs to (an article, a film, an episode).
Training and validation data are split by group, so that nothing leaks from one to the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class Document:
    """Running text to pre-train on; `words` counts the words of the published file,
    before detokenising, so that word-level perplexity compares with papers."""

    text: str
    group: str = ""
    words: int = 0


@dataclass(frozen=True)
class Turn:
    """One utterance; `role` is one of `ROLES`."""

    role: str
    text: str


@dataclass(frozen=True)
class Conversation:
    """Turns in the order they were spoken, ending in a turn of the assistant. With `last_only` that turn alone is
    learned and asked for; what the assistant has said before is there to be read."""

    turns: tuple[Turn, ...]
    group: str = ""
    last_only: bool = False


@dataclass(frozen=True)
class Comparison:
    """Two answers to one prompt, the first of them preferred."""

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    group: str = ""


@dataclass(frozen=True)
class RatedAnswer:
    """An answer to a prompt and the score a person gave it, on whatever scale the corpus uses."""

    prompt: tuple[Turn, ...]
    answer: str
    rating: float
    group: str = ""


@dataclass(frozen=True)
class LabelledText:
    """A text and the label somebody gave it."""

    text: str
    label: str
    group: str = ""


@dataclass(frozen=True)
class Prompt:
    """Turns that wait for an answer: the last of them is the user's."""

    turns: tuple[Turn, ...]
    group: str = ""


def prompts_of(examples: Iterable[Any]) -> list[Prompt]:
    """What is asked in examples of any kind that asks; a conversation asks wherever the assistant speaks."""
    prompts: list[Prompt] = []
    for example in examples:
        if isinstance(example, Prompt):
            prompts.append(example)
        elif isinstance(example, Conversation):
            ends = [i for i, turn in enumerate(example.turns) if turn.role == "assistant"]
            ends = ends[-1:] if example.last_only else ends
            prompts += [Prompt(example.turns[:end], example.turns[end - 1].text.lower()) for end in ends]
        elif getattr(example, "prompt", ()):
            prompts.append(Prompt(example.prompt, example.group))
    return prompts

"""What a corpus holds and a model learns from: documents, conversations, comparisons, labelled texts.

Every example carries a `group`: the document it belongs to (an article, a film, an episode).
Training and validation data are split by group, so that nothing leaks from one to the other.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    """Turns in the order they were spoken, ending in a turn of the assistant."""

    turns: tuple[Turn, ...]
    group: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two answers to one prompt, the first of them preferred."""

    prompt: tuple[Turn, ...]
    chosen: str
    rejected: str
    group: str = ""


@dataclass(frozen=True)
class LabelledText:
    """A text and the label somebody gave it."""

    text: str
    label: str
    group: str = ""

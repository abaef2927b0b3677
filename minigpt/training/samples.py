"""What a model writes at each validation, so that a reader sees it learn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.examples import Conversation, Document, Prompt, Turn
from ..model.chat_model import ChatModel
from ..model.responses import respond
from ..model.sampling import Sampling

SHOWN = 3  # prompts that each validation answers
LENGTH = 50  # tokens of each sample, or half the context


class Sampler:
    """What the model makes of a few validation prompts, always the same ones."""

    def __init__(self, chat: ChatModel, examples: Sequence[Any]) -> None:
        self.chat = chat
        length = min(LENGTH, chat.context // 2)
        openings = [prompt for example in examples[: 20 * SHOWN : 20] if (prompt := opening(example)) is not None]
        self.prompts = [prompt for prompt in openings if chat.fit(prompt.turns, length) is not None][:SHOWN]
        self.length = length

    def __call__(self) -> list[dict[str, str]]:
        written = respond(self.chat, self.prompts, self.length, Sampling(0.8, top_k=50))
        return [{"prompt": response.turns[-1].text, "text": response.text} for response in written]


def opening(example: Document | Conversation) -> Prompt | None:
    """The first words of a document after its heading, or a conversation up to its last question."""
    if isinstance(example, Conversation):
        return Prompt(example.turns[:-1])
    lines = [line for line in example.text.split("\n") if line.strip() and not line.startswith("=")]
    return Prompt((Turn("user", " ".join(lines[0].split(" ")[:6])),)) if lines else None

"""A conversation with a model: what it gets to read, and its reply as a stream of text.

Two modes: "dialogue" remembers as many of the last turns as fit the context, "qa" answers each question by itself.
The terminal and the web page use the same class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .data.examples import Turn
from .data.tokenizer import TextStream
from .model.beam import beam_search
from .model.chat_model import ChatModel
from .model.generate import stream
from .model.sampling import CHATTY, Sampling

MODES = ("dialogue", "qa")


@dataclass
class Chat:
    """A conversation in progress. `reserve` tokens of the context are kept free for each reply."""

    model: ChatModel
    sampling: Sampling = CHATTY
    mode: str = "dialogue"
    max_new_tokens: int = 80
    beam_width: int = 0
    turns: list[Turn] = field(default_factory=list)
    dropped: int = 0

    def reply(self, text: str) -> Iterator[str]:
        """Say `text`; yields the reply piece by piece. A dialogue remembers both, also of a reply that is cut off."""
        # A model that has not learned to answer gets the bare text, and goes on with it.
        history = self.turns if self.mode == "dialogue" and self.model.is_chat else []
        turns = [*history, Turn("user", text)]
        reserve = min(self.max_new_tokens, self.model.context // 2)
        fitted = self.model.need_fit(turns, reserve)
        self.dropped = fitted.dropped
        gpt, stop = self.model.gpt, self.model.stop
        if self.beam_width:
            penalties = {name: getattr(self.sampling, name) for name in ("repetition_penalty", "no_repeat_ngram")}
            tokens = iter(beam_search(gpt, fitted.ids, reserve, self.beam_width, stop=stop, **penalties)[0].ids)
        else:
            tokens = stream(gpt, fitted.ids, reserve, self.sampling, stop)
        written = TextStream(self.model.tokenizer)
        pieces: list[str] = []
        try:
            for token in tokens:
                pieces.append(written.feed(token) if any(pieces) else written.feed(token).lstrip())
                yield pieces[-1]
            pieces.append(written.flush())
            yield pieces[-1]
        finally:
            if self.mode == "dialogue":
                self.turns = [*turns, Turn("assistant", "".join(pieces).strip())]

    def clear(self) -> None:
        self.turns, self.dropped = [], 0

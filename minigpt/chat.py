"""A conversation with a model: what it gets to read, and its reply as a stream of text.

Two modes: "dialogue" remembers as many of the last turns as fit the context, "qa" answers each question by itself.
The terminal and the web page use the same class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from .data.examples import Turn
from .data.tokenizer import TextStream
from .data.truncation import Window, fit_turns
from .model.generate import beam_search, stream
from .model.gpt import GPT
from .model.sampling import Sampling

MODES = ("dialogue", "qa")
CHATTY = Sampling(temperature=0.7, top_p=0.9)

__all__ = ["CHATTY", "MODES", "Chat", "Window", "fit_turns"]


@dataclass
class Chat:
    """A conversation in progress. `reserve` tokens of the context are kept free for each reply."""

    model: GPT
    sampling: Sampling = CHATTY
    mode: str = "dialogue"
    max_new_tokens: int = 80
    beam_width: int = 0
    turns: list[Turn] = field(default_factory=list)
    dropped: int = 0

    def reply(self, text: str) -> Iterator[str]:
        """Say `text`; yields the reply piece by piece. A dialogue remembers both, also of a reply that is cut off."""
        tokenizer = self.model.tokenizer
        assert tokenizer is not None
        # A model that has not learned to answer gets the bare text, and goes on with it.
        history = self.turns if self.mode == "dialogue" and self.model.answers else []
        turns = [*history, Turn("user", text)]
        reserve = min(self.max_new_tokens, self.model.config.max_position_embeddings // 2)
        window = fit_turns(self.model, turns, reserve)
        self.dropped = window.dropped
        stop = {tokenizer.eos, tokenizer.bos}
        if self.beam_width:
            wishes = {name: getattr(self.sampling, name) for name in ("repetition_penalty", "no_repeat_ngram")}
            tokens = iter(beam_search(self.model, window.ids, reserve, self.beam_width, stop=stop, **wishes)[0].ids)
        else:
            tokens = stream(self.model, window.ids, reserve, self.sampling, stop)
        written = TextStream(tokenizer)
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

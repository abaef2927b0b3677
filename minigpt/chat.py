"""A conversation with a model: what it gets to read, and its reply as a stream of text.

Two modes: "dialogue" remembers as many of the last turns as fit the context, "qa" answers each question by itself.
The terminal and the web page use the same class.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .decode import beam_search, stream
from .examples import Turn
from .model import GPT
from .sampling import Sampling
from .tokenizer import TextStream

MODES = ("dialogue", "qa")
CHATTY = Sampling(temperature=0.7, top_p=0.9)


@dataclass(frozen=True)
class Window:
    """The token ids that the model reads, and how many of the oldest turns did not fit."""

    ids: list[int]
    dropped: int


def fit_turns(model: GPT, turns: Sequence[Turn], reserve: int) -> Window:
    """As many of the last turns as leave `reserve` tokens for the reply; whole turns only, and a user's turn first.

    Raises ValueError if even the last turn alone is too long.
    """
    tokenizer = model.tokenizer
    assert tokenizer is not None
    room = model.config.max_position_embeddings - reserve
    for start in range(len(turns)):
        if turns[start].role == "assistant":
            continue
        if model.answers:
            ids = tokenizer.encode_prompt(turns[start:])
        else:
            ids = tokenizer.encode_document(" ".join(turn.text for turn in turns[start:]))
        if len(ids) <= room:
            return Window(ids, dropped=start)
    raise ValueError(f"this text is longer than the {room} tokens that the model can read; make it shorter")


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
            penalty, ngram = self.sampling.repetition_penalty, self.sampling.no_repeat_ngram
            found = beam_search(
                self.model,
                window.ids,
                reserve,
                self.beam_width,
                repetition_penalty=penalty,
                no_repeat_ngram=ngram,
                stop=stop,
            )
            tokens = iter(found[0].ids)
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

"""A chat model: a network, its tokenizer, and how it has learned to be spoken to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..data.examples import Turn
from ..data.longest import Encode, most_that_fit
from ..data.tokenizer import Tokenizer
from ..data.truncation import Fitted, beginning, fit, sentences, split_system
from .gpt import GPT


@dataclass(frozen=True)
class ChatModel:
    """What a checkpoint loads, and what everything that talks to a model takes.

    `is_chat` says whether the model has learned to answer (after SFT), or only to go on with a text. `max_turns` is
    how many of a chat's last turns it reads, as in training; None for as many as fit.
    """

    gpt: GPT
    tokenizer: Tokenizer
    is_chat: bool = False
    max_turns: int | None = None

    @property
    def context(self) -> int:
        """How many tokens the network sees at once."""
        return self.gpt.config.max_position_embeddings

    @property
    def device(self) -> torch.device:
        return self.gpt.device

    @property
    def stop(self) -> frozenset[int]:
        """The tokens at which an answer ends: the end of a turn, and the beginning of another document."""
        return frozenset((self.tokenizer.eos, self.tokenizer.bos))

    def encode(self, turns: Sequence[Turn]) -> list[int]:
        """The ids after which the model speaks; one that has not learned to answer gets the bare text to go on with."""
        if self.is_chat:
            return self.tokenizer.encode_prompt(turns)
        return self.tokenizer.encode_document(" ".join(turn.text for turn in turns))

    def fit(self, turns: Sequence[Turn], reserve: int) -> Fitted | None:
        """The turns cut so that `reserve` tokens of the context stay free for an answer; None if that can't be done."""
        return fit(turns, self.encode, self.context - reserve, self.max_turns)

    def need_fit(self, turns: Sequence[Turn], reserve: int) -> Fitted:
        """`fit` for somebody who waits for an answer: a system turn that leaves no room gives way. ValueError if the
        question is still too long."""
        fitted = self.fit(turns, reserve) or fit_without_system(turns, self.encode, self.context - reserve)
        if fitted is None:
            raise ValueError(
                f"this text is longer than the {self.context - reserve} tokens that the model can read; make it shorter"
            )
        return fitted


def fit_without_system(turns: Sequence[Turn], encode: Encode, room: int) -> Fitted | None:
    """The last question of a conversation that `fit` returned None for because its system turn leaves no room: the
    system turn keeps as many of its sentences as fit beside the question, which may be none."""
    system, rest = split_system(turns)
    fitted = fit(rest, encode, room, 1) if system else None
    if fitted is None:
        return None
    parts = sentences(system[0].text)

    def keeping_sentences(count: int) -> tuple[Turn, ...]:
        return (*((beginning(system[0], parts, count),) if count else ()), *fitted.turns)

    kept = keeping_sentences(most_that_fit(len(parts), keeping_sentences, encode, room))
    return Fitted(kept, encode(kept), len(turns) - len(kept), shortened=True)

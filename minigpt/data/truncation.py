"""The one rule by which a chat is cut to a context.

The system turn stays. The oldest exchanges go first, whole; if the last question alone is still too long, it loses its
last sentences. SFT, reward model, DPO, PPO, evaluation, terminal and page all cut here, so a model is never asked in a
way that it was not trained in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .examples import Turn
from .longest import Encode, most_that_fit

#: What such cuts are counted as.
OLDEST = "oldest turns of conversations too long for the context"
ENDS = "ends of texts too long for the context"
#: A sentence with what follows it: to a mark that ends it (and the quotes and brackets behind that), or to a line end.
SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n|\Z)\s*", re.DOTALL)


@dataclass(frozen=True)
class Fitted:
    """What is left of a conversation: its `turns` and their `ids`; how many turns were `dropped`, and whether the last
    question was `shortened`."""

    turns: tuple[Turn, ...]
    ids: list[int]
    dropped: int = 0
    shortened: bool = False

    @property
    def cut(self) -> str | None:
        """What the cut is counted as, if there was one."""
        return ENDS if self.shortened else OLDEST if self.dropped else None


def fit(turns: Sequence[Turn], encode: Encode, room: int, max_turns: int | None = None) -> Fitted | None:
    """Cut `turns`, of which the last is the user's, until `encode` makes at most `room` ids of them.

    `max_turns` is how many of the last turns the model reads at all, beside the system turn (None: all that fit).
    Returns None if not even the first sentence of the last question fits.
    """
    system, rest = split_system(last_turns(turns, max_turns))
    starts = [0, *(i for i, turn in enumerate(rest) if i and turn.role == "user")]

    def keeping_exchanges(count: int) -> tuple[Turn, ...]:
        return (*system, *rest[starts[-count] :])

    if count := most_that_fit(len(starts), keeping_exchanges, encode, room):
        kept = keeping_exchanges(count)
        return Fitted(kept, encode(kept), len(turns) - len(kept))
    *before, question = keeping_exchanges(1) or (Turn("", ""),)
    if question.role != "user":
        return None
    parts = sentences(question.text)

    def keeping_sentences(count: int) -> tuple[Turn, ...]:
        return (*before, beginning(question, parts, count))

    if not (count := most_that_fit(len(parts), keeping_sentences, encode, room)):
        return None
    kept = keeping_sentences(count)
    return Fitted(kept, encode(kept), len(turns) - len(kept), shortened=True)


def beginning(turn: Turn, parts: Sequence[str], count: int) -> Turn:
    """The turn with the first `count` of its sentences, `parts`."""
    return Turn(turn.role, "".join(parts[:count]).rstrip())


def last_turns(turns: Sequence[Turn], count: int | None) -> tuple[Turn, ...]:
    """The system turn, and the last `count` turns (None: all) from a turn on that is not the assistant's."""
    system, rest = split_system(turns)
    kept = rest[-count:] if count else rest
    return (*system, *(kept[1:] if kept and kept[0].role == "assistant" else kept))


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined they are the text again. A line end ends a sentence too, as after a title."""
    return SENTENCE.findall(text)


def split_system(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    system = tuple(turn for turn in turns[:1] if turn.role == "system")
    return system, tuple(turns[len(system) :])

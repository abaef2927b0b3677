"""The one rule by which a chat is cut to a context.

The system turn stays. The oldest exchanges go first, whole; if the last question alone is still too long, it loses its
last sentences. SFT, reward model, DPO, PPO, evaluation, terminal and page all cut here, so a model is never asked in a
way that it was not trained in.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .examples import Turn

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


def fit(
    turns: Sequence[Turn], encode: Callable[[Sequence[Turn]], list[int]], room: int, max_turns: int | None = None
) -> Fitted | None:
    """Cut `turns`, of which the last is the user's, until `encode` makes at most `room` ids of them.

    `max_turns` is how many of the last turns the model reads at all, beside the system turn (None: all that fit).
    Returns None if not even the first sentence of the last question fits.
    """
    kept = last_turns(turns, max_turns)
    ids = encode(kept)
    while len(ids) > room and (shorter := without_oldest_exchange(kept)) is not None:
        kept, ids = shorter, encode(shorter)
    dropped = len(turns) - len(kept)
    if len(ids) <= room:
        return Fitted(kept, ids, dropped)
    if not kept or kept[-1].role != "user":
        return None
    parts = sentences(kept[-1].text)

    def keeping(count: int) -> tuple[Turn, ...]:
        return (*kept[:-1], Turn(kept[-1].role, "".join(parts[:count]).rstrip()))

    count = bisect_right(range(1, len(parts) + 1), room, key=lambda count: len(encode(keeping(count))))
    return Fitted(keeping(count), encode(keeping(count)), dropped, shortened=True) if count else None


def last_turns(turns: Sequence[Turn], count: int | None) -> tuple[Turn, ...]:
    """The system turn, and the last `count` turns (None: all) from a turn on that is not the assistant's."""
    system, rest = _split_system(turns)
    kept = rest[-count:] if count else rest
    return (*system, *(kept[1:] if kept and kept[0].role == "assistant" else kept))


def without_oldest_exchange(turns: Sequence[Turn]) -> tuple[Turn, ...] | None:
    """The turns without those before the second turn of the user's; the system turn stays. None if there is none."""
    system, rest = _split_system(turns)
    later = [i for i, turn in enumerate(rest) if i and turn.role == "user"]
    return (*system, *rest[later[0] :]) if later else None


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined they are the text again. A line end ends a sentence too, as after a title."""
    return SENTENCE.findall(text)


def _split_system(turns: Sequence[Turn]) -> tuple[tuple[Turn, ...], tuple[Turn, ...]]:
    system = tuple(turn for turn in turns[:1] if turn.role == "system")
    return system, tuple(turns[len(system) :])

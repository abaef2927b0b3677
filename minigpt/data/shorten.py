"""Texts that are too long for the context: they lose whole sentences at their end, and whoever cuts them counts it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from .examples import Turn
from .tokenizer import Tokenizer

#: What such cuts are counted as.
ENDS = "ends of texts too long for the context"
#: A sentence with what follows it: to a mark that ends it (and the quotes and brackets behind that), or to a line end.
SENTENCE = re.compile(r".+?(?:[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n|\Z)\s*", re.DOTALL)


def sentences(text: str) -> list[str]:
    """The sentences of a text; joined they are the text again. A line end ends a sentence too, as after a title."""
    return SENTENCE.findall(text)


def shorten(tokenizer: Tokenizer, turns: Sequence[Turn], limit: int) -> tuple[Turn, ...] | None:
    """The turns, of which the user's last one keeps only its first sentences: as many as let all of it, encoded as a
    chat, take at most `limit` tokens. None if even the first sentence is too much."""
    last = max(i for i, turn in enumerate(turns) if turn.role == "user")
    parts = sentences(turns[last].text)

    def keeping(count: int) -> tuple[Turn, ...]:
        return (*turns[:last], Turn("user", "".join(parts[:count]).rstrip()), *turns[last + 1 :])

    def length(count: int) -> int:
        return len(tokenizer.encode_chat(keeping(count))[0])

    count = bisect_right(range(1, len(parts) + 1), limit, key=length)
    return keeping(count) if count else None

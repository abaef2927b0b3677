"""What no text holds, and what stands there instead."""

from __future__ import annotations

import re

#: Half of a pair that UTF-16 needs for one character, or the character that ends strings in C: no text holds them.
NO_TEXT = re.compile("[\0\ud800-\udfff]")


def sound(text: str) -> tuple[str, int]:
    """The text with U+FFFD for what no text holds (see NO_TEXT), and how often that was needed."""
    return NO_TEXT.subn("\ufffd", text)

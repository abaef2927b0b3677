"""The one exception that users see: a sentence, never a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something the user can repair: a path, a column, a flag, a broken file.

    The message is one clear sentence that names the file (and line, where there is one)
    and says what to do. Scripts print it and leave with exit code 2.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """', did you mean …?' if one of the known words is close, else nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""

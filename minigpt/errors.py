"""The one exception that users see: a sentence, never a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can repair: a path, a column, a flag, a broken file.

    The message is one clear sentence that names the file (and line, where there is one)
    and says what to do. Scripts print it and leave with exit code 2.
    """

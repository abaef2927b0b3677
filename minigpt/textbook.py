"""`read_data`, the textbook chapter's way to open a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .data.formats.jsonl import read_text
from .data.formats.movie import MovieCorpus


def read_data(path: str | Path) -> list[Any]:
    """The lines of a text file that are not blank, for `WikiCorpus(...)` or `MovieCorpus(...)`.

    Given the Cornell corpus (its folder, or its movie_lines.txt), the real conversations: that file lists its lines
    in no speaking order, so its neighbours do not answer each other.
    """
    path = Path(path)
    if path.is_dir() or path.name == "movie_lines.txt":
        return MovieCorpus.parse(path).train
    return [line for line in read_text(path).splitlines() if line.strip()]

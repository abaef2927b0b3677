"""What all graders of Tinytown share: how marks are handed out, and that held-out prompts must suffice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..data.examples import Prompt
from ..errors import UserError


def marks_and_score(grade: Any, marks: Sequence[str]) -> dict[str, float]:
    """The named marks of a grade as numbers, and its `score`."""
    return {name: float(getattr(grade, name)) for name in (*marks, "score")}


def enough(prompts: Sequence[Prompt], count: int, what: str = "questions") -> list[Prompt]:
    """The first `count` of the prompts. Raises UserError if there are fewer."""
    if len(prompts) < count:
        raise UserError(f"there are only {len(prompts):,} {what} of this kind that training has not seen; ask fewer.")
    return list(prompts[:count])

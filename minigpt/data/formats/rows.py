"""Rows of any kind become examples to train on and to validate with: by the publisher's split where there is one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from ..examples import Turn
from .reading import HELD_OUT, Reading, Record, Row

#: Examples to train on, and those to validate with; None where the publisher gives none.
Examples = tuple[list[Any], list[Any] | None]


def parse_rows(records: Iterable[Record], read: Callable[[Record], Iterable[Any]], reading: Reading) -> Examples:
    """The examples that `read` finds in each row, split as the rows' column `split` or their files' names say.

    Where rows to train on and rows to validate are both present, the latter stay out of training. A validation
    example whose group is also trained on would be recognised rather than judged: it is left out and counted.
    """
    train: list[Any] = []
    valid: list[Any] = []
    for record in records:
        side = valid if record.held_out or is_held_out(record.row) else train
        with reading.row(record.where):
            side += list(read(record))  # all of a row or nothing
    if not train or not valid:
        return train + valid, None
    return train, unseen(valid, train, reading.dropped) or None


def unseen(valid: Iterable[Any], train: Iterable[Any], dropped: Counter[str]) -> list[Any]:
    """The validation examples whose group is not trained on; the others are counted in `dropped`."""
    learned = {example.group for example in train}
    kept = []
    for example in valid:
        if example.group in learned:
            dropped["validation examples whose prompt is also trained on"] += 1
        else:
            kept.append(example)
    return kept


def is_held_out(row: Row) -> bool:
    """Whether the publisher keeps this row out of training."""
    return str(row.get("split")).lower().startswith(HELD_OUT)


def group_of(prompt: Iterable[Turn] | str) -> str:
    """A short name for a prompt or text, the same wherever it turns up: 16 hexadecimal digits of its hash."""
    text = prompt if isinstance(prompt, str) else "\n".join(f"{turn.role}: {turn.text}" for turn in prompt)
    return hashlib.blake2s(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

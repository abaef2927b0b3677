"""Rows of human feedback, whatever they hold: faults are named by their place, and the split is the publisher's."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..examples import Turn
from .jsonl import archived, read_rows
from .loader import Parsed

Row = Mapping[str, Any]
#: How the names of the splits that are not to be learned from begin: valid1, validation, dev, test, …
HELD_OUT = ("valid", "dev", "test")


class Skipped(ValueError):
    """A row that is no mistake and yet nothing to learn from. It is counted under this reason."""


@contextmanager
def located(where: str) -> Iterator[None]:
    """Turn a ValueError about the row at `where` into a UserError that says so; a Skipped goes through."""
    try:
        yield
    except Skipped:
        raise
    except ValueError as error:
        raise UserError(f"{where}: {error}; mend the row or delete it.") from error


def located_rows(path: Path) -> Iterator[tuple[str, Row]]:
    """The rows of a .jsonl or .json file, or of all such files in a folder or ZIP, each with its `file:line`."""
    files = [path]
    if path.suffix.lower() == ".zip":
        files = archived(path, (".jsonl", ".json"))
    elif path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in (".jsonl", ".json"))
        if not files:
            raise UserError(f"{path} holds no .jsonl or .json file; put the rows there, one object a line.")
    for file in files:
        for line, row in read_rows(file):
            yield f"{file}:{line}", row


def parse_rows(
    rows: Iterable[tuple[str, Row]], read: Callable[[Row], Iterable[Any]], dropped: Counter[str] | None = None
) -> Parsed:
    """The examples that `read` finds in each row, split as the rows' column `split` says.

    Where rows to train on and rows to validate are both present, the latter stay out of training. A validation
    example whose group is also trained on would be recognised rather than judged: it is left out and counted.
    """
    dropped = Counter() if dropped is None else dropped
    train: list[Any] = []
    valid: list[Any] = []
    for where, row in rows:
        try:
            with located(where):
                examples = read(row)
        except Skipped as reason:
            dropped[str(reason)] += 1
        else:
            side = valid if is_held_out(row) else train
            side += examples
    if not train or not valid:
        return Parsed(train + valid, dropped=dropped)
    return Parsed(train, unseen(valid, train, dropped) or None, dropped)


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

"""CorpusLoader: read one corpus in its publisher's own format, split it, count what was dropped."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError
from ..examples import Comparison, Conversation, Document, LabelledText, Prompt, RatedAnswer
from ..source import check_exists
from .reading import Reading
from .rows import Examples

#: What a summary calls the examples.
KINDS: dict[type, str] = {
    Document: "documents",
    Conversation: "conversations",
    Comparison: "comparisons",
    RatedAnswer: "rated answers",
    LabelledText: "labelled texts",
    Prompt: "prompts",
}


@dataclass
class Parsed:
    """What a format reader found and left out. `valid` is None where the publisher gives no validation file."""

    train: list[Any]
    valid: list[Any] | None
    reading: Reading

    @property
    def dropped(self) -> Counter[str]:
        return self.reading.dropped


class CorpusLoader:
    """Examples of one corpus, split into `train` and `valid` by document.

    A subclass reads one file format: it overrides `load`. `read` opens a corpus from disk;
    the constructor takes examples that are already in memory.
    """

    #: What `load` expects at its path, for error messages.
    layout = "a corpus"
    #: What `load` takes beside its path, with types: recipes may set these in the stage that names the format.
    options: ClassVar[dict[str, type]] = {}
    #: How many turns of a chat a model of this corpus reads; None for as many as fit its context.
    max_turns: int | None = None
    #: Whether faulty rows are left out and counted also where nobody asks for that.
    lenient = False

    def __init__(
        self,
        examples: Sequence[Any],
        valid: Sequence[Any] | None = None,
        *,
        valid_fraction: float = 0.05,
        seed: int = 0,
        dropped: Counter[str] | None = None,
        reading: Reading | None = None,
    ) -> None:
        self.reading = reading or Reading(dropped=Counter() if dropped is None else dropped)
        if not examples:
            raise UserError(f"{type(self).__name__}: no example to learn from ({self.reading.summary()}).")
        if isinstance(examples[0], str):
            examples = self.from_lines(examples)
        if valid is None:
            examples, valid = self.split(examples, valid_fraction, seed)
        self.train, self.valid = list(examples), list(valid)

    @property
    def dropped(self) -> Counter[str]:
        """How many rows were left out, by reason."""
        return self.reading.dropped

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        """Read the files at `path`, counting in `reading` what they hold. Raises UserError naming file and line."""
        raise TypeError(f"{cls.__name__} reads no file format of its own; use a subclass such as WikiCorpus")

    @classmethod
    def parse(cls, path: Path, *, skip_bad_rows: bool = False, **options: Any) -> Parsed:
        """What is at `path`, not yet split where its publisher has not done so. Raises as `read`."""
        check_exists(path, f"{cls.__name__} expects {cls.layout} there")
        reading = Reading(skip_bad_rows or cls.lenient)
        return Parsed(*cls.load(path, reading, **options), reading)

    @classmethod
    def read(cls, path: str | Path, *, skip_bad_rows: bool = False, **options: Any) -> CorpusLoader:
        """Open the corpus at `path` (see `layout`); `options` are the format's and the constructor's.

        Raises UserError naming file and line at the first faulty row; with `skip_bad_rows`, these are only counted.
        """
        path = Path(path)
        own = {name: options.pop(name) for name in cls.options if name in options}
        parsed = cls.parse(path, skip_bad_rows=skip_bad_rows, **own)
        if not parsed.train:
            raise UserError(f"{path}: {cls.__name__} found no example to learn from ({parsed.reading.summary()}).")
        return cls(parsed.train, parsed.valid, reading=parsed.reading, **options)

    @staticmethod
    def from_lines(lines: Sequence[str]) -> list[Any]:
        """Examples from the lines of a plain text file: here, one document per line that is not blank."""
        texts = [line.strip() for line in lines if line.strip()]
        return [Document(text, group=str(n), words=len(text.split())) for n, text in enumerate(texts)]

    @staticmethod
    def split(examples: Sequence[Any], fraction: float, seed: int) -> tuple[list[Any], list[Any]]:
        """Examples to train on and to validate with, where the publisher leaves that open."""
        return split_by_group(examples, fraction, seed)

    def summary(self) -> str:
        """One line: how much there is, what was dropped and why, and what was read and what not."""
        what = KINDS.get(type(self.train[0]), "examples")
        return f"{len(self.train):,} {what} to train on, {len(self.valid):,} to validate; {self.reading.summary()}"


def split_by_group(examples: Sequence[Any], fraction: float, seed: int) -> tuple[list[Any], list[Any]]:
    """Split so that no group has examples on both sides; about `fraction` of the examples go to validation.

    With a single group there is nothing to hold out: validation stays empty.
    """
    sizes = Counter(example.group for example in examples)
    groups = sorted(sizes)
    random.Random(seed).shuffle(groups)
    held_out: set[str] = set()
    wanted = fraction * len(examples)
    for group in groups[:-1]:
        if sum(sizes[g] for g in held_out) >= wanted:
            break
        held_out.add(group)
    train = [example for example in examples if example.group not in held_out]
    valid = [example for example in examples if example.group in held_out]
    return train, valid

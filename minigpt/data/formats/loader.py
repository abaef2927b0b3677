"""CorpusLoader: read one corpus in its publisher's own format, split it, count what was dropped."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError
from ..examples import Comparison, Conversation, Document, LabelledText, Prompt, RatedAnswer

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
    """What a format reader found. `valid` is None where the publisher gives no validation file."""

    train: list[Any]
    valid: list[Any] | None = None
    dropped: Counter[str] = field(default_factory=Counter)


class CorpusLoader:
    """Examples of one corpus, split into `train` and `valid` by document.

    A subclass reads one file format: it overrides `parse`. `read` opens a corpus from disk;
    the constructor takes examples that are already in memory.
    """

    #: What `parse` expects at its path, for error messages.
    layout = "a corpus"
    #: What `parse` takes beside its path, with types: recipes may set these in the stage that names the format.
    options: ClassVar[dict[str, type]] = {}
    #: How many turns of a chat a model of this corpus reads; None for as many as fit its context.
    max_turns: int | None = None

    def __init__(
        self,
        examples: Sequence[Any],
        valid: Sequence[Any] | None = None,
        *,
        valid_fraction: float = 0.05,
        seed: int = 0,
        dropped: Counter[str] | None = None,
    ) -> None:
        self.dropped: Counter[str] = Counter() if dropped is None else dropped
        if not examples:
            raise UserError(f"{type(self).__name__}: no example to learn from ({self.summary()}).")
        if isinstance(examples[0], str):
            examples = self.from_lines(examples)
        if valid is None:
            examples, valid = split_by_group(examples, valid_fraction, seed)
        self.train, self.valid = list(examples), list(valid)

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        """Read the files at `path`. Raises UserError naming file and line."""
        raise TypeError(f"{cls.__name__} reads no file format of its own; use a subclass such as WikiCorpus")

    @classmethod
    def read(cls, path: str | Path, **options: Any) -> CorpusLoader:
        """Open the corpus at `path` (see `layout`); `options` are the format's and the constructor's."""
        path = Path(path)
        if not path.exists():
            raise UserError(f"{path} does not exist; {cls.__name__} expects {cls.layout} there.")
        parsed = cls.parse(path, **{name: options.pop(name) for name in cls.options if name in options})
        return cls(parsed.train, parsed.valid, dropped=parsed.dropped, **options)

    @staticmethod
    def from_lines(lines: Sequence[str]) -> list[Any]:
        """Examples from the lines of a plain text file: here, one document per line that is not blank."""
        texts = [line.strip() for line in lines if line.strip()]
        return [Document(text, group=str(n), words=len(text.split())) for n, text in enumerate(texts)]

    def summary(self) -> str:
        """One line: how much there is, and what was dropped and why."""
        if not hasattr(self, "train"):
            counts = "empty"
        else:
            what = KINDS.get(type(self.train[0]), "examples")
            counts = f"{len(self.train):,} {what} to train on, {len(self.valid):,} to validate"
        dropped = ", ".join(f"{n:,} {why}" for why, n in sorted(self.dropped.items()))
        return f"{counts}; dropped: {dropped or 'nothing'}"


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

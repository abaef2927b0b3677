"""ScriptCorpus: a television script in the 13 columns of the Simpsons file, and one character of it to imitate.

Every line that the character speaks becomes a conversation: the user's turn holds the lines before it in the same
scene, at most three, and the assistant's what the character says.

    user        Bart Simpson: Ow! Quit it!
                Homer Simpson: Hey! What's with this?
    assistant   ...

What the character itself says between the others' lines is the assistant's turn as well, as it would be in a chat:

    user        Bart Simpson: Ow! Quit it!
    assistant   No, you quit it!
    user        Homer Simpson: Hey! What's with this?
    assistant   ...
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from ...errors import UserError, nearest
from ..examples import Conversation, Turn
from .loader import CorpusLoader
from .reading import Reading
from .rows import Examples
from .table import open_table, table_fields

COLUMNS = (
    "id", "episode_id", "number", "raw_text", "timestamp_in_ms", "speaking_line", "character_id", "location_id",
    "raw_character_text", "raw_location_text", "spoken_words", "normalized_text", "word_count",
)  # fmt: skip
#: Those without which there is no telling who says what, and when; what groups scenes comes on top.
NEEDED = ("episode_id", "number", "speaking_line", "character_id", "raw_character_text", "spoken_words")
#: How the file is called in a folder; the second is its name in the collection it was first published in.
FILES = ("script_lines.csv", "simpsons_script_lines.csv")
CONTEXT_LINES = 3
GROUP_BY = ("episode_id", "location_id")
#: Of so many windows in which one other person speaks, one is told without that name: people who chat are alone with
#: the character, and do not begin with "Bart Simpson:".
NAMELESS_EVERY = 2


@dataclass(frozen=True)
class Line:
    """What somebody says; `character` tells people apart also where a name is spelled in several ways."""

    episode: str
    speaker: str
    character: str
    words: str

    def told(self) -> str:
        return f"{self.speaker}: {self.words}"


@dataclass(frozen=True)
class Window:
    """A line and up to so many lines before it in its scene, oldest first; none before the first line of a scene."""

    context: tuple[Line, ...]
    line: Line


class ScriptCorpus(CorpusLoader):
    """One character's lines with what was said before them.

    Rows may come in any order. A scene is a stretch of spoken lines that agree in the columns `group_by`; a heading,
    a row that nobody speaks, ends it too. `speaker` is a name as in `raw_character_text`; whoever shares its
    `character_id` speaks as that character. Without a name it is the one who most often has something to answer.
    Rows that are not as wide as the header, headings, lines without words, lines that answer nobody (the first of a
    scene) and lines that the file repeats with less of their context are left out and counted. The group is the
    episode.
    """

    #: What a model of a script reads of a chat: as much as it has learned to.
    max_turns = CONTEXT_LINES
    layout = f"{FILES[0]}, or a folder with it: the columns {', '.join(COLUMNS)}"
    options: ClassVar[dict[str, type]] = {"speaker": str, "context_lines": int, "group_by": str}

    @classmethod
    def read(cls, path: str | Path, **options: Any) -> CorpusLoader:
        corpus = super().read(path, **options)
        corpus.max_turns = options.get("context_lines", cls.max_turns)
        return corpus

    @classmethod
    def load(
        cls,
        path: Path,
        reading: Reading,
        speaker: str = "",
        context_lines: int = CONTEXT_LINES,
        group_by: str = ",".join(GROUP_BY),
    ) -> Examples:
        windows = list(read_windows(path, context_lines, group_by.split(","), reading))
        character = find_character(windows, path, speaker)
        spoken = [window for window in windows if window.line.character == character]
        answers = [window for window in spoken if window.context]
        kept = without_repeats(answers)
        reading.drop("lines that answer nobody", len(spoken) - len(answers))
        reading.drop("repeated lines", len(answers) - len(kept))
        return [conversation(window, n) for n, window in enumerate(kept)], None


def conversation(window: Window, number: int) -> Conversation:
    """The window as turns, of which the last one is to be learned."""
    others = {line.character for line in window.context} - {window.line.character}
    asked = told(window.context, window.line.character, len(others) == 1 and number % NAMELESS_EVERY == 0)
    return Conversation((*asked, Turn("assistant", window.line.words)), window.line.episode, last_only=True)


def told(lines: Sequence[Line], character: str, nameless: bool = False) -> list[Turn]:
    """Lines as turns that wait for the character's answer; its own ones with which they begin or end are told by name,
    for a chat begins and ends with somebody else's. The others' go by their names too unless they are `nameless`."""
    stretches = [(own, list(some)) for own, some in groupby(lines, lambda line: line.character == character)]
    turns: list[Turn] = []
    for i, (own, some) in enumerate(stretches):
        role = "assistant" if own and 0 < i < len(stretches) - 1 else "user"
        bare = role == "assistant" or (nameless and not own)
        text = "\n".join(line.words if bare else line.told() for line in some)
        if turns and turns[-1].role == role:
            text = f"{turns.pop().text}\n{text}"
        turns.append(Turn(role, text))
    return turns


def read_windows(
    path: Path,
    context_lines: int = CONTEXT_LINES,
    group_by: Sequence[str] = GROUP_BY,
    reading: Reading | None = None,
) -> Iterator[Window]:
    """A window for every spoken line of the script, in the order of the story."""
    if context_lines < 1:
        raise UserError(f"context_lines is {context_lines}; an answer needs at least 1 line before it.")
    for scene in read_scenes(path, group_by, reading or Reading()):
        for n, line in enumerate(scene):
            yield Window(tuple(scene[max(0, n - context_lines) : n]), line)


def read_scenes(path: Path, group_by: Sequence[str], reading: Reading) -> Iterator[list[Line]]:
    """The spoken lines of each scene, in the order of the story."""
    if unknown := [name for name in group_by if name not in COLUMNS]:
        raise UserError(f"group_by: there is no column {unknown[0]!r}{nearest(unknown[0], COLUMNS)}.")
    rows = list(read_rows(path, group_by, reading))
    rows.sort(key=lambda row: (number(row["episode_id"]), number(row["number"])))
    headings = 0

    def scene_of(row: dict[str, str]) -> tuple[str, ...]:
        nonlocal headings
        headings += is_heading(row)
        # A scene never reaches into the next episode, whatever it is grouped by.
        return (row["episode_id"], *(row[name] for name in group_by), str(headings))

    for _, scene in groupby(rows, scene_of):
        lines = [line for row in scene if (line := spoken_line(row, reading)) is not None]
        if lines:
            yield lines


def is_heading(row: dict[str, str]) -> bool:
    """Whether a row opens a scene. Sighs and screams are not spoken either, but somebody utters them."""
    return row["speaking_line"].lower() != "true" and not row["raw_character_text"]


def spoken_line(row: dict[str, str], reading: Reading) -> Line | None:
    words, speaker = " ".join(row["spoken_words"].split()), " ".join(row["raw_character_text"].split())
    if is_heading(row):
        reading.drop("scene headings")
    elif not words or not speaker or row["speaking_line"].lower() != "true":
        reading.drop("lines without words or speaker")
    else:
        return Line(row["episode_id"], speaker, row["character_id"] or speaker, words)
    return None


def read_rows(path: Path, group_by: Sequence[str], reading: Reading) -> Iterator[dict[str, str]]:
    """The rows by column; those that do not come out as wide as the header are counted: the published file has some
    with quotation marks that nobody closes."""
    path = next((file for name in FILES for file in (path / name, path / f"{name}.gz") if file.is_file()), path)
    if path.is_dir():
        raise UserError(f"{path} holds no {FILES[0]}; ScriptCorpus expects {ScriptCorpus.layout}.")
    table = open_table(reading.text(path))
    if missing := [name for name in (*NEEDED, *group_by) if name not in table.columns]:
        raise UserError(
            f"{path}:{table.start}: the column {missing[0]} is missing; a script has {', '.join(COLUMNS)}"
            + ("; say with group_by what else parts scenes." if missing[0] in group_by else ".")
        )
    count = broken = 0
    for _, fields in table_fields(table):
        count += 1
        if isinstance(fields, str):
            broken += 1
            continue
        # R writes NA where nothing is known.
        row = {name: "" if field == "NA" else field.strip() for name, field in zip(table.columns, fields, strict=True)}
        for name in {"episode_id", "character_id", *group_by}:
            row[name] = row[name].removesuffix(".0")  # a column of whole numbers with gaps, once saved by pandas
        yield row
    if 2 * broken >= count:
        wide = len(table.columns)
        raise UserError(f"{path}:{table.start + 1}: {broken:,} of {count:,} rows are broken; a row has {wide} columns.")
    reading.rows += count
    reading.drop("badly quoted rows", broken)


def number(text: str) -> float:
    """For sorting; what is not a number comes first."""
    try:
        return float(text)
    except ValueError:
        return -1.0


def find_character(windows: Sequence[Window], path: Path, speaker: str = "") -> str:
    """Whom a name means, or who has most to answer if there is no name. Raises UserError if nobody in the script at
    `path` is called so."""
    answers = Counter(window.line.character for window in windows if window.context)
    if not answers:
        raise UserError(f"{path}: nobody in this script answers anybody; are its rows grouped by the right columns?")
    if not speaker:
        return answers.most_common(1)[0][0]
    called = Counter(window.line.character for window in windows if window.line.speaker.lower() == speaker.lower())
    if not called:
        names = {window.line.speaker for window in windows}
        raise UserError(f"{path}: nobody in this script is called {speaker!r}{nearest(speaker, names)}.")
    return called.most_common(1)[0][0]


def count_lines(windows: Sequence[Window]) -> list[tuple[str, int]]:
    """How many lines each character speaks, most first; a character goes by the name that is used most."""
    lines = Counter(window.line.character for window in windows)
    names: dict[str, Counter[str]] = {}
    for window in windows:
        names.setdefault(window.line.character, Counter())[window.line.speaker] += 1
    return [(names[character].most_common(1)[0][0], count) for character, count in lines.most_common()]


def without_repeats(windows: Sequence[Window]) -> list[Window]:
    """Leave out what is only the end of a longer window of its episode, or the same again.

    Files that were put together from windows hold a line once for every window that it is in.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    keys = []
    for window in windows:
        told = tuple(line.told() for line in (*window.context, window.line))
        keys.append((window.line.episode, *told))
        for start in range(1, len(told) - 1):
            seen[(window.line.episode, *told[start:])] += 1
    kept: dict[tuple[str, ...], Window] = {}
    for key, window in zip(keys, windows, strict=True):
        if key not in seen:
            kept.setdefault(key, window)
    return list(kept.values())

"""MovieCorpus: the Cornell Movie-Dialogs corpus, and forum dialogues published in its layout.

Source: Danescu-Niculescu-Mizil & Lee 2011, "Chameleons in Imagined Conversations" (CMCL).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..examples import Conversation, Turn
from ..source import ending
from .loader import CorpusLoader
from .reading import Reading
from .rows import Examples

SEPARATOR = " +++$+++ "
#: Columns of the lines file: Cornell's (line, character, film, name, text), the forum's (line, author, text).
CORNELL_COLUMNS, FORUM_COLUMNS = 5, 3
#: Line ids as Python lists them, or as NumPy does, without commas.
ID_LIST = re.compile(r"\[[\w', \n]*\]")
ID = re.compile(r"\w+")
LONGEST_LIST = 10_000  # characters of a list of line ids
#: Names of the lines file; Kaggle's edition is separated by tabs. ConvoKit's has one file for both.
LINES, CONVOKIT = ("movie_lines.txt", "movie_lines.tsv"), ("utterances.jsonl", "utterances.json")

#: Only real mark-up goes; in `<my>` or `<Cardiac Red Alert>` the brackets are emphasis around words.
TAG = re.compile(r"</?(?:u|i|b|pre|html)>", re.IGNORECASE)
BRACKETS = re.compile(r"[<>]+")
#: Windows-1252 leftovers in a file that is otherwise Latin-1; soft hyphens and undefined bytes vanish.
CP1252 = {code: bytes([code]).decode("cp1252", "ignore") for code in range(0x80, 0xA0)} | {0xAD: ""}
#: UTF-8 punctuation pasted into the Latin-1 file. Many have lost their third byte and are dropped.
PASTED_UTF8 = re.compile("\xe2\x80([\x90-\xa6])?")


@dataclass(frozen=True)
class Utterance:
    """One line of the script, cleaned; `text` may be empty."""

    speaker: str
    text: str


class MovieCorpus(CorpusLoader):
    """Conversations of film characters, read in the order of `movie_conversations.txt`.

    Utterances that follow each other in one conversation and have the same speaker are one turn.
    A conversation breaks where a line id is missing or an utterance is empty, so a reply never
    answers something that is not there. From u0 … un two conversations are made, with the roles
    swapped, so that every utterance but u0 is the assistant's exactly once:

        u0 u1 u2 u3  ->  (user u0, assistant u1, user u2, assistant u3)  and  (user u1, assistant u2)

    Each is cut into windows of at most `MAX_TURNS` turns, counted from the end, so that a short
    window is one that has no more context. The group is the film: no film is both learnt and tested.
    """

    layout = "a folder with movie_lines and movie_conversations (.txt or .tsv), or with ConvoKit's utterances.jsonl"
    MAX_TURNS = 6  # even, so that every window begins with the user
    BOTH_SIDES = True

    @staticmethod
    def from_lines(lines: Sequence[str]) -> list[Any]:
        """Lines of a plain text file, taken as one dialogue until a blank line: each line answers the one before."""
        scenes = [
            [clean(line) for line in scene]
            for blank, scene in groupby(lines, lambda line: not line.strip())
            if not blank
        ]
        return [Conversation(turns, str(n)) for n, scene in enumerate(scenes) for turns in _pairs(scene)]

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        train = [
            Conversation(window, group)
            for group, turns in dialogues(path, reading)
            for roles in both_sides(turns)[: 2 if cls.BOTH_SIDES else 1]
            for window in windows(roles, cls.MAX_TURNS)
        ]
        return train, None


class GuideCorpus(MovieCorpus):
    """The same files where one side only answers: the speaker of the last line is always the assistant."""

    BOTH_SIDES = False


def both_sides(texts: Sequence[str]) -> list[tuple[Turn, ...]]:
    """The two conversations, user first, assistant last, in which every text but the first is an answer."""
    sides = []
    for end in (len(texts), len(texts) - 1):
        start = end % 2  # an answer with no question before it is left out
        roles = ("user", "assistant") * ((end - start) // 2)
        if roles:
            sides.append(tuple(map(Turn, roles, texts[start:end])))
    return sides


def _pairs(texts: Sequence[str]) -> list[tuple[Turn, ...]]:
    """Each text and the one that answers it."""
    return [(Turn("user", a), Turn("assistant", b)) for a, b in pairwise(texts)]


def windows(turns: tuple[Turn, ...], max_turns: int) -> list[tuple[Turn, ...]]:
    """Consecutive pieces of `max_turns` turns, the first of them shorter where it does not come out even."""
    if max_turns < 2 or max_turns % 2:
        raise UserError(f"max_turns is {max_turns}, but a window holds pairs of turns; use an even number.")
    first = len(turns) % max_turns or max_turns
    starts = [0, *range(first, len(turns), max_turns)]
    return [turns[a:b] for a, b in zip(starts, [*starts[1:], len(turns)], strict=True)]


def dialogues(path: Path, reading: Reading) -> Iterator[tuple[str, list[str]]]:
    """Group and merged turns of every unbroken stretch of dialogue."""
    lines_file, conversations_file = _find_files(path)
    if conversations_file is None:
        utterances, conversations = _read_convokit(lines_file, reading)
    else:
        utterances = _read_lines(lines_file, reading)
        conversations = _read_conversations(conversations_file, reading)
    for group, ids in conversations:
        for stretch in _stretches(ids, utterances, reading):
            turns = _merge_speakers(stretch)
            if len(turns) < 2:
                reading.drop("utterances without a reply")
            else:
                yield group, turns


def _find_files(path: Path) -> tuple[Path, Path | None]:
    """The lines file and the conversations file; ConvoKit's edition has one file of utterances instead."""
    if path.is_dir():
        lines = [*(path / name for name in LINES), *sorted(path.glob("*_lines_raw.txt"))]
        candidates = [*lines, *(path / name for name in CONVOKIT)]
        found = next((file for name in candidates for file in (name, _packed(name)) if file.is_file()), None)
        if found is None:
            raise UserError(f"{path} holds no {LINES[0]}; MovieCorpus expects {MovieCorpus.layout}.")
        path = found
    if ending(path) in (".jsonl", ".json"):
        return path, None
    conversations = path.with_name(path.name.replace("lines", "conversations"))
    if conversations == path or not conversations.is_file():
        raise UserError(
            f"{path}: there is no conversations file beside it; put movie_conversations{ending(path)} there, "
            "without it nobody knows which line answers which."
        )
    return path, conversations


def _packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def repaired(raw: bytes) -> str:
    """What is not UTF-8, as Latin-1 with its Windows-1252 characters repaired."""
    text = raw.decode("iso-8859-1")
    text = PASTED_UTF8.sub(lambda m: m[0].encode("iso-8859-1").decode("utf-8") if m[1] else "", text)
    return text.translate(CP1252)


def clean(text: str) -> str:
    """Without mark-up, and with every run of white space made a single space."""
    return " ".join(BRACKETS.sub("", TAG.sub("", text)).split())


def _rows(path: Path, reading: Reading) -> list[str]:
    rows = reading.text(path, repaired).replace("\xad", "").split("\n")
    while rows and not rows[-1].strip():
        rows.pop()
    reading.rows += len(rows)
    return rows


def _separator(row: str) -> str:
    return SEPARATOR if SEPARATOR in f"{row} " else "\t"


def _read_lines(path: Path, reading: Reading) -> dict[str, Utterance]:
    rows = _rows(path, reading)
    shape = f"'L1{SEPARATOR}u0{SEPARATOR}m0{SEPARATOR}NAME{SEPARATOR}text'"
    separator = _separator(rows[0])
    # An editor that trims line ends takes the last separator's space with it.
    forum = len(f"{rows[0]} ".split(separator)) == FORUM_COLUMNS
    columns = FORUM_COLUMNS if forum else CORNELL_COLUMNS
    utterances: dict[str, Utterance] = {}
    malformed, last = 0, ""
    for row in rows:
        fields = f"{row} ".split(separator, maxsplit=columns - 1)
        if len(fields) == columns:
            last = fields[0].strip()
            utterances[last] = Utterance(fields[1], clean(fields[-1]))
        elif forum and last and len(fields) == 1:
            # Forum answers run over several rows; only the first of them carries the id.
            spoken = utterances[last]
            utterances[last] = Utterance(spoken.speaker, f"{spoken.text}\n{clean(row)}".strip())
        else:
            malformed += 1
    _check_rows(path, malformed, len(rows), shape)
    reading.drop("malformed rows of the lines file", malformed)
    return utterances


def _read_conversations(path: Path, reading: Reading) -> list[tuple[str, list[str]]]:
    """Group and line ids of every conversation: the film in Cornell's four columns, else the row's own id."""
    rows = _whole_lists(_rows(path, reading))
    separator = _separator(rows[0])
    conversations = []
    for row in rows:
        fields = [field.strip('"') for field in row.strip().split(separator)]
        if len(fields) >= 4 and ID_LIST.fullmatch(fields[-1]):
            conversations.append((fields[2 if len(fields) == 4 else 0], ID.findall(fields[-1])))
    malformed = len(rows) - len(conversations)
    _check_rows(path, malformed, len(rows), f"\"u0{SEPARATOR}u2{SEPARATOR}m0{SEPARATOR}['L194', 'L195']\"")
    reading.drop("malformed rows of the conversations file", malformed)
    return conversations


def _whole_lists(rows: Sequence[str]) -> list[str]:
    """The rows, with those that only go on with a list of ids put behind the one that begins it: NumPy breaks lines."""
    whole: list[str] = []
    for row in rows:
        if whole and len(whole[-1]) < LONGEST_LIST and "[" in whole[-1] and "]" not in whole[-1] and "[" not in row:
            whole[-1] += f" {row}"
        else:
            whole.append(row)
    return whole


def _check_rows(path: Path, malformed: int, rows: int, shape: str) -> None:
    if 2 * malformed > rows:
        raise UserError(f"{path}:1: {malformed:,} of {rows:,} rows are broken; a row should look like {shape}.")


def _read_convokit(path: Path, reading: Reading) -> tuple[dict[str, Utterance], list[tuple[str, list[str]]]]:
    """ConvoKit's edition: rows in any order, each naming the one it replies to. Its former releases say user for
    speaker. Where no row names the film, the conversation stands for it."""
    utterances: dict[str, Utterance] = {}
    films: dict[str, str] = {}
    answer_to: dict[str, str] = {}
    for record in reading.records(path):
        row = record.row
        with reading.row(record.where):
            name, parent, text = row.get("id"), row.get("reply-to", row.get("reply_to")), row.get("text")
            speaker, about = row.get("speaker", row.get("user")), row.get("meta")
            if name is None or speaker is None or not isinstance(text, str | None):
                raise ValueError("expected a row of ConvoKit's movie-corpus with id, speaker, text, reply-to and meta")
            utterances[str(name)] = Utterance(str(speaker), clean((text or "").replace("\xad", "")))
            if parent is None:
                film = about.get("movie_id") if isinstance(about, dict) else None
                films[str(name)] = str(film or row.get("conversation_id", row.get("root", name)))
            else:
                answer_to[str(parent)] = str(name)
    conversations = []
    reached: set[str] = set()
    for start, film in films.items():
        ids: list[str] = []
        following: str | None = start
        while following is not None and following not in reached:
            ids.append(following)
            reached.add(following)
            following = answer_to.get(following)
        conversations.append((film, ids))
    reading.drop("utterances that no conversation leads to", len(utterances.keys() - reached))
    return utterances, conversations


def _stretches(ids: Sequence[str], utterances: dict[str, Utterance], reading: Reading) -> Iterator[list[Utterance]]:
    """The unbroken parts of one conversation."""
    stretch: list[Utterance] = []
    for name in ids:
        spoken = utterances.get(name)
        if spoken is not None and spoken.text:
            stretch.append(spoken)
            continue
        reading.drop("missing line ids" if spoken is None else "empty utterances")
        if stretch:
            yield stretch
        stretch = []
    if stretch:
        yield stretch


def _merge_speakers(stretch: Sequence[Utterance]) -> list[str]:
    turns: list[str] = []
    speaker = None
    for spoken in stretch:
        if spoken.speaker == speaker:
            turns[-1] += f" {spoken.text}"
        else:
            turns.append(spoken.text)
        speaker = spoken.speaker
    return turns

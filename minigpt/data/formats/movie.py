"""MovieCorpus: the Cornell Movie-Dialogs corpus, and forum dialogues published in its layout.

Source: Danescu-Niculescu-Mizil & Lee 2011, "Chameleons in Imagined Conversations" (CMCL).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..examples import Conversation, Turn
from .jsonl import read_rows
from .loader import CorpusLoader, Parsed

SEPARATOR = " +++$+++ "
#: Columns of the lines file: Cornell's (line, character, film, name, text), the forum's (line, author, text).
CORNELL_COLUMNS, FORUM_COLUMNS = 5, 3
ID_LIST = re.compile(r"\[(?:'?\w+'?(?:, *'?\w+'?)*)?\]")
ID = re.compile(r"\w+")

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

    layout = "the folder 'cornell movie-dialogs corpus' with movie_lines.txt and movie_conversations.txt"
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
    def parse(cls, path: Path) -> Parsed:
        dropped: Counter[str] = Counter()
        train = [
            Conversation(window, group)
            for group, turns in _dialogues(path, dropped)
            for roles in both_sides(turns)[: 2 if cls.BOTH_SIDES else 1]
            for window in windows(roles, cls.MAX_TURNS)
        ]
        return Parsed(train, dropped=dropped)


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


def _dialogues(path: Path, dropped: Counter[str]) -> Iterator[tuple[str, list[str]]]:
    """Group and merged turns of every unbroken stretch of dialogue."""
    lines_file, conversations_file = _find_files(path)
    if conversations_file is None:
        utterances, conversations = _read_convokit(lines_file)
    else:
        utterances = _read_lines(lines_file, dropped)
        conversations = _read_conversations(conversations_file, dropped)
    for group, ids in conversations:
        for stretch in _stretches(ids, utterances, dropped):
            turns = _merge_speakers(stretch)
            if len(turns) < 2:
                dropped["utterances without a reply"] += 1
            else:
                yield group, turns


def _find_files(path: Path) -> tuple[Path, Path | None]:
    """The lines file and the conversations file; ConvoKit's edition has one `utterances.jsonl` instead."""
    if path.name.endswith(".jsonl"):
        return path, None
    if path.is_dir():
        candidates = [path / "movie_lines.txt", *sorted(path.glob("*_lines_raw.txt"))]
        if not any(c.is_file() for c in candidates) and (path / "utterances.jsonl").is_file():
            return path / "utterances.jsonl", None
    else:
        candidates = [path]
    lines = next((c for c in candidates if c.is_file()), None)
    if lines is None:
        raise UserError(f"{path} holds no movie_lines.txt; MovieCorpus expects {MovieCorpus.layout}.")
    conversations = lines.with_name(lines.name.replace("lines", "conversations"))
    if conversations == lines or not conversations.is_file():
        raise UserError(
            f"{lines}: there is no conversations file beside it; put movie_conversations.txt there, "
            "without it nobody knows which line answers which."
        )
    return lines, conversations


def decode(raw: bytes) -> str:
    """UTF-8 where the whole file is UTF-8; otherwise Latin-1 with its Windows-1252 characters repaired."""
    try:
        return raw.decode("utf-8-sig").replace("\xad", "")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    text = PASTED_UTF8.sub(lambda m: m[0].encode("iso-8859-1").decode("utf-8") if m[1] else "", text)
    return text.translate(CP1252)


def clean(text: str) -> str:
    """Without mark-up, and with every run of white space made a single space."""
    return " ".join(BRACKETS.sub("", TAG.sub("", text)).split())


def _rows(path: Path) -> list[str]:
    # Splitting on "\n" alone: splitlines() would also break at byte 0x85, an ellipsis in these files.
    rows = decode(path.read_bytes()).split("\n")
    while rows and not rows[-1].strip():
        rows.pop()
    return rows


def _read_lines(path: Path, dropped: Counter[str]) -> dict[str, Utterance]:
    rows = _rows(path)
    shape = f"'L1{SEPARATOR}u0{SEPARATOR}m0{SEPARATOR}NAME{SEPARATOR}text'"
    # An editor that trims line ends takes the last separator's space with it.
    first = f"{rows[0]} ".split(SEPARATOR) if rows else []
    forum = len(first) == FORUM_COLUMNS
    columns = FORUM_COLUMNS if forum else CORNELL_COLUMNS
    utterances: dict[str, Utterance] = {}
    malformed, last = 0, ""
    for row in rows:
        fields = f"{row} ".split(SEPARATOR, maxsplit=columns - 1)
        if len(fields) == columns:
            last = fields[0].strip("\ufeff ")
            utterances[last] = Utterance(fields[1], clean(fields[-1]))
        elif forum and last and len(fields) == 1:
            # Forum answers run over several rows; only the first of them carries the id.
            spoken = utterances[last]
            utterances[last] = Utterance(spoken.speaker, f"{spoken.text}\n{clean(row)}".strip())
        else:
            malformed += 1
    _check_rows(path, malformed, len(rows), shape)
    if malformed:
        dropped["malformed rows of the lines file"] += malformed
    return utterances


def _read_conversations(path: Path, dropped: Counter[str]) -> list[tuple[str, list[str]]]:
    """Group and line ids of every conversation: the film in Cornell's four columns, else the row's own id."""
    rows = _rows(path)
    conversations = []
    for row in rows:
        fields = row.strip().split(SEPARATOR)
        if len(fields) >= 4 and ID_LIST.fullmatch(fields[-1]):
            conversations.append((fields[2 if len(fields) == 4 else 0], ID.findall(fields[-1])))
    malformed = len(rows) - len(conversations)
    _check_rows(path, malformed, len(rows), f"\"u0{SEPARATOR}u2{SEPARATOR}m0{SEPARATOR}['L194', 'L195']\"")
    if malformed:
        dropped["malformed rows of the conversations file"] += malformed
    return conversations


def _check_rows(path: Path, malformed: int, rows: int, shape: str) -> None:
    if not rows:
        raise UserError(f"{path}:1: the file is empty; a row should look like {shape}.")
    if 2 * malformed > rows:
        raise UserError(f"{path}:1: {malformed:,} of {rows:,} rows are broken; a row should look like {shape}.")


def _read_convokit(path: Path) -> tuple[dict[str, Utterance], list[tuple[str, list[str]]]]:
    """ConvoKit's edition: rows in any order, each naming the one it replies to."""
    utterances: dict[str, Utterance] = {}
    films: dict[str, str] = {}
    answer_to: dict[str, str] = {}
    for line, row in read_rows(path):
        try:
            name, parent = str(row["id"]), row.get("reply-to", row.get("reply_to"))
            utterances[name] = Utterance(str(row["speaker"]), clean(row["text"].replace("\xad", "")))
            if parent is None:
                films[name] = str(row["meta"]["movie_id"])
            else:
                answer_to[str(parent)] = name
        except (KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"{path}:{line}: expected a row of ConvoKit's movie-corpus with id, speaker, text, "
                "reply-to and meta.movie_id."
            ) from error
    conversations = []
    for start, film in films.items():
        ids = [start]
        while ids[-1] in answer_to:
            ids.append(answer_to[ids[-1]])
        conversations.append((film, ids))
    return utterances, conversations


def _stretches(
    ids: Sequence[str], utterances: dict[str, Utterance], dropped: Counter[str]
) -> Iterator[list[Utterance]]:
    """The unbroken parts of one conversation."""
    stretch: list[Utterance] = []
    for name in ids:
        spoken = utterances.get(name)
        if spoken is not None and spoken.text:
            stretch.append(spoken)
            continue
        dropped["missing line ids" if spoken is None else "empty utterances"] += 1
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

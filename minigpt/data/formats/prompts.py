"""PromptCorpus: prompts that wait for an answer, taken from rows of any kind or from the lines of a text file.

`question` and `prompt_of` find the prompt in a row of any shape; comparisons and ratings read theirs with them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..examples import Prompt, Turn
from .loader import CorpusLoader
from .messages import DOCCANO_TEXTS, alpaca_question, check_context, earlier_turns, post_text
from .reading import Reading, Row, Skipped
from .rows import Examples, group_of, parse_rows
from .turns import (
    SYSTEM_COLUMNS,
    TEXT_PARTS,
    Messages,
    Said,
    content_text,
    read_messages,
    read_prompt,
    role_of,
    to_turn,
    to_turns,
    with_system,
)

#: How Anthropic's hh-rlhf writes a conversation as one text: a blank line stands before each speaker. An answer may
#: quote a play whose lines begin so; only where no blank line parts the turns, any line may begin one.
TALK = re.compile(r"(?:\A\s*|\n[ \t\r]{0,8}\n[ \t\r]{0,8})(Human|Assistant):")
TALK_LINES = re.compile(r"(?:\A\s*|\n[ \t\r]{0,8})(Human|Assistant):")
EQUAL = "comparisons of two equal answers"
#: Columns of texts that are no part of what is asked.
ASIDE = {"chosen", "rejected", "id", "group", "split", *SYSTEM_COLUMNS}
UP_TO_LAST_SPACE = re.compile(r".*\s", re.DOTALL)


class PromptCorpus(CorpusLoader):
    """Prompts of a .jsonl or .json file (see `QUESTIONS`), or of a .txt file with one prompt a line.

    Conversations give the turns before their last answer; comparisons and rated answers give what was answered.
    """

    layout = "rows with prompts, conversations or comparisons (.jsonl, .json, .csv), or a .txt file with one a line"

    @staticmethod
    def from_lines(lines: Sequence[str]) -> list[Any]:
        """One prompt per line that is not blank."""
        return [_prompt((Turn("user", line.strip()),)) for line in lines if line.strip()]

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        return parse_rows(reading.records(path, txt=_lines), lambda record: [to_prompt(record.row)], reading)


def _lines(text: str) -> Iterator[tuple[int | str, Row | ValueError]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, {"prompt": line.strip()}


def to_prompt(row: Row) -> Prompt:
    """What one row asks; of a conversation that is answered, the turns before its last answer.

    Raises ValueError with a sentence when it asks nothing, and Skipped when its post is lost.
    """
    turns = to_turns(with_system(question(row), row))
    if turns[-1].role == "assistant":
        turns = turns[:-1]
    return _prompt(_waiting(turns))


def prompt_of(row: Row) -> tuple[Turn, ...]:
    """What the answers in one row reply to. Raises as `to_prompt`, and when the last turn is not the user's."""
    return _waiting(to_turns(with_system(question(row), row)))


def _prompt(turns: tuple[Turn, ...]) -> Prompt:
    return Prompt(turns, group_of(turns))


def _waiting(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    if not turns or turns[-1].role != "user":
        raise ValueError("the prompt must end with a turn of the user's")
    return turns


def question(row: Row) -> Messages:
    """The messages that a row asks with: from its first column of `QUESTIONS`, and what chosen and rejected share.

    Raises ValueError when there are none.
    """
    own = _own_question(row)
    lead = split_pair(row)[0] if {"chosen", "rejected"} <= row.keys() else []
    if lead and role_of(lead[0].role) == "assistant":
        messages = own + lead  # the answers go on from where the prompt ends
    else:
        messages = lead or own  # a lead that begins as conversations do repeats the prompt
    if not messages:
        known = ", ".join(column for column, _ in QUESTIONS)
        raise ValueError(f"columns {sorted(map(str, row))} hold no prompt (known are {known})")
    return messages


def _own_question(row: Row) -> Messages:
    return next((ask(row) for column, ask in QUESTIONS if column in row), [])


def split_pair(row: Row) -> tuple[Messages, Any, Any]:
    """What the columns `chosen` and `rejected` have in common, and the two answers that follow.

    Raises ValueError when two conversations differ before their last turn.
    """
    chosen, rejected = row["chosen"], row["rejected"]
    if isinstance(chosen, str) and isinstance(rejected, str) and not any(column in row for column, _ in QUESTIONS):
        if not TALK.match(chosen):
            _check_columns(row)
            return _split_texts(chosen, rejected)
        chosen, rejected = _talk(chosen), _talk(rejected)
    lead, better = _split_answer(chosen)
    other_lead, worse = _split_answer(rejected)
    if lead != other_lead:
        raise ValueError("chosen and rejected must hold the same prompt and differ in the last turn only")
    return lead, better, worse


def answer_text(answer: Any) -> str:
    """The text of an answer: a string, {"text": …}, a message, or a list of one message.

    Raises ValueError when it is missing or empty, or is not the assistant's.
    """
    if isinstance(answer, dict) and "text" in answer and answer.get("type") in TEXT_PARTS:
        answer = answer["text"]
    lead, text = _split_answer(answer)
    if lead:
        raise ValueError(f"an answer must be a single message, found {len(lead) + 1}")
    return to_turn("assistant", text).text


def _split_answer(answer: Any) -> tuple[Messages, Any]:
    """What comes before an answer, and the answer: a text, a message, or messages that end in one."""
    if isinstance(answer, dict):
        answer = [answer]
    if not isinstance(answer, list) or not any(isinstance(item, dict) for item in answer):
        return [], answer
    *lead, last = read_messages(answer)
    if role_of(last.role) != "assistant":
        raise ValueError(f"an answer must be the assistant's, found the role {last.role!r}")
    return lead, content_text(last.content)


def _talk(text: str) -> list[dict[str, str]]:
    """The messages of a text in which every turn begins with its speaker."""
    _, *parts = TALK.split(text)
    if len(parts) == 2:
        _, *parts = TALK_LINES.split(text)
    return [{"role": role, "content": said} for role, said in zip(parts[::2], parts[1::2], strict=True)]


def _check_columns(row: Row) -> None:
    """Raises ValueError if a row has a column of text that may be the prompt, so that none need be guessed."""
    others = [name for name, value in row.items() if isinstance(value, str) and value.strip() and name not in ASIDE]
    if others:
        raise ValueError(f"no known column holds the prompt; if one of {sorted(others)} does, call it prompt")


def _split_texts(chosen: str, rejected: str) -> tuple[Messages, str, str]:
    """Two texts with the same beginning: it is the prompt, up to its last space so as not to halve a word."""
    if chosen.strip() == rejected.strip():
        raise Skipped(EQUAL)
    pairs = zip(chosen, rejected, strict=False)
    shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if match := UP_TO_LAST_SPACE.match(shared):
        shared = match[0]
    if not shared.strip():
        raise ValueError("chosen and rejected begin differently, so there is no prompt; give it in a column prompt")
    return [Said("user", shared)], chosen[len(shared) :], rejected[len(shared) :]


def _post(row: Row) -> Messages:
    return [Said("user", post_text(row.get("info", row)))]


def _column(name: str) -> tuple[str, Callable[[Row], Messages]]:
    return name, lambda row: [Said("user", row[name])]


def _asked(name: str) -> tuple[str, Callable[[Row], Messages]]:
    def ask(row: Row) -> Messages:
        check_context(row, name)
        return read_prompt(row[name]) if name == "prompt" else [Said("user", row[name])]

    return name, ask


def _doccano(name: str) -> tuple[str, Callable[[Row], Messages]]:
    return name, lambda row: [*earlier_turns(row), Said("user", row[name])]


#: Columns that hold a prompt, and how to read it; the first that a row has counts.
QUESTIONS: tuple[tuple[str, Callable[[Row], Messages]], ...] = (
    _asked("prompt"),
    ("messages", lambda row: read_messages(row["messages"])),
    ("conversations", lambda row: read_messages(row["conversations"])),
    ("contents", lambda row: read_messages(row["contents"])),
    ("instruction", alpaca_question),
    ("info", _post),
    ("post", _post),
    _asked("question"),
    _asked("query"),
    _column("article"),
    _column("original_text"),
    _column("orignal_text"),  # so spelt in published files
    *(_doccano(name) for name in DOCCANO_TEXTS),
    _asked("input"),
)

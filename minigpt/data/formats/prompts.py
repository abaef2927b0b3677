"""PromptCorpus: prompts that wait for an answer, taken from rows of any kind or from the lines of a text file.

`question` and `prompt_of` find the prompt in a row of any shape; comparisons and ratings read theirs with them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..examples import Prompt, Turn
from .jsonl import read_text
from .loader import CorpusLoader, Parsed
from .messages import (
    ROLE_NAMES,
    Messages,
    alpaca_question,
    earlier_turns,
    post_text,
    read_messages,
    read_prompt,
    to_turn,
    to_turns,
)
from .rows import Row, group_of, located_rows, parse_rows

#: How Anthropic's hh-rlhf writes a conversation as one text.
TALK = re.compile(r"^(Human|Assistant):", re.MULTILINE)
UP_TO_LAST_SPACE = re.compile(r".*\s", re.DOTALL)


class PromptCorpus(CorpusLoader):
    """Prompts of a .jsonl or .json file (see `QUESTIONS`), or of a .txt file with one prompt a line.

    Conversations give the turns before their last answer; comparisons and rated answers give what was answered.
    """

    layout = "a .jsonl or .json file with prompts, conversations or comparisons, or a .txt file with one prompt a line"

    @staticmethod
    def from_lines(lines: Sequence[str]) -> list[Any]:
        """One prompt per line that is not blank."""
        return [_prompt((Turn("user", line.strip()),)) for line in lines if line.strip()]

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        if path.suffix.lower() == ".txt":
            return Parsed(cls.from_lines(read_text(path).split("\n")))
        return parse_rows(located_rows(path), lambda row: [to_prompt(row)])


def to_prompt(row: Row) -> Prompt:
    """What one row asks; of a conversation that is answered, the turns before its last answer.

    Raises ValueError with a sentence when it asks nothing, and Skipped when its post is lost.
    """
    turns = to_turns(question(row), system=row.get("system"))
    if turns[-1].role == "assistant":
        turns = turns[:-1]
    return _prompt(_waiting(turns))


def prompt_of(row: Row) -> tuple[Turn, ...]:
    """What the answers in one row reply to. Raises as `to_prompt`, and when the last turn is not the user's."""
    return _waiting(to_turns(question(row), system=row.get("system")))


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
    if lead and ROLE_NAMES.get(str(lead[0][0]).lower()) == "assistant":
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
        if not TALK.match(chosen.lstrip()):
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
    if isinstance(answer, dict) and "text" in answer:
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
    *lead, (role, text) = read_messages(answer)
    if ROLE_NAMES.get(str(role).lower()) != "assistant":
        raise ValueError(f"an answer must be the assistant's, found the role {role!r}")
    return lead, text


def _talk(text: str) -> list[dict[str, str]]:
    """The messages of a text in which every turn begins on a line with its speaker."""
    _, *parts = TALK.split(text)
    return [{"role": role, "content": said} for role, said in zip(parts[::2], parts[1::2], strict=True)]


def _split_texts(chosen: str, rejected: str) -> tuple[Messages, str, str]:
    """Two texts with the same beginning: it is the prompt, up to its last space so as not to halve a word."""
    pairs = zip(chosen, rejected, strict=False)
    shared = "".join(a for a, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    if match := UP_TO_LAST_SPACE.match(shared):
        shared = match[0]
    if not shared.strip():
        raise ValueError("chosen and rejected begin differently, so there is no prompt; give it in a column prompt")
    return [("user", shared)], chosen[len(shared) :], rejected[len(shared) :]


def _post(row: Row) -> Messages:
    return [("user", post_text(row.get("info", row)))]


def _column(name: str) -> tuple[str, Callable[[Row], Messages]]:
    return name, lambda row: [("user", row[name])]


#: Columns that hold a prompt, and how to read it; the first that a row has counts.
QUESTIONS: tuple[tuple[str, Callable[[Row], Messages]], ...] = (
    ("prompt", lambda row: read_prompt(row["prompt"])),
    ("messages", lambda row: read_messages(row["messages"])),
    ("conversations", lambda row: read_messages(row["conversations"])),
    ("instruction", alpaca_question),
    ("info", _post),
    ("post", _post),
    _column("article"),
    _column("original_text"),
    _column("orignal_text"),  # so spelt in published files
    ("text", lambda row: [*earlier_turns(row), ("user", row["text"])]),  # doccano
)

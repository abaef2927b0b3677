"""MessagesCorpus: conversations for supervised fine-tuning, in every shape they are published in.

`to_conversation` knows the shapes of single rows; the class reads files of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...errors import UserError
from ..examples import Conversation, Turn
from .jsonl import read_text
from .loader import CorpusLoader, Parsed
from .rows import Row, Skipped, located_rows

ROLE_NAMES = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "ai": "assistant",
    "bot": "assistant",
}
#: Keys of a single message: OpenAI's, then ShareGPT's.
MESSAGE_KEYS = (("role", "content"), ("from", "value"))
SPEAKER = re.compile(rf"({'|'.join(ROLE_NAMES)})[ \t]*[:：][ \t]*(.*)", re.IGNORECASE)

Messages = list[tuple[str, Any]]  # role as it is written in the file, content as it came


class Unlabelled(Skipped):
    """A row nobody has annotated yet."""


class MessagesCorpus(CorpusLoader):
    """Conversations of a .jsonl or .json file (see `SHAPES`), of a folder or doccano's ZIP of these, or of a .txt file
    of lines `User: …`, `AI: …`.

    In the .txt shape a blank line begins a new conversation, and a line without a speaker goes on with
    the turn above. A faulty row raises UserError with file and line; `read(path, lenient=True)` counts
    such rows in `dropped` instead. The group is the `group` or `id` of the row, or of its post, or else the number of
    the first row that asks the same.
    """

    layout = "a .jsonl or .json file of messages, conversations or instructions, or a .txt dialogue"
    lenient = False

    @classmethod
    def read(cls, path: str | Path, *, lenient: bool = False, **options: Any) -> CorpusLoader:
        """As `CorpusLoader.read`; `lenient` counts faulty rows instead of stopping at the first."""
        reader = LenientMessagesCorpus if lenient and not cls.lenient else cls
        return super(MessagesCorpus, reader).read(path, **options)

    @classmethod
    def parse(cls, path: Path) -> Parsed:
        parsed = Parsed([])
        first: dict[str, int] = {}  # where a question was asked first
        rows = _read_dialogue(path) if path.suffix.lower() == ".txt" else located_rows(path)
        for number, (where, row) in enumerate(rows, start=1):
            source = row["info"] if isinstance(row.get("info"), dict) else row
            group = source.get("group", source.get("id"))
            try:
                turns = to_conversation(row).turns
            except Skipped as reason:
                parsed.dropped[str(reason)] += 1
            except ValueError as error:
                if not cls.lenient:
                    advice = "mend the row, or skip such rows with the format messages-lenient"
                    raise UserError(f"{where}: {error}; {advice}.") from error
                parsed.dropped[f"rows: {str(error).partition(' (')[0]}"] += 1
            else:
                if group is None:
                    asked = next(turn.text for turn in turns if turn.role == "user")
                    group = first.setdefault(asked, number)
                parsed.train.append(Conversation(turns, str(group)))
        return parsed


class LenientMessagesCorpus(MessagesCorpus):
    """MessagesCorpus that skips and counts faulty rows."""

    lenient = True


def to_conversation(row: Mapping[str, Any]) -> Conversation:
    """The conversation in one row of any of `SHAPES`; the same talk gives an equal result in each of them.

    After an optional system turn, user and assistant alternate, and the assistant has the last word.
    Raises ValueError with a sentence when the row has another shape or breaks these rules,
    and Skipped when it is no mistake and yet nothing to learn from.
    """
    for keys, shape in SHAPES:
        if keys <= row.keys():
            messages = shape(row)
            break
    else:
        known = "; ".join(" + ".join(sorted(keys)) for keys, _ in SHAPES)
        raise ValueError(f"columns {sorted(map(str, row))} are none of the known shapes ({known})")
    turns = to_turns(messages, system=row.get("system"))
    if "assistant" not in [turn.role for turn in turns]:
        raise ValueError("no assistant turn to learn from")
    if turns[-1].role != "assistant":
        raise ValueError("the last turn is the user's, nobody answers it")
    return Conversation(turns)


def to_turns(messages: Messages, system: Any = None) -> tuple[Turn, ...]:
    """The messages as turns, stripped, after the `system` text if there is one. Raises ValueError unless
    user and assistant alternate, beginning with the user."""
    if system:
        messages = [("system", system), *messages]
    turns = tuple(to_turn(role, content) for role, content in messages)
    _check_order([turn.role for turn in turns])
    return turns


def to_turn(name: Any, content: Any) -> Turn:
    """One turn, from a role as files name it. Raises ValueError when the role is unknown or there is no text."""
    role = ROLE_NAMES.get(str(name).lower())
    if role is None:
        raise ValueError(f"unknown role {name!r}, expected one of {', '.join(ROLE_NAMES)}")
    if not isinstance(content, str):
        raise ValueError(f"the content of a turn must be a string, found {type(content).__name__}")
    if not content.strip():
        raise ValueError(f"the {role} turn has empty content")
    return Turn(role, content.strip())


def _check_order(roles: list[str]) -> None:
    dialogue = roles[1:] if roles[:1] == ["system"] else roles
    if "system" in dialogue:
        raise ValueError("a system turn may stand only once, at the beginning")
    for i, role in enumerate(dialogue):
        if role != ("user", "assistant")[i % 2]:
            if i == 0:
                raise ValueError("the first turn is the assistant's, it answers nothing")
            raise ValueError(f"two {role} turns in a row")


# -- the shapes ---------------------------------------------------------------------------------------


def read_messages(messages: Any) -> Messages:
    """Role and content of every message in a list, whichever keys they have."""
    if not isinstance(messages, list):
        raise ValueError(f"expected a list of messages, found {type(messages).__name__}")
    return [_message(message) for message in messages]


def _message(message: Any) -> tuple[str, Any]:
    for role, content in MESSAGE_KEYS:
        if isinstance(message, dict) and role in message and content in message:
            return message[role], message[content]
    raise ValueError("a message needs role and content, or from and value")


def read_prompt(prompt: Any) -> Messages:
    """A prompt that is a text or a list of messages."""
    return [("user", prompt)] if isinstance(prompt, str) else read_messages(prompt)


def _prompt_completion(row: Mapping[str, Any]) -> Messages:
    completion = row["completion"]
    answer = [("assistant", completion)] if isinstance(completion, str) else read_messages(completion)
    return read_prompt(row["prompt"]) + answer


def alpaca_question(row: Mapping[str, Any]) -> Messages:
    """What an alpaca row asks: its history, then the instruction with its input below."""
    messages: Messages = []
    for exchange in row.get("history") or []:
        if not isinstance(exchange, list) or len(exchange) != 2:
            raise ValueError("history must be a list of pairs [question, answer]")
        messages += [("user", exchange[0]), ("assistant", exchange[1])]
    instruction, extra = row["instruction"], row.get("input") or ""
    if not isinstance(instruction, str) or not isinstance(extra, str):
        raise ValueError("instruction and input must be strings")
    question = f"{instruction}\n{extra}" if extra.strip() else instruction
    return [*messages, ("user", question)]


def post_text(info: Any) -> str:
    """The post of a summarize_from_feedback row, below its title, or else its news article.

    Whoever summarises it and whoever judges the summary reads this same text. Raises Skipped where both are null.
    """
    if not isinstance(info, dict):
        raise ValueError(f"info must be an object with a post or an article, found {type(info).__name__}")
    title, post, article = (info.get(column) or "" for column in ("title", "post", "article"))
    if not all(isinstance(text, str) for text in (title, post, article)):
        raise ValueError("title, post and article must be strings or null")
    if post.strip():
        return f"{title}\n{post}".strip()
    if article.strip():
        return article.strip()
    raise Skipped("rows with neither a post nor an article")


def _post_summary(row: Mapping[str, Any]) -> Messages:
    summary = row["summary"]
    text = summary.get("text") if isinstance(summary, dict) else summary
    return [("user", post_text(row.get("info", row))), ("assistant", text)]


def _labelled(row: Mapping[str, Any], text: str = "text", label_column: str = "label") -> Messages:
    """doccano's sequence to sequence; of several texts by one annotator the first counts."""
    label = row[label_column]
    first = label[0] if isinstance(label, list) and label else label
    if not first:
        raise Unlabelled("rows without a label")
    return [*earlier_turns(row), ("user", row[text]), ("assistant", first)]


def earlier_turns(row: Mapping[str, Any]) -> Messages:
    """What was said before a row's text, where our own export for doccano has put it."""
    return read_messages(row.get("earlier") or [])


def _article(row: Mapping[str, Any]) -> Messages:
    """From the title and the summary of an article to its body."""
    short = [row["title"], row["summary"]]
    if not all(isinstance(text, str) for text in short):
        raise ValueError("title and summary must be strings")
    return [("user", "\n".join(text.strip() for text in short if text.strip())), ("assistant", row["body"])]


def _summary(column: str) -> Callable[[Mapping[str, Any]], Messages]:
    return lambda row: [("user", row[column]), ("assistant", row["sum_text"])]


#: Columns that give a shape away, and how to read it; the first match counts.
SHAPES: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any]], Messages]], ...] = (
    (frozenset({"messages"}), lambda row: read_messages(row["messages"])),  # OpenAI
    (frozenset({"conversations"}), lambda row: read_messages(row["conversations"])),  # ShareGPT, minimind
    (frozenset({"prompt", "completion"}), _prompt_completion),
    (frozenset({"instruction", "output"}), lambda row: [*alpaca_question(row), ("assistant", row["output"])]),
    (frozenset({"info", "summary"}), _post_summary),  # summarize_from_feedback
    (frozenset({"title", "summary", "body"}), _article),
    (frozenset({"post", "summary"}), _post_summary),  # the posts it was made from, with their authors' summaries
    (frozenset({"original_text", "sum_text"}), _summary("original_text")),
    (frozenset({"orignal_text", "sum_text"}), _summary("orignal_text")),  # so spelt in published files
    (frozenset({"text", "label"}), _labelled),  # doccano
    (frozenset({"column_data", "column_label"}), lambda row: _labelled(row, "column_data", "column_label")),
)


def _read_dialogue(path: Path) -> Iterator[tuple[str, Row]]:
    """The blocks of a .txt dialogue as rows of messages, each with the file and line it starts on."""
    messages: list[dict[str, str]] = []
    start = 0
    for number, line in enumerate([*read_text(path).split("\n"), ""], start=1):
        match = SPEAKER.match(line.strip())
        if match:
            start = start if messages else number
            messages.append({"role": match[1], "content": match[2]})
        elif not line.strip():
            if messages:
                yield f"{path}:{start}", {"messages": messages}
            messages = []
        elif messages:
            messages[-1]["content"] += f"\n{line.strip()}"
        else:
            raise UserError(f"{path}:{number}: expected a line that begins with 'User:' or 'AI:'.")

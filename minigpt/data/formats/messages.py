"""MessagesCorpus: conversations for supervised fine-tuning, in every shape they are published in.

`to_conversations` knows the shapes of single rows; the class reads files of them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from ..examples import Conversation
from .loader import CorpusLoader
from .reading import Reading, Record, Row, Skipped
from .rows import Examples, parse_rows
from .turns import Messages, Said, read_messages, read_prompt, to_turns, trimmed, with_system

SPEAKER = re.compile(r"(system|user|human|assistant|gpt|ai|bot)[ \t]*[:：][ \t]*(.*)", re.IGNORECASE)
#: doccano's columns: today's, those of its former exports, and those of its import.
DOCCANO_TEXTS, DOCCANO_LABELS = ("text", "data", "column_data"), ("label", "labels", "column_label", "annotations")
#: What a question may stand on; beside a column of questions, it must not be lost.
CONTEXT_COLUMNS = ("context", "input")


class Unlabelled(Skipped):
    """A row nobody has annotated yet."""


class MessagesCorpus(CorpusLoader):
    """Conversations of rows (see `SHAPES`), in a file, a folder or doccano's ZIP, or of a .txt file of lines
    `User: …`, `AI: …`.

    In the .txt shape a blank line begins a new conversation, and a line without a speaker goes on with
    the turn above. Where bad rows are skipped, a conversation that begins with the assistant or ends with the user
    loses that turn only. The group is the `group` or `id` of the row, or of its post, or else the number of the first
    row that asks the same.
    """

    layout = "rows of messages, conversations or instructions (.jsonl, .json, .csv), or a .txt dialogue"

    @classmethod
    def load(cls, path: Path, reading: Reading) -> Examples:
        first: dict[str, int] = {}  # where a question was asked first

        def read(record: Record) -> list[Conversation]:
            row = record.row
            source = row["info"] if isinstance(row.get("info"), dict) else row
            group = source.get("group", source.get("id"))
            found = to_conversations(row, reading.mended if reading.skip_bad_rows else None)
            if group is None:
                asked = next(turn.text for turn in found[0].turns if turn.role == "user")
                group = first.setdefault(asked, reading.rows)
            return [Conversation(talk.turns, str(group), talk.last_only) for talk in found]

        return parse_rows(reading.records(path, txt=_dialogue), read, reading)


class LenientMessagesCorpus(MessagesCorpus):
    """MessagesCorpus that skips and counts bad rows: the former name of that option."""

    lenient = True


def to_conversations(row: Mapping[str, Any], mended: Counter[str] | None = None) -> list[Conversation]:
    """The conversation in one row of any of `SHAPES`; the same talk gives an equal result in each of them.

    After an optional system turn, user and assistant alternate, and the assistant has the last word. Where marks say
    that only some of the assistant's turns are to be learned, each of them is the end of a conversation of its own.
    With `mended`, a first turn of the assistant's and a last one of the user's are cut off and counted there.
    Raises ValueError with a sentence when the row has another shape or breaks these rules,
    and Skipped when it is no mistake and yet nothing to learn from.
    """
    for keys, shape in SHAPES:
        if keys <= row.keys():
            messages = with_system(shape(row), row)
            break
    else:
        raise ValueError(
            f"columns {sorted(map(str, row))} are none of the known shapes (such as messages, conversations, "
            "prompt + completion, instruction + output; corpora/README.md has them all)"
        )
    if mended is not None:
        messages = trimmed(messages, mended)
    turns = to_turns(messages)
    spoken = [i for i, turn in enumerate(turns) if turn.role == "assistant"]
    if not spoken:
        raise ValueError("no assistant turn to learn from")
    if spoken[-1] != len(turns) - 1:
        raise ValueError("the last turn is the user's, nobody answers it")
    learned = [i for i in spoken if messages[i].learn is not False]
    if not learned:
        raise Skipped("conversations marked as not to be learned")
    if learned == spoken:
        return [Conversation(turns)]
    return [Conversation(turns[: i + 1], last_only=True) for i in learned]


# -- the shapes ---------------------------------------------------------------------------------------


def _question_answer(question: str, answer: str) -> Callable[[Mapping[str, Any]], Messages]:
    def read(row: Mapping[str, Any]) -> Messages:
        if row.get("label") is False:
            raise Skipped("answers that somebody disliked")
        check_context(row, question)
        said = row[answer]
        answers = [Said("assistant", said)] if isinstance(said, str) else read_messages(said)
        return read_prompt(row[question]) + answers

    return read


def check_context(row: Mapping[str, Any], column: str) -> None:
    """Raises ValueError if a row has text beside the question in `column` that may belong to it."""
    for name in CONTEXT_COLUMNS:
        if name != column and isinstance(row.get(name), str) and row[name].strip():
            raise ValueError(f"beside {column} there is a column {name}; join the two in a column prompt")


def alpaca_question(row: Mapping[str, Any]) -> Messages:
    """What an alpaca row asks: its history, then the instruction with its input below."""
    messages: Messages = []
    history = row.get("history") or []
    if not isinstance(history, list):
        raise ValueError("history must be a list of pairs [question, answer]")
    for exchange in history:
        if not isinstance(exchange, list) or len(exchange) != 2:
            raise ValueError("history must be a list of pairs [question, answer]")
        messages += [Said("user", exchange[0]), Said("assistant", exchange[1])]
    # Dolly calls the input its context.
    instruction, extra = row["instruction"], row.get("input") or row.get("context") or ""
    if not isinstance(instruction, str) or not isinstance(extra, str):
        raise ValueError("instruction and input must be strings")
    question = f"{instruction}\n{extra}" if extra.strip() else instruction
    return [*messages, Said("user", question)]


def _instruction(answer: str) -> Callable[[Mapping[str, Any]], Messages]:
    return lambda row: [*alpaca_question(row), Said("assistant", row[answer])]


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
    return [Said("user", post_text(row.get("info", row))), Said("assistant", text)]


def _labelled(text: str, label: str) -> Callable[[Mapping[str, Any]], Messages]:
    """doccano's sequence to sequence; of several texts by one annotator the first counts."""

    def read(row: Mapping[str, Any]) -> Messages:
        given = annotated(row[label]) if label == "annotations" else row[label]
        first = given[0] if isinstance(given, list) and given else given
        if first is None or first in ("", []):
            raise Unlabelled("rows without a label")
        return [*earlier_turns(row), Said("user", row[text]), Said("assistant", first)]

    return read


def annotated(annotations: Any) -> list[Any]:
    """The labels or texts in the column `annotations` of doccano's former exports. Raises ValueError for numbers, which
    only the project that they come from can name."""
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise ValueError("annotations must be a list of objects")
    given = [one.get("text", one.get("label")) for one in annotations]
    if any(isinstance(one, int) for one in given):
        raise ValueError(
            "the annotations hold numbers of labels and not their names; export the project as JSONL with text labels"
        )
    return given


def earlier_turns(row: Mapping[str, Any]) -> Messages:
    """What was said before a row's text, where our own export for doccano has put it."""
    return read_messages(row.get("earlier") or [])


def _article(row: Mapping[str, Any]) -> Messages:
    """From the title and the summary of an article to its body."""
    short = [row["title"], row["summary"]]
    if not all(isinstance(text, str) for text in short):
        raise ValueError("title and summary must be strings")
    return [Said("user", "\n".join(text.strip() for text in short if text.strip())), Said("assistant", row["body"])]


def _summary(column: str) -> Callable[[Mapping[str, Any]], Messages]:
    return lambda row: [Said("user", row[column]), Said("assistant", row["sum_text"])]


#: Columns that give a shape away, and how to read it; the first match counts.
SHAPES: tuple[tuple[frozenset[str], Callable[[Mapping[str, Any]], Messages]], ...] = (
    (frozenset({"messages"}), lambda row: read_messages(row["messages"])),  # OpenAI
    (frozenset({"conversations"}), lambda row: read_messages(row["conversations"])),  # ShareGPT, minimind
    (frozenset({"contents"}), lambda row: read_messages(row["contents"])),  # Google
    (frozenset({"instruction", "output"}), _instruction("output")),  # Alpaca
    (frozenset({"instruction", "response"}), _instruction("response")),  # Dolly
    *(
        (frozenset({question, answer}), _question_answer(question, answer))
        for question, answer in product(
            ("prompt", "question", "query", "input"), ("completion", "response", "answer", "output")
        )
    ),
    (frozenset({"info", "summary"}), _post_summary),  # summarize_from_feedback
    (frozenset({"title", "summary", "body"}), _article),
    (frozenset({"post", "summary"}), _post_summary),  # the posts it was made from, with their authors' summaries
    (frozenset({"original_text", "sum_text"}), _summary("original_text")),
    (frozenset({"orignal_text", "sum_text"}), _summary("orignal_text")),  # so spelt in published files
    *((frozenset({text, label}), _labelled(text, label)) for text, label in product(DOCCANO_TEXTS, DOCCANO_LABELS)),
)


def _dialogue(text: str) -> Iterator[tuple[int | str, Row | ValueError]]:
    """The blocks of a .txt dialogue as rows of messages, each with the line it starts on."""
    messages: list[dict[str, str]] = []
    start = 0
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        match = SPEAKER.match(line.strip())
        if match:
            start = start if messages else number
            messages.append({"role": match[1], "content": match[2]})
        elif not line.strip():
            if messages:
                yield start, {"messages": messages}
            messages = []
        elif messages:
            messages[-1]["content"] += f"\n{line.strip()}"
        else:
            yield number, ValueError("expected a line that begins with 'User:' or 'AI:'")

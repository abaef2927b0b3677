"""Votes and answers as files that others can read: our own lines, TRL's, OpenAI's comparisons, doccano's."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..data.examples import Turn
from ..data.formats.doccano import DoccanoRow, chat_row
from .store import Row, Store

HELD_OUT = 5  # every fifth prompt measures the reward model and does not teach it


def usable(votes: Iterable[Row]) -> list[Row]:
    """Votes for one side: a tie, or two bad answers, say nothing about which is better."""
    return [vote for vote in votes if vote["vote"] in ("left", "right")]


def split(votes: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """(to learn from, to measure with): every fifth prompt, with all its votes, is held out."""
    learn: list[Row] = []
    measure: list[Row] = []
    numbers: dict[str, int] = {}
    for vote in usable(votes):
        number = numbers.setdefault(json.dumps(vote["messages"]), len(numbers))
        (measure if number % HELD_OUT == HELD_OUT - 1 else learn).append(vote)
    return learn, measure


def better_and_worse(vote: Row) -> tuple[str, str]:
    """The texts of the preferred and of the other answer."""
    left, right = vote["left_text"], vote["right_text"]
    return (left, right) if vote["vote"] == "left" else (right, left)


def minigpt(vote: Row) -> Row:
    """Our own line: everything that is known about a vote."""
    return {
        "prompt": vote["messages"],
        "answers": [vote["left_text"], vote["right_text"]],
        "vote": vote["vote"],
        "models": [vote["left_model"], vote["right_model"]],
        "seeds": [vote["left_seed"], vote["right_seed"]],
        "created": vote["voted"],
        "id": vote["vote_id"],
    }


def trl(vote: Row) -> Row:
    """TRL's preference format with an explicit prompt."""
    better, worse = better_and_worse(vote)
    return {"prompt": vote["messages"], "chosen": _said(better), "rejected": _said(worse)}


def _said(text: str) -> list[Row]:
    return [{"role": "assistant", "content": text}]


def comparison(vote: Row) -> Row:
    """A row of OpenAI's summarize_from_feedback comparisons; what that corpus calls a post is the conversation."""
    post = "\n".join(message["content"] for message in vote["messages"])
    return {
        "info": {"id": str(vote["id"]), "post": post, "title": None, "subreddit": None, "site": None, "article": None},
        "summaries": [
            {"text": vote["left_text"], "policy": vote["left_model"], "note": None},
            {"text": vote["right_text"], "policy": vote["right_model"], "note": None},
        ],
        "choice": 0 if vote["vote"] == "left" else 1,
        "worker": "chat page",
        "batch": "votes",
        "split": "train",
        "extra": {"confidence": None},
    }


def two_summaries(vote: Row) -> Row:
    """Two summaries of one text in columns, and which of them is the better one."""
    row = comparison(vote)
    first, second = (summary["text"] for summary in row["summaries"])
    return {"original_text": row["info"]["post"], "summarize_0": first, "summarize_1": second, "choice": row["choice"]}


def _labels(store: Store) -> Iterator[Row]:
    """doccano's text classification: each answer that was voted on, or got a thumb, as good or bad."""
    judged: list[tuple[str, str, str]] = []
    for vote in usable(store.votes()):
        better, worse = better_and_worse(vote)
        asked = vote["messages"][-1]["content"]
        judged += [(better, "good", asked), (worse, "bad", asked)]
    for answer in store.thumbs():
        judged.append((answer["text"], "good" if answer["thumb"] == "up" else "bad", answer["messages"][-1]["content"]))
    for number, (text, label, asked) in enumerate(judged, start=1):
        yield DoccanoRow(text, (label,), number=number, metadata={"prompt": asked}).as_row()


def _rewrites(store: Store) -> Iterator[Row]:
    """doccano's sequence to sequence: what was asked and what was answered, to be corrected there."""
    for answer in store.answers():
        turns = [Turn(message["role"], message["content"]) for message in answer["messages"]]
        yield chat_row(turns, [answer["text"]], answer["id"], model=answer["model"]).as_row()


FORMATS: dict[str, Callable[[Store], Iterable[Row]]] = {
    "minigpt": lambda store: map(minigpt, store.votes()),
    "trl": lambda store: map(trl, usable(store.votes())),
    "summarize_from_feedback": lambda store: map(comparison, usable(store.votes())),
    "summaries": lambda store: map(two_summaries, usable(store.votes())),
    "doccano": _labels,
    "doccano_chats": _rewrites,
}


def lines(rows: Iterable[dict[str, Any]]) -> str:
    """JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

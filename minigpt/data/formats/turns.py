"""Turns from the messages of published files: whatever they call the roles, and however they hold the text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..examples import Turn
from .reading import Skipped

#: What the roles are called; ShareGPT's conversations name the models that spoke.
ROLE_NAMES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "ai": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "chatgpt": "assistant",
    "bard": "assistant",
    "bing": "assistant",
    "claude": "assistant",
    "gemini": "assistant",
    "model": "assistant",
}
#: Keys of a single message: OpenAI's, ShareGPT's, Google's.
MESSAGE_KEYS = (("role", "content"), ("from", "value"), ("role", "parts"))
#: Keys by which a message says whether it is to be learned: OpenAI's and those of several trainers.
LEARN_KEYS = ("weight", "loss", "train", "training")
TEXT_PARTS = (None, "text", "input_text", "output_text")
SYSTEM_COLUMNS = ("system", "system_prompt", "systemInstruction")
CUT_TURNS = "first turns that answer nothing, or last ones that nobody answers"


class Said(NamedTuple):
    """A message: its role as the file names it, its content as it came, and whether a mark says to learn it or not."""

    role: Any
    content: Any
    learn: bool | None = None


Messages = list[Said]


def with_system(messages: Messages, row: Mapping[str, Any]) -> Messages:
    """The messages after the system text that a row has in a column of its own; a system message that says nothing is
    left out."""
    system = next((row[name] for name in SYSTEM_COLUMNS if row.get(name)), None)
    if isinstance(system, dict):  # Google's
        system = system.get("parts")
    messages = [Said("system", system), *messages]
    return [said for said in messages if role_of(said.role) != "system" or not _is_empty(said.content)]


def _is_empty(content: Any) -> bool:
    text = content_text(content)
    return text is None or (isinstance(text, str) and not text.strip())


def role_of(name: Any) -> str | None:
    """Our role for what a file calls it; None for a name that is unknown."""
    return ROLE_NAMES.get(str(name).lower())


def trimmed(messages: Messages, mended: Counter[str]) -> Messages:
    """The messages from the first that is not the assistant's (but for a system turn) to the last that is."""
    opening = messages[:1] if messages and role_of(messages[0].role) == "system" else []
    rest = messages[len(opening) :]
    start = next((i for i, said in enumerate(rest) if role_of(said.role) != "assistant"), len(rest))
    stop = next((i for i in range(len(rest), start, -1) if role_of(rest[i - 1].role) != "user"), start)
    if start < stop and (cut := len(rest) - (stop - start)):
        mended[CUT_TURNS] += cut
    return [*opening, *rest[start:stop]]


def to_turns(messages: Messages) -> tuple[Turn, ...]:
    """The messages as turns, stripped. Raises ValueError unless user and assistant alternate, beginning with the user,
    after an optional system turn."""
    turns = tuple(to_turn(said.role, said.content) for said in messages)
    _check_order([turn.role for turn in turns])
    for turn, said in zip(turns, messages, strict=True):
        if said.learn and turn.role != "assistant":
            raise ValueError(f"a {turn.role} turn is marked to be learned, but only the assistant's are; take it off")
    return turns


def to_turn(name: Any, content: Any) -> Turn:
    """One turn, from a role as files name it. Raises ValueError when the role is unknown or there is no text, and
    Skipped for an answer that is empty."""
    role = role_of(name)
    if role is None:
        raise ValueError(f"unknown role {name!r}, expected one of {', '.join(ROLE_NAMES)}")
    text = content_text(content)
    if not isinstance(text, str):
        raise ValueError(f"the content of a turn must be a string, found {type(content).__name__}")
    text = text.strip()
    if not text and role == "assistant":
        raise Skipped("rows with an empty answer")
    if not text:
        raise ValueError(f"the {role} turn has empty content")
    return Turn(role, text)


def content_text(content: Any) -> Any:
    """A message's content, the texts of its parts joined by line ends. Raises ValueError for a part that is no text."""
    if not isinstance(content, list):
        return content
    for part in content:
        if not isinstance(part, dict):
            raise ValueError(f"the content of a turn must be a string or a list of parts, found {type(part).__name__}")
        if part.get("type") not in TEXT_PARTS or not isinstance(part.get("text"), str):
            raise ValueError(f"a part of the type {part.get('type')!r} is no text; only text can be learned")
    return "\n".join(part["text"] for part in content)


def _check_order(roles: list[str]) -> None:
    dialogue = roles[1:] if roles[:1] == ["system"] else roles
    if "system" in dialogue:
        raise ValueError("a system turn may stand only once, at the beginning")
    for i, role in enumerate(dialogue):
        if role != ("user", "assistant")[i % 2]:
            if i == 0:
                raise ValueError("the first turn is the assistant's, it answers nothing")
            raise ValueError(f"two {role} turns in a row")


def read_messages(messages: Any) -> Messages:
    """Role and content of every message in a list, whichever keys they have."""
    if not isinstance(messages, list):
        raise ValueError(f"expected a list of messages, found {type(messages).__name__}")
    return [_message(message) for message in messages]


def _message(message: Any) -> Said:
    for role, content in MESSAGE_KEYS:
        if isinstance(message, dict) and role in message and content in message:
            if message.get("tool_calls") or message.get("function_call"):
                raise ValueError("a turn calls a tool, which cannot be learned here")
            return Said(message[role], message[content], _learn(message))
    raise ValueError("a message needs role and content, or from and value")


def _learn(message: Mapping[str, Any]) -> bool | None:
    """What a message says of itself: to be learned, not to be learned, or nothing."""
    for key in LEARN_KEYS:
        if (mark := message.get(key)) is not None:
            if mark not in (0, 1):
                raise ValueError(f"{key} must be 0 or 1, true or false, found {mark!r}")
            return bool(mark)
    return None


def read_prompt(prompt: Any) -> Messages:
    """A prompt that is a text or a list of messages."""
    return [Said("user", prompt)] if isinstance(prompt, str) else read_messages(prompt)

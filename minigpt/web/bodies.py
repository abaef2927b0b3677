"""What each route takes: pydantic models, from which /openapi.json and the page's limits are made as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from .. import chat
from ..data.examples import Turn
from ..model.sampling import CHATTY, SEEDS, Sampling
from .messages import EITHER, ONE, SEVERAL, Message
from .messages import MESSAGES as MOST_MESSAGES
from .model_cache import NAME
from .schema import RequestBody
from .settings import Settings
from .store import VOTES

#: What the page keeps to, and what is stored; a client's conversation may be far longer, see `messages`.
MESSAGES, CHARACTERS = 64, 4000
PROMPT, WORDS = 2**20, 200
ANSWER_TOKENS, STOPS, STOP_CHARACTERS, TOP = 4096, 4, 64, 20
COMPARED, BEAM_WIDTH, BEAM_TOKENS, SCORED, INPUTS = 4, 8, 40, 8, 8
TOKEN_IDS = 2**31  # those of any vocabulary are below it


def limits(settings: Settings) -> dict[str, int]:
    """The numbers that a page must know to stay within them."""
    return {"messages": MESSAGES, "characters": CHARACTERS, "words": WORDS, "body": settings.max_body, "stops": STOPS,
            "beam_tokens": BEAM_TOKENS}  # fmt: skip


# Kinds of values.


def _not_blank(text: str) -> str:
    if not text.strip():
        raise PydanticCustomError("blank", "must not be blank")
    return text


def _asks(messages: list[Message]) -> list[Message]:
    if messages[-1].role != "user" or not messages[-1].content.strip():
        raise PydanticCustomError("no_question", "must end with a user's message that is not blank")
    return messages


Characters = Annotated[str, Field(max_length=CHARACTERS)]
Text = Annotated[str, Field(min_length=1, max_length=CHARACTERS)]
Question = Annotated[Text, AfterValidator(_not_blank)]
Document = Annotated[str, Field(max_length=PROMPT)]
Mode = Literal["dialogue", "qa"]
ModelName = Annotated[str, Field(pattern=f"^{NAME}/{NAME}$")]
TokenIds = Annotated[list[Annotated[int, Field(ge=0, lt=TOKEN_IDS)]], Field(max_length=ANSWER_TOKENS)]
StopText = Annotated[str, Field(min_length=1, max_length=STOP_CHARACTERS)]
RowId = Annotated[int, Field(ge=1, le=2**53)]
User = Annotated[str, Field(max_length=64, description="Whose history; each has its own.")]

Item = TypeVar("Item")
OneOrSeveral = Annotated[
    Annotated[Item, ONE] | Annotated[list[Item], Field(min_length=1, max_length=INPUTS), SEVERAL], EITHER
]

#: What pydantic calls the limits beside Sampling's fields.
LIMITS = {"minimum": "ge", "above": "gt", "below": "lt", "maximum": "le", "most": "le"}


def decoding(name: str, default: Any = ...) -> Any:
    """A field for one of Sampling's settings, with its sentence and limits; the chat's default unless one is given."""
    about = next(field.metadata for field in fields(Sampling) if field.name == name)
    bounds = {LIMITS[key]: value for key, value in about.items() if key in LIMITS}
    default = getattr(CHATTY, name) if default is ... else default
    return Field(default, description=f"{about['help'][0].upper()}{about['help'][1:]}.", **bounds)


def length(
    default: int | None, text: str = "Longest answer, in tokens; the context may be less.", least: int = 1
) -> Any:
    return Field(default, ge=least, le=ANSWER_TOKENS, description=text)


# Values that mean something in OpenAI's API, and that a model here takes as the nearest one that it knows.


def _most(value: Any) -> Any:
    """More tokens than any context holds are as many as it holds."""
    return min(value, ANSWER_TOKENS) if type(value) is int else value


def _folded(value: Any) -> Any:
    """OpenAI's seeds have 64 bits and a sign."""
    return value % SEEDS if type(value) is int and -(2**63) <= value < 2**63 else value


def _smallest(value: Any) -> Any:
    """The smallest nucleus holds the likeliest token alone; 0 asks for nothing else."""
    return 1e-9 if value == 0 and type(value) in (int, float) else value


Length = Annotated[int, BeforeValidator(_most)]
Seed = Annotated[int, BeforeValidator(_folded)]
Nucleus = Annotated[float, BeforeValidator(_smallest)]


# Parts that several routes share.


class Named(RequestBody):
    model: ModelName | None = Field(None, description="RECIPE/FOLDER, as /v1/models lists them.")


Messages = Annotated[list[Message], Field(min_length=1, max_length=MOST_MESSAGES), AfterValidator(_asks)]


def as_turns(messages: Sequence[dict[str, Any]]) -> list[Turn]:
    return [Turn(message["role"], message["content"]) for message in messages]


class Conversation(RequestBody):
    messages: Messages = Field(description="The conversation, a user's message last.")
    mode: Mode = Field(
        "dialogue", description="dialogue: as many of the last turns as fit; qa: the last message alone."
    )

    @property
    def turns(self) -> list[Turn]:
        """The turns that count: all of them in a dialogue, the last one alone in question-answer mode."""
        turns = [Turn(message.role, message.content) for message in self.messages]
        while len(turns) > 1 and turns[0].role == turns[1].role == "system":  # the model has learned with one
            turns[:2] = [Turn("system", f"{turns[0].text}\n{turns[1].text}")]
        return turns[-1:] if self.mode == "qa" else turns


class Decoding(RequestBody):
    """How the next token is chosen, and when the answer ends."""

    temperature: float = decoding("temperature")
    top_p: Nucleus = decoding("top_p")
    top_k: int = decoding("top_k")
    min_p: float = decoding("min_p")
    repetition_penalty: float = decoding("repetition_penalty")
    no_repeat_ngram: int = decoding("no_repeat_ngram")
    max_tokens: Length = length(chat.Chat.max_new_tokens)
    seed: Seed | None = decoding("seed", None)
    stop: (
        Annotated[Annotated[StopText, ONE] | Annotated[list[StopText], Field(max_length=STOPS), SEVERAL], EITHER] | None
    ) = Field(None, description="The answer ends before the first of these.")

    @property
    def longest(self) -> int:
        return self.max_tokens

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop or []


AnyDecoding = TypeVar("AnyDecoding", bound=Decoding)


class Generation(Conversation, Decoding):
    """A conversation to answer, and how."""


class Stop(RequestBody):
    id: str = Field(min_length=1, max_length=64, description="The id of a running answer.")


class Compare(Generation):
    models: list[ModelName] = Field(min_length=1, max_length=COMPARED, description="The models to compare.")
    stream: bool = Field(False, description="Send events while the answers are written.")


# Looking inside.


class Answered(Named, Conversation):
    answer_ids: TokenIds | None = Field(None, description="The token ids of the answer to look at.")
    answer: Characters = Field("", description="The answer as text, instead of its ids.")


class Tokens(Answered):
    top: int = Field(10, ge=1, le=TOP, description="Alternatives to show.")


class Attention(Answered):
    layer: int = Field(0, ge=0, le=1000, description="From 0, the one that reads the embeddings.")
    head: int = Field(0, ge=0, le=1000, description="From 0.")
    last: int = Field(64, ge=0, le=256, description="Show this many tokens at the end; 0 is all.")


class BeamSearch(RequestBody):
    beam_width: int = Field(3, ge=1, le=BEAM_WIDTH, description="Candidates that are kept at every step.")
    length_penalty: float = Field(1.0, ge=0, le=2, description="0 prefers short answers; 1 compares the mean.")


class Beam(Named, Conversation, BeamSearch):
    repetition_penalty: float = decoding("repetition_penalty")
    no_repeat_ngram: int = decoding("no_repeat_ngram")
    max_tokens: int = Field(20, ge=1, le=BEAM_TOKENS, description="Longest answer.")


class Tokenize(Named):
    messages: Messages | None = Field(None, description="A conversation, as the model would read it.")
    text: Document | None = Field(None, description="A text, instead of messages.")
    mode: Mode = "dialogue"


class Score(Conversation):
    answers: list[Characters] = Field(min_length=1, max_length=SCORED, description="The answers to score.")
    reward_model: ModelName | None = None


# Votes.


class Pair(Named, Generation):
    other: ModelName | None = Field(None, description="The model to meet; left out, an older one is drawn.")


class Vote(RequestBody):
    pair_id: RowId
    vote: Literal[VOTES] = Field(description="Which answer is better.")  # type: ignore[valid-type]


class Thumb(RequestBody):
    answer_id: RowId
    thumb: Literal["up", "down", "none"] = Field(description="none takes it back.")


class Retrain(RequestBody):
    force: bool = Field(False, description="Also with fewer votes than needed.")


# Pipelines take one input or a list of them, and give one result or a list of them.


class Generate(Named):
    inputs: OneOrSeveral[Question] | None = Field(None, description="A text, or a list of texts.")
    messages: Messages | None = Field(None, description="A conversation, instead of inputs.")
    max_new_tokens: Length = length(50)
    do_sample: bool = Field(False, description="Draw, rather than always take the likeliest token.")
    temperature: float = decoding("temperature", 1.0)
    top_k: int = decoding("top_k", 50)
    top_p: Nucleus = decoding("top_p", 1.0)
    repetition_penalty: float = decoding("repetition_penalty", 1.0)
    num_return_sequences: int = Field(1, ge=1, le=4, description="Answers to each input.")
    return_full_text: bool = Field(True, description="Put the input in front of what was written.")
    seed: Seed | None = decoding("seed", None)


class Features(Named):
    inputs: OneOrSeveral[Text] = Field(description="A text, or a list of texts.")


class Sentiment(Features):
    top_k: int = Field(1, ge=1, le=2, description="Labels to show.")


class PairOfTexts(RequestBody):
    text: Text
    text_pair: Text


class Reward(Named):
    inputs: OneOrSeveral[PairOfTexts] = Field(description="A prompt and an answer, or a list of such pairs.")


# What older clients send.


class Summarize(RequestBody):
    text: Question


class Infer(Summarize):
    summary: Characters


class Gpt2(RequestBody):
    query: Question
    user: User = ""
    mode: Mode = "dialogue"

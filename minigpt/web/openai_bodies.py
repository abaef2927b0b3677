"""What OpenAI's two routes take: every field that OpenAI documents is known here. What a model cannot do is accepted
where it asks for nothing, so that clients that always send it can talk to us, and refused by name where it would change
the answer. A field that OpenAI does not know either is a typing mistake, and is named as one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, create_model, field_validator
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from .bodies import TOP, Decoding, Document, Generation, Length, Named, TokenIds, length
from .messages import ONE
from .schema import RequestBody, only

CHOICES, PROMPTS = 8, 16


def _kind_of_prompt(prompt: Any) -> str:
    if not isinstance(prompt, list):
        return "one"
    first = prompt[0] if prompt else ""
    return "lists" if isinstance(first, list) else "texts" if isinstance(first, str) else "ids"


Ids = Annotated[TokenIds, Field(min_length=1)]
Prompt = Annotated[
    Annotated[Document, ONE]
    | Annotated[list[Document], Field(min_length=1, max_length=PROMPTS), Tag("texts")]
    | Annotated[Ids, Tag("ids")]
    | Annotated[list[Ids], Field(max_length=PROMPTS), Tag("lists")],
    Discriminator(_kind_of_prompt),
]

#: Said by clients, for OpenAI's books or machines: whatever it is, the answer is the same.
ANY_TEXT = (str, Field("", description="Accepted; it changes nothing here."))
ANY_OBJECT: Any = (dict[str, Any], Field({}, description="Accepted; it changes nothing here."))
ANY_SWITCH = (bool, Field(False, description="Accepted; it changes nothing here."))


def _no_bias(bias: dict[str, Any]) -> dict[str, Any]:
    if any(bias.values()):
        raise PydanticCustomError("unsupported", "must be empty: this server does not bias single tokens")
    return bias


PENALTY = (only(float, "0: this server has repetition_penalty instead", 0), Field(0))
SHARED: dict[str, Any] = {
    "frequency_penalty": PENALTY,
    "presence_penalty": PENALTY,
    "logit_bias": (
        Annotated[dict[str, float], AfterValidator(_no_bias), WithJsonSchema({"type": "object", "maxProperties": 0})],
        Field({}),
    ),
    "user": ANY_TEXT,
}
NO_TOOLS = "this model calls no tools"
OF_CHATS: dict[str, Any] = {
    "tools": (only(list[Any], f"empty: {NO_TOOLS}", []), Field([])),
    "tool_choice": (only(Any, f"none or auto: {NO_TOOLS}", "none", "auto"), Field("none")),
    "parallel_tool_calls": ANY_SWITCH,
    "functions": (only(list[Any], f"empty: {NO_TOOLS}", []), Field([])),
    "function_call": (only(Any, f"none or auto: {NO_TOOLS}", "none", "auto"), Field("none")),
    "response_format": (
        only(dict[str, Any], 'an object with type "text": this model writes no JSON on demand', {"type": "text"}),
        Field({"type": "text"}),
    ),
    "modalities": (only(list[str], '["text"]: this model has no voice', ["text"]), Field(["text"])),
    "audio": (only(Any, "null: this model has no voice"), Field(None)),
    "web_search_options": (only(Any, "null: this model does not search the web"), Field(None)),
    "moderation": (only(Any, "null: this server does not moderate"), Field(None)),
    "verbosity": (only(str, "medium: an answer is as long as the model makes it", "medium"), Field("medium")),
    "reasoning_effort": ANY_TEXT,  # there is no reasoning that could be more or less
    "prediction": ANY_OBJECT,  # would save time, and not change a word
    "prompt_cache_key": ANY_TEXT,
    "prompt_cache_options": ANY_OBJECT,
    "prompt_cache_retention": ANY_TEXT,
    "metadata": ANY_OBJECT,
    "store": ANY_SWITCH,
    "service_tier": ANY_TEXT,
    "safety_identifier": ANY_TEXT,
}
Tolerant: Any = create_model("Tolerant", __base__=RequestBody, **SHARED)
TolerantChat: Any = create_model("TolerantChat", __base__=Tolerant, **OF_CHATS)


class StreamOptions(RequestBody):
    include_usage: bool = False
    include_obfuscation: bool = Field(False, description="Accepted; nothing is obfuscated.")


class Streaming(RequestBody):
    stream: bool = Field(False, description="Send the answer as server-sent events while it is written.")
    stream_options: StreamOptions = Field(
        StreamOptions.model_construct(),
        description="With include_usage, the token counts come in a chunk of their own.",
    )
    n: int = Field(1, ge=1, le=CHOICES, description="Answers to write; the second has the next seed, and so on.")


class Chat(Named, Generation, Streaming, TolerantChat):
    max_completion_tokens: Length | None = length(None, "Another name of max_tokens.")
    logprobs: bool = Field(False, description="Add each token's log-probability.")
    top_logprobs: int = Field(0, ge=0, le=TOP, description="Add the likeliest tokens at each place.")
    answer_ids: TokenIds = Field([], description="Token ids that the answer begins with.")
    chat_id: str | None = Field(None, pattern="^[A-Za-z0-9_-]{1,64}$", description="Keep the answer under this chat.")

    @property
    def longest(self) -> int:
        return self.max_completion_tokens or self.max_tokens


class Completion(Named, Decoding, Streaming, Tolerant):
    prompt: Prompt = Field(description="A text to go on with, its token ids, or a list of either.")
    max_tokens: Length = length(
        80, "Longest answer, in tokens; with 0 and echo, the prompt alone is looked at.", least=0
    )
    echo: bool = Field(False, description="Begin the answer with the prompt.")
    logprobs: int | None = Field(None, ge=0, le=TOP, description="Add log-probabilities, and this many alternatives.")
    best_of: int = Field(1, ge=1, description="As many as n: none is thrown away.")
    suffix: only(str, "empty: this model only goes on", "") = Field("")  # type: ignore[valid-type]

    @field_validator("best_of")
    @classmethod
    def _none_is_dropped(cls, best_of: int, info: ValidationInfo) -> int:
        if best_of != info.data.get("n", 1):
            raise PydanticCustomError("unsupported", "must be as large as n: this server does not choose among answers")
        return best_of

    @property
    def prompts(self) -> list[str | list[int]]:
        """Each prompt, a text or token ids."""
        if isinstance(self.prompt, str) or isinstance(self.prompt[0], int):
            return [self.prompt]
        return [*self.prompt]

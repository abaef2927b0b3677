"""A message as OpenAI's clients send it, and what a model reads of it: a role and a text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from .schema import RequestBody, only

#: Messages of a request, and characters of one: far more than a model reads. The oldest are left out, not refused.
MESSAGES, CHARACTERS = 4096, 2**20

#: A value or a list: its type alone tells which of the two it is, so that an error is about one of them.
ONE, SEVERAL = Tag("one"), Tag("several")
EITHER = Discriminator(lambda value: "several" if isinstance(value, list) else "one")


TEXTS = ("text", "input_text", "output_text", "refusal")


def _is_text(kind: str) -> str:
    if kind not in TEXTS:
        raise PydanticCustomError("unsupported", "must be text: this model cannot read {kind}", {"kind": kind[:40]})
    return kind


class Part(RequestBody):
    """A part of a message. Only text can be read; what an assistant has declined with is text as well."""

    type: Annotated[str, AfterValidator(_is_text)] = Field(json_schema_extra={"enum": [*TEXTS]})
    text: str = Field("", max_length=CHARACTERS)
    refusal: str = Field("", max_length=CHARACTERS)
    prompt_cache_breakpoint: dict[str, Any] = Field({}, description="Accepted; nothing is cached between requests.")

    @model_validator(mode="before")
    @classmethod
    def _kind_first(cls, data: Any) -> Any:
        """A part that is no text has fields of its own; what is wrong with it is its type."""
        if isinstance(data, dict) and isinstance(kind := data.get("type"), str):
            _is_text(kind)
            field = "refusal" if kind == "refusal" else "text"
            if not isinstance(data.get(field), str):
                raise PydanticCustomError("part", "must have a string {field}", {"field": field})
        return data


def _joined(content: str | list[Part]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text or part.refusal for part in content)


if TYPE_CHECKING:
    Content = str  # what it is after the check
else:
    Content = Annotated[
        Annotated[Annotated[str, Field(max_length=CHARACTERS)], ONE]
        | Annotated[list[Part], Field(max_length=MESSAGES), SEVERAL],
        EITHER,
        AfterValidator(_joined),
    ]


TOOLS = ("tool", "function")


def _role(role: Any) -> Any:
    """OpenAI's newer models call the system `developer`."""
    if role in TOOLS:
        why = "must not be {role}: this model calls no tools, so it cannot read what one has answered"
        raise PydanticCustomError("unsupported", why, {"role": role})
    return "system" if role == "developer" else role


Role = Annotated[
    Literal["system", "user", "assistant"],
    BeforeValidator(_role, json_schema_input_type=Literal["system", "developer", "user", "assistant"]),
]


class Message(RequestBody):
    """One message. The fields behind `content` are OpenAI's, and what clients give back of an earlier answer; a model
    reads none of them."""

    role: Role
    content: Content
    name: str = Field("", exclude=True, description="Accepted; the model is not told names.")
    refusal: str = Field("", exclude=True, description="Stands in for an assistant's missing content.")
    annotations: list[Any] = Field([], exclude=True, description="Accepted, and not read.")
    audio: only(Any, "null: this model has no voice") = Field(None, exclude=True)  # type: ignore[valid-type]
    tool_calls: only(list[Any], "empty: this model calls no tools", []) = Field([], exclude=True)  # type: ignore[valid-type]
    function_call: only(Any, "null: this model calls no functions") = Field(None, exclude=True)  # type: ignore[valid-type]
    provider_specific_fields: dict[str, Any] = Field({}, exclude=True, description="LiteLLM's notes; not read.")

    @model_validator(mode="before")
    @classmethod
    def _declined(cls, data: Any) -> Any:
        """An assistant's message may lack its content, where it has declined to answer or called a tool. A tool's has
        fields of its own; what is wrong with it is its role."""
        if isinstance(data, dict) and data.get("role") in TOOLS:
            return {"role": data["role"]}
        if isinstance(data, dict) and data.get("role") == "assistant" and data.get("content") is None:
            refusal = data.get("refusal")
            return {**data, "content": refusal if isinstance(refusal, str) else ""}
        return data

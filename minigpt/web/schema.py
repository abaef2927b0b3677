"""Requests, checked by pydantic: what a view's annotations name is what it takes, and what /openapi.json describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import signature
from typing import Annotated, Any, TypeVar, get_type_hints

from flask import request
from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema, create_model, model_validator
from pydantic_core import PydanticCustomError

from ..errors import nearest
from .errors import ApiError, bad_value

View = TypeVar("View", bound=Callable[..., Any])


class RequestBody(BaseModel):
    """What a request holds. Null is as good as leaving a field out; a field that is not known is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        for name in data:
            if name not in cls.model_fields:
                hint = nearest(name, cls.model_fields) or f"; known here: {', '.join(cls.model_fields) or 'none'}."
                raise PydanticCustomError("unknown_field", "unknown field", {"name": name, "hint": hint})
        return {name: _whole(value) for name, value in data.items() if value is not None}


def _whole(value: Any) -> Any:
    """JSON has one kind of number: 3.0 is an integer there."""
    if isinstance(value, list):
        return [_whole(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def only(kind: Any, must: str, *values: Any) -> Any:
    """A type for a field that others know and we do not: one of `values`, those that change nothing, is accepted, and
    any other is refused, so that nobody believes that it had an effect. `must` ends the sentence "FIELD must be"."""

    def check(value: Any) -> Any:
        if value not in values:
            raise PydanticCustomError("unsupported", "must be {must}", {"must": must})
        return value

    schema = {"enum": list(values)} if values else {"type": "null"}
    return Annotated[kind, AfterValidator(check), WithJsonSchema({**schema, "description": f"Must be {must}."})]


@dataclass(frozen=True)
class Spec:
    """What a route takes and gives, as /openapi.json tells it."""

    summary: str
    body: type[RequestBody] | None = None
    query: type[RequestBody] = RequestBody
    answer: str = "application/json"
    status: int = 200


def takes(answer: str = "application/json", status: int = 200) -> Callable[[View], View]:
    """Decorate a view: its parameter `body` is read from the request's JSON, as the model that it is annotated with,
    and keyword-only parameters from the query string. Raises pydantic's ValidationError, which leaves the app as an
    ApiError 400 that names the first wrong field."""

    def decorate(view: View) -> View:
        hints = get_type_hints(view, include_extras=True)
        asked: Any = {
            name: (hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in signature(view).parameters.items()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        query = create_model("Query", __base__=RequestBody, **asked)
        body = hints.get("body")

        @wraps(view)
        def checked(**path: Any) -> Any:
            if body is not None:
                path["body"] = body.model_validate_json(read_json())
            return view(**path, **dict(query.model_validate(read_query(), strict=False)))

        checked.spec = Spec((view.__doc__ or "").strip().split("\n")[0], body, query, answer, status)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def read_json() -> bytes:
    if request.mimetype != "application/json":
        raise ApiError(415, "not_json", "Send JSON, with Content-Type: application/json.")
    return request.get_data(cache=False)


def read_query() -> dict[str, str]:
    values = dict(request.args.lists())
    for name, given in values.items():
        if len(given) > 1:
            raise bad_value(f"{name} is given twice.", name)
    return {name: given[0] for name, given in values.items()}

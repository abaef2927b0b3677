"""A small table-driven validator: the same table checks a request and describes it in /openapi.json."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, NoReturn, TypeVar

from flask import request

from .errors import ApiError, bad_value

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Field:
    """One field of a request. `minimum` and `maximum` count characters of a string and members of an array;
    `above` and `below` are limits that a number must not touch. An optional field may also be null."""

    type: str  # string, integer, number, boolean, array or object
    meaning: str = ""
    required: bool = False
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    items: Field | None = None
    fields: Mapping[str, Field] = field(default_factory=dict)
    either: tuple[Field, ...] = ()  # any one of these instead of `type`


Fields = Mapping[str, Field]


@dataclass(frozen=True)
class Spec:
    """What a route takes and gives, as /openapi.json tells it."""

    summary: str
    body: Fields | None = None
    query: Fields | None = None
    answer: str = "application/json"
    status: int = 200


def takes(
    body: Fields | None = None, query: Fields | None = None, answer: str = "application/json", status: int = 200
) -> Callable[[View], View]:
    """Decorate a view: it gets the checked `body` and `query` as dictionaries with every field in them."""

    def decorate(view: View) -> View:
        @wraps(view)
        def checked(**path: Any) -> Any:
            if body is not None:
                path["body"] = check_object(body, read_json(), "")
            given = check_query(query or {})
            if query is not None:
                path["query"] = given
            return view(**path)

        checked.spec = Spec((view.__doc__ or "").strip().split("\n")[0], body, query, answer, status)  # type: ignore[attr-defined]
        return checked  # type: ignore[return-value]

    return decorate


def read_json() -> Any:
    """The request's body. JSON only, and only what JSON allows: no NaN, no Infinity, no broken characters."""
    if request.mimetype != "application/json":
        raise ApiError(415, "not_json", "Send JSON, with Content-Type: application/json.")
    try:
        text = request.get_data(cache=False).decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ApiError(400, "bad_json", "The body is not valid JSON.") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def check_query(fields: Fields) -> dict[str, Any]:
    """The query string's values, turned from text into the types of the table."""
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        wanted = fields.get(name)
        if wanted is not None and len(given) > 1:
            raise bad_value(f"{name} is given twice.", name)
        values[name] = _from_text(wanted, given[0]) if wanted is not None else given[0]
    return check_object(fields, values, "")


def _from_text(wanted: Field, text: str) -> Any:
    if wanted.type == "integer" and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    return text


def check_object(fields: Fields, value: Any, where: str) -> dict[str, Any]:
    """`value` with the defaults of the fields that were left out; ApiError 400 names the first field that is wrong."""
    if not isinstance(value, dict):
        raise bad_value(f"{where or 'the body'} must be a JSON object.", where or None)
    for name in value:
        if name not in fields:
            shown = f"{where}{name}"[:80].encode("ascii", "backslashreplace").decode()
            known = ", ".join(fields) or "none"
            raise ApiError(400, "unknown_field", f"unknown field {shown}; known here: {known}.", shown)
    out = {}
    for name, wanted in fields.items():
        given = value.get(name)
        if given is not None:
            out[name] = check(wanted, given, f"{where}{name}")
        elif wanted.required:
            raise ApiError(400, "missing_field", f"{where}{name} is missing.", f"{where}{name}")
        else:
            out[name] = wanted.default
    return out


def check(wanted: Field, value: Any, where: str) -> Any:
    """`value` if it is what the table wants; ApiError 400 otherwise."""
    if wanted.either:
        for choice in wanted.either:
            if _has_type(choice, value):
                return check(choice, value, where)
        raise bad_value(f"{where} must be {' or '.join(_name(choice) for choice in wanted.either)}.", where)
    if not _has_type(wanted, value):
        raise bad_value(f"{where} must be {_name(wanted)}.", where)
    if wanted.type == "integer":
        value = int(value)
    if wanted.type == "string":
        _check_characters(value, where)
    size, unit = value, ""
    if isinstance(value, str | list):
        size, unit = len(value), " characters" if isinstance(value, str) else " members"
    limits = (
        (wanted.minimum, "at least", lambda limit: size >= limit),
        (wanted.maximum, "at most", lambda limit: size <= limit),
        (wanted.above, "above", lambda limit: size > limit),
        (wanted.below, "below", lambda limit: size < limit),
    )
    for limit, words, good in limits:
        if limit is not None and not good(limit):
            raise bad_value(f"{where} must {'have' if unit else 'be'} {words} {limit:g}{unit}.", where)
    if wanted.choices and value not in wanted.choices:
        raise bad_value(f"{where} must be one of {', '.join(wanted.choices)}.", where)
    if wanted.pattern and not re.fullmatch(wanted.pattern, value, re.ASCII):
        raise bad_value(f"{where} must look like {wanted.pattern}.", where)
    if wanted.items is not None:
        return [check(wanted.items, member, f"{where}[{i}]") for i, member in enumerate(value)]
    if wanted.type == "object":
        return check_object(wanted.fields, value, f"{where}.")
    return value


def _has_type(wanted: Field, value: Any) -> bool:
    if isinstance(value, bool):  # Python counts it as an integer, JSON does not
        return wanted.type == "boolean"
    if wanted.type == "integer":
        return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if wanted.type == "number":
        return isinstance(value, int | float) and _is_finite(value)
    return isinstance(value, {"string": str, "array": list, "object": dict}.get(wanted.type, ()))


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False


def _name(wanted: Field) -> str:
    return f"{'an' if wanted.type[0] in 'aeio' else 'a'} {wanted.type}"


def _check_characters(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise bad_value(f"{where} holds half of a character (a lone surrogate).", where) from None


def json_schema(wanted: Field) -> dict[str, Any]:
    """The same field in JSON Schema's words."""
    if wanted.either:
        schema: dict[str, Any] = {"anyOf": [json_schema(choice) for choice in wanted.either]}
        if not wanted.required:
            schema["anyOf"].append({"type": "null"})
    else:
        schema = {"type": wanted.type if wanted.required else [wanted.type, "null"]}
    names = {
        "string": ("minLength", "maxLength"),
        "array": ("minItems", "maxItems"),
    }.get(wanted.type, ("minimum", "maximum"))
    limits = {names[0]: wanted.minimum, names[1]: wanted.maximum}
    limits |= {"exclusiveMinimum": wanted.above, "exclusiveMaximum": wanted.below}
    schema |= {name: limit for name, limit in limits.items() if limit is not None}
    if wanted.pattern:
        schema["pattern"] = f"^(?:{wanted.pattern})$"
    if wanted.choices:
        schema["enum"] = [*wanted.choices] if wanted.required else [*wanted.choices, None]
    if wanted.items is not None:
        schema["items"] = json_schema(_never_null(wanted.items))
    if wanted.type == "object":
        schema |= object_schema(wanted.fields)
    if wanted.meaning:
        schema["description"] = wanted.meaning
    if wanted.default is not None:
        schema["default"] = wanted.default
    return schema


def _never_null(member: Field) -> Field:
    """A member of an array is there or not: it is never null."""
    return replace(member, required=True)


def object_schema(fields: Fields) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "properties": {name: json_schema(wanted) for name, wanted in fields.items()},
        "additionalProperties": False,
    }
    if required := [name for name, wanted in fields.items() if wanted.required]:
        schema["required"] = required
    return schema

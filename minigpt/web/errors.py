"""Errors in one shape, {"error": {"message", "type", "code", "param"}}, whatever goes wrong and wherever."""

from __future__ import annotations

import logging
import re
import secrets
import traceback
from typing import Any

from flask import Flask, Response, json
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from ..errors import UserError

log = logging.getLogger("minigpt.web")

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
    507: "server_error",
}
#: What bodies call the kinds of a field that may be of several; no field has such a name.
TAGS = ("one", "several", "texts", "ids", "lists")
CODES = {400: "bad_request", 404: "not_found", 405: "bad_method", 413: "too_long", 415: "not_json"}


class ApiError(Exception):
    """An answer other than the wished-for one: `code` is for programs, `message` for people, `param` names a field."""

    def __init__(
        self, status: int, code: str, message: str, param: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param, self.retry_after = status, code, message, param, retry_after

    def body(self) -> dict[str, Any]:
        kind = TYPES.get(self.status, "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "code": self.code, "param": self.param}}

    def response(self) -> Response:
        response = Response(json.dumps(self.body()), self.status, content_type="application/json")
        if self.retry_after is not None:
            response.headers["Retry-After"] = str(self.retry_after)
        return response


def bad_value(message: str, param: str | None = None) -> ApiError:
    return ApiError(400, "bad_value", message, param)


def busy(retry_after: int = 1) -> ApiError:
    return ApiError(429, "busy", "The model has all hands full; try again shortly.", retry_after=max(1, retry_after))


def refusal(error: ValidationError) -> ApiError:
    """Which field of a request is wrong, and how, in pydantic's words; the first one only."""
    first = error.errors(include_url=False)[0]
    named = [part for part in first["loc"] if part not in TAGS]
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named).removeprefix(".")
    if first["type"] == "json_invalid":
        return ApiError(400, "bad_json", f"The body is not valid JSON: {first['ctx']['error']}.")
    if first["type"] == "unknown_field":
        name = f"{where}.{first['ctx']['name']}".removeprefix(".")[:80].encode("ascii", "backslashreplace").decode()
        return ApiError(400, "unknown_field", f"unknown field {name}{first['ctx']['hint']}", name)
    if first["type"] == "missing":
        return ApiError(400, "missing_field", f"{where} is missing.", where)
    must = re.sub(r"^\w+ should", "must", first["msg"]).replace(" after validation", "")
    if first["type"] == "unsupported":
        return ApiError(400, "unsupported_value", f"{where} {must}.", where)
    either = " or an array" if first["loc"][-1:] == ("one",) and first["type"].endswith("_type") else ""
    return bad_value(f"{where or 'The body'} {must}{either}.", where or None)


def as_api_error(error: Exception) -> ApiError:
    """What the client may know of any exception. An unexpected one goes to the log, under an id, without its message:
    that could quote what somebody typed."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ValidationError):
        return refusal(error)
    if isinstance(error, HTTPException):
        status = error.code or 500
        return ApiError(status, CODES.get(status, "http"), error.description or error.name)
    if isinstance(error, UserError):
        return ApiError(503, "model_broken", "The model's folder is damaged or incomplete; see the server's log.")
    number = secrets.token_hex(4)
    frames = traceback.extract_tb(error.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    log.error("error %s: %s at %s", number, type(error).__name__, where)
    return ApiError(500, "internal", f"Something went wrong in the server (log id {number}).")


def install(app: Flask) -> None:
    """Every error of the app leaves in our shape, Flask's own too."""

    def handle(error: Exception) -> Response:
        response = as_api_error(error).response()
        if isinstance(error, HTTPException):
            for name, value in error.get_headers():
                if name in ("Allow", "Retry-After"):
                    response.headers[name] = value
        return response

    app.register_error_handler(Exception, handle)

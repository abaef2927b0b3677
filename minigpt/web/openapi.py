"""/openapi.json, made from the app's own routes and the tables that check them: it cannot say what is not so."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask

from .. import __version__
from .schema import Spec, json_schema, object_schema

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "code", "param"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "code": {"type": "string"},
                "param": {"type": ["string", "null"]},
            },
        }
    },
}


def describe(app: Flask) -> dict[str, Any]:
    """An OpenAPI 3.1 document of every route in the app's url_map."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        spec = getattr(app.view_functions[rule.endpoint], "spec", None) or Spec("A file of the page.", answer="*/*")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule.endpoint, sorted(rule.arguments), spec)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "minigpt",
            "version": __version__,
            "description": "Talk to models that you have trained, look inside them, and vote on what they say.",
        },
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": {"Error": ERROR}},
    }


def _operation(endpoint: str, arguments: list[str], spec: Spec) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in arguments
    ]
    for name, field in (spec.query or {}).items():
        # A query has no null: a value is there or it is not.
        schema = json_schema(field)
        if isinstance(schema.get("type"), list):
            schema["type"] = schema["type"][0]
        if "enum" in schema:
            schema["enum"] = [value for value in schema["enum"] if value is not None]
        parameters.append({"name": name, "in": "query", "required": field.required, "schema": schema})
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": endpoint,
        "summary": spec.summary,
        "parameters": parameters,
        "responses": {
            str(spec.status): {"description": "Done.", "content": {spec.answer: {}}},
            "default": {"description": "An error.", "content": error},
        },
    }
    if spec.body is not None:
        schema = {"type": "object", **object_schema(spec.body)}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation

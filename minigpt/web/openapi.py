"""/openapi.json, made from the app's own routes and the models that check them: it cannot say what is not so."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from .. import __version__
from .schema import RequestBody, Spec


class Problem(BaseModel):
    message: str
    type: str
    code: str
    param: str | None


class Error(BaseModel):
    error: Problem


class Described(GenerateJsonSchema):
    """JSON Schema without null: an optional field is there, or it is not."""

    def nullable_schema(self, schema: Any) -> Any:
        return self.generate_inner(schema["schema"]) if self.mode == "validation" else super().nullable_schema(schema)

    def default_schema(self, schema: Any) -> Any:
        described = super().default_schema(schema)
        return {key: value for key, value in described.items() if key != "default" or value is not None}


def describe(app: Flask) -> dict[str, Any]:
    """An OpenAPI 3.1 document of every route in the app's url_map."""
    specs = {endpoint: getattr(view, "spec", None) for endpoint, view in app.view_functions.items()}
    bodies = {spec.body.__name__: spec.body for spec in specs.values() if spec and spec.body}
    _, defined = models_json_schema(
        [*((bodies[name], "validation") for name in sorted(bodies)), (Error, "serialization")],
        ref_template="#/components/schemas/{model}",
        schema_generator=Described,
    )
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        spec = specs[rule.endpoint] or Spec("A file of the page.", answer="*/*")
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            paths.setdefault(path, {})[method.lower()] = _operation(rule.endpoint, sorted(rule.arguments), spec)
    about = "Talk to models that you have trained, look inside them, and vote on what they say."
    return {
        "openapi": "3.1.0",
        "info": {"title": "minigpt", "version": __version__, "description": about},
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": defined["$defs"]},
    }


def _operation(endpoint: str, arguments: list[str], spec: Spec) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1}
    parameters = [{"name": name, "in": "path", "required": True, "schema": text} for name in arguments]
    query = spec.query.model_json_schema(schema_generator=Described)
    parameters += [
        {"name": name, "in": "query", "required": name in query.get("required", ()), "schema": schema}
        for name, schema in query["properties"].items()
    ]
    operation: dict[str, Any] = {
        "operationId": endpoint,
        "summary": spec.summary,
        "parameters": parameters,
        "responses": {
            str(spec.status): {"description": "Done.", "content": {spec.answer: {}}},
            "default": {"description": "An error.", "content": _json("Error")},
        },
    }
    if spec.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(spec.body.__name__)}
    return operation


def _json(name: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


def settings_of(model: type[RequestBody]) -> list[dict[str, Any]]:
    """The numbers of a model, each with its type, limits, default and meaning: what a form needs to ask for it."""
    found = model.model_json_schema(schema_generator=Described)["properties"]
    return [
        {
            "name": name,
            "type": about["type"],
            "default": about.get("default"),
            "meaning": about["description"],
            "minimum": about.get("minimum", about.get("exclusiveMinimum")),
            "maximum": about.get("maximum", about.get("exclusiveMaximum")),
        }
        for name, about in found.items()
        if about.get("type") in ("integer", "number")
    ]

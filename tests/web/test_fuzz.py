"""Thousands of requests made up from our own /openapi.json, sensible and hostile: none breaks the server."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from helpers.web import ScriptedEngine, body_schema, make_app, resolved

pytest_plugins = ["helpers.web_fixtures"]
REQUESTS = 5000

HOSTILE: list[Any] = [
    None, True, False, -1, 0, 1, 2**31, 2**63, 10**30, -(10**400), 1.5, 1e308, -0.0, "", " ", "\0", "a\0b", "\ud800",
    "\r\n\r\nHTTP/1.1 200", "../../etc/passwd", "%2e%2e/", "town/sft", "town/../sft", "<script>alert(1)</script>",
    "data: [DONE]\n\n", "'; DROP TABLE votes; --", '" OR 1 --', "{{7*7}}", "${jndi:x}", "🎂" * 40, "日本", "A" * 5000,
    "\u202e\u200b\ufeff", [], {}, [[]], [None], [{}], {"a": {"b": []}}, ["A"] * 100, {"__proto__": 1}, {"role": "user"},
]  # fmt: skip
TEXTS = ["How are you?", "Where is the market?", "", "x", "天气", "a b c d e f g" * 20]


def made_up(described: dict[str, Any], schema: dict[str, Any], rng: random.Random, hostility: float) -> Any:
    """A value that a schema allows; now and then, one that it does not."""
    if rng.random() < hostility:
        return rng.choice(HOSTILE)
    schema = resolved(described, schema)
    if "oneOf" in schema:
        return made_up(described, rng.choice(schema["oneOf"]), rng, hostility)
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema.get("type")
    if kind is None:  # whatever there is
        return rng.choice(HOSTILE)
    if kind == "null":
        return None
    if kind == "object":
        known = schema.get("properties", {})
        wanted = [n for n in known if n in schema.get("required", ()) or rng.random() < 0.3]
        made = {name: made_up(described, known[name], rng, hostility) for name in wanted}
        return made | ({"unknown": 1} if rng.random() < hostility else {})
    if kind == "array":
        length = rng.randint(schema.get("minItems", 0), min(schema.get("maxItems", 4), 4))
        return [made_up(described, schema["items"], rng, hostility) for _ in range(length)]
    if kind == "string":
        if "pattern" in schema:
            return rng.choice(["town/sft", "town/ppo", "shipped/sft", "town/none", "abc"])
        return rng.choice(TEXTS)[: schema.get("maxLength", 5000)]
    if kind == "integer":
        return rng.randint(int(schema.get("minimum", 0)), min(int(schema.get("maximum", 9)), 60))
    if kind == "number":
        return rng.uniform(schema.get("minimum", 0), schema.get("maximum", 1))
    assert kind == "boolean", schema
    return rng.random() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("hostility", [0.0, 0.02, 0.3])
def test_no_request_breaks_the_server(models, tokenizer, tmp_path, hostility):
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, tokenizer.encode(" Fine, thank you!")))
    app.retraining.start = lambda force: {"state": "idle"}  # nothing is to be trained here
    client = app.test_client()
    described = client.get("/openapi.json").get_json()
    operations = [(path, method, op) for path, methods in described["paths"].items() for method, op in methods.items()]
    rng = random.Random(f"requests {hostility}")
    statuses = set()
    for number in range(REQUESTS // 3 + 1):
        path, method, operation = operations[number % len(operations)]
        query = []
        for parameter in operation["parameters"]:
            if parameter["in"] == "query" and (parameter["required"] or rng.random() < 0.5):
                query.append((parameter["name"], made_up(described, parameter["schema"], rng, hostility)))
            elif parameter["in"] == "path":
                text = str(rng.choice(HOSTILE)) if rng.random() < hostility else rng.choice(["town", "sft", "c1"])
                path = path.replace(f"{{{parameter['name']}}}", quote(text, safe="", errors="replace") or "x")
        data = None
        if "requestBody" in operation:
            data = json.dumps(made_up(described, body_schema(described, operation), rng, hostility)).encode()
            if rng.random() < hostility / 3:
                data = data[: rng.randrange(len(data) + 1)]
        url = f"{path}?{urlencode(query, errors='replace')}" if query else path
        response = client.open(url, method=method.upper(), data=data, content_type="application/json")
        said = response.data
        assert response.status_code < 500, (method, url, data, said)
        assert b"Traceback" not in said and b"event: error" not in said
        if response.status_code >= 400:
            assert set(json.loads(said)["error"]) == {"message", "type", "code", "param"}, (method, url)
        statuses.add(response.status_code)
    assert {200, 201} & statuses and (not hostility or 400 in statuses)
    app.close()

"""What is refused: every error has one shape and names its field, and limits hold to the last digit."""

from __future__ import annotations

import json

import pytest
from helpers.web import QUESTION, ScriptedEngine, chat, error_of, make_app

from minigpt.web.bodies import CHARACTERS

pytest_plugins = ["helpers.web_fixtures"]


def test_every_error_has_one_shape(client):
    cases = [
        (client.get("/nowhere"), 404),
        (client.get("/v1//models"), 404),
        (client.put("/v1/models"), 405),
        (client.post("/v1/chat/completions", data="{}", content_type="text/plain"), 415),
        (client.post("/v1/chat/completions", data="{", content_type="application/json"), 400),
        (client.post("/v1/chat/completions", data=b"\xff\xfe", content_type="application/json"), 400),
        (client.post("/v1/chat/completions", json=[1, 2]), 400),
        (client.post("/v1/chat/completions", json="text"), 400),
        (client.post("/v1/chat/completions", data="[" * 60000, content_type="application/json"), 400),
        (client.get("/api/stats?days=many"), 400),
        (client.get("/api/stats?days=3&days=4"), 400),
        (client.get("/api/stats?unknown=1"), 400),
        (client.get("/static/../app.py"), 404),
        (client.get("/static/%2e%2e/app.py"), 404),
    ]
    for response, status in cases:
        assert response.status_code == status, response.request.path
        error_of(response)
    assert "POST" in client.get("/v1/chat/completions").headers["Allow"]


def test_unknown_fields_are_named(client):
    error = error_of(chat(client, temprature=1))
    assert error["code"] == "unknown_field" and error["param"] == "temprature"
    error = error_of(chat(client, messages=[{"role": "user", "content": "Hi", "nmae": "Ada"}]))
    assert error["param"] == "messages[0].nmae" and "did you mean name" in error["message"]


GOOD_AND_BAD = [
    ("temperature", [0, 2, 1, 0.5, None], [-0.01, 2.01, True, "1"]),
    ("top_p", [1, 0.01, 0, 0.0], [-0.01, 1.01, False]),
    ("top_k", [0, 200, 3.0], [-1, 201, 1.5, True]),
    ("min_p", [0, 0.99], [1, -0.1]),
    ("repetition_penalty", [1, 2], [0.99, 2.01]),
    ("no_repeat_ngram", [0, 10], [-1, 11]),
    ("max_tokens", [1, 4096, 4097, 10**30], [0, -1, 1.5, True]),
    ("seed", [0, 2**31 - 1, -1, 2**31, 2**63 - 1, -(2**63)], [2**63, 10**40, True]),
    ("stop", ["x", ["a"] * 4, "x" * 64], ["", ["a"] * 5, "x" * 65, [""], [1], 3]),
    ("top_logprobs", [0, 20], [-1, 21]),
    ("n", [1, 2, 8], [0, 9]),
    ("stream", [False], [0, "false"]),
    ("chat_id", ["a", "A-_9" * 16], ["", "a" * 65, "a b", "é"]),
    ("messages", [QUESTION, [*QUESTION] * 64, [*QUESTION] * 4096],
     [[], [*QUESTION] * 4097, {}, None, ["Hi"], [{"role": "user"}]]),
    ("mode", ["qa"], ["QA", ""]),
    ("max_completion_tokens", [1, 8192], [0]),
    ("stream_options", [{}, {"include_usage": True}], [{"usage": True}, []]),
]


@pytest.mark.parametrize(("name", "good", "bad"), GOOD_AND_BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_limits_hold_to_the_last_digit(models, tmp_path, name, good, bad):
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, [50]))
    client = app.test_client()
    for value in good:
        assert chat(client, **{name: value}).status_code == 200, value
    for value in bad:
        response = chat(client, **{name: value})
        assert response.status_code == 400, value
        assert error_of(response)["param"].startswith(name)
    app.close()


def test_characters_and_bytes_are_counted(client):
    def asked(text, role="assistant"):
        return chat(client, messages=[{"role": role, "content": text}, *QUESTION], max_tokens=1)

    assert asked("é" * CHARACTERS).status_code == 200
    assert asked("é" * (CHARACTERS + 1)).status_code == 200  # only the page keeps to it
    assert asked("Hi", role="robot").status_code == 400
    head = json.dumps({"messages": QUESTION, "max_tokens": 1})
    for size, status in ((2**20, 200), (2**20 + 1, 413)):
        body = head + " " * (size - len(head))
        response = client.post("/v1/chat/completions", data=body, content_type="application/json")
        assert response.status_code == status
    for broken in ('"\\ud800"', "NaN", "Infinity", "1e999", "9" * 5000):
        body = f'{{"messages": [{{"role": "user", "content": "Hi"}}], "temperature": {broken}}}'
        assert client.post("/v1/chat/completions", data=body, content_type="application/json").status_code == 400
    body = '{"messages": [{"role": "user", "content": "a\\ud800b"}]}'
    assert client.post("/v1/chat/completions", data=body, content_type="application/json").status_code == 400

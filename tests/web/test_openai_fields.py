"""Every field that OpenAI documents: accepted where it asks for nothing, refused by name where it would change the
answer; and what clients send as messages."""

from __future__ import annotations

import pytest
from helpers.web import QUESTION, ScriptedEngine, chat, error_of, make_app

from minigpt import Turn
from minigpt.web import openai_bodies
from minigpt.web.bodies import Conversation

pytest_plugins = ["helpers.web_fixtures"]

NEUTRAL = {
    "presence_penalty": [0, 0.0], "frequency_penalty": [0, 0.0], "user": ["lab-7", ""], "logit_bias": [{}, {"50": 0}],
    "response_format": [{"type": "text"}], "tools": [[]], "tool_choice": ["none", "auto"], "functions": [[]],
    "function_call": ["none", "auto"], "parallel_tool_calls": [True, False], "store": [True, False],
    "metadata": [{}, {"run": "7"}], "service_tier": ["auto", "default"], "modalities": [["text"]],
    "reasoning_effort": ["none", "low", "medium", "high"], "verbosity": ["medium"], "safety_identifier": ["a"],
    "prompt_cache_key": ["a"], "prompt_cache_retention": ["24h"], "prompt_cache_options": [{"mode": "implicit"}],
    "prediction": [{"type": "content", "content": "Fine"}], "stream_options": [{"include_obfuscation": False}],
    "stop": [[]], "seed": [-1, 2**40], "max_tokens": [8192], "top_p": [0], "n": [1], "logprobs": [False],
}  # fmt: skip
CHANGING = {
    "presence_penalty": [1, -0.5], "frequency_penalty": [2], "logit_bias": [{"50": -100}], "tools": [[{"type": "x"}]],
    "response_format": [{"type": "json_object"}, {"type": "json_schema", "json_schema": {}}], "modalities": [["audio"]],
    "tool_choice": ["required", {"type": "function"}], "functions": [[{"name": "f"}]], "function_call": [{"name": "f"}],
    "audio": [{"voice": "alloy"}], "web_search_options": [{}], "moderation": [{"model": "m"}], "verbosity": ["low"],
    "n": [9],
}  # fmt: skip


def openai_names(module: str, options: str) -> set[str]:
    """The names that OpenAI's own client knows for a request."""
    types = pytest.importorskip(f"openai.types.{module}")
    return set(getattr(types, options).__annotations__)


@pytest.fixture
def told(models, tokenizer, tmp_path):
    """A client of a server that gives one short answer to everything."""
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, tokenizer.encode(" Fine.")))
    yield app.test_client()
    app.close()


def test_what_asks_for_nothing_changes_nothing(told):
    plain = chat(told).get_json()["choices"]
    for name, values in NEUTRAL.items():
        for value in [*values, None]:
            response = chat(told, **{name: value})
            assert response.status_code == 200, (name, value, response.data)
            assert response.get_json()["choices"] == plain, name
    everything = {name: values[0] for name, values in NEUTRAL.items()}
    assert chat(told, **everything).get_json()["choices"] == plain


def test_what_would_change_the_answer_is_refused_by_name(told):
    for name, values in CHANGING.items():
        for value in values:
            response = chat(told, **{name: value})
            assert response.status_code == 400, (name, value)
            error = error_of(response)
            assert error["param"] == name and error["message"].startswith(name), error
            assert error["type"] == "invalid_request_error"


def test_all_documented_fields_are_known(told):
    """Null is as good as leaving a field out, for each that OpenAI's client can send."""
    chats = openai_names("chat.completion_create_params", "CompletionCreateParamsBase")
    assert not chats - set(openai_bodies.Chat.model_fields)
    texts = openai_names("completion_create_params", "CompletionCreateParamsBase")
    assert not texts - set(openai_bodies.Completion.model_fields)
    for name in chats - {"messages"}:
        assert chat(told, **{name: None}).status_code == 200, name
    for name in texts - {"prompt"}:
        assert told.post("/v1/completions", json={"prompt": "a", name: None}).status_code == 200, name


def test_completions_take_and_refuse_theirs(told):
    def asked(**body):
        return told.post("/v1/completions", json={"prompt": "The market", **body})

    for good in ({"best_of": 1}, {"best_of": 2, "n": 2}, {"suffix": ""}, {"logit_bias": {}}, {"user": "a"},
                 {"presence_penalty": 0}, {"frequency_penalty": 0.0}, {"max_tokens": 10**6}):  # fmt: skip
        assert asked(**good).status_code == 200, good
    for name, bad in (
        ("best_of", 2),
        ("suffix", "end"),
        ("logit_bias", {"5": 1}),
        ("presence_penalty", 1),
        ("tools", []),
    ):
        response = asked(**{name: bad})
        assert response.status_code == 400 and error_of(response)["param"] == name, bad


@pytest.mark.parametrize("name", ["temprature", "max_token", "presence_penality", "Messages", "stop_sequences"])
def test_typing_mistakes_are_named(told, name):
    error = error_of(chat(told, **{name: None}))
    assert (error["code"], error["param"]) == ("unknown_field", name)


# Messages.


def turns_of(*messages: dict) -> list[Turn]:
    return Conversation.model_validate({"messages": [*messages, *QUESTION]}).turns[:-1]


def parts(*texts: str) -> list[dict]:
    return [{"type": "text", "text": text} for text in texts]


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ({"role": "developer", "content": "Be kind."}, Turn("system", "Be kind.")),
        ({"role": "developer", "content": parts("Be kind.")}, Turn("system", "Be kind.")),
        ({"role": "user", "content": parts("One.")}, Turn("user", "One.")),
        ({"role": "user", "content": parts("One.", "Two.")}, Turn("user", "One.\nTwo.")),
        ({"role": "user", "content": "Hi", "name": "Ada"}, Turn("user", "Hi")),
        ({"role": "assistant", "content": None}, Turn("assistant", "")),
        ({"role": "assistant", "content": None, "refusal": "No."}, Turn("assistant", "No.")),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}, Turn("assistant", "No.")),
        (
            {"role": "assistant", "content": "Yes.", "refusal": None, "annotations": None, "audio": None,
             "function_call": None, "tool_calls": None},
            Turn("assistant", "Yes."),
        ),
        ({"role": "assistant", "content": "Yes.", "annotations": [], "tool_calls": []}, Turn("assistant", "Yes.")),
        ({"role": "assistant", "content": "Yes.", "provider_specific_fields": {"a": None}}, Turn("assistant", "Yes.")),
    ],
)  # fmt: skip
def test_messages_of_every_shape_are_read(told, message, read):
    assert turns_of(message) == [read]
    assert chat(told, messages=[message, *QUESTION]).status_code == 200


def test_system_messages_in_a_row_are_one():
    rules = [{"role": "system", "content": "Be kind."}, {"role": "developer", "content": "Be short."}]
    assert turns_of(*rules) == [Turn("system", "Be kind.\nBe short.")]


@pytest.mark.parametrize(
    ("message", "param", "words"),
    [
        ({"role": "tool", "content": "42", "tool_call_id": "c1"}, "role", "calls no tools"),
        ({"role": "function", "content": "42", "name": "f"}, "role", "calls no tools"),
        ({"role": "robot", "content": "Hi"}, "role", "system"),
        ({"role": "assistant", "content": None, "tool_calls": [{"id": "c1"}]}, "tool_calls", "calls no tools"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, "content[0]", "image_url"),
        ({"role": "user", "content": [*parts("a"), {"type": "input_audio"}]}, "content[1]", "input_audio"),
        ({"role": "user", "content": [{"type": "text"}]}, "content[0]", "text"),
        ({"role": "user", "content": [{"type": "text", "text": 5}]}, "content[0]", "text"),
        ({"role": "user", "content": 5}, "content", "string or an array"),
        ({"role": "user"}, "content", "missing"),
        ({"role": "user", "content": "Hi", "contnet": "Hi"}, "contnet", "content"),
    ],
)
def test_messages_that_cannot_be_read_are_refused_by_name(told, message, param, words):
    response = chat(told, messages=[message, *QUESTION])
    assert response.status_code == 400
    error = error_of(response)
    assert error["param"] == f"messages[0].{param}" and words in error["message"], error

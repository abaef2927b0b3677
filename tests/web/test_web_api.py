"""The OpenAI subset and the rules for every route: shapes, streams, limits, errors, and a description that is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.web import (
    CONTEXT,
    QUESTION,
    ScriptedEngine,
    body_schema,
    chat,
    error_of,
    make_app,
    read_stream,
    streamed_text,
    write_models,
)

from minigpt import Sampling, Turn, generate
from minigpt.model.checkpoint import load_model
from minigpt.web.bodies import Decoding
from minigpt.web.engine import Ended
from minigpt.web.replies import Reply
from minigpt.web.routes import page

pytest_plugins = ["helpers.web_fixtures"]


def expected(models, name="town/sft", seed=3, max_tokens=20, **sampling) -> str:
    model = load_model(models / name)
    prompt = model.encode([Turn(m["role"], m["content"]) for m in QUESTION])
    settings = Sampling(**{"temperature": 0.7, "top_p": 0.9, **sampling, "seed": seed})
    return model.tokenizer.decode(generate(model.gpt, [prompt], max_tokens, settings, model.stop)[0].ids).lstrip()


def test_an_answer_is_what_generate_writes(client, models):
    answer = chat(client, model="town/sft", seed=3, max_tokens=20).get_json()
    assert answer["object"] == "chat.completion" and answer["model"] == "town/sft"
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": expected(models)}
    assert choice["finish_reason"] in ("stop", "length") and choice["logprobs"] is None
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["minigpt"]["seed"] == 3 and answer["minigpt"]["dropped"] == 0
    greedy = chat(client, model="town/sft", temperature=0, max_tokens=5).get_json()
    assert greedy["choices"][0]["message"]["content"] == expected(models, max_tokens=5, temperature=0.0)


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_says_what_the_whole_says(client, seed):
    body = {"model": "town/sft", "seed": seed, "max_tokens": 30, "logprobs": True, "top_logprobs": 2}
    whole = chat(client, **body).get_json()
    response = chat(client, **body, stream=True, stream_options={"include_usage": True})
    assert response.content_type.startswith("text/event-stream")
    assert response.headers["X-Accel-Buffering"] == "no" and "no-cache" in response.headers["Cache-Control"]
    assert response.data.startswith(b": ok\n\n")
    events = read_stream(response.data)
    assert streamed_text(events) == whole["choices"][0]["message"]["content"]
    assert [data for _, data in events][-1] == "[DONE]"
    chunks = [data for _, data in events[:-1]]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"} and len({c["id"] for c in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-2]["minigpt"]["ids"] == whole["minigpt"]["ids"]
    drawn = [p for c in chunks[:-1] for p in (c["choices"][0]["logprobs"] or {"content": []})["content"]]
    both = list(zip(drawn, whole["choices"][0]["logprobs"]["content"], strict=True))
    assert all(a["token"] == b["token"] and abs(a["logprob"] - b["logprob"]) < 1e-4 for a, b in both)
    assert all(len(p["top_logprobs"]) == 2 for p in drawn)


def test_a_stream_can_be_cut_anywhere_and_put_together_again(models, tokenizer, tmp_path):
    """Text of several bytes a character, line ends and `data: ` itself: every event is one line of ASCII."""
    text = "data: a\n\nb 🎂 日本 \r\n event: error"
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, tokenizer.encode(text)))
    data = chat(app.test_client(), stream=True).data
    assert data.isascii()
    for cut in range(len(data)):
        held, events = b"", []
        for part in (data[:cut], data[cut:]):
            *blocks, held = (held + part).split(b"\n\n")
            events += read_stream(b"\n\n".join([*blocks, b""]))
        assert streamed_text(events) == text
        assert not held
    app.close()


@pytest.mark.parametrize("stop", ["b", "bcd", ["zzz", "cd"], "abcdef", "f"])
def test_stop_strings_cut_the_answer_whole_or_streamed(models, tokenizer, tmp_path, stop):
    """However tokens split them; nothing of a stop string is ever shown, nor anything behind it."""
    text = "abcabcdef!"
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, [tokenizer.encode(c)[0] for c in text]))
    stops = [stop] if isinstance(stop, str) else stop
    cut = text[: min(at for s in stops if (at := text.find(s)) >= 0)] if any(s in text for s in stops) else text
    whole = chat(app.test_client(), stop=stop).get_json()["choices"][0]
    assert (whole["message"]["content"], whole["finish_reason"]) == (cut, "stop")
    assert streamed_text(read_stream(chat(app.test_client(), stop=stop, stream=True).data)) == cut
    app.close()


def test_an_answer_can_begin_with_chosen_tokens(client, models):
    """Restarting from one of an answer's own tokens, greedily, writes the same answer."""
    first = chat(client, model="town/sft", temperature=0, max_tokens=12).get_json()
    ids = first["minigpt"]["ids"]
    again = chat(client, model="town/sft", temperature=0, max_tokens=12 - 4, answer_ids=ids[:4]).get_json()
    assert again["minigpt"]["ids"] == ids
    assert again["choices"][0]["message"] == first["choices"][0]["message"]
    other = chat(client, model="town/sft", answer_ids=[*ids[:2], 100]).get_json()
    assert other["minigpt"]["ids"][:3] == [*ids[:2], 100]
    assert error_of(chat(client, answer_ids=[10**6]))["param"] == "answer_ids"
    assert error_of(chat(client, answer_ids=[50] * 60))["code"] == "too_long"


def test_a_text_is_gone_on_with(client, models):
    body = {"model": "town/pretrain", "prompt": "The market", "max_tokens": 8, "seed": 1, "logprobs": 2, "echo": True}
    whole = client.post("/v1/completions", json=body).get_json()
    choice = whole["choices"][0]
    assert whole["object"] == "text_completion" and choice["text"].startswith("The market")
    assert len(choice["logprobs"]["tokens"]) == whole["usage"]["total_tokens"] - 1  # but for the piece at the start
    assert whole["usage"]["completion_tokens"] <= 8
    events = read_stream(client.post("/v1/completions", json={**body, "stream": True}).data)
    assert "".join(e["choices"][0]["text"] for _, e in events[:-1]) == choice["text"]
    assert error_of(client.post("/v1/completions", json={"prompt": "word " * 200}))["param"] == "prompt"


def test_modes_and_the_context_window(client):
    history = [
        turn
        for i in range(9)
        for turn in ({"role": "user", "content": f"Number {i}?"}, {"role": "assistant", "content": "Fine, thank you!"})
    ]
    dialogue = chat(client, messages=history + QUESTION, max_tokens=10, seed=1).get_json()
    assert 0 < dialogue["minigpt"]["dropped"] < len(history)
    assert dialogue["usage"]["prompt_tokens"] + 10 <= CONTEXT
    alone, asked = (
        chat(client, messages=messages, mode="qa", max_tokens=10, seed=1).get_json()
        for messages in (QUESTION, history + QUESTION)
    )
    assert alone["choices"] == asked["choices"]  # question-answer mode does not remember
    assert error_of(chat(client, messages=[{"role": "user", "content": "market " * 100}]))["code"] == "too_long"
    for messages in ([{"role": "assistant", "content": "Hello"}], [{"role": "user", "content": "  "}]):
        assert error_of(chat(client, messages=messages))["param"] == "messages"


def test_models_are_listed_and_named_never_paths(client, models, tmp_path):
    listed = client.get("/v1/models").get_json()
    assert listed["object"] == "list"
    found = {model["id"]: model for model in listed["data"]}
    assert set(found) == {"town/pretrain", "town/sft", "town/ppo", "shipped/sft"}
    assert found["town/sft"]["stage"] == "sft" and found["town/sft"]["context_length"] == CONTEXT
    assert [m["id"] for m in found.values() if m["default"]] == ["town/ppo"]
    assert "sha256" not in json.dumps(listed) and str(models) not in json.dumps(listed)
    assert client.get("/v1/models/town/sft").get_json() == found["town/sft"]
    assert error_of(client.get("/v1/models/town/nothing"))["code"] == "model_not_found"
    for name in ("../town/sft", "/etc/passwd", "town/../sft", "town/%2e%2e", "town/sft\0", "town", "..\\town", ".", ""):
        assert chat(client, model=name).status_code == 400, name
    assert chat(client, model="town/other").status_code == 404


def test_links_out_of_the_folder_and_unfinished_models_are_not_listed(models, tmp_path):
    inside = write_models(tmp_path / "inside", "own/sft", "half/sft")
    (inside / "linked").symlink_to(models / "town", target_is_directory=True)
    card = json.loads((inside / "half/sft/minigpt.json").read_text())
    (inside / "half/sft/minigpt.json").write_text(json.dumps({**card, "finished": False}))
    app = make_app(inside, tmp_path)
    listed = app.test_client().get("/v1/models").get_json()["data"]
    assert [model["id"] for model in listed] == ["own/sft"]
    app.close()


def test_a_model_that_is_not_what_its_card_vouches_for_does_not_load(tmp_path):
    folder = write_models(tmp_path / "models", "town/sft", "town/pretrain")
    weights = folder / "town/sft/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"evil")
    app = make_app(folder, tmp_path)
    client = app.test_client()
    error = error_of(chat(client, model="town/sft"))
    assert error["code"] == "model_broken" and str(tmp_path) not in error["message"]
    assert chat(client, model="town/pretrain", max_tokens=2).status_code == 200
    for path in (folder / "town/pretrain").iterdir():  # deleted while it is in memory
        path.unlink()
    assert error_of(chat(client, model="town/pretrain"))["code"] == "model_not_found"
    app.close()


def test_a_model_that_was_trained_anew_is_loaded_anew(tmp_path):
    folder = write_models(tmp_path / "models", "other/sft", "town/sft")
    app = make_app(folder, tmp_path, loaded_models=1)
    client = app.test_client()
    before = chat(client, model="town/sft", temperature=0).get_json()["choices"]
    write_models(folder, "town/sft")
    assert chat(client, model="town/sft", temperature=0).get_json()["choices"] != before
    chat(client, model="other/sft")
    assert app.cache.loaded() == ["other/sft"]  # the one used longest ago has made room
    app.close()


def test_a_full_engine_says_when_to_come_back(models, tmp_path):
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, [], full=True))
    for stream in (False, True):
        response = chat(app.test_client(), stream=stream)
        assert response.status_code == 429 and response.headers["Retry-After"] == "3"
        assert error_of(response)["type"] == "rate_limit_error"
    app.close()


def test_a_failure_in_mid_stream_is_told(models, tmp_path):
    end = Ended("error", "the model failed")
    app = make_app(models, tmp_path, lambda model: ScriptedEngine(model, [50, 51], end=end))
    events = read_stream(chat(app.test_client(), stream=True).data)
    assert events[-1][0] == "error" and set(events[-1][1]["error"]) == {"message", "type", "code", "param"}
    assert chat(app.test_client()).status_code == 503
    app.close()


def test_an_unexpected_error_tells_nothing_of_itself(models, tmp_path, caplog, monkeypatch):
    app = make_app(models, tmp_path)
    monkeypatch.setattr(Reply, "__init__", lambda *_, **__: {}["my secret words"])
    response = chat(app.test_client())
    message = error_of(response)["message"]
    assert response.status_code == 500 and "secret" not in message
    number = message.split("log id ")[1][:8]
    assert number in caplog.text and "secret" not in caplog.text
    app.close()


def test_leaving_a_stream_stops_the_model_and_keeps_what_was_shown(models, tokenizer, tmp_path):
    engine = None

    def make(model):
        nonlocal engine
        engine = ScriptedEngine(model, tokenizer.encode("one two three four five"))
        return engine

    app = make_app(models, tmp_path, make)
    client = app.test_client()
    response = chat(client, stream=True, chat_id="c1")
    shown = b""
    for part in response.response:
        shown += part
        if shown.count(b"data: ") == 3:
            break
    response.close()
    assert engine.tickets[0].cancelled
    kept = client.get("/api/chats/c1").get_json()["answers"][0]
    assert kept["text"] == streamed_text(read_stream(shown)) and kept["note"] == "stopped"
    never_read = chat(client, stream=True)
    never_read.close()
    assert engine.tickets[1].cancelled
    app.close()


def test_stopping_by_id(client):
    assert client.post("/api/stop", json={"id": "chatcmpl-none"}).get_json() == {"stopped": False}


# What the server says of itself.


def test_the_description_is_of_all_routes_and_no_others(app, client):
    described = client.get("/openapi.json").get_json()
    assert described["openapi"].startswith("3.1")
    routes = {
        (rule.rule.replace("<path:filename>", "{filename}").replace("<", "{").replace(">", "}"), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, methods in described["paths"].items() for method in methods} == routes
    operations = [operation for methods in described["paths"].values() for operation in methods.values()]
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    schema = body_schema(described, described["paths"]["/v1/chat/completions"]["post"])
    assert schema["required"] == ["messages"] and schema["additionalProperties"] is False
    assert schema["properties"]["top_k"]["maximum"] == 200


#: A value for every field that some route requires.
GIVEN = {"messages": QUESTION, "models": ["town/sft", "town/ppo"], "inputs": "a", "answers": ["a", "b"], "id": "x",
         "answer_id": 1, "thumb": "up", "pair_id": 1, "vote": "left", "query": "a", "text": "a", "summary": "a",
         "prompt": "a"}  # fmt: skip


def test_every_route_names_the_field_that_is_missing_or_unknown(client):
    described = client.get("/openapi.json").get_json()
    seen = 0
    for path, methods in described["paths"].items():
        if "requestBody" not in methods.get("post", {}):
            continue
        schema = body_schema(described, methods["post"])
        body = {name: GIVEN[name] for name in schema.get("required", ())}
        response = client.post(path, json=body | {"unheard_of": 1})
        assert response.status_code == 400 and error_of(response)["param"] == "unheard_of", path
        for name in body:
            response = client.post(path, json={key: value for key, value in body.items() if key != name})
            assert response.status_code == 400 and error_of(response)["param"] == name, path
            seen += 1
    assert seen > 20


def test_health_does_not_wait_for_the_model(models, tmp_path):
    app = make_app(models, tmp_path)
    client = app.test_client()
    app.cache.ready.clear()
    loading = client.get("/health")
    assert loading.status_code == 503 and loading.get_json()["status"] == "loading"
    app.cache.preload()
    healthy = client.get("/health").get_json()
    assert healthy["status"] == "ok" and healthy["models"] == ["town/ppo"]
    assert healthy["queue"] == {"running": 0, "waiting": 0}
    app.cache.close()
    assert client.get("/health").get_json()["status"] == "stopping"
    assert error_of(chat(client))["code"] == "shutting_down"


def test_the_page_is_told_what_it_needs(client):
    known = client.get("/api/settings").get_json()
    assert known["default_model"] == "town/ppo"
    assert {entry["name"] for entry in known["decoding"]} == set(Decoding.model_fields) - {"stop"}
    assert known["languages"] == sorted(file.stem for file in page.STATIC.glob("i18n/*.json"))
    for source in known["sources"].values():
        line = (Path(__file__).parents[2] / source["file"]).read_text(encoding="utf-8").splitlines()[source["line"] - 1]
        assert line.lstrip().startswith(("def ", "class ", "@"))


def test_the_page_is_served(models, tmp_path, monkeypatch):
    (tmp_path / "static/i18n").mkdir(parents=True)
    for name in ("a.js", "a.css", "a.svg", "index.html", "i18n/zh-Hans.json", "i18n/de.json", "i18n/de copy.json"):
        (tmp_path / "static" / name).write_text("<!doctype html><title>t</title>", encoding="utf-8")
    monkeypatch.setattr("mimetypes.guess_type", lambda *_, **__: ("text/plain", None))  # as Windows may say
    monkeypatch.setattr(page, "STATIC", tmp_path / "static")
    app = make_app(models, tmp_path)
    response = app.test_client().get("/")
    assert response.status_code == 200 and response.mimetype == "text/html" and b"<title>" in response.data
    for name, kind in (("a.js", "text/javascript"), ("a.css", "text/css"), ("a.svg", "image/svg+xml"),
                       ("index.html", "text/html"), ("i18n/de.json", "application/json")):  # fmt: skip
        assert app.test_client().get(f"/static/{name}").mimetype == kind
    assert error_of(app.test_client().get("/static/none.js"))["code"] == "not_found"
    assert app.test_client().get("/api/settings").get_json()["languages"] == ["de", "zh-Hans"]
    app.close()


def test_without_any_model_the_server_says_what_to_do(tmp_path):
    app = make_app(tmp_path / "nothing", tmp_path)
    error = error_of(chat(app.test_client()))
    assert error["code"] == "model_not_found" and "run_pretrain.py" in error["message"]
    assert app.test_client().get("/api/settings").get_json()["default_model"] is None
    app.close()

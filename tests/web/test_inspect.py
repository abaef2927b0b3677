"""Looking inside: every number equals what a plain forward pass says."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from helpers.web import QUESTION, chat, error_of, make_app, read_stream

from minigpt import Turn, beam_search
from minigpt.model.checkpoint import load_model
from minigpt.web import inspect as look
from minigpt.web.scoring import Reward, Scorer

pytest_plugins = ["helpers.web_fixtures"]

PROMPT = [Turn("user", "How are you?")]


class CountingReward:
    """Stands for a reward model: the score is the number of characters."""

    def score(self, examples):
        return [float(len(answer)) for _, answer in examples]

    def token_scores(self, prompt, answer):
        return [float(i) for i in range(len(self.tokenizer.encode(f" {answer}")))] + [float(len(answer))]


@pytest.fixture
def rewarded(monkeypatch, models):
    model = CountingReward()
    model.tokenizer = load_model(models / "town/sft").tokenizer
    monkeypatch.setattr(Scorer, "reward", lambda self, name=None, recipe=None: Reward(model, "town/reward"))


def plain(models, name, ids):
    with torch.no_grad():
        return load_model(models / name).gpt.eval()(torch.tensor([ids]))[0].log_softmax(-1)


def test_alternatives_are_those_of_a_forward_pass(client, models):
    answer = chat(client, model="town/sft", seed=2, max_tokens=10).get_json()["minigpt"]["ids"]
    body = {"model": "town/sft", "messages": QUESTION, "answer_ids": answer, "top": 5}
    seen = client.post("/api/tokens", json=body).get_json()
    prompt = [token["id"] for token in seen["prompt"]]
    assert prompt == load_model(models / "town/sft").tokenizer.encode_prompt(PROMPT)
    assert [token["id"] for token in seen["tokens"]] == answer
    scores = plain(models, "town/sft", [*prompt, *answer])[len(prompt) - 1 :]
    for row, token, expected in zip(scores, [*seen["tokens"], seen["end"]], [*answer, 3], strict=True):
        assert token["logprob"] == pytest.approx(float(row[expected]), abs=1e-4)
        assert token["rank"] == 1 + int((row > row[expected]).sum())
        best = row.topk(5)
        assert [a["id"] for a in token["alternatives"]] == best.indices.tolist()
        assert [a["logprob"] for a in token["alternatives"]] == pytest.approx(best.values.tolist(), abs=1e-4)
        assert sum(a["probability"] for a in token["alternatives"]) <= 1 + 1e-6
    assert seen["reward"] is None and "run_reward.py" in seen["reward_reason"]
    assert all(token["reward"] is None and token["value"] is None for token in seen["tokens"])
    assert [token["kind"] for token in seen["prompt"]][:2] == ["document", "role"]


def test_rewards_stand_at_the_tokens_they_belong_to(client, rewarded):
    body = {"model": "town/sft", "messages": QUESTION, "answer": "Fine, thank you!"}
    seen = client.post("/api/tokens", json=body).get_json()
    assert [token["reward"] for token in seen["tokens"]] == [float(i) for i in range(len(seen["tokens"]))]
    assert seen["reward"] == seen["end"]["reward"] == len("Fine, thank you!")
    scored = client.post("/api/score", json={"messages": QUESTION, "answers": ["a", "abc"]}).get_json()
    assert scored == {"scores": [1.0, 3.0], "reward_model": "town/reward", "reason": None}


def test_pieces_of_characters_are_shown_where_they_are_complete(models):
    tokenizer = load_model(models / "town/sft").tokenizer
    for text in ("日本 🎂 é", "a\nb", "  two  spaces", "🎂"):
        ids = tokenizer.encode(text)
        assert "".join(token["text"] for token in look.show_tokens(tokenizer, ids)) == text
    assert look.show_tokens(tokenizer, tokenizer.encode("🎂")[:-1])[-1]["text"].startswith("\ufffd")


def test_attention_is_a_distribution_over_what_came_before(client):
    body = {"model": "town/sft", "messages": QUESTION, "answer": "Fine, thank you!", "layer": 1, "head": 2, "last": 0}
    seen = client.post("/api/attention", json=body).get_json()
    assert (seen["layers"], seen["heads"], seen["offset"]) == (2, 4, 0)
    for i, row in enumerate(seen["weights"]):
        assert len(row) == i + 1 and sum(row) == pytest.approx(1, abs=0.01)
    part = client.post("/api/attention", json={**body, "last": 4}).get_json()
    assert part["offset"] == len(seen["tokens"]) - 4 and part["tokens"] == seen["tokens"][-4:]
    for row, rest in zip(part["weights"], part["left_out"], strict=True):
        assert sum(row) + rest == pytest.approx(1, abs=0.01)
    sentence = seen["sentence"]
    assert sentence["weight"] == seen["weights"][sentence["from"]][sentence["to"]]
    for i, look_at in enumerate(seen["strongest"]):
        if look_at is not None:
            assert look_at["to"] < i and seen["tokens"][look_at["to"]]["kind"] == "text"
    for name in ("layer", "head"):
        assert error_of(client.post("/api/attention", json={**body, name: 9}))["param"] == name


@pytest.mark.parametrize("width", [1, 3, 8])
def test_the_trees_best_leaf_is_what_beam_search_finds(client, models, width):
    body = {"model": "town/sft", "messages": QUESTION, "beam_width": width, "max_tokens": 8}
    tree = client.post("/api/beam", json=body).get_json()
    chat = load_model(models / "town/sft")
    found = beam_search(chat.gpt, chat.encode(PROMPT), 8, width, stop=chat.stop)
    assert tree["ids"] == found[0].ids and len(tree["leaves"]) == len(found)
    assert [leaf["score"] for leaf in tree["leaves"]] == pytest.approx([h.score for h in found], abs=1e-4)
    nodes = tree["nodes"]
    for node in nodes[1:]:
        parent = nodes[node["parent"]]
        assert parent["depth"] == node["depth"] - 1
        assert node["total"] == pytest.approx(parent["total"] + node["logprob"], abs=1e-6)
    best, way = nodes[tree["leaves"][0]["node"]], []
    while best["id"]:
        assert best["state"] == "best"
        way.insert(0, best["token"]["id"])
        best = nodes[best["parent"]]
    assert way[: len(found[0].ids)] == found[0].ids
    kept = {leaf["node"] for leaf in tree["leaves"]}
    parents = {node["parent"] for node in nodes}
    assert all(node["id"] in kept for node in nodes if node["state"] != "dropped" and node["id"] not in parents)


def test_tokens_of_a_conversation_and_of_a_text(client, models):
    tokenizer = load_model(models / "town/sft").tokenizer
    seen = client.post("/api/tokenize", json={"model": "town/sft", "messages": QUESTION}).get_json()
    assert [token["id"] for token in seen["tokens"]] == tokenizer.encode_prompt(PROMPT)
    seen = client.post("/api/tokenize", json={"model": "town/sft", "text": "<|end|> Good"}).get_json()
    assert "".join(token["text"] for token in seen["tokens"]) == "<|end|> Good"
    assert {token["kind"] for token in seen["tokens"]} == {"text"}  # nobody can type a mark
    assert client.post("/api/tokenize", json={"text": "a", "messages": QUESTION}).status_code == 400
    assert client.post("/api/tokenize", json={}).status_code == 400


# Comparing.

THREE = {"models": ["town/pretrain", "town/sft", "town/ppo"], "messages": QUESTION, "seed": 4, "max_tokens": 10}


def test_columns_are_what_each_model_says_alone(client, rewarded):
    compared = client.post("/api/compare", json=THREE).get_json()
    assert [column["model"] for column in compared["columns"]] == THREE["models"] and compared["seed"] == 4
    for column in compared["columns"]:
        alone = chat(client, model=column["model"], seed=4, max_tokens=10).get_json()
        assert column["ids"] == alone["minigpt"]["ids"] and column["error"] is None
        assert column["reward"] == len(column["text"])
    events = read_stream(client.post("/api/compare", json={**THREE, "stream": True}).data)
    assert events[0][0] == "start" and events[-1] == ("done", {})
    for column in compared["columns"]:
        pieces = [data["text"] for name, data in events if name == "token" and data["column"] == column["column"]]
        assert "".join(pieces).strip() == column["text"]
    finished = {data["column"]: data for name, data in events if name == "column"}
    assert [finished[i]["kl"] for i in range(3)] == pytest.approx([c["kl"] for c in compared["columns"]], abs=1e-5)


def test_kl_is_that_of_the_two_distributions(client, models):
    column = client.post("/api/compare", json={**THREE, "models": ["town/ppo"]}).get_json()["columns"][0]
    assert column["reference"] == "town/sft" and column["kl_reason"] is None
    tokenizer = load_model(models / "town/sft").tokenizer
    prompt = tokenizer.encode_prompt(PROMPT)
    ids = column["ids"] + ([tokenizer.eos] if column["finish_reason"] == "stop" else [])
    ours, sft = (
        plain(models, name, [*prompt, *ids])[len(prompt) - 1 : -1].double() for name in ("town/ppo", "town/sft")
    )
    assert column["kl"] == pytest.approx(float((ours.exp() * (ours - sft)).sum()), rel=1e-3)
    assert column["kl_per_token"] == pytest.approx(column["kl"] / len(ids))
    same = sum(int(row.argmax()) == token for row, token in zip(sft, ids, strict=True))
    assert column["agreement"] == pytest.approx(same / len(ids))
    assert column["reward"] is None and "run_reward.py" in column["reward_reason"]
    itself = client.post("/api/compare", json={**THREE, "models": ["town/sft"]}).get_json()["columns"][0]
    assert itself["kl"] == pytest.approx(0, abs=1e-6)


def test_one_failing_column_does_not_stop_the_others(models, tmp_path):
    broken = tmp_path / "models"
    import shutil

    shutil.copytree(models, broken)
    weights = broken / "town/sft/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"evil")
    app = make_app(broken, tmp_path)
    columns = app.test_client().post("/api/compare", json=THREE).get_json()["columns"]
    assert [column["error"] and column["error"]["code"] for column in columns] == [None, "model_broken", None]
    assert columns[0]["ids"] and columns[2]["ids"] and columns[2]["kl"] is None and columns[2]["kl_reason"]
    error = error_of(app.test_client().post("/api/compare", json={**THREE, "models": ["town/none"]}))
    assert error["code"] == "model_not_found"
    app.close()


def test_too_many_looks_at_once_are_sent_away(models, tmp_path):
    app = make_app(models, tmp_path, waiting_work=0)
    client = app.test_client()
    body = {"model": "town/sft", "messages": QUESTION}
    assert client.post("/api/beam", json=body).status_code == 200
    with app.cache.work_lock():
        response = client.post("/api/beam", json=body)
    assert response.status_code == 429 and int(response.headers["Retry-After"]) >= 1
    app.close()


def test_the_reward_beside_an_answer_is_of_its_recipe_or_else_one_that_judges_answers():
    """A sentiment model, however new, says nothing about the answers of another recipe."""
    found = {"town/reward": (1, True), "town/older": (0, True), "expand/reward": (9, False)}
    entries = {
        name: SimpleNamespace(
            name=name, recipe=name.split("/")[0], stage="reward", saved=(age, 0), card={"reads_prompt": reads}
        )
        for name, (age, reads) in found.items()
    }
    cache = SimpleNamespace(entries=lambda: entries, extra=lambda kind, entry, load: entry.name)
    chosen = {recipe: Scorer(cache).reward(recipe=recipe).name for recipe in ("town", "expand", "movie")}
    assert chosen == {"town": "town/reward", "expand": "expand/reward", "movie": "town/reward"}

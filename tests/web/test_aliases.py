"""Clients of the two other systems work: a summariser with a feedback service, a bot with two modes."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from helpers.web import ScriptedEngine, error_of, make_app, write_models

from minigpt import Turn
from minigpt.alignment.reward_model import RewardModel, load_reward_model, save_reward_model
from minigpt.model.checkpoint import load_model
from minigpt.web.routes.aliases import USERS, Histories

pytest_plugins = ["helpers.web_fixtures"]


def ask(client, query, **body):
    return client.post("/gpt2", json={"query": query, **body}).get_json()["response"]


# The bot's own three integration tests ...


def test_three_questions_make_a_history_of_six(client):
    for _ in range(3):
        history = ask(client, "How are you?", user="anna")
    assert len(history) == 6 and history == client.get("/chat?user=anna").get_json()["response"]


def test_one_question_makes_a_history_of_two(client):
    history = ask(client, "How are you?", user="anna")
    assert len(history) == 2 and history[0] == "How are you?"


def test_clearing_leaves_nothing(client):
    ask(client, "How are you?", user="anna")
    assert client.delete("/clear?user=anna").get_json() == {"response": []}
    assert client.get("/chat?user=anna").get_json() == {"response": []}


# ... and what they did not ask.


def test_users_never_see_each_others_lines(client):
    ask(client, "Good morning, baker", user="anna")
    assert ask(client, "What is for sale?", user="boris")[0] == "What is for sale?"
    assert client.get("/chat?user=anna").get_json()["response"][0] == "Good morning, baker"
    client.delete("/clear?user=boris")
    assert len(client.get("/chat?user=anna").get_json()["response"]) == 2
    assert client.get("/chat").get_json() == {"response": []}


@pytest.fixture
def scripted(tokenizer, tmp_path):
    """Makes an app whose engine says "Fine." to everything; returns the app and its engines."""

    def start(models):
        engines = []

        def make(model):
            engines.append(ScriptedEngine(model, tokenizer.encode(" Fine.")))
            return engines[-1]

        return make_app(models, tmp_path, make), engines

    return start


def test_the_model_never_reads_what_others_said(models, scripted):
    app, engines = scripted(models)
    client = app.test_client()
    ask(client, "What is for sale?", user="boris")
    for _ in range(2):
        ask(client, "Good morning, baker", user="anna")
    client.delete("/clear?user=boris")
    ask(client, "What is for sale?", user="boris")
    first, *_, last = (ticket.job.ids for ticket in engines[0].tickets)
    assert list(first) == list(last)
    app.close()


def test_a_dialogue_hears_what_was_said_and_a_question_does_not(models, scripted):
    app, engines = scripted(models)
    client = app.test_client()
    for mode in ("dialogue", "dialogue", "qa"):
        ask(client, "How are you?", user="anna", mode=mode)
    heard = [len(ticket.job.ids) for ticket in engines[0].tickets]
    assert heard[1] > heard[0] == heard[2]
    app.close()


@pytest.mark.slow
def test_a_long_talk_is_cut_by_whole_turns(client):
    for i in range(40):
        history = ask(client, f"Number {i}?", user="anna")
    assert len(history) == 64 and history[-2] == "Number 39?"


def test_histories_are_bounded():
    histories = Histories()
    for i in range(USERS + 1):
        histories.add(str(i), {"role": "user", "content": "x"})
    assert histories.get("0") == [] and len(histories.get(str(USERS))) == 1


def test_mistakes_are_told_as_everywhere(client):
    assert error_of(client.post("/gpt2", json={"user": "anna"}))["param"] == "query"
    assert error_of(client.post("/gpt2", json={"query": ""}))["param"] == "query"
    assert error_of(client.post("/summarize", json={"txt": "x"}))["param"] == "txt"
    assert error_of(client.get("/inference"))["param"] == "text"


def test_summaries_and_their_score(client):
    for route in ("/summarize", "/summarize_better"):
        answer = client.post(route, json={"text": "Boats leave early."}).get_json()
        assert set(answer) == {"summary"}
        assert client.post(route, json={"text": "Boats leave early."}).get_json() == answer
    scored = client.post("/infer", json={"text": "Boats leave.", "summary": "Boats."}).get_json()
    assert scored["result"] is None and "run_reward.py" in scored["reason"]
    posted = client.post("/inference", json={"text": "Boats leave early."}).get_json()
    assert set(posted) == {"inference_results0", "inference_results1"}
    assert client.get("/inference?text=Boats leave early.").get_json() == posted


@pytest.fixture(scope="module")
def recipes(tmp_path_factory):
    """What the two other systems had: a summariser before and after PPO with its reward model, and a character."""
    names = ("summary/sft", "summary/ppo", "persona/ppo", "town/sft")
    folder = write_models(tmp_path_factory.mktemp("recipes"), *names)
    torch.manual_seed(1)
    judge = RewardModel(copy.deepcopy(load_model(folder / "summary" / "ppo")))
    save_reward_model(folder / "summary" / "reward", judge, {"stage": "reward", "recipe": "summary", "finished": True})
    return folder


def test_each_route_asks_its_own_model(recipes, tmp_path):
    app = make_app(recipes, tmp_path)
    client, text = app.test_client(), "Boats leave early."

    def said(name: str, seed: int = 0) -> str:
        body = {"messages": [{"role": "user", "content": text}], "model": name, "seed": seed}
        answer = client.post("/v1/chat/completions", json=body).get_json()
        return answer["choices"][0]["message"]["content"].strip()

    def post(route: str, **body):
        return client.post(route, json=body).get_json()

    before, after = said("summary/sft"), said("summary/ppo")
    assert before != after
    assert post("/summarize", text=text) == {"summary": before}
    assert post("/summarize_better", text=text) == {"summary": after}
    assert post("/inference", text=text) == {
        "inference_results0": after, "inference_results1": said("summary/sft", seed=1)
    }  # fmt: skip
    assert ask(client, text, user="anna")[1] and app.store.answers() == []
    app.close()


def test_infer_gives_the_reward(recipes, tmp_path):
    app = make_app(recipes, tmp_path)
    scored = app.test_client().post("/infer", json={"text": "Boats leave.", "summary": "Boats."}).get_json()
    reward = load_reward_model(recipes / "summary" / "reward")
    (expected,) = reward.score([((Turn("user", "Boats leave."),), "Boats.")])
    assert scored["result"] == pytest.approx(expected, abs=1e-4) and scored["reason"] is None
    app.close()


def test_a_character_answers_after_its_three_lines(scripted, tokenizer, tmp_path):
    """A model of a script reads no more of a dialogue than it has learned to, and in a question nothing else."""
    folder = write_models(tmp_path, "persona/ppo", "town/sft")
    card = json.loads((folder / "persona/ppo/minigpt.json").read_text(encoding="utf-8"))
    (folder / "persona/ppo/minigpt.json").write_text(json.dumps(card | {"max_turns": 3}), encoding="utf-8")
    app, engines = scripted(folder)
    client = app.test_client()
    asked = [f"Number {i}?" for i in range(4)]
    for question in asked:
        history = ask(client, question, user="anna")
    ask(client, asked[3], user="anna", mode="qa")
    assert len(history) == 8
    last = [Turn("user", asked[2]), Turn("assistant", "Fine."), Turn("user", asked[3])]
    heard = [list(ticket.job.ids) for ticket in engines[0].tickets]
    assert heard[3] == tokenizer.encode_prompt(last) and heard[4] == tokenizer.encode_prompt(last[-1:])
    app.close()

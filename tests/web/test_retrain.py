"""Training on the votes: the commands, their progress, cancelling them, and the agreement before and after."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.models import WORDS, small_talk
from helpers.web import QUESTION, deadline, error_of, make_app, read_stream, write_models

from minigpt import __main__ as minigpt_command
from minigpt import cli
from minigpt.config import PPOConfig, RewardConfig
from minigpt.data.examples import Turn
from minigpt.model.checkpoint import save_model
from minigpt.recipe import load_recipe
from minigpt.web.scoring import Reward, Scorer
from minigpt.web.settings import RETRAIN

pytest_plugins = ["helpers.web_fixtures"]

ROOT = Path(__file__).parents[2]
CHILD = """
import json, pathlib, sys, time
votes, out, name, _, run = sys.argv[1:]
print(f"{name}: {len(pathlib.Path(votes).read_text().splitlines())} votes, 99 % of which are good", flush=True)
for step in (0, 1, 2):
    print(f"\\r{17 * step}%|###| {step}/6", end="", flush=True)
    with (pathlib.Path(run) / "metrics.jsonl").open("a") as log:
        log.write(json.dumps({"step": step, "total_steps": 2, "seconds": 3.0 * step}) + "\\n")
    time.sleep(0.4)
print()
pathlib.Path(out, name).write_text("done")
if name == "wait":
    time.sleep(600)
if name == "fail":
    print("no such recipe")
    sys.exit(2)
"""


class Liking:
    """A reward model that likes what the voter likes, once the child has been there."""

    def __init__(self, trained: Path) -> None:
        self.trained = trained

    def score(self, examples):
        likes = 1.0 if self.trained.exists() else -1.0
        assert all(isinstance(turn, Turn) for turns, _ in examples for turn in turns)
        return [likes * answer.startswith("town/sft") for _, answer in examples]


def training_app(models, tmp_path, *names, monkeypatch=None, **settings):
    (tmp_path / "child.py").write_text(CHILD, encoding="utf-8")
    for name in names:  # what an earlier run has left says nothing of this one
        (tmp_path / f"run {name}").mkdir()
        (tmp_path / f"run {name}" / "metrics.jsonl").write_text('{"step": 7, "total_steps": 9, "seconds": 1}\n')
    commands = [
        (name, ["{python}", "child.py", "{votes}", str(tmp_path), name, "--out", str(tmp_path / f"run {name}")])
        for name in names
    ]
    app = make_app(models, tmp_path, retrain_commands=commands, retrain_folder=tmp_path, **settings)
    for i in range(10):
        messages = [{"role": "user", "content": f"Question {i}?"}]
        left, right = ({"model": m, "text": f"{m} {i}", "seed": i} for m in ("town/sft", "town/ppo"))
        app.store.add_vote(app.store.add_pair(messages, left, right), "left")
    return app


def finished(client, seconds=120):
    for _ in deadline(seconds):
        job = client.get("/api/retrain").get_json()
        if job["state"] != "running":
            return job
    raise AssertionError


@pytest.mark.slow
def test_training_on_votes_runs_the_commands_and_measures_what_came_of_it(models, tmp_path, monkeypatch):
    trained = tmp_path / "reward model"
    monkeypatch.setattr(Scorer, "reward", lambda self, *_, **__: Reward(Liking(trained), "votes/reward"))
    app = training_app(models, tmp_path, "reward model", "PPO", retrain_votes=10)
    client = app.test_client()
    assert client.get("/api/retrain").get_json()["state"] == "idle"
    started = client.post("/api/retrain", json={})
    assert started.status_code == 202 and started.get_json()["steps"] == 2
    events = read_stream(client.get("/api/retrain/events").data)
    job = finished(client)
    assert job["state"] == "done", job
    assert job["agreement"]["before"] == {"share": 0.0, "votes": 2, "reason": None}
    assert job["agreement"]["after"]["share"] == 1.0
    assert job["lines"][0].startswith("reward model: 8 votes") and job["commands"][0].startswith("python child.py ")
    told = [d for name, d in events if name == "progress"]
    assert [(d["step"], d["percent"]) for d in told] == [(step, at) for step in (1, 2) for at in (None, 0, 50, 100)]
    assert [(d["run_step"], d["run_steps"], d["eta"]) for d in told[1:4]] == [(0, 2, None), (1, 2, 3.0), (2, 2, 0.0)]
    assert job["result"] is None, "these commands evaluate nothing"
    assert [d["when"] for name, d in events if name == "agreement"] == ["before", "after"]
    assert events[-1][0] == "done" and events[-1][1]["state"] == "done"
    assert (tmp_path / "PPO").exists()
    assert job["counts"]["since_training"] == 0 and job["counts"]["needed"] == 10
    learned = [json.loads(line) for line in (tmp_path / "feedback.learn.jsonl").read_text().splitlines()]
    held_out = [json.loads(line) for line in (tmp_path / "feedback.heldout.jsonl").read_text().splitlines()]
    assert (len(learned), len(held_out)) == (8, 2)
    app.close()


def test_a_failing_command_ends_the_training_and_says_why(models, tmp_path):
    app = training_app(models, tmp_path, "fail", "PPO", retrain_votes=3)
    client = app.test_client()
    client.post("/api/retrain", json={})
    job = finished(client)
    assert job["state"] == "failed" and job["message"] == "fail ended with exit code 2: no such recipe"
    assert not (tmp_path / "PPO").exists() and job["counts"]["since_training"] == 10
    assert job["agreement"]["before"]["share"] is None and "run_reward.py" in job["agreement"]["before"]["reason"]
    app.close()


def test_only_one_training_runs_and_it_can_be_cancelled(models, tmp_path):
    app = training_app(models, tmp_path, "wait", "PPO", retrain_votes=3)
    client = app.test_client()
    assert client.post("/api/retrain", json={}).status_code == 202
    again = client.post("/api/retrain", json={})
    assert again.status_code == 409 and error_of(again)["code"] == "already_running"
    for _ in deadline(60):
        if (tmp_path / "wait").exists():
            break
    job = client.delete("/api/retrain").get_json()
    assert job["state"] == "cancelled" and not (tmp_path / "PPO").exists()
    app.close()


def test_too_few_votes_train_only_by_force(models, tmp_path):
    app = training_app(models, tmp_path, "PPO", retrain_votes=11)
    client = app.test_client()
    response = client.post("/api/retrain", json={})
    assert response.status_code == 400 and error_of(response)["code"] == "not_enough_votes"
    assert client.post("/api/retrain", json={"force": True}).status_code == 202
    assert finished(client)["state"] == "done"
    app.close()


def test_a_command_that_does_not_exist_fails_the_training(models, tmp_path):
    app = training_app(models, tmp_path, retrain_votes=3)
    app.close()
    commands = [("nothing", [str(tmp_path / "no-such-program")])]
    app = make_app(models, tmp_path, retrain_commands=commands, retrain_votes=3)
    client = app.test_client()
    client.post("/api/retrain", json={})
    assert finished(client)["state"] == "failed"
    app.close()


#: Stands for all three commands: a model that was evaluated with this result.
EVALUATED = """
import json, pathlib, shutil, sys
source, ppo, reward, better = sys.argv[1:]
for out in map(pathlib.Path, (ppo, reward)):
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    card = json.loads((out / "minigpt.json").read_text())
    card |= {"stage": out.name.removesuffix("-trial"), "evaluation": {"better": better == "yes", "summary": "so it is"}}
    (out / "minigpt.json").write_text(json.dumps(card))
"""


def test_only_a_better_model_takes_the_place_of_the_one_in_use(tmp_path):
    models = write_models(tmp_path / "models", "town/sft", "town/ppo")
    (tmp_path / "evaluated.py").write_text(EVALUATED, encoding="utf-8")

    def train(better: str) -> tuple[dict, dict]:
        words = ["{python}", "evaluated.py", str(models / "town" / "sft"), "{ppo}", "{reward}", better]
        app = training_app(models, tmp_path, retrain_votes=3)
        app.retraining.settings = replace(app.retraining.settings, retrain_commands=[("all", words)])
        client = app.test_client()
        client.post("/api/retrain", json={})
        job = finished(client)
        listed = {model["id"]: model for model in client.get("/v1/models").get_json()["data"]}
        rewards = app.retraining.service.scorer.reward().name
        pair = {client.post("/api/pairs", json={"messages": QUESTION, "max_tokens": 1}).status_code for _ in range(2)}
        app.close()
        assert job["state"] == "done" and pair == {200}, job["message"]
        assert job["counts"]["since_training"] == 0
        return job["result"], {"default": [n for n, m in listed.items() if m["default"]], "all": set(listed),
                               "reward": rewards, "cards": listed}  # fmt: skip

    result, after = train("no")
    assert result == {"better": False, "summary": "so it is"}
    assert after["default"] == ["town/ppo"] and after["reward"] is None, "a trial scores nothing and is no default"
    assert {"votes/ppo-trial", "votes/reward-trial"} <= after["all"] and "votes/ppo" not in after["all"]
    assert after["cards"]["votes/ppo-trial"]["card"]["evaluation"]["better"] is False, "the card says so"
    for previous in (set(), {"votes/ppo.previous", "votes/reward.previous"}):
        result, after = train("yes")
        assert result["better"] and after["default"] == ["votes/ppo"] and after["reward"] == "votes/reward"
        assert previous <= after["all"] and not {"votes/ppo-trial", "votes/reward-trial"} & after["all"]
    result, after = train("no")
    assert not result["better"] and after["default"] == ["votes/ppo"] and after["reward"] == "votes/reward"


RECIPE = """
title = "Small talk"
[pretrain]
corpus = "talks.jsonl"
format = "text"
[sft]
corpus = "talks.jsonl"
format = "messages"
"""
FILLED = {"policy": "sft", "votes": "votes.jsonl", "reward": "votes/reward", "ppo": "votes/ppo", "current": "sft",
          "heldout": "heldout.jsonl"}  # fmt: skip


class Read(Exception):
    """Raised with what a script has read from its command line, in place of all that follows."""


@pytest.mark.parametrize("words", [words for _, words in RETRAIN], ids=[name for name, _ in RETRAIN])
def test_the_scripts_know_every_word_of_the_default_commands(words, monkeypatch):
    python, *given = (re.sub(r"{(\w+)}", lambda name: FILLED.get(name[1], name[1]), w) for w in words)
    assert (python, *given[:2]) == ("python", "-m", "minigpt")
    monkeypatch.setattr("sys.argv", given[1:])
    parse = cli.Parser.parse_known_args

    def read(parser):
        raise Read(parse(parser))

    monkeypatch.setattr(cli.Parser, "parse_args", read)
    with pytest.raises(Read) as reading:
        minigpt_command.main()
    assert reading.value.args[0][1] == []


@pytest.mark.parametrize(("stage", "settings"), [("reward", RewardConfig), ("ppo", PPOConfig)])
def test_the_recipe_of_the_votes_is_within_bounds(stage, settings):
    recipe = load_recipe("votes")
    assert recipe.inherits and set(recipe.stages) == {"reward", "ppo"}
    given = recipe.inheriting(load_recipe("tinytown")).settings(stage)
    assert settings(**given) and given.items() >= recipe.settings(stage).items()


@pytest.mark.slow
def test_the_default_commands_close_the_loop_of_a_recipe_that_knows_of_no_votes(speaker, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    talks = [[{"role": t.role, "content": t.text} for t in talk.turns] for talk in small_talk(60)]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps({"messages": t}) + "\n" for t in talks), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(RECIPE, encoding="utf-8")
    models = tmp_path / "trained_models"
    card = {"stage": "sft", "recipe": "mine", "recipe_file": "mine.toml", "finished": True}
    save_model(models / "mine" / "sft", speaker, card)
    small = {
        "reward model": ["--max-new-tokens", "6"],
        "PPO": ["--max-new-tokens", "6", "--updates", "4", "--episodes", "32", "--lr", "0.001"],
        "evaluation": [],
    }
    commands = [(name, [*words, *small[name], "--device", "cpu", "--dtype", "fp32"]) for name, words in RETRAIN]
    app = make_app(models, tmp_path, retrain_commands=commands)
    for i, talk in enumerate(small_talk(50, seed=7)):
        sides = [{"model": "mine/sft", "text": text, "seed": i} for text in ("f and k the", f"{WORDS[i % 6]} t")]
        app.store.add_vote(app.store.add_pair([{"role": "user", "content": talk.turns[0].text}], *sides), "left")
    client = app.test_client()
    assert client.post("/api/retrain", json={}).status_code == 202
    job = finished(client, seconds=600)
    assert job["state"] == "done", job["lines"]
    assert job["agreement"]["before"]["share"] is None and job["agreement"]["after"]["share"] >= 0.9
    assert job["result"]["better"], job["result"]
    assert job["result"]["marked_by"] == "reward model" and job["result"]["against"] == "mine/sft"
    listed = {model["id"]: model for model in client.get("/v1/models").get_json()["data"]}
    assert listed["votes/ppo"]["default"] and listed["votes/ppo"]["recipe"] == "mine" and "votes/reward" in listed
    app.close()

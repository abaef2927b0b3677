"""The pipelines over HTTP: what they say is what `minigpt.pipeline` says, and mistakes name their field."""

from __future__ import annotations

import copy

import pytest
import torch
from helpers.web import QUESTION, error_of, make_app, write_models

from minigpt import pipeline
from minigpt.alignment.reward_model import RewardModel, save_reward_model
from minigpt.model.checkpoint import load_model

pytest_plugins = ["helpers.web_fixtures"]
TEXTS = ["How are you?", "The market opens at noon", "a b"]
PAIRS = [{"text": "How are you?", "text_pair": text} for text in ("Fine, thank you!", "No")]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Two models that write, a reward model and a sentiment model."""
    folder = write_models(tmp_path_factory.mktemp("judged"), "town/sft", "town/pretrain")
    trunk = load_model(folder / "town" / "sft")
    for name, labels in (("town/reward", []), ("expand/reward", ["positive", "negative"])):
        torch.manual_seed(len(labels))
        model = RewardModel(copy.deepcopy(trunk), reads_prompt=not labels, labels=labels)
        save_reward_model(folder / name, model, {"stage": "reward", "recipe": name.split("/")[0], "finished": True})
    return folder


@pytest.fixture
def client(judged, tmp_path):
    app = make_app(judged, tmp_path)
    yield app.test_client()
    app.close()


def post(client, task, **body):
    return client.post(f"/api/pipeline/{task}", json=body)


@pytest.mark.parametrize("name", ["town/sft", "town/pretrain"])
def test_generated_texts_are_the_pipelines(client, judged, name):
    write = pipeline("text-generation", model=judged / name)
    options = {"max_new_tokens": 12}
    for inputs in (TEXTS[0], TEXTS):
        assert post(client, "text-generation", inputs=inputs, model=name, **options).get_json() == write(
            inputs, **options
        )
    assert post(client, "text-generation", messages=QUESTION, model=name, **options).get_json() == write(
        QUESTION, **options
    )
    options |= {"do_sample": True, "seed": 7, "num_return_sequences": 2, "return_full_text": False, "top_k": 20}
    assert post(client, "text-generation", inputs=TEXTS, model=name, **options).get_json() == write(TEXTS, **options)


def test_labels_rewards_and_features_are_the_pipelines(client, judged):
    classify, judge = (
        pipeline(t, model=judged / f"{r}/reward") for t, r in (("sentiment", "expand"), ("reward", "town"))
    )
    look = pipeline("feature-extraction", model=judged / "town/sft")
    for inputs in (TEXTS[0], TEXTS):
        expected = classify(inputs)
        assert post(client, "sentiment", inputs=inputs).get_json() == [
            {"label": result["label"], "score": pytest.approx(result["score"])} for result in expected
        ]
        features = post(client, "feature-extraction", inputs=inputs, model="town/sft").get_json()
        for ours, theirs in zip(features, look(inputs), strict=True):
            assert torch.allclose(torch.tensor(ours), torch.tensor(theirs), atol=1e-5)
    assert len(post(client, "sentiment", inputs=TEXTS[0], top_k=2).get_json()) == 2
    for inputs in (PAIRS[0], PAIRS):
        rewards = post(client, "reward", inputs=inputs, model="town/reward").get_json()
        assert [r["score"] for r in rewards] == pytest.approx([r["score"] for r in judge(inputs)])


def test_mistakes_name_their_field(client):
    long = "word " * 500
    for task, body, param in [
        ("text-generation", {}, "inputs"), ("text-generation", {"inputs": "a", "messages": QUESTION}, "inputs"),
        ("text-generation", {"inputs": [""]}, "inputs[0]"), ("text-generation", {"inputs": ["a"] * 9}, "inputs"),
        ("text-generation", {"inputs": "a", "num_return_sequences": 2}, "num_return_sequences"),
        ("text-generation", {"inputs": long}, "inputs"), ("text-generation", {"inputs": " "}, "inputs"),
        ("text-generation", {"messages": [{"role": "user", "content": long}]}, "messages"),
        ("text-generation", {"inputs": "a", "model": "../sft"}, "model"),
        ("text-generation", {"inputs": "a", "top_p": -1}, "top_p"), ("text-generation", {"input": "a"}, "input"),
        ("sentiment", {"inputs": 5}, "inputs"), ("sentiment", {"inputs": long}, "inputs"),
        ("sentiment", {"inputs": "a", "top_k": 3}, "top_k"), ("reward", {"inputs": {"text": "a"}}, "inputs.text_pair"),
        ("reward", {"inputs": [PAIRS[0], "a"]}, "inputs[1]"),
        ("reward", {"inputs": {"text": "a", "text_pair": long}}, "inputs"),
        ("feature-extraction", {"inputs": long}, "inputs"), ("feature-extraction", {"inputs": []}, "inputs"),
    ]:  # fmt: skip
        response = post(client, task, **body)
        assert (response.status_code, error_of(response)["param"]) == (400, param), (task, body)


def test_models_are_found_by_name_and_kind(client):
    for task, name in [("text-generation", "town/none"), ("sentiment", "town/reward"), ("sentiment", "town/sft"),
                       ("reward", "town/sft"), ("feature-extraction", "town/none")]:  # fmt: skip
        inputs = PAIRS[0] if task == "reward" else "a"
        response = post(client, task, inputs=inputs, model=name)
        assert (response.status_code, error_of(response)["param"]) == (404, "model"), (task, name)
    assert post(client, "text-generation", inputs="a", model="town/reward").status_code == 400


def test_without_a_trained_judge_there_is_a_way_to_get_one(models, tmp_path):
    app = make_app(models, tmp_path)
    response = post(app.test_client(), "sentiment", inputs="a")
    assert response.status_code == 404 and "--recipe expand" in error_of(response)["message"]
    response = post(app.test_client(), "reward", inputs=PAIRS)
    assert response.status_code == 404 and "run_reward.py" in error_of(response)["message"]
    app.close()

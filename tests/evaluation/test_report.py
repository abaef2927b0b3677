"""The report card, on small models: what it says of their folders, what changed, and that the page is sound."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.models import TEXT, copy_of, make_chat, make_ppo, write_talks

from minigpt import UserError, cli
from minigpt.alignment.policy import save_value_head
from minigpt.alignment.reward_model import RewardModel, save_reward_model
from minigpt.evaluation.report.changes import changes, changes_table
from minigpt.evaluation.report.command import main, make_report, read_report
from minigpt.evaluation.report.measures import look_up, measure
from minigpt.evaluation.report.page import render
from minigpt.evaluation.report.stages import broken_links
from minigpt.files import to_json
from minigpt.model.checkpoint import save_model
from minigpt.recipe import Recipe, load_recipe
from minigpt.registry import MODELS

CPU = torch.device("cpu")
RECIPE = """
title = "A <harbour> town"
[pretrain]
corpus = "town.txt"
format = "text"
[sft]
corpus = "talks.jsonl"
format = "messages"
[reward]
corpus = "pairs.jsonl"
format = "comparisons"
[ppo]
corpus = "talks.jsonl"
format = "messages"
[dpo]
corpus = "pairs.jsonl"
format = "comparisons"
"""
JUDGED = {
    "loss": 0.4, "accuracy": 0.83, "interval": [0.7, 0.9], "examples": 60, "length_correlation": -0.24,
    "longer_preferred": 0.6, "longer_scored_higher": 0.9, "calibration": [[0.2, 0.3, 30], [0.8, 0.7, 30]],
    "histogram": {"edges": [-1, 0, 1], "better": [2, 8], "worse": [7, 3]},
}  # fmt: skip


class Reader(HTMLParser):
    """Every element with its attributes, the text of <data>, and whether elements are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.data: dict[tuple[str, ...], tuple[str, str]] = {}
        self.feed(page)
        assert not self.open

    def handle_startendtag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_starttag(self, name, attributes):
        self.open.append(name)
        self.elements.append((name, dict(attributes)))

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, text):
        if self.open and self.open[-1] == "data":
            attributes = self.elements[-1][1]
            self.data[tuple(json.loads(attributes["data-path"]))] = (attributes["value"], text)


def card(stage: str, parent: str | None, **more) -> dict:
    training = {"lr": 0.002, "seed": 0}
    return {"stage": stage, "recipe": "mine", "parent": parent, "machine": "cpu (toy)", "finished": True, "steps": 4,
            "tokens": 80, "minutes": 0.5, "training": training, "metrics": {}, **more}  # fmt: skip


def write_log(folder: Path, rows: list[dict]) -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def sha256_of(folder: Path) -> str:
    return json.loads((folder / "minigpt.json").read_text(encoding="utf-8"))["sha256"]


@pytest.fixture(scope="module")
def town(tmp_path_factory, speaker, tokenizer) -> Path:
    """A folder with a recipe and its stages but the last, of which the SFT model is the fixture `speaker`."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "mine.toml").write_text(RECIPE, encoding="utf-8")
    (folder / "town.txt").write_text("\n\n".join([TEXT] * 20), encoding="utf-8")
    write_talks(folder / "talks.jsonl")
    home = folder / "trained_models" / "mine"
    losses: list[dict[str, Any]] = [
        {"step": i, "tokens": 20 * i, "train_loss": 5 - i, "tokens_per_second": 100 + i} for i in range(1, 5)
    ]
    losses.append({"step": 4, "tokens": 80, "valid": {"loss": 1.5}})
    reader = make_chat(tokenizer, is_chat=False, context=40, depth=1)
    metrics = {"loss": 1.5, "perplexity": 4.4817, "bits_per_byte": 0.9, "word_perplexity": float("inf")}
    save_model(home / "pretrain", reader, card("pretrain", None, metrics=metrics))
    save_model(home / "sft", speaker, card("sft", sha256_of(home / "pretrain"), metrics={"loss": 0.5}))
    parent = sha256_of(home / "sft")
    save_reward_model(home / "reward", RewardModel(copy_of(speaker)), card("reward", parent, metrics=JUDGED))
    for stage in ("pretrain", "sft", "reward"):
        write_log(home / stage, losses)

    def save(run):
        policy = trainer.policy
        save_model(home / "ppo", policy.chat, card("ppo", parent, reward=sha256_of(home / "reward")) | run)
        save_value_head(home / "ppo", policy)

    trainer = make_ppo(speaker, folder=home / "ppo", save=save)
    trainer.train()
    return folder


@pytest.fixture(scope="module")
def made(town) -> dict:
    """The report of that folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(town)
        return make_report(load_recipe("mine.toml"), MODELS / "mine", 10, 2, CPU)


def command(monkeypatch, capsys, *arguments: str) -> tuple[Any, str, str]:
    monkeypatch.setattr(sys, "argv", ["report", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.run(main)
    printed = capsys.readouterr()
    return stop.value.code, printed.out, printed.err


# What the report says.


def test_every_stage_tells_its_own_figures(made):
    stages = made["stages"]
    assert list(stages) == ["pretrain", "sft", "reward", "ppo"] and made["missing"] == ["dpo"]
    assert stages["pretrain"]["figures"]["perplexity"] == 4.4817
    assert stages["pretrain"]["figures"]["word_perplexity"] is None  # JSON knows no infinity
    assert stages["reward"]["figures"]["calibration_error"] == pytest.approx(0.1)
    assert stages["sft"]["tokens_per_second"] == 102.5
    assert stages["sft"]["settings"] == {"lr": 0.002}
    assert {"reward", "kl"} <= stages["ppo"]["figures"].keys()
    # The policy that was kept is the one of the evaluation that the card tells of.
    curves = stages["ppo"]["curves"]["reward"]["valid"]
    assert [stages["ppo"]["figures"]["update"], pytest.approx(stages["ppo"]["figures"]["reward"], rel=1e-5)] in curves
    assert made["broken"] == []


def test_every_stage_answers_the_same_held_out_prompts(made):
    assert len(made["answers"]) == 8
    for asked in made["answers"].values():
        assert list(asked["stages"]) == ["pretrain", "sft", "ppo"]
        assert "reward" in asked["stages"]["ppo"] and "reward" not in asked["stages"]["pretrain"]


def test_prompts_come_from_the_log_where_the_corpus_is_not(town, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(town / "mine.toml", tmp_path)  # the recipe's corpora are not here
    recipe = load_recipe("mine.toml")
    again = make_report(recipe, town / "trained_models" / "mine", 10, 2, CPU)
    assert again["answers"] and {asked["note"] for asked in again["answers"].values()} == {"from the log of training"}
    assert again["stages"] == made["stages"]


def test_a_parent_that_was_trained_anew_is_a_broken_link(made):
    stages = copy.deepcopy(made["stages"])
    stages["sft"]["sha256"] = "f" * 64
    sentences = broken_links(stages)
    assert [sentence.split()[0] for sentence in sentences] == ["reward", "ppo"]
    assert "sft has ffffffff now" in sentences[0]
    del stages["pretrain"]
    assert "pretrain is not here" in broken_links(stages)[0]
    shown = render(made | {"broken": sentences})
    assert shown.count("Broken chain") == 2 and sentences[0] in shown


def test_smaller_copies_of_models_that_belong_together_are_no_broken_chain(made):
    stages = copy.deepcopy(made["stages"])
    for facts in stages.values():
        facts["made_from"], facts["sha256"] = facts["sha256"], f"{facts['sha256'][:60]}copy"
    assert broken_links(stages) == []
    assert "Pre-training</td>" in render(made | {"stages": stages})


def test_a_card_that_does_not_say_which_policy_was_kept_shows_nothing(made):
    numbers = copy.deepcopy(made)
    del numbers["stages"]["ppo"]["figures"]["update"]
    assert "after update" in render(made) and "kept: update" in render(made)
    assert "after update" not in render(numbers) and "kept: update" not in render(numbers)


def test_a_policy_that_the_grader_taught_needs_no_reward_model(made):
    stages = copy.deepcopy(made["stages"])
    stages["ppo"]["reward_model"] = "grader"
    del stages["reward"]
    assert broken_links(stages) == []


def test_in_tinytown_the_grader_marks(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("minigpt.evaluation.win_rate.prompts_of_ppo", lambda recipe: set())
    monkeypatch.setattr("minigpt.evaluation.report.trials.prompts_of_ppo", lambda recipe: set())
    model = make_chat(tokenizer, context=128, depth=1)
    for stage in ("sft", "ppo"):
        save_model(tmp_path / stage, model, card(stage, None))
    recipe = Recipe("mine", {"grader": "town"}, {"ppo": {"corpus": "tinytown/dialogs"}})
    numbers = make_report(recipe, tmp_path, 4, 0, CPU)
    sft = {"questions": 4, "asked": 0, "held_out": 0, "new_wording": 0, "honest": 0, "declined": 0}
    assert numbers["knowledge"]["sft"] == sft
    assert numbers["win_rate"]["asked"]["ppo"]["wins"] is not None
    assert "does not add" not in numbers["findings"][0]
    page = render(numbers)
    assert all(title in page for title in ("Knowledge</h2>", "Win rate</h2>", "About held-out residents"))
    with pytest.raises(UserError, match=r"--questions 99999: there are only"):
        make_report(recipe, tmp_path, 99999, 0, CPU)


# The page.


def test_the_page_shows_the_numbers_of_the_json(made):
    shown = Reader(render(made)).data
    assert len(shown) > 40
    for path, (value, text) in shown.items():
        number = look_up(made, path)
        assert json.loads(value) == number
        assert text.replace("−", "-") == measure(path[-1]).write(number)
    headline = {("stages", "ppo", "figures", "kl"), ("stages", "reward", "figures", "accuracy"),
                ("stages", "pretrain", "figures", "perplexity"), ("stages", "sft", "figures", "loss")}  # fmt: skip
    assert headline <= shown.keys()


def test_what_models_write_stays_text(made):
    numbers = copy.deepcopy(made)
    evil = '<script>alert("1")</script><img src=x onerror=1>\x00\x1b&amp;'
    asked = next(iter(numbers["answers"].values()))
    asked["stages"]["sft"]["text"] = evil
    asked["before"] = [evil]
    numbers["answers"] = {evil: asked}
    numbers["stages"]["sft"]["machine"] = evil
    page = render(numbers, made)
    names = {name for name, _ in Reader(page).elements}
    assert not names & {"script", "img"}
    assert "&lt;script&gt;" in page and "&amp;amp;" in page and "␀␛" in page
    assert "\x00" not in page


def test_the_page_needs_nothing_and_lets_nothing_in(made):
    page = render(made)
    reader = Reader(page)
    for name, attributes in reader.elements:
        assert name not in ("script", "link", "iframe", "object")
        assert not attributes.keys() & {"src", "style"} and not any(key.startswith("on") for key in attributes)
        assert attributes.get("href", "#").startswith("#")
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(a["content"] for _, a in reader.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and f"'sha256-{digest}'" in policy
    assert "url(" not in style and "@import" not in style


def test_the_page_can_be_read_aloud(made):
    elements = Reader(render(made, made)).elements
    count = [name for name, _ in elements].count
    assert count("main") == count("header") == count("footer") == count("h1") == 1
    assert ("html", {"lang": "en"}) in elements
    assert all(a.get("scope") in ("col", "row") for name, a in elements if name == "th")
    assert count("caption") == count("table") >= 3
    pictures = [a for name, a in elements if name == "svg"]
    assert all(a.get("aria-label") if a.get("role") == "img" else a.get("aria-hidden") == "true" for a in pictures)
    names = {a["id"] for _, a in elements if "id" in a}
    assert all(a["href"][1:] in names for name, a in elements if name == "a")
    assert len(names) == sum("id" in a for _, a in elements)


def test_a_stage_alone_makes_a_page(made):
    alone = made | {"stages": {"pretrain": made["stages"]["pretrain"]}, "answers": {}, "missing": ["sft"]}
    page = render(alone)
    assert "Not here: sft (python run_sft.py)." in page
    assert 'id="reward"' not in page and 'id="ppo"' not in page


def test_a_chart_is_the_same_each_time_and_has_ids_and_words_of_its_own(made):
    page = render(made, made)
    assert page == render(made, made)
    elements = Reader(page).elements
    pictures = [a["aria-label"] for name, a in elements if a.get("role") == "img"]
    assert len(pictures) == len(set(pictures)) > 10
    assert any(label.startswith("SFT: before from 1.5 to 1.5; training, smoothed from") for label in pictures)
    # Charts refer to parts of their own, and have no other ids, which would be the same in every chart.
    ids = {a["id"] for _, a in elements if "id" in a}
    referred = set(re.findall(r"url\(#([^)]+)\)", page)) | {a["href"][1:] for _, a in elements if "href" in a}
    assert referred <= ids <= referred | {a.get("aria-labelledby") for _, a in elements}
    # Colours are the style sheet's, so that they change with the theme.
    drawn = "".join(re.findall(r"<svg.*?</svg>", page, re.DOTALL))
    assert "var(--s0)" in drawn and not re.search(r"#[0-9a-f]{6}\"", drawn)


# What changed.


def test_each_number_is_held_against_the_earlier_one(made):
    earlier = copy.deepcopy(made)
    earlier["stages"]["sft"]["figures"]["loss"] = 0.75
    earlier["stages"]["ppo"]["figures"]["kl"] = made["stages"]["ppo"]["figures"]["kl"] - 1
    earlier["stages"]["reward"]["figures"]["accuracy"] = 0.85  # of 60 judgements: chance
    earlier["stages"]["sft"]["settings"] = {"batch_size": 8}
    earlier["stages"]["pretrain"]["sha256"] = "e" * 64
    del earlier["stages"]["pretrain"]["figures"]["perplexity"]
    found = changes(earlier, made)
    words = {path: change.word for path, change in found.items() if change.word != "same"}
    settings = {f"{setting}": words.pop(("stages", "sft", "settings", setting)) for setting in
                ("lr", "batch_size")}  # fmt: skip
    assert words == {
        ("stages", "pretrain", "sha256"): "changed",
        ("stages", "pretrain", "figures", "perplexity"): "new",
        ("stages", "sft", "figures", "loss"): "-0.2500 better",
        ("stages", "reward", "figures", "accuracy"): "-2.0 points worse, within chance",
        ("stages", "ppo", "figures", "kl"): "+1.00 higher",
    }
    assert settings == {"lr": "changed", "batch_size": "changed"}
    # A setting that one report does not list had its default there.
    assert found["stages", "sft", "settings", "lr"].before == "0.003"
    assert found["stages", "sft", "settings", "batch_size"].now == "32"
    page = render(made, earlier)
    assert "−0.2500 better" in page and page.count("What changed") == 2
    told = changes_table(found)
    assert re.search(r"SFT +loss +0\.7500 +0\.5000 +-0\.2500 better", told)
    assert told.endswith(f"{len(found) - 7} numbers are the same.")


def test_nothing_changes_between_a_report_and_itself(made):
    found = changes(made, made)
    assert len(found) > 40 and {change.word for change in found.values()} == {"same"}
    assert 'class="change better"' not in render(made, made)


def test_a_large_loss_of_accuracy_is_worse(made):
    earlier = copy.deepcopy(made)
    earlier["stages"]["reward"]["figures"]["accuracy"] = 0.99
    change = changes(earlier, made)["stages", "reward", "figures", "accuracy"]
    assert (change.word, change.verdict) == ("-16.0 points worse", -1)


def test_a_report_with_the_names_of_before_still_compares(made, tmp_path):
    row = {"questions": 10, "asked": 0.5, "held_out": 0.5, "new_wording": 0.5}
    marks = {"right": 0.5, "good": 0.5, "length": 9.0, "wins": None, "interval": None}
    mood = {"label": "positive", "prompts": 8, "asked": "?", "entrants": {"sft": {"wanted": 0.5, "interval": [0, 1]}}}
    now = made | {
        "knowledge": {"sft": row}, "win_rate": {"asked": {"sft": marks}}, "sentiment": mood, "questions": 10
    }  # fmt: skip
    old = {key: value for key, value in now.items() if key not in ("knowledge", "win_rate", "sentiment")}
    old |= {"exam": now["knowledge"], "contest": now["win_rate"], "mood": mood}
    (tmp_path / "old.json").write_text(to_json(old), encoding="utf-8")
    found = changes(read_report(tmp_path / "old.json"), now)
    assert {"knowledge", "win_rate", "sentiment"} <= {path[0] for path in found}
    assert {change.word for change in found.values()} == {"same"}


# The command.


@pytest.mark.slow
def test_the_command_writes_page_and_numbers_and_repeats_them(town, made, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(town)
    out = tmp_path / "card.html"
    code, said, _ = command(monkeypatch, capsys, "--recipe", "mine.toml", "--out", str(out), "--device", "cpu")
    numbers = out.with_suffix(".json")
    assert code == 0 and str(out) in said
    assert numbers.read_text(encoding="utf-8") == to_json(made)
    first = out.read_bytes(), numbers.read_bytes()
    command(monkeypatch, capsys, "--recipe", "mine.toml", "--out", str(out), "--device", "cpu")
    assert (out.read_bytes(), numbers.read_bytes()) == first
    code, said, _ = command(
        monkeypatch, capsys, "--recipe", "mine.toml", "--out", str(out), "--against", str(numbers), "--device", "cpu"
    )
    assert code == 0 and "numbers are the same." in said
    assert numbers.read_bytes() == first[1]


def test_no_stage_at_all_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(RECIPE, encoding="utf-8")
    code, said, error = command(monkeypatch, capsys, "--recipe", "mine.toml")
    assert code == 2 and not said
    assert error.count("\n") == 1 and "holds no trained stage yet; run python run_pretrain.py --recipe" in error
    assert {path.name for path in tmp_path.iterdir()} == {"mine.toml"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out", "card.pdf"], "must end in .html"),
        (["--questions", "0"], "--questions must be at least 1"),
        (["--against", "mine.toml"], "is not valid JSON"),
        (["--against", "other.json"], "is not a report of this version"),
        (["--against", "none.json"], "does not exist"),
    ],
)
def test_mistakes_end_in_a_sentence(town, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(town)
    (town / "other.json").write_text("[1]", encoding="utf-8")
    code, _, error = command(monkeypatch, capsys, "--recipe", "mine.toml", *arguments)
    assert code == 2 and sentence in error and error.count("\n") == 1

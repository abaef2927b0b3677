"""The report card, on small models: what it says of their folders, what changed, and that the page is sound."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from helpers.models import TEXT, make_model, make_ppo, write_talks

from minigpt import UserError, cli
from minigpt.alignment.policy import save_value_head
from minigpt.alignment.reward_model import RewardModel, save_reward_model
from minigpt.evaluation.report import report
from minigpt.evaluation.report.changes import changes, changes_table, look_up
from minigpt.evaluation.report.markup import escape
from minigpt.evaluation.report.measures import measure
from minigpt.evaluation.report.page import Page, render
from minigpt.evaluation.report.sections import SECTIONS
from minigpt.evaluation.report.stages import broken_links
from minigpt.files import to_json
from minigpt.model.checkpoint import save_model
from minigpt.recipe import Recipe

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
    training = {"learning_rate": 0.002, "seed": 0}
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
    losses = [{"step": i, "tokens": 20 * i, "train_loss": 5 - i, "tokens_per_second": 100 + i} for i in range(1, 5)]
    losses.append({"step": 4, "tokens": 80, "valid": {"loss": 1.5}})
    reader = make_model(vocab=tokenizer.vocab_size, context=40, depth=1)
    metrics = {"loss": 1.5, "perplexity": 4.4817, "bits_per_byte": 0.9, "word_perplexity": float("inf")}
    save_model(home / "pretrain", reader, tokenizer, card("pretrain", None, metrics=metrics))
    save_model(home / "sft", speaker, tokenizer, card("sft", sha256_of(home / "pretrain"), metrics={"loss": 0.5}))
    parent = sha256_of(home / "sft")
    save_reward_model(home / "reward", RewardModel(copy.deepcopy(speaker)), card("reward", parent, metrics=JUDGED))
    for stage in ("pretrain", "sft", "reward"):
        write_log(home / stage, losses)

    def save(policy, run):
        save_model(home / "ppo", policy.model, tokenizer, card("ppo", parent, reward=sha256_of(home / "reward")) | run)
        save_value_head(home / "ppo", policy)

    make_ppo(speaker, folder=home / "ppo", save=save).train()
    return folder


@pytest.fixture(scope="module")
def made(town) -> dict:
    """The report of that folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(town)
        return report.make_report(report.load_recipe("mine.toml"), report.MODELS / "mine", 10, 2, CPU)


def page_of(numbers: dict, earlier: dict | None = None) -> str:
    changed = changes(earlier, numbers) if earlier else {}
    return render(Page(numbers, earlier or {}, changed), SECTIONS)


def command(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["report", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.run(report.main)
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
    assert stages["sft"]["settings"] == {"learning_rate": 0.002}
    assert {"reward", "kl", "update"} <= stages["ppo"]["figures"].keys()
    assert made["broken"] == []


def test_every_stage_answers_the_same_held_out_prompts(made):
    assert len(made["answers"]) == 8
    for asked in made["answers"].values():
        assert list(asked["stages"]) == ["pretrain", "sft", "ppo"]
        assert "reward" in asked["stages"]["ppo"] and "reward" not in asked["stages"]["pretrain"]


def test_prompts_come_from_the_log_where_the_corpus_is_not(town, made, tmp_path, monkeypatch):
    recipe = report.load_recipe(str(town / "mine.toml"))
    monkeypatch.chdir(tmp_path)  # the recipe's corpora are not here
    again = report.make_report(recipe, town / "trained_models" / "mine", 10, 2, CPU)
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
    shown = page_of(made | {"broken": sentences})
    assert shown.count("Broken chain") == 2 and escape(sentences[0]) in shown


def test_a_policy_that_the_grader_taught_needs_no_reward_model(made):
    stages = copy.deepcopy(made["stages"])
    stages["ppo"]["reward_model"] = "grader"
    del stages["reward"]
    assert broken_links(stages) == []


def test_in_tinytown_the_grader_marks(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setattr("minigpt.evaluation.win_rate.practised_prompts", lambda recipe: set())
    monkeypatch.setattr("minigpt.evaluation.report.trials.practised_prompts", lambda recipe: set())
    model = make_model(vocab=tokenizer.vocab_size, context=128, depth=1)
    for stage in ("sft", "ppo"):
        save_model(tmp_path / stage, model, tokenizer, card(stage, None))
    recipe = Recipe("mine", {"truth": "town"}, {"ppo": {"corpus": "tinytown/dialogs"}})
    numbers = report.make_report(recipe, tmp_path, 4, 0, CPU)
    assert numbers["exam"]["sft"] == {"questions": 4, "asked": 0, "held_out": 0, "new_wording": 0}
    assert numbers["contest"]["asked"]["ppo"]["wins"] is not None
    assert "does not add" not in numbers["findings"][0]
    assert "Contest at temperature 1" in page_of(numbers)
    with pytest.raises(UserError, match=r"--questions 99999: there are only"):
        report.make_report(recipe, tmp_path, 99999, 0, CPU)


# The page.


def test_the_page_shows_the_numbers_of_the_json(made):
    shown = Reader(page_of(made)).data
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
    page = page_of(numbers, made)
    names = {name for name, _ in Reader(page).elements}
    assert not names & {"script", "img"}
    assert "&lt;script&gt;" in page and "&amp;amp;" in page and "␀␛" in page
    assert "\x00" not in page


def test_the_page_needs_nothing_and_lets_nothing_in(made):
    page = page_of(made)
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
    elements = Reader(page_of(made, made)).elements
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
    page = page_of(alone)
    assert "Not here: sft (python run_sft.py)." in page
    assert 'id="reward"' not in page and 'id="ppo"' not in page


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
                ("learning_rate", "batch_size")}  # fmt: skip
    assert words == {
        ("stages", "pretrain", "sha256"): "changed",
        ("stages", "pretrain", "figures", "perplexity"): "new",
        ("stages", "sft", "figures", "loss"): "-0.2500 better",
        ("stages", "reward", "figures", "accuracy"): "-2.0 points worse, within chance",
        ("stages", "ppo", "figures", "kl"): "+1.00 higher",
    }
    assert settings == {"learning_rate": "changed", "batch_size": "changed"}
    # A setting that one report does not list had its default there.
    assert found["stages", "sft", "settings", "learning_rate"].before == "0.003"
    assert found["stages", "sft", "settings", "batch_size"].now == "32"
    page = page_of(made, earlier)
    assert "−0.2500 better" in page and page.count("What changed") == 2
    told = changes_table(found)
    assert re.search(r"SFT +loss +0\.7500 +0\.5000 +-0\.2500 better", told)
    assert told.endswith(f"{len(found) - 7} numbers are the same.")


def test_nothing_changes_between_a_report_and_itself(made):
    found = changes(made, made)
    assert len(found) > 40 and {change.word for change in found.values()} == {"same"}
    assert 'class="change better"' not in page_of(made, made)


def test_a_large_loss_of_accuracy_is_worse(made):
    earlier = copy.deepcopy(made)
    earlier["stages"]["reward"]["figures"]["accuracy"] = 0.99
    change = changes(earlier, made)["stages", "reward", "figures", "accuracy"]
    assert (change.word, change.verdict) == ("-16.0 points worse", -1)


# The command.


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

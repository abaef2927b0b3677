"""The model database: names, descent and figures from the cards, and a file that was changed is found out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from helpers.models import make_chat

from minigpt import Tokenizer, UserError
from minigpt import registry as database
from minigpt.files import to_json, write_atomically
from minigpt.model.checkpoint import load_model, read_card, save_model
from minigpt.registry import Model, ancestry, default_model, find_models, origin, stages_of


@pytest.fixture
def folder(tokenizer: Tokenizer, tmp_path):
    """A town with three stages, and smaller copies of two of them."""

    def save(name: str, seed: int, **card) -> str:
        stage = {"stage": name.split("/")[1], "recipe": "town", "finished": True}
        save_model(tmp_path / name, make_chat(tokenizer, seed=seed), stage | card)
        return read_card(tmp_path / name)["sha256"]

    first = save("town/pretrain", 0, minutes=2.5, metrics={"loss": 1.25, "curve": [[1, 2], [3, 4]]})
    second = save("town/sft", 1, parent=first)
    save("town/ppo", 2, parent=second, reward="0123456789abcdef", metrics={"reward": 1.5, "loss": 9.0})
    save("copies/pretrain", 3, made_from=first)
    save("copies/sft", 4, parent=first, made_from=second)
    return tmp_path


@pytest.fixture
def run(monkeypatch, capsys, folder):
    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["models", *words, "--models", str(folder)])
        status = database.main()
        return status, capsys.readouterr().out

    return run


def test_the_list_has_a_line_for_each_model(run):
    status, told = run("list")
    lines = {line.split()[0]: line for line in told.splitlines()[1:]}
    assert status == 0 and list(lines) == ["copies/pretrain", "copies/sft", "town/ppo", "town/pretrain", "town/sft"]
    assert "loss 1.250" in lines["town/pretrain"] and " 2.5 " in lines["town/pretrain"]
    assert "reward 1.500" in lines["town/ppo"] and "town/sft" in lines["town/ppo"]
    assert all(line.endswith("sound") for line in lines.values())


def test_a_model_descends_from_its_neighbours(folder):
    """A smaller copy has another hash than what it was made from, and its card's parent is the large one."""
    models = find_models(folder)
    assert ancestry(models["town/ppo"], models) == ["town/pretrain", "town/sft", "town/ppo"]
    assert ancestry(models["copies/sft"], models) == ["copies/pretrain", "copies/sft"]
    assert (
        origin(models["town/ppo"], models, "reward") == "0123456789ab" and origin(models["town/pretrain"], models) == ""
    )
    same = models["town/sft"].card["sha256"]
    models["town/dpo"] = Model("town/dpo", folder / "town" / "dpo", {"sha256": same, "parent": same})
    assert origin(models["town/dpo"], models) == "town/sft"  # a run that changed nothing is not its own parent
    del models["town/pretrain"], models["copies/pretrain"]
    assert origin(models["town/sft"], models) == models["town/sft"].card["parent"][:12]


def test_one_model_is_shown_with_its_descent_and_figures(run, folder):
    status, told = run("show", "town/ppo")
    assert status == 0 and "town/pretrain -> town/sft -> town/ppo" in told
    assert "metrics.reward" in told and "1.5" in told and read_card(folder / "town" / "ppo")["sha256"] in told
    assert "curve" not in run("show", "town/pretrain")[1]
    assert run("show", f"{folder}/town/ppo/")[1] == told


def test_a_changed_file_is_marked_and_not_loaded(run, folder):
    weights = folder / "town" / "sft" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    status, told = run("list")
    assert status == 1 and [line.split()[0] for line in told.splitlines() if line.endswith("CHANGED")] == ["town/sft"]
    assert run("show", "town/sft")[0] == 1
    with pytest.raises(UserError, match="vouches"):
        load_model(folder / "town" / "sft")


def test_unfinished_and_broken_folders_are_told_apart(run, folder):
    (folder / "town" / "ppo" / "minigpt.json").write_text("{", encoding="utf-8")
    (folder / "town" / "sft" / "model.safetensors").unlink()
    (folder / "new" / "pretrain").mkdir(parents=True)
    (folder / "new" / "pretrain" / "training_state.safetensors").write_bytes(b"")
    (folder / "empty" / "folder").mkdir(parents=True)
    lines = {line.split()[0]: line for line in run("list")[1].splitlines()}
    for name, state in {"town/ppo": "no hash", "town/sft": "no weights", "new/pretrain": "unfinished"}.items():
        assert lines[name].endswith(state), name
    assert "empty/folder" not in lines


def test_mistakes_get_a_sentence(run, folder, monkeypatch):
    with pytest.raises(UserError, match="did you mean town/sft"):
        run("show", "town/stf")
    monkeypatch.setattr(sys, "argv", ["models", "list", "--models", str(folder / "none")])
    with pytest.raises(UserError, match="does not exist"):
        database.main()


def test_the_shipped_models_are_whole():
    models = find_models(Path(__file__).parents[1] / "trained_models")
    shipped = {name: model.state() for name, model in models.items() if name.startswith("shipped/")}
    assert shipped and set(shipped.values()) == {"sound"}


def write_card(folder: Path, name: str, saved: int = 0, finished: bool = True) -> None:
    """A card without a model; `name` is RECIPE/STAGE, perhaps with an ending."""
    card = {"stage": name.split("/")[1].split(".")[0].split("-")[0], "finished": finished}
    write_atomically(folder / name / "minigpt.json", to_json(card).encode())
    os.utime(folder / name / "minigpt.json", (saved, saved))


def test_a_recipes_models_are_those_that_write_and_are_current(tmp_path):
    for stage in ("pretrain", "sft", "ppo", "ppo.previous", "reward"):
        write_card(tmp_path, f"town/{stage}")
    write_card(tmp_path, "town/dpo", finished=False)
    write_card(tmp_path, "other/sft")
    (tmp_path / "town" / "notes").mkdir()
    assert [model.folder.name for model in stages_of("town", tmp_path)] == ["ppo", "pretrain", "sft"]


def test_the_model_to_talk_to_is_the_newest_of_ones_own_or_else_the_shipped_one(tmp_path):
    def chosen() -> str | None:
        model = default_model(find_models(tmp_path).values())
        return model.name if model else None

    assert chosen() is None
    write_card(tmp_path, "shipped/reward", saved=9)
    assert chosen() is None, "a reward model writes nothing"
    write_card(tmp_path, "shipped/pretrain", saved=8)
    assert chosen() == "shipped/pretrain", "one that only goes on with a text is better than none"
    write_card(tmp_path, "shipped/sft", saved=7)
    write_card(tmp_path, "shipped/ppo", saved=6)
    assert chosen() == "shipped/ppo"
    write_card(tmp_path, "town/sft", saved=2)
    write_card(tmp_path, "town/ppo", saved=1)
    assert chosen() == "town/sft", "the last one trained here, not the latest stage"
    write_card(tmp_path, "town/ppo.previous", saved=3)
    write_card(tmp_path, "town/ppo-trial", saved=4)
    write_card(tmp_path, "town/dpo", saved=5, finished=False)
    assert chosen() == "town/sft", "what was replaced, is a trial or is unfinished is not chosen unasked"


def test_a_folder_that_cannot_be_read_says_why(tmp_path):
    (tmp_path / "town" / "sft").mkdir(parents=True)
    (tmp_path / "town" / "sft" / "minigpt.json").write_text("{", encoding="utf-8")
    model = find_models(tmp_path)["town/sft"]
    assert not model.card and "minigpt.json" in model.problem
